"""What is logged arrives although the process was killed, the server was away, the disk was full, or a child logged it."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import trimtab
from tests.processes import Server, free_port
from tests.sdk import leaving
from trimtab.sdk import replay
from trimtab.sdk.client import Client, connect


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of spools of the test's own."""
    monkeypatch.setenv("TRIMTAB_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Server]:
    """A server that is not started yet."""
    server = Server(tmp_path / "home")
    yield server
    if server._process is not None:
        server.stop()


def totals(client: Client, run_id: str, *keys: str) -> list[int]:
    return [client.get(f"/runs/{run_id}/metrics/{key}", points=2)["total"] for key in keys]


def test_kill_in_the_loop_loses_nothing(client: Client, server: str, spool: Path) -> None:
    """Every call that had returned before kill -9 is on the server once the next process has run."""
    training = """
        import trimtab
        run = trimtab.run("left", "killed", tags={"team": "risk"})
        run.log_params({"lr": 0.1})
        print(run.id)
        step = 0
        while True:
            run.log_metric("loss", 1 / (step + 1), step=step)
            print(step)
            step += 1
    """
    process = leaving.start(training, url=server, spool=spool)
    (run_id,) = leaving.lines_until(process.stdout, 1)
    leaving.lines_until(process.stdout, 5000)
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    rest = process.stdout.read().split("\n")
    process.wait()
    last = max([4999, *(int(line) for line in rest[:-1] if line)])
    (left,) = replay.waiting(spool)
    assert (left.run_id, left.live) == (run_id, False)

    leaving.run(
        "import trimtab, time\nwith trimtab.run('left', 'next', capture=False) as run: run.flush(); time.sleep(1)",
        url=server,
        spool=spool,
    )
    seen = client.get(f"/runs/{run_id}")
    curve = client.get(f"/runs/{run_id}/metrics/loss", points=2)
    assert curve["total"] in (last + 1, last + 2)  # the last one may have been logged and not printed
    assert curve["points"][-1][0] == curve["total"] - 1
    assert (seen["status"], seen["tags"]["trimtab.ended"], seen["params"]) == (
        "FAILED",
        "lost",
        {"lr": "0.1"},
    )
    assert replay.waiting(spool) == []

    with trimtab.run(id=run_id) as again:  # and it can go on
        again.log_metric("loss", 0.5)
    seen = client.get(f"/runs/{run_id}")
    assert (seen["status"], seen["metrics"]["loss"]["step"]) == ("FINISHED", curve["total"])


def test_a_day_without_the_server(away: Server, spool: Path) -> None:
    """A whole run without a server, killed servers meanwhile; each point is there once, the end and the files too."""
    training = """
        import trimtab, time
        with trimtab.run("left", "alone") as run:
            for step in range(3000):
                run.log({"loss": step * 0.5, "acc": 0.1}, step=step)
            run.log_text("hello", "notes/a.txt")
            run.log_input("data:flights@3")
            started = time.monotonic()
        print(run.id, time.monotonic() - started)
    """
    out, told = leaving.run(training, url=away.url, spool=spool)
    run_id, took_s = out.split()
    assert float(took_s) < 5
    assert "are still to be sent" in told
    assert "runs sync" in told
    away.start()
    command = [str(Path(sys.executable).with_name("trimtab")), "runs", "sync", "--url", away.url]
    listed = subprocess.run([*command, "--list", "--json"], capture_output=True, text=True, check=True)
    assert json.loads(listed.stdout)[0]["run_id"] == run_id
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["sent"][0]["outcome"] == "done"
    assert not [*spool.iterdir()]
    with connect(away.url) as client:
        seen = client.get(f"/runs/{run_id}")
        assert (seen["name"], seen["status"], seen["datasets"][0]["source"]) == (
            "alone",
            "FINISHED",
            "data:flights@3",
        )
        assert totals(client, run_id, "loss", "acc") == [3000, 3000]
        assert b"".join(client.download(f"/runs/{run_id}/artifacts/notes/a.txt")) == b"hello"
        assert seen["ended_us"] - seen["started_us"] < 60_000_000

        # the server goes in the middle of a run and comes back: the same process sends everything
        with trimtab.run("left", "through", client=client, capture=False) as run:
            run.log_metric("m", 0.0, step=0)
            assert run.flush()
            away.kill()
            for step in range(1, 2000):
                run.log_metric("m", float(step), step=step)
            time.sleep(0.7)
            away.start()
        assert totals(client, run.id, "m") == [2000]
        assert client.get(f"/runs/{run.id}")["status"] == "FINISHED"
    assert not [*spool.iterdir()]


def test_sending_again_changes_nothing(client: Client, server: str, spool: Path) -> None:
    training = """
        import trimtab
        with trimtab.run("left", "twice", offline=True, capture=False) as run:
            for step in range(500):
                run.log_metric("m", float(step))
            run.log_text("x", "x.txt")
        print(run.id)
    """
    run_id, _ = leaving.run(training, url=server, spool=spool)
    (folder,) = spool.iterdir()
    subprocess.run(["cp", "-r", str(folder), f"{folder}-copy"], check=True)
    assert [one.outcome for one in replay.sync(client, folder=spool)] == ["done", "done"]
    assert totals(client, run_id, "m") == [500]
    assert client.get(f"/runs/{run_id}")["status"] == "FINISHED"


def test_a_server_that_never_answers_is_not_felt(spool: Path) -> None:
    """A listener that takes connections and says nothing: calls take microseconds, the end comes in time."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        started = time.perf_counter()
        run = trimtab.run("left", client=connect(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        begun_s = time.perf_counter() - started
        spent_us: list[float] = []
        for step in range(5000):
            started = time.perf_counter()
            run.log_metric("m", float(step), step=step)
            spent_us.append((time.perf_counter() - started) * 1e6)
        ending = time.perf_counter()
        with pytest.warns(RuntimeWarning, match="are still to be sent"):
            run.finish(timeout_s=1.0)
        assert time.perf_counter() - ending < 5.0
    assert begun_s < 2.0
    assert sorted(spent_us)[2500] < 30


def test_a_small_spool_keeps_the_beginning_and_the_end(
    away: Server, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_SPOOL_MB", "0.2")
    nobody = connect(away.url)
    with pytest.warns(RuntimeWarning) as told, trimtab.run("left", client=nobody, capture=False) as run:  # noqa: PT031 - all of it warns
        run.log_param("a", 1)
        for step in range(10_000):
            run.log_metric("m", float(step), step=step)
        run.log_artifact(__file__)
    said = [str(one.message) for one in told]
    assert len([one for one in said if "is full" in one]) == 1
    assert any("were left out" in one for one in said)
    away.start()
    assert run.flush()  # the process still lives, and so does its thread
    seen = nobody.get(f"/runs/{run.id}")
    kept = totals(nobody, run.id, "m")[0]
    assert 2000 < kept < 3000
    assert (seen["status"], seen["params"]) == ("FINISHED", {"a": "1"})
    assert int(seen["tags"]["trimtab.dropped_entries"]) >= 10_000 - kept


def test_processes_and_forks_share_a_run(client: Client, server: str, spool: Path) -> None:
    """Forked children, ranks and threads log to one run; only its owner ends it."""
    training = """
        import os, sys, threading, time, multiprocessing, subprocess, trimtab
        run = trimtab.run("left", "shared", capture=False)
        def work(name, count=300):
            for step in range(count):
                run.log_metric(name, float(step), step=step)
        work("parent")
        fork = multiprocessing.get_context("fork")
        children = [fork.Process(target=work, args=(f"child{n}",)) for n in range(2)]
        threads = [threading.Thread(target=work, args=(f"thread{n}",)) for n in range(2)]
        for one in children + threads: one.start()
        bare = os.fork()
        if bare == 0:
            work("bare")
            os._exit(0)  # without a word: the parent sends what it left
        os.waitpid(bare, 0)
        rank = ("import trimtab\\nrun = trimtab.run('left')\\n"
                "for s in range(300): run.log_metric('rank1', float(s), step=s)\\nrun.finish()")
        subprocess.run([sys.executable, "-c", rank], check=True,
                       env={**os.environ, "TRIMTAB_RUN_ID": run.id, "RANK": "1"})
        for one in children + threads: one.join()
        assert [one.exitcode for one in children] == [0, 0]
        assert run.flush()
        print(run.id)
        sys.stdin.readline()
        run.finish()
    """
    process = leaving.start(training, url=server, spool=spool)
    (run_id,) = leaving.lines_until(process.stdout, 1)
    if not run_id:
        raise AssertionError(process.communicate()[1])
    assert client.get(f"/runs/{run_id}")["status"] == "RUNNING"
    _, error = process.communicate("\n", timeout=30)
    assert process.returncode == 0, error
    names = ("parent", "child0", "child1", "thread0", "thread1", "bare", "rank1")
    assert totals(client, run_id, *names) == [300] * 7
    assert client.get(f"/runs/{run_id}")["status"] == "FINISHED"
    assert not [*spool.iterdir()]


def test_the_server_lost_the_run(client: Client, tmp_path: Path, spool: Path) -> None:
    """A server that comes back empty gets the run again, as far as it was not sent before."""
    server = Server(tmp_path / "first")
    server.start()
    with connect(server.url) as connection, trimtab.run("left", client=connection, capture=False) as run:
        run.log_metric("m", 1.0)
        assert run.flush()
        server.kill()
        run.log_metric("m", 2.0)
        server.home = tmp_path / "second"
        server._command[server._command.index("--home") + 1] = str(server.home)
        server.start()
    try:
        with connect(server.url) as connection:
            seen = connection.get(f"/runs/{run.id}")
            assert (seen["status"], seen["metrics"]["m"]["value"]) == ("FINISHED", 2.0)
    finally:
        server.stop()


def test_a_script_that_fails_or_is_told_to_end(client: Client, server: str, spool: Path) -> None:
    code = "import trimtab; run = trimtab.run('left', capture=False); print(run.id, flush=True); "
    process = leaving.start(code + "raise ValueError", url=server, spool=spool)
    run_id = process.communicate(timeout=30)[0].strip()
    assert client.get(f"/runs/{run_id}")["status"] == "FAILED"
    # A shell has the commands that it starts in the background ignore interrupts.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    process = leaving.start(heeding + code + "import time; time.sleep(30)", url=server, spool=spool)
    (run_id,) = leaving.lines_until(process.stdout, 1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert client.get(f"/runs/{run_id}")["status"] == "KILLED"


def test_warnings_that_are_errors(monkeypatch: pytest.MonkeyPatch, spool: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = trimtab.run("left", client=connect(f"http://127.0.0.1:{free_port()}"), capture=False)
        run.log_metric("m", "no number")  # type: ignore[arg-type]
        run.finish()


def test_what_waits_is_listed_while_it_is_written(spool: Path) -> None:
    run = trimtab.run("left", offline=True, capture=False, client=connect("http://127.0.0.1:1"))
    run.log_metric("m", 1.0)
    (one,) = replay.waiting(spool)
    assert (one.run_id, one.live, one.waiting_bytes > 0, run.waiting) == (run.id, True, True, 1)
    assert not run.flush()
    assert Path(one.folder).name.startswith(run.id)
    run.finish()
    assert replay.waiting(spool)[0].live is False
