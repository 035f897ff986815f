"""A replica process on its own: how it starts, answers, fails and ends."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.conftest import ABC, Plane, write_mlmodel
from trimtab.serving.frames import (
    PREDICTIONS,
    PROBABILITIES,
    Answer,
    Call,
    FrameReader,
    Hello,
    decode_answer,
    decode_hello,
    frame,
)
from trimtab.serving.processes import replica_command, replica_environment
from trimtab.serving.replica import EXIT_NOT_LOADED, MAX_BATCH_CALLS
from trimtab.serving.routes import Version
from trimtab.serving.schema import Schema, encode_columns

SCHEMA = Schema(ABC)


class Caller:
    """A gateway's side of the protocol, blocking."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(path))
        self.reader = FrameReader()
        self.hello: Hello = decode_hello(self._frames(1)[0])

    def ask(self, *calls: Call) -> list[Answer]:
        self.sock.sendall(b"".join(frame(call) for call in calls))
        return [decode_answer(body) for body in self._frames(len(calls))]

    def _frames(self, count: int) -> list[bytes]:
        found: list[bytes] = []
        while len(found) < count:
            data = self.sock.recv(1 << 16)
            assert data, "the replica closed the connection"
            found += self.reader.feed(data)
        return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ttr-") as name:
        yield Path(name)


