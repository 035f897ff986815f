"""The contract of executors: subclass ``ExecutorContract``, give it an ``executor`` fixture, run it with pytest."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.infra.executors import Call, Executor, Outcome, Session

_HERE = __name__
_PATIENCE_S = 30.0


# What the calls of this suite run, in the executor's processes.


def echo(payload: bytes) -> bytes:
    return payload


def process_id(_: bytes) -> bytes:
    return str(os.getpid()).encode()


def fail(payload: bytes) -> bytes:
    raise ValueError(payload.decode())


def leave(payload: bytes) -> bytes:
    sys.exit(int(payload))


def vanish(payload: bytes) -> bytes:
    os._exit(int(payload))


def kill_itself(_: bytes) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def sleep(payload: bytes) -> bytes:
    time.sleep(float(payload))
    return b"woke"


def write(payload: bytes) -> bytes:
    sys.stdout.write(f"{payload.decode()}\n")
    sys.stderr.write("a warning\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    return b""


def write_much(payload: bytes) -> bytes:
    for _ in range(int(payload)):
        sys.stdout.write("x" * 1023 + "\n")
    sys.stdout.write("the end\n")
    return b""


def folder(_: bytes) -> bytes:
    Path("made-here").touch()
    return str(Path.cwd()).encode()


def variable(payload: bytes) -> bytes:
    return os.environ.get(payload.decode(), "").encode()


def spoil(_: bytes) -> bytes:
    os.environ["SPOILT"] = "yes"
    os.chdir("/")
    return b""


_prepared: list[bytes] = []


def prepare(payload: bytes) -> bytes:
    _prepared.append(payload)
    return b""


def prepared(_: bytes) -> bytes:
    return b",".join(_prepared)


def start_orphan(payload: bytes) -> bytes:
    """Leave a process of our own running and return its id."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if payload:
        time.sleep(float(payload))
    return str(child.pid).encode()


def start_orphan_and_wait(payload: bytes) -> bytes:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(payload.decode()).write_text(str(child.pid), "ascii")
    time.sleep(600)
    return b""


def call(
    name: str, target: str, payload: bytes = b"", *, timeout_s: float | None = None, cpus: int = 1
) -> Call:
    """Return a call of one of this suite's functions."""
    return Call(id=name, target=f"{_HERE}:{target}", payload=payload, timeout_s=timeout_s, cpus=cpus)


def finish(session: Session, count: int) -> dict[str, Outcome]:
    """Return so many outcomes by the id of their call."""
    found: dict[str, Outcome] = {}
    until = time.monotonic() + _PATIENCE_S
    while len(found) < count:
        assert time.monotonic() < until, f"only {sorted(found)} of {count} calls have ended"
        for outcome in session.poll(0.5):
            assert outcome.call_id not in found, "reported twice"
            found[outcome.call_id] = outcome
    return found


def one(session: Session, asked: Call) -> Outcome:
    """Run one call and return its outcome."""
    session.start(asked)
    return finish(session, 1)[asked.id]


