"""Kills a working server at random moments, starts it again, and looks whether everything it had promised is there.

``python -m tests.chaos.kill 10`` does so ten times.
"""

import contextlib
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import trimtab
from tests.objects import ENDPOINT, ROWS, add_version
from tests.processes import Server
from trimtab.kernel.errors import Conflict, NotFound, TrimtabError, Unavailable
from trimtab.sdk.client import Client
from trimtab.sdk.submission import submit

PATIENCE_S = 120.0
STEPS = 6
WRITERS = 4

PIPELINE = """
import time
from trimtab import pipeline, step

@step(cache=False)
def mark(number: int, before, log: str) -> int:
    time.sleep(0.4)
    with open(log, "a") as file:
        file.write(f"{number}\\n")
    return number

@pipeline
def marking(log: str):
    before = None
    for number in range(6):
        before = mark(number=number, before=before, log=log)
    return before
"""


class Promises:
    """What the server has acknowledged."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, str], set[int]] = {}
        self.params: dict[str, set[str]] = {}
        self.tokens: set[str] = set()
        self.predictions: set[str] = set()
        self.unclear: list[str] = []  # errors other than those of a server that is gone

    def count(self) -> int:
        return sum(map(len, self.points.values())) + sum(map(len, self.params.values())) + len(self.tokens)


class Load:
    """Threads which write until the server is gone."""

    def __init__(self, url: str, runs: list[str], promises: Promises, *, round_: int) -> None:
        self._url = url
        self._promises = promises
        self._round = round_
        self._stop = threading.Event()
        work: list[Callable[[Client], None]] = [
            lambda client, run=run: self._log(client, run) for run in runs
        ]
        work += [self._make_tokens, self._predict]
        self._threads = [threading.Thread(target=self._work, args=(one,)) for one in work]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for the threads, which end by themselves once nobody answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, write: Callable[[Client], None]) -> None:
        with Client(self._url) as client:
            try:
                while not self._stop.is_set():
                    write(client)
            except Unavailable:
                return
            except TrimtabError as error:
                self._promises.unclear.append(f"{type(error).__name__}: {error}")

    def _log(self, client: Client, run: str) -> None:
        key = f"round-{self._round}"
        done = self._promises.points.setdefault((run, key), set())
        step = len(done)
        point = {"key": key, "value": step / 2, "at_us": 1_700_000_000_000_000 + step, "step": step}
        client.post(f"/runs/{run}/log", {"metrics": [point]})
        done.add(step)
        if step % 10 == 0:
            param = f"{key}-{step}"
            client.post(f"/runs/{run}/log", {"params": {param: "x"}})
            self._promises.params.setdefault(run, set()).add(param)

    def _make_tokens(self, client: Client) -> None:
        name = f"{self._round}-{len(self._promises.tokens)}"
        client.post("/tokens", {"name": name, "role": "viewer"})
        self._promises.tokens.add(name)
        time.sleep(0.02)

    def _predict(self, client: Client) -> None:
        self._promises.predictions.add(trimtab.endpoints.predict(ENDPOINT, ROWS, client=client)[1])
        time.sleep(0.01)


def survive(folder: Path, *flags: str, rounds: int, seed: int) -> int:
    """Kill a server on a fresh home that often; return how many acknowledged writes were found again."""
    chance = random.Random(seed)
    file = folder / "marking_pipeline.py"
    file.write_text(PIPELINE)
    server = Server(folder / "home", "--log-level", "warning", *flags)
    server.start()
    try:
        promises = Promises()
        with Client(server.url) as client:
            runs = [client.post("/runs", {"experiment_id": "0"})["id"] for _ in range(WRITERS)]
            trimtab.endpoints.deploy(ENDPOINT, add_version(client).uri, wait_s=PATIENCE_S, client=client)
        for number in range(rounds):
            log = folder / f"log-{number}"
            with Client(server.url) as client:
                run = submit(client, str(file), {"log": str(log)})["id"]
            load = Load(server.url, runs, promises, round_=number)
            if number == 0:  # at least once the run is under way
                _patiently(lambda run=run: _watch(server, run, for_s=0.1) or _not_yet())
            finished = _watch(server, run, for_s=chance.uniform(0.3, 6.0 if number else 1.5))
            server.kill()
            load.join()
            server.start()
            assert not promises.unclear, promises.unclear
            with Client(server.url) as client:
                _check(client, promises)
                _check_pipeline(client, run, log, finished)
        return promises.count()
    finally:
        server.stop()


def _watch(server: Server, run: str, *, for_s: float) -> set[int]:
    """Return which steps of a run the server has said to be done."""
    finished: set[int] = set()
    until = time.monotonic() + for_s
    with Client(server.url) as client:
        while time.monotonic() < until:
            steps = client.get(f"/pipeline-runs/{run}")["steps"]
            finished |= {number for number, step in enumerate(steps) if step["state"] == "succeeded"}
            time.sleep(0.05)
    return finished


def _not_yet() -> None:
    raise NotFound("no step has ended yet")


def _check(client: Client, promises: Promises) -> None:
    verdict = client.get("/audit/verify")
    assert verdict["ok"], verdict
    for (run, key), steps in promises.points.items():
        history = client.get(
            "/api/2.0/mlflow/metrics/get-history", run_id=run, metric_key=key, max_results=25_000
        )
        found = [int(point.get("step", 0)) for point in history.get("metrics", [])]
        assert steps <= set(found), (run, key, sorted(steps - set(found)))
        assert len(found) == len(set(found)), "a point was written twice"
    for run, params in promises.params.items():
        assert params <= client.get(f"/runs/{run}")["params"].keys()
    tokens = {token["name"] for token in client.get("/tokens")["items"]}
    assert promises.tokens <= tokens, promises.tokens - tokens
    recorded = {
        record["detail"].get("name")
        for record in _audit(client)
        if record["action"].startswith("govern.token")
    }
    assert promises.tokens <= recorded, promises.tokens - recorded
    answers, made = _patiently(lambda: trimtab.endpoints.predict(ENDPOINT, ROWS, client=client))
    assert answers[0] > 0.5 > answers[1]
    promises.predictions.add(made)
    for prediction in promises.predictions:
        found = _patiently(lambda prediction=prediction: client.get(f"/predictions/{prediction}"))
        assert [row["inputs"] for row in found["rows"]] == ROWS


def _audit(client: Client) -> Iterator[dict[str, Any]]:
    return client.items("/audit", limit=1000)


def _check_pipeline(client: Client, run: str, log: Path, finished: set[int]) -> None:
    until = time.monotonic() + PATIENCE_S
    while (found := client.get(f"/pipeline-runs/{run}"))["ended_us"] is None:
        assert time.monotonic() < until, f"the pipeline does not go on: {found}"
        time.sleep(0.1)
    assert (found["state"], found["outputs"]) == ("succeeded", {"result": STEPS - 1}), found
    marks = [int(line) for line in log.read_text().split()]
    assert set(marks) == set(range(STEPS))
    again = {number for number in finished if marks.count(number) > 1}
    assert not again, f"finished steps were done again: {again} in {marks}"


def _patiently(ask: Callable[[], Any]) -> Any:
    """Return an answer as soon as there is one: endpoints come back and predictions are taken in by themselves."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        with contextlib.suppress(Unavailable, NotFound, Conflict):
            return ask()
        time.sleep(0.1)
    return ask()


def main() -> None:
    rounds, seed = int(sys.argv[1]) if len(sys.argv) > 1 else 10, time.time_ns()
    print(f"{rounds} rounds with seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="trimtab-chaos-") as folder:
        print(f"{survive(Path(folder), rounds=rounds, seed=seed)} acknowledged writes, all found again")


if __name__ == "__main__":
    main()
