"""Changes who answers again and again under load: swaps, canaries, blue/green, shadows and rollbacks; no request fails.

``python -m tests.chaos.swaps 100`` makes a hundred changes.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trimtab
from tests.chaos.load import Load
from tests.objects import ENDPOINT, ROWS, add_version
from tests.processes import Server, running
from trimtab.sdk.client import Client

PATIENCE_S = 180.0


class Swaps:
    """Changes an endpoint's versions through the server's own API."""

    def __init__(self, client: Client, *, versions: int) -> None:
        self._client = client
        self._versions = [str(number) for number in range(1, versions + 1)]
        self.rollbacks_s: list[float] = []
        self.done: dict[str, int] = {}

    def change(self, number: int) -> None:
        """Make one change, another kind each time."""
        acts: list[Callable[[], None]] = [
            self.swap,
            lambda: self.roll("canary", "promote"),
            lambda: self.roll("canary", "rollback"),
            lambda: self.roll("blue-green", "rollback"),
            lambda: self.roll("blue-green", "promote"),
            lambda: self.roll("shadow", "abort"),
            self.roll_back,
        ]
        acts[number % len(acts)]()

    def swap(self) -> None:
        """Have the next version answer everything; it is loaded where it is not warm any more."""
        uri = f"models:/{ENDPOINT}/{self._other()}"
        trimtab.endpoints.deploy(ENDPOINT, uri, wait_s=PATIENCE_S, client=self._client)
        self._count("swap")

    def roll(self, strategy: str, end: str) -> None:
        """Begin a rollout of the next version, let it have requests, and end it."""
        steps = {"canary": [30], "blue-green": [50], "shadow": [100]}[strategy]
        plan = {"strategy": strategy, "steps": steps, "bake_us": 3_600_000_000}
        body = {"challenger": self._other(), "plan": plan}
        rollout = self._client.post(f"/endpoints/{ENDPOINT}/rollouts", body)
        until = time.monotonic() + PATIENCE_S
        while rollout["phase"] != "step":
            assert rollout["state"] == "running", rollout
            assert time.monotonic() < until, rollout
            time.sleep(0.02)
            rollout = self._client.get(f"/rollouts/{rollout['id']}")
        time.sleep(0.1)
        asked = time.monotonic()
        self._client.post(f"/rollouts/{rollout['id']}/{end}", {"reason": "a try"})
        if end == "rollback":
            self.rollbacks_s.append(time.monotonic() - asked)
            self._answers_only(rollout["champion"])
        self._count(f"{strategy} {end}")

    def roll_back(self) -> None:
        """Take the newest change back."""
        asked = time.monotonic()
        trimtab.endpoints.rollback(ENDPOINT, client=self._client)
        self.rollbacks_s.append(time.monotonic() - asked)
        self._count("endpoint rollback")

    def _answers_only(self, version: str) -> None:
        url = self._client.get(f"/endpoints/{ENDPOINT}")["invocations_url"]
        for _ in range(5):
            answer = trimtab.sdk.endpoints._send(self._client, url, {"dataframe_records": ROWS})
            assert answer.headers["x-model-version"] == version, "a rollback holds when it is answered"

    def _other(self) -> str:
        champion = self._client.get(f"/endpoints/{ENDPOINT}")["champion"]
        at = self._versions.index(champion)
        return self._versions[(at + 1) % len(self._versions)]

    def _count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1


def change(server: Server, *, changes: int, clients: int = 8, versions: int = 4) -> dict[str, Any]:
    """Make that many changes under load and return what was seen; raises AssertionError for any failed request."""
    with Client(server.url) as client:
        for seed in range(1, versions + 1):
            uri = add_version(client, seed=seed).uri
            trimtab.endpoints.deploy(ENDPOINT, uri, wait_s=PATIENCE_S, client=client)
        swaps = Swaps(client, versions=versions)
        began = time.monotonic()
        with Load(server.inference_port, ENDPOINT, ROWS, clients=clients) as load:
            for number in range(changes):
                swaps.change(number)
                assert not load.failures, (number, load.failures[:5])
        assert not load.failures, load.failures[:5]
        taken_ms = sorted(1000 * value for value in swaps.rollbacks_s)
        return {
            "changes": dict(swaps.done),
            "requests": load.answered,
            "failed": len(load.failures),
            "slowest_ms": round(1000 * load.slowest_s, 1),
            "versions": dict(load.versions),
            "rollback_ms": [round(taken_ms[len(taken_ms) // 2], 1), round(taken_ms[-1], 1)],
            "seconds": round(time.monotonic() - began, 1),
        }


def main() -> None:
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-chaos-") as folder,
        running(Path(folder) / "home", "--log-level", "warning") as server,
    ):
        for name, value in change(server, changes=changes).items():
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
