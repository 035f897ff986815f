"""Processes of a version that come and go, behind a real gateway."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.serving.conftest import Plane
from tests.serving.trouble import SIGNATURE, command
from trimtab.domains.deploy.targets import process
from trimtab.domains.deploy.targets.limits import Limits
from trimtab.domains.deploy.targets.port import ReplicaSpec, ReplicaStatus
from trimtab.domains.deploy.targets.process import ProcessTarget
from trimtab.serving.routes import Version

BODY = {"dataframe_records": [{"a": 1.0}]}
PATH = "/endpoints/m/invocations"


@pytest.fixture
def target(plane: Plane) -> Iterator[ProcessTarget]:
    running = ProcessTarget(plane.state / "target", limits=Limits(memory_bytes=4 << 30))
    yield running
    running.close()


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReplicaSpec:
    monkeypatch.setattr(process, "replica_command", command)  # a replica that needs no library
    return ReplicaSpec("m", "1", tmp_path, allow_pickle=True)


def route(plane: Plane, status: ReplicaStatus) -> None:
    version = Version("1", "m", 100, "champion", list(status.sockets), asleep=not status.sockets)
    plane.route(version, signature=SIGNATURE)


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.03)


def test_processes_come_and_go_and_no_request_fails(
    plane: Plane, target: ProcessTarget, spec: ReplicaSpec
) -> None:
    until(lambda: target.ensure(spec).state == "ready", "one answers")
    route(plane, target.ensure(spec))
    plane.wait_up()
    answers: list[int] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.is_set():
            answers.append(plane.request("POST", PATH, BODY)[0])

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        grown = target.ensure(spec, replicas=3)
        assert len(set(grown.sockets)) == 3
        route(plane, grown)
        until(lambda: _up(plane) == 3, "three answer")
        target.ensure(spec, replicas=3)
        shrunk = target.ensure(spec, replicas=1)
        assert shrunk.sockets == grown.sockets[:1]
        route(plane, shrunk)
        left = [path for path in grown.sockets[1:] if Path(path).exists()]
        assert left, "those that are not needed go on for a moment"
        until(lambda: target.ensure(spec).state == "ready" and not any(map(_there, left)), "two ended")
    finally:
        enough.set()
        asking.join()
    assert len(answers) > 20
    assert set(answers) == {200}


def test_a_request_wakes_a_version_that_sleeps(
    plane: Plane, target: ProcessTarget, spec: ReplicaSpec
) -> None:
    route(plane, target.ensure(spec, replicas=0))
    assert target.running() == set()
    assert plane.request("GET", "/v2/models/m/ready")[0] == 200, "whoever asks is answered"
    answers: list[int] = []
    asking = threading.Thread(target=lambda: answers.append(plane.request("POST", PATH, BODY)[0]))
    asking.start()
    until(lambda: plane.control.state().endpoints["m"].versions["1"].knocks == 1, "it knocked")
    route(plane, target.ensure(spec, replicas=1))
    asking.join(40)
    assert answers == [200]


def _there(path: str) -> bool:
    return Path(path).exists()


def _up(plane: Plane) -> int:
    return sum(plane.control.state().endpoints["m"].versions["1"].replicas.values())
