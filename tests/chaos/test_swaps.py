"""Whoever asks while versions change gets an answer; rollouts outlive their server, and the judge takes harm back."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

import trimtab
from tests.chaos.load import Load
from tests.chaos.swaps import PATIENCE_S, change
from tests.objects import ENDPOINT, ROWS, add_version, alarmist
from tests.processes import Server, running
from trimtab.sdk.client import Client

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("swaps") / "home", "--log-level", "warning") as server:
        yield server


@pytest.fixture(scope="module")
def seen(server: Server) -> dict[str, Any]:
    """What callers saw while versions changed; it leaves an endpoint with warm versions."""
    return change(server, changes=7, clients=4, versions=3)


def _start(client: Client, challenger: str, plan: dict[str, Any], **more: Any) -> str:
    body = {"challenger": challenger, "plan": plan, **more}
    return client.post(f"/endpoints/{ENDPOINT}/rollouts", body)["id"]


def _over(client: Client, rollout: str, load: Load | None = None) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE_S
    while (view := client.get(f"/rollouts/{rollout}"))["state"] == "running":
        assert load is None or not load.failures, load.failures
        assert time.monotonic() < until, (view, load.versions if load else None)
        time.sleep(0.05)
    return view


def _pair(client: Client) -> tuple[str, str]:
    """Return the champion and another version that is warm."""
    view = trimtab.endpoints.wait(ENDPOINT, timeout_s=PATIENCE_S, client=client)
    warm = [one["version"] for one in view["versions"] if one["role"] == "warm" and one["state"] == "ready"]
    return view["champion"], warm[0]


def test_changes_of_version_fail_no_request(seen: dict[str, Any]) -> None:
    assert seen["failed"] == 0
    assert seen["requests"] > 200
    assert len(seen["versions"]) == 3


@pytest.mark.usefixtures("seen")
def test_the_judge_takes_harm_back_by_itself(server: Server) -> None:
    with Client(server.url) as client:
        champion, _ = _pair(client)
        harmful = add_version(client, model=alarmist()).version
        judge = {"latency": None, "predictions": {"harm": 0.0}, "prediction_mean": {"harm": 0.0}}
        begun = _start(client, str(harmful), {"steps": [50], "bake_us": 3_600_000_000}, judge=judge)
        with Load(server.inference_port, ENDPOINT, ROWS, clients=2) as load:
            ended = _over(client, begun, load)
        assert (ended["state"], ended["champion"]) == ("rolled-back", champion), ended
        assert "prediction" in ended["reason"]
        assert not load.failures
        assert client.get(f"/endpoints/{ENDPOINT}")["champion"] == champion
        opened = [alert["rule"] for alert in client.get("/alerts", state="open")["items"]]
        assert "rollout.rolled-back" in opened


@pytest.mark.usefixtures("seen")
def test_a_rollout_goes_on_when_its_server_comes_back(server: Server) -> None:
    plan = {"strategy": "linear", "steps": [40], "bake_us": 1_500_000, "min_requests": 0, "finish": "time"}
    with Client(server.url) as client:
        _, warm = _pair(client)
        begun = _start(client, warm, plan)
        while not client.get(f"/rollouts/{begun}")["steps"]:
            time.sleep(0.05)
    server.kill()
    time.sleep(1.5)
    server.start()
    with Client(server.url) as client:
        ended = _over(client, begun)
    assert (ended["state"], [step["weight"] for step in ended["steps"]]) == ("promoted", [40, 80])
