"""What is particular to the local executor: its template process, and the URL that names it."""

import os
import signal
import sys
from pathlib import Path

import pytest

from trimtab.infra.executors import connect
from trimtab.infra.executors.calls import Frames, frame, one_line
from trimtab.infra.executors.local import LocalExecutor, LocalSession
from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.testing.executors import call, finish, one, wait_gone


@pytest.fixture
def session(tmp_path: Path):  # type: ignore[no-untyped-def]
    opened = LocalExecutor(processes=2).open(folder=tmp_path / "s", environment={"PATH": os.environ["PATH"]})
    yield opened
    opened.close()


def template_of(session: LocalSession) -> int:
    assert session._template is not None
    return session._template.pid


def test_a_killed_template_takes_its_processes_along_and_is_replaced(session: LocalSession) -> None:
    pid = int(one(session, call("a", "process_id")).result)
    session.start(call("b", "sleep", b"60"))
    while not session.running():
        session.poll(0.05)
    os.kill(template_of(session), signal.SIGKILL)
    lost = finish(session, 1)["b"]
    assert (lost.state, "template" in lost.error) == ("crashed", True)
    wait_gone(pid)
    assert one(session, call("c", "echo", b"again")).result == b"again"


def test_an_idle_process_that_was_killed_is_replaced(session: LocalSession) -> None:
    pid = int(one(session, call("a", "process_id")).result)
    os.kill(pid, signal.SIGKILL)
    wait_gone(pid)
    session.poll(0.3)
    assert int(one(session, call("b", "process_id")).result) != pid


def test_the_number_of_processes_is_bounded(tmp_path: Path) -> None:
    opened = LocalExecutor(processes=1).open(folder=tmp_path / "s", environment={"PATH": os.environ["PATH"]})
    try:
        assert opened.places == 1
        for number in range(5):
            opened.start(call(str(number), "process_id"))
        assert len({outcome.result for outcome in finish(opened, 5).values()}) == 1
    finally:
        opened.close()


def test_a_preload_that_starts_threads_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(5,), daemon=True).start()"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    opened = LocalExecutor(processes=1, preload=["threaded"]).open(
        folder=tmp_path / "s", environment=environment, prepare=("trimtab.testing.executors:prepare", b"")
    )
    opened.start(call("a", "echo"))
    with pytest.raises(Unavailable, match="do not start"):
        finish(opened, 1)
    opened.close()
    assert "more than one thread" in capfd.readouterr().err


def test_urls_name_the_executor() -> None:
    executor = connect("local://7")
    assert isinstance(executor, LocalExecutor)
    for url in ("local://0", "local://many", "local://9999", "ray://head", ""):
        with pytest.raises(Invalid):
            connect(url)
    with pytest.raises(Invalid, match="Did you mean 'local'"):
        connect("locale://")


def test_messages_are_framed() -> None:
    frames = Frames()
    stream = frame(b"") + frame(b"hello") + frame(b"x" * 70_000)
    found = []
    for start in range(0, len(stream), 999):
        frames.add(stream[start : start + 999])
        while (message := frames.take()) is not None:
            found.append(message)
    assert found == [b"", b"hello", b"x" * 70_000]


def test_errors_are_one_line() -> None:
    assert one_line(ValueError("two\n lines")) == "ValueError: two lines"
    assert one_line(KeyError()) == "KeyError"
    assert len(one_line(ValueError("x" * 9999))) == 2000