def alive(pid: int) -> bool:
    """Whether a process exists and is not only waiting to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_gone(pid: int) -> None:
    until = time.monotonic() + _PATIENCE_S
    while alive(pid):
        assert time.monotonic() < until, f"process {pid} lives on"
        time.sleep(0.02)


class ExecutorContract:
    """What holds for every executor. The fixture ``executor`` gives one with at least two places."""

    @pytest.fixture
    def session(self, executor: Executor, tmp_path: Path) -> Iterator[Session]:
        environment = {"PATH": os.environ["PATH"], "GIVEN": "by the session"}
        opened = executor.open(folder=tmp_path / "session", environment=environment)
        yield opened
        opened.close()

    def test_a_call_returns_what_its_target_returns(self, session: Session) -> None:
        outcome = one(session, call("a", "echo", b"\x00bytes\xff"))
        assert (outcome.state, outcome.result, outcome.error) == ("done", b"\x00bytes\xff", "")
        assert 0 < outcome.started_us <= outcome.ended_us

    def test_large_payloads_pass(self, session: Session) -> None:
        payload = os.urandom(5_000_000)
        assert one(session, call("a", "echo", payload)).result == payload

    def test_every_call_is_reported_once(self, session: Session) -> None:
        for number in range(50):
            session.start(call(str(number), "echo", str(number).encode()))
        found = finish(session, 50)
        assert all(found[str(number)].result == str(number).encode() for number in range(50))
        assert session.poll(0.05) == []

    def test_processes_are_reused(self, session: Session) -> None:
        for number in range(20):
            session.start(call(str(number), "process_id"))
        assert len({outcome.result for outcome in finish(session, 20).values()}) <= session.places

    def test_calls_run_side_by_side(self, session: Session) -> None:
        assert session.places >= 2
        one(session, call("warm", "sleep", b"0"))
        session.start(call("a", "sleep", b"30"))
        session.start(call("b", "sleep", b"30"))
        until = time.monotonic() + _PATIENCE_S
        while len(session.running()) < 2:
            assert time.monotonic() < until
            session.poll(0.05)
        assert set(session.running()) == {"a", "b"}

    def test_a_call_may_fill_several_places(self, session: Session) -> None:
        session.start(call("wide", "sleep", b"0.3", cpus=session.places + 5))
        session.start(call("narrow", "sleep", b"0"))
        found = finish(session, 2)
        assert found["narrow"].started_us >= found["wide"].ended_us

    def test_an_exception_fails_its_call_only(self, session: Session) -> None:
        session.start(call("bad", "fail", b"no such column"))
        session.start(call("good", "echo", b"fine"))
        found = finish(session, 2)
        assert (found["bad"].state, found["bad"].error) == ("failed", "ValueError: no such column")
        assert "Traceback" in found["bad"].log
        assert found["good"].result == b"fine"

    def test_leaving_the_interpreter_fails_the_call(self, session: Session) -> None:
        assert one(session, call("a", "leave", b"3")).error == "SystemExit: 3"
        assert one(session, call("b", "echo", b"after")).result == b"after"

    @pytest.mark.parametrize(("target", "says"), [("vanish", "code 7"), ("kill_itself", "SIGKILL")])
    def test_a_crash_ends_its_call_only(self, session: Session, target: str, says: str) -> None:
        session.start(call("bad", target, b"7"))
        session.start(call("good", "sleep", b"0.2"))
        found = finish(session, 2)
        assert found["bad"].state == "crashed"
        assert says in found["bad"].error
        assert found["good"].state == "done"
        assert one(session, call("next", "echo", b"again")).result == b"again"

    def test_a_call_beyond_its_time_is_ended(self, session: Session) -> None:
        started = time.monotonic()
        outcome = one(session, call("slow", "sleep", b"60", timeout_s=0.3))
        assert outcome.state == "timed-out"
        assert "0.3 s" in outcome.error
        assert time.monotonic() - started < _PATIENCE_S / 2
        assert one(session, call("next", "echo", b"again", timeout_s=30)).state == "done"

    def test_a_running_call_can_be_cancelled(self, session: Session) -> None:
        session.start(call("slow", "sleep", b"60"))
        while "slow" not in session.running():
            session.poll(0.05)
        session.cancel("slow")
        assert finish(session, 1)["slow"].state == "cancelled"

    def test_a_waiting_call_can_be_cancelled(self, session: Session) -> None:
        for number in range(session.places):
            session.start(call(str(number), "sleep", b"0.5"))
        session.start(call("waiting", "echo"))
        session.cancel("waiting")
        assert finish(session, session.places + 1)["waiting"].state == "cancelled"

    def test_cancelling_what_is_unknown_or_over_does_nothing(self, session: Session) -> None:
        one(session, call("a", "echo"))
        session.cancel("a")
        session.cancel("never")
        assert session.poll(0.05) == []

    def test_what_a_call_writes_is_its_log(self, session: Session) -> None:
        session.start(call("a", "write", "größer".encode()))
        session.start(call("b", "write", b"other"))
        found = finish(session, 2)
        assert sorted(found["a"].log.splitlines()) == ["a warning", "from a child", "größer"]
        assert "other" in found["b"].log
        assert "größer" not in found["b"].log

    def test_a_long_log_loses_its_middle(self, session: Session) -> None:
        log = one(session, call("a", "write_much", b"3000")).log
        assert len(log) < 1_200_000
        assert log.endswith("the end\n")
        assert "left out" in log

    def test_the_log_of_a_running_call_can_be_read(self, session: Session) -> None:
        session.start(call("a", "start_orphan_and_wait", b"/dev/stdout"))
        until = time.monotonic() + _PATIENCE_S
        while not session.log("a"):
            assert time.monotonic() < until
            session.poll(0.05)

    def test_each_call_works_in_a_fresh_folder_that_goes(self, session: Session) -> None:
        first = Path(one(session, call("a", "folder")).result.decode())
        second = Path(one(session, call("b", "folder")).result.decode())
        assert first != second
        assert not first.exists()
        assert not second.exists()

    def test_a_call_leaves_nothing_behind_for_the_next(self, session: Session) -> None:
        for number in range(session.places):
            session.start(call(str(number), "spoil"))
        finish(session, session.places)
        assert one(session, call("a", "variable", b"SPOILT")).result == b""

    def test_calls_see_the_given_environment_only(
        self, executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OURS", "a secret of the caller")
        opened = executor.open(folder=tmp_path / "s", environment={"PATH": os.environ["PATH"], "GIVEN": "x"})
        try:
            assert one(opened, call("a", "variable", b"GIVEN")).result == b"x"
            assert one(opened, call("b", "variable", b"OURS")).result == b""
        finally:
            opened.close()

    def test_each_process_is_prepared_once(self, executor: Executor, tmp_path: Path) -> None:
        opened = executor.open(
            folder=tmp_path / "s",
            environment={"PATH": os.environ["PATH"]},
            prepare=(f"{_HERE}:prepare", b"ready"),
        )
        try:
            for number in range(10):
                opened.start(call(str(number), "prepared"))
            assert {outcome.result for outcome in finish(opened, 10).values()} == {b"ready"}
        finally:
            opened.close()

    def test_a_failed_preparation_leaves_the_process_usable(self, executor: Executor, tmp_path: Path) -> None:
        opened = executor.open(
            folder=tmp_path / "s", environment={"PATH": os.environ["PATH"]}, prepare=(f"{_HERE}:fail", b"no")
        )
        try:
            assert one(opened, call("a", "echo", b"x")).result == b"x"
        finally:
            opened.close()

    def test_an_unknown_target_fails_its_call(self, session: Session) -> None:
        assert one(session, Call(id="a", target="no.such:thing", payload=b"")).state == "failed"

    def test_an_ended_call_takes_the_processes_it_started_along(
        self, session: Session, tmp_path: Path
    ) -> None:
        note = tmp_path / "pid"
        session.start(call("a", "start_orphan_and_wait", str(note).encode()))
        until = time.monotonic() + _PATIENCE_S
        while not note.exists() or not note.read_text("ascii"):
            assert time.monotonic() < until
            session.poll(0.05)
        session.cancel("a")
        finish(session, 1)
        wait_gone(int(note.read_text("ascii")))

    def test_closing_ends_every_process(self, executor: Executor, tmp_path: Path) -> None:
        opened = executor.open(folder=tmp_path / "s", environment={"PATH": os.environ["PATH"]})
        pid = int(one(opened, call("a", "process_id")).result)
        orphan = int(one(opened, call("b", "start_orphan")).result)
        opened.start(call("c", "sleep", b"600"))
        opened.poll(0.1)
        opened.close()
        wait_gone(pid)
        wait_gone(orphan)