def start(model: Path, path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(replica_command(model, path), env=replica_environment({"SECRET": "x"}))
    deadline = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process


@pytest.fixture(scope="module")
def running(booster_folder: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    process = start(booster_folder, folder / "r")
    yield process, folder / "r"
    process.kill()
    process.wait()


def packed(number: int, *values: float) -> Call:
    row = {"a": [values[0]], "b": [values[1]], "c": [values[2]]}
    return Call(number, 1, PREDICTIONS, SCHEMA.pack(row, 1))


def test_calls_in_flight_are_answered_each_with_its_own_rows(
    running: tuple[subprocess.Popen[bytes], Path],
) -> None:
    caller = Caller(running[1])
    assert (caller.hello.names, caller.hello.packed, caller.hello.flavor) == (
        ("a", "b", "c"),
        True,
        "xgboost",
    )
    assert caller.hello.pid == running[0].pid
    count = 3 * MAX_BATCH_CALLS + 7
    answers = caller.ask(*[packed(number, 1.0 if number % 3 else -1.0, 0, 0) for number in range(count)])
    assert {a.call: a.outputs[0].data for a in answers} == {n: [1 if n % 3 else 0] for n in range(count)}


def test_calls_of_different_kinds_and_sizes_share_a_connection(
    running: tuple[subprocess.Popen[bytes], Path],
) -> None:
    caller = Caller(running[1])
    two = {"a": [1.0, -1.0], "b": [0, 0], "c": [None, 2.0]}
    answers = caller.ask(
        packed(1, 1.0, 0, 0),
        Call(2, 2, PREDICTIONS | PROBABILITIES, SCHEMA.pack(two, 2)),
        Call(3, 2, PREDICTIONS, None, encode_columns(two)),
        packed(4, -1.0, 0, 0),
    )
    found = {answer.call: [(o.name, o.shape) for o in answer.outputs] for answer in answers}
    assert found[1] == found[4] == [("predictions", [1])]
    assert found[2] == [("predictions", [2]), ("probabilities", [2, 2])]
    by_call = {answer.call: answer.outputs[0].data for answer in answers}
    assert by_call == {1: [1], 2: [1, 0], 3: [1, 0], 4: [0]}


def test_one_bad_call_spoils_no_other(running: tuple[subprocess.Popen[bytes], Path]) -> None:
    caller = Caller(running[1])
    bad = Call(2, 1, PREDICTIONS, b"12345678")
    text = Call(4, 1, PREDICTIONS, None, encode_columns({"a": ["x"], "b": [1], "c": [1]}))
    answers = {a.call: a for a in caller.ask(packed(1, 1, 0, 0), bad, packed(3, -1, 0, 0), text)}
    assert (answers[1].outputs[0].data, answers[3].outputs[0].data) == ([1], [0])
    assert (answers[2].fault, answers[2].message) == ("input", "a packed call has the wrong size")
    assert (answers[4].fault, answers[4].message) == ("input", "column 'a' has a value that is no number")


def test_a_connection_that_speaks_nonsense_is_closed_and_no_other(
    running: tuple[subprocess.Popen[bytes], Path],
) -> None:
    good, bad = Caller(running[1]), Caller(running[1])
    bad.sock.sendall(b"\xff\xff\xff\xff")
    assert bad.sock.recv(10) == b""
    assert good.ask(packed(1, 1, 0, 0))[0].outputs[0].data == [1]


def test_the_process_has_no_secrets_and_gains_no_privileges(
    running: tuple[subprocess.Popen[bytes], Path],
) -> None:
    process, path = running
    assert "NoNewPrivs:\t1" in Path(f"/proc/{process.pid}/status").read_text()
    assert b"SECRET" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_sigterm_answers_what_was_read_and_takes_the_socket_away(booster_folder: Path, folder: Path) -> None:
    path = folder / "t"
    process = start(booster_folder, path)
    caller = Caller(path)
    assert caller.ask(packed(1, 1, 0, 0))[0].outputs
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert not path.exists()


def test_a_replica_dies_with_its_parent(booster_folder: Path, folder: Path) -> None:
    path = folder / "orphan"
    script = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "from trimtab.serving.processes import replica_command\n"
        "subprocess.Popen(replica_command(Path(sys.argv[1]), Path(sys.argv[2]))); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(booster_folder), str(path)])
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    pid = Caller(path).hello.pid
    parent.kill()
    parent.wait()
    while Path(f"/proc/{pid}/exe").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_model_that_cannot_be_loaded_ends_the_process_with_one_line(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"nonsense")
    model = write_mlmodel(tmp_path, {"onnx": {"data": "model.onnx"}})
    path = folder / "never"
    ended = subprocess.run(
        replica_command(model, path),
        env=replica_environment({}),
        check=False,
        capture_output=True,
        timeout=30,
    )
    assert ended.returncode == EXIT_NOT_LOADED
    (line,) = ended.stderr.splitlines()
    problem = json.loads(line)
    assert (problem["event"], problem["code"]) == ("load-failed", "model-not-loaded")
    assert "ONNX" in problem["message"]  # it is missing and says how to install it, or cannot read the file
    assert not path.exists()


BROKEN = """
import sys, time
from pathlib import Path
from trimtab.serving.batch import Output
from trimtab.serving.replica import Replica, listen

class Broken:
    flavor, names, packed, row_wise, input_errors = "broken", ("a", "b", "c"), True, True, (ValueError,)

    def predict(self, rows, want):
        value = float(rows.matrix[0, 0])
        if value < 0:
            time.sleep(30)
        if not value:
            raise ZeroDivisionError("a secret of the model")
        return [Output("predictions", "FP64", [1], [1 / value])]

Replica(Broken(), listen(Path(sys.argv[1]))).run()
"""


def test_a_failing_and_a_hanging_model(plane: Plane) -> None:
    process = subprocess.Popen([sys.executable, "-c", BROKEN, str(plane.state / "r")], stderr=subprocess.PIPE)
    plane.processes.append(process)
    socket_path = plane.wait_socket("r", process)
    plane.route(Version("1", "m", 1, "champion", [socket_path]), timeout_ms=1500)
    plane.wait_up()

    def ask(value: float) -> tuple[int, str]:
        row = {"dataframe_records": [{"a": value, "b": 1}]}
        status, answer, _ = plane.request("POST", "/endpoints/m/invocations", row)
        return status, str(answer)

    assert ask(2) == (200, "{'predictions': [0.5]}")
    status, answer = ask(0)
    assert status == 500
    assert "ZeroDivisionError" in answer
    assert "Traceback" not in answer
    assert "secret" not in answer
    assert ask(4) == (200, "{'predictions': [0.25]}")
    status, answer = ask(-1)
    assert (status, "did not answer in time" in answer) == (504, True)
    counted = plane.control.state().endpoints["m"].versions["1"]
    assert (counted.requests, counted.errors, counted.in_flight) == (4, 2, 0)
    process.kill()
    assert process.stderr is not None
    assert b"a secret of the model" in process.stderr.read()  # the details are in the replica's own log
