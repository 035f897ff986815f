"""Versions change, replicas die and shadows fail, and no caller notices."""

import asyncio
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.serving.conftest import Plane
from trimtab.serving.records import Prediction
from trimtab.serving.routes import Version

ROW = msgspec.json.encode({"dataframe_records": [{"a": 1.0, "b": 2}]})
REQUEST = (
    b"POST /endpoints/m/invocations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(ROW), ROW)
)


class Hammer:
    """Clients on kept connections that ask and ask until they are stopped, in a thread of their own."""

    def __init__(self, port: int, clients: int) -> None:
        self.answers: Counter[str] = Counter()
        self._port = port
        self._clients = clients
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._ask() for _ in range(self._clients)))

    async def _ask(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while not self._stop.is_set():
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
            await reader.readexactly(int(fields["content-length"]))
            status = head.split(b" ", 2)[1].decode()
            self.answers[fields.get("x-model-version", "") if status == "200" else f"status {status}"] += 1
            await asyncio.sleep(0.005)  # leave the processes that start meanwhile some of the processor
        writer.close()


def test_twenty_swaps_under_load_fail_no_request(plane: Plane) -> None:
    """Each swap leaves one version for another; some also stop the old replica, or kill it, and start a new one."""
    running: dict[str, Any] = {}
    for version in ("1", "2"):
        running[version] = plane.start_rule(version)
    sockets = {version: plane.wait_socket(version, process) for version, process in running.items()}
    plane.route(Version("1", "m/1", 100, "champion", [sockets["1"]]))
    plane.wait_up()
    current = "1"
    with Hammer(plane.port, 6) as hammer:
        for swap in range(20):
            following = next(version for version in sockets if version != current)
            if swap % 3 == 2:  # a canary between the two, before the swap is complete
                plane.route(
                    Version(current, "m", 70, "champion", [sockets[current]]),
                    Version(following, "m", 30, "challenger", [sockets[following]]),
                )
                time.sleep(0.05)
            plane.route(Version(following, "m", 100, "champion", [sockets[following]]))
            old, current = current, following
            if swap in (6, 13):
                assert plane.control.wait_idle("m", old)
                running[old].send_signal(signal.SIGTERM if swap == 6 else signal.SIGKILL)
                running[old].wait(10)
                path = sockets.pop(old)
                Path(path).unlink(missing_ok=True)
                running[old] = plane.start_rule(old)
                sockets[old] = plane.wait_socket(old, running[old])
            time.sleep(0.1)
    assert set(hammer.answers) == {"1", "2"}, hammer.answers
    assert sum(hammer.answers.values()) > 200


def test_a_killed_replica_costs_no_request(plane: Plane) -> None:
    """Both replicas are killed in turn, the second while the first is away, so that requests must wait for it."""
    first, second = plane.start_rule("r1"), plane.start_rule("r2")
    sockets = [plane.wait_socket("r1", first), plane.wait_socket("r2", second)]
    plane.route(Version("1", "m", 100, "champion", sockets))
    plane.wait_up()
    with Hammer(plane.port, 6) as hammer:
        time.sleep(0.3)
        first.kill()
        time.sleep(0.3)
        Path(sockets[0]).unlink()
        again = plane.start_rule("r1")
        plane.wait_socket("r1", again)
        second.kill()
        time.sleep(0.3)
    assert set(hammer.answers) == {"1"}, hammer.answers
    counted = plane.control.state().endpoints["m"].versions["1"]
    assert counted.errors == 0
    assert counted.in_flight == 0
    assert counted.replicas == {sockets[0]: True, sockets[1]: False}


def test_a_request_waits_for_a_replica_and_follows_a_change_of_routes(
    plane: Plane, booster_socket: str
) -> None:
    plane.route(Version("1", "m", 100, "champion", [str(plane.state / "gone")]))
    with Hammer(plane.port, 2) as hammer:
        time.sleep(0.5)
        assert not hammer.answers
        plane.route(Version("2", "m", 100, "champion", [booster_socket]))
        deadline = time.monotonic() + 10
        while not hammer.answers and time.monotonic() < deadline:
            time.sleep(0.01)
    assert set(hammer.answers) == {"2"}
    counted = plane.control.state().endpoints["m"].versions
    assert not counted["1"].routed
    assert counted["1"].in_flight == 0


def test_a_shadow_that_hangs_keeps_no_caller_waiting(plane: Plane) -> None:
    running = [plane.start_rule(name) for name in ("1", "2")]
    sockets = [plane.wait_socket(name, one) for name, one in zip(("1", "2"), running, strict=True)]
    plane.route(
        Version("1", "m", 100, "champion", sockets[:1]), Version("2", "m", 100, "shadow", sockets[1:])
    )
    plane.wait_up()
    running[1].send_signal(signal.SIGSTOP)
    taken_s: list[float] = []
    for _ in range(300):  # more than may wait for a shadow
        asked = time.monotonic()
        assert plane.request("POST", "/endpoints/m/invocations", ROW)[0] == 200
        taken_s.append(time.monotonic() - asked)
    running[1].kill()
    plane.route(Version("1", "m", 100, "champion", sockets[:1]))  # the copies that wait are told so
    assert sorted(taken_s)[-3] < 0.3
    assert plane.control.state().shadows_dropped > 0


def test_a_canary_gets_its_share_and_shadows_see_copies(plane: Plane, booster_socket: str) -> None:
    socket = booster_socket
    missing = str(plane.state / "gone")
    plane.route(
        Version("1", "m", 75, "champion", [socket]),
        Version("2", "m", 25, "challenger", [socket]),
        Version("3", "m", 100, "shadow", [socket]),
        Version("4", "m", 100, "shadow", [missing]),
        Version("5", "m", 0, "warm", [socket]),
        timeout_ms=1000,
    )
    deadline = time.monotonic() + 5
    while not plane.request("GET", "/v2/models/m/ready")[1]["ready"] and time.monotonic() < deadline:
        time.sleep(0.01)
    answers = [plane.request("POST", "/endpoints/m/invocations", ROW) for _ in range(120)]
    assert {status for status, _, _ in answers} == {200}
    split = Counter(headers["x-model-version"] for _, _, headers in answers)
    assert set(split) == {"1", "2"}
    assert 10 < split["2"] < 55
    pinned = plane.request("POST", "/v2/models/m/versions/5/infer", {"inputs": [
        {"name": "a", "datatype": "FP64", "shape": [1], "data": [1]},
        {"name": "b", "datatype": "INT64", "shape": [1], "data": [1]},
    ]})  # fmt: skip
    assert pinned[2]["x-model-version"] == "5"
    records = [r for r in plane.records(361) if isinstance(r, Prediction)]
    by_version = Counter(record.version for record in records)
    assert by_version["3"] == 120
    assert by_version["5"] == 1
    ids = {headers["x-prediction-id"] for _, _, headers in answers}
    assert {record.id for record in records if record.role == "shadow" and record.status == 200} == ids
    answered = {record.id: record for record in records if record.role in ("champion", "challenger")}
    for copy in (record for record in records if record.version == "3"):
        answer = answered[copy.id]  # this protocol shows no probabilities: a copy must have none, either
        assert (copy.outputs, copy.probabilities) == (answer.outputs, answer.probabilities)
    failed = [record for record in records if record.version == "4"]
    assert len(failed) == 120  # the shadow that is away failed for all, and nobody waited for it
    assert {record.status for record in failed} == {503}
