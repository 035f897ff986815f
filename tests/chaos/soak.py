"""Logs a million points from eight clients with searches and deletions meanwhile, and kills the server now and then.

``python -m tests.chaos.soak [--points 1000000] [--kills 5] [--database URL]`` ends with an error if a request was answered
with one, if an acknowledged point is missing, or if memory grew from the second quarter to the last.
"""

import argparse
import http.client
import json
import random
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.processes import Server, running

CLIENTS = 8
METRICS = 5
BATCH = 250
GROWTH = 1.15
PATIENCE_S = 60.0


class Refused(Exception):
    """The server answered with an error."""


class Caller:
    """One keep-alive connection that sends a request again until it is answered, as MLflow's client does."""

    def __init__(self, url: str) -> None:
        place = urllib.parse.urlsplit(url)
        self._address = (place.hostname or "", place.port)
        self._connection: http.client.HTTPConnection | None = None
        self.repeated = 0

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self._once(method, path, body)
            except (OSError, http.client.HTTPException):
                self._connection = None
                self.repeated += 1
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def _once(self, method: str, path: str, body: Any) -> Any:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=30)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status == 503:
            raise http.client.HTTPException("not ready")
        if answer.status != 200:
            raise Refused(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content)


class Soak:
    """The clients, what was acknowledged to them, and what went wrong."""

    def __init__(self, url: str, points: int) -> None:
        self._url = url
        self._each = points // CLIENTS
        self.acknowledged = 0
        self.searches = 0
        self.deleted = 0
        self.errors: list[str] = []
        self.steps: dict[str, int] = {}
        self._lock = threading.Lock()
        self.done = threading.Event()
        self._threads = [threading.Thread(target=self._guard, args=(self._log, n)) for n in range(CLIENTS)]
        self._others = [
            threading.Thread(target=self._guard, args=(call, 0)) for call in (self._search, self._delete)
        ]

    def run(self) -> None:
        for thread in (*self._threads, *self._others):
            thread.start()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def end(self) -> None:
        self.done.set()
        for thread in (*self._threads, *self._others):
            thread.join()

    def _guard(self, call: Any, number: int) -> None:
        try:
            call(Caller(self._url), number)
        except Exception as error:  # noqa: BLE001 - whatever it is, the soak has failed
            self.errors.append(f"{type(error).__name__}: {error}")

    def _log(self, call: Caller, number: int) -> None:
        source = random.Random(number)
        sent = 0
        while sent < self._each and not self.errors:
            run = call(
                "POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0", "run_name": f"soak-{number}"}
            )
            run_id = run["run"]["info"]["run_id"]
            length = min(self._each - sent, source.randrange(20, 60) * BATCH)
            for first in range(0, length, BATCH):
                steps = range(first // METRICS, (first + BATCH) // METRICS)
                metrics = [
                    {
                        "key": f"m{key}",
                        "value": source.random(),
                        "timestamp": 1_700_000_000_000 + step,
                        "step": step,
                    }
                    for step in steps
                    for key in range(METRICS)
                ]
                call("POST", "/api/2.0/mlflow/runs/log-batch", {"run_id": run_id, "metrics": metrics})
                with self._lock:
                    self.acknowledged += BATCH
                    self.steps[run_id] = steps.stop
            sent += length
            call("POST", "/api/2.0/mlflow/runs/update", {"run_id": run_id, "status": "FINISHED"})

    def _search(self, call: Caller, _: int) -> None:
        while not self.done.wait(0.3):
            call(
                "POST",
                "/api/2.0/mlflow/runs/search",
                {
                    "experiment_ids": ["0"],
                    "filter": "metrics.m0 > 0.2",
                    "order_by": ["metrics.m1 DESC"],
                    "max_results": 50,
                },
            )
            with self._lock:
                self.searches += 1
                some = random.choice(list(self.steps) or [""])
            if some:
                call(
                    "GET",
                    f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={some}&metric_key=m0&max_results=320",
                )

    def _delete(self, call: Caller, _: int) -> None:
        while not self.done.wait(0.5):
            run = call("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
            metric = {"run_id": run, "key": "m0", "value": 1.0, "timestamp": 1, "step": 1}
            call("POST", "/api/2.0/mlflow/runs/log-metric", metric)
            call("POST", "/api/2.0/mlflow/runs/delete", {"run_id": run})
            self.deleted += 1

    def missing(self) -> int:
        """Return how many acknowledged points cannot be read."""
        call = Caller(self._url)
        lost = 0
        for run_id, steps in self.steps.items():
            for key in range(METRICS):
                answer = call("GET", f"/api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key=m{key}")
                found = {one["step"] for one in answer.get("metrics", [])}
                lost += len(set(range(steps)) - found)
                lost += len(answer.get("metrics", [])) - len(found)  # none twice either
        return lost


def memory_mb(pid: int) -> float:
    """Return the proportional memory of the server process."""
    return psutil.Process(pid).memory_full_info().pss / 1e6


def soak(folder: Path, *, points: int, kills: int = 0, flags: Sequence[str] = ()) -> list[str]:
    """Return what went wrong; prints figures while it works."""
    with running(folder / "home", "--log-level", "warning", *flags) as server:
        work = Soak(server.url, points)
        began = time.monotonic()
        work.run()
        sizes = watch(server, work, points=points, kills=kills)
        spent = time.monotonic() - began
        work.end()
        print(f"\n{work.acknowledged / spent:,.0f} points/s, {work.deleted} runs deleted, {kills} kills")
        wrong = list(work.errors)
        if lost := work.missing():
            wrong.append(f"{lost} acknowledged points are missing or doubled")
    early = [size for share, size in sizes if 0.25 <= share < 0.5]
    late = [size for share, size in sizes if share >= 0.75]
    if not kills and early and late:
        print(f"memory: {max(early):.0f} MB in the second quarter, {max(late):.0f} MB in the last")
        if max(late) > GROWTH * max(early):
            wrong.append("memory grew")
    return wrong


def watch(server: Server, work: Soak, *, points: int, kills: int) -> list[tuple[float, float]]:
    """Kill and restart the server now and then until the clients are done; return its memory over the share done."""
    sizes: list[tuple[float, float]] = []
    killed = 0
    while work.busy:
        time.sleep(0.25)
        share = work.acknowledged / points
        if killed < kills and share > (killed + 1) / (kills + 2):
            server.kill()
            server.start()
            killed += 1
        sizes.append((share, memory_mb(server.pid)))
        line = f"{work.acknowledged:>9,} points  {work.searches} searches  {sizes[-1][1]:.0f} MB"
        print(f"\r{line}", end="", flush=True)
    return sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--database")
    given = parser.parse_args()
    flags = ["--database", given.database] if given.database else []
    with tempfile.TemporaryDirectory() as place:
        wrong = soak(Path(place), points=given.points, kills=given.kills, flags=flags)
    raise SystemExit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
