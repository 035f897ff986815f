"""The real server, worker and step processes: killed in the middle, signed in, driven by the real command."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import trimtab
from tests.processes import free_port
from trimtab.kernel.errors import TrimtabError, Unauthenticated
from trimtab.sdk.client import Client
from trimtab.testing.executors import alive, wait_gone

PATIENCE_S = 60.0
TRIMTAB = str(Path(sys.executable).with_name("trimtab"))

SOURCE = """
import os, time
from pathlib import Path
import trimtab
from trimtab import pipeline, step

@step(cache=False)
def mark(number: int, before, log: str) -> int:
    with open(log, "a") as file:
        file.write(f"{number}:{os.getpid()}\\n")
    return number

@step(cache=False)
def gate(before, log: str, flag: str) -> int:
    with open(log, "a") as file:
        file.write(f"gate:{os.getpid()}\\n")
    while not Path(flag).exists():
        time.sleep(0.05)
    return before + 100

@pipeline
def gated(log: str, flag: str):
    before = None
    for number in range(5):
        before = mark(number=number, before=before, log=log)
    before = gate(before=before, log=log, flag=flag)
    return mark(number=9, before=before, log=log)

@step(cache=False)
def who() -> dict:
    from trimtab.sdk.pipelines import current
    me = trimtab.connect().get("/me")
    return {"me": me, "token": os.environ.get("TRIMTAB_TOKEN"), "settings": sorted(k for k in os.environ if k.startswith("TRIMTAB_")),
            "run": current().run_id, "mlflow": os.environ["MLFLOW_TRACKING_URI"]}

@pipeline
def asks():
    return who()

@step(cache=False)
def ingest() -> str:
    version = trimtab.data.add("numbers", {"x": [1, 2, 3]})
    trimtab.data.wait_validated("numbers", timeout_s=40)
    assert trimtab.data.frame("numbers")["x"].to_pylist() == [1, 2, 3]
    return version.ref

@pipeline
def waits():
    return ingest()

@step
def newest() -> int:
    return trimtab.data.frame("numbers").num_rows

@step
def fixed(version: int) -> int:
    return trimtab.data.frame("numbers", version).num_rows

@step
def after(rows: int) -> int:
    return rows

@pipeline
def reads():
    return [after(rows=newest()), fixed(version=1)]

@step
def broken():
    raise ValueError("no")

@pipeline
def fails():
    return broken()
"""


class Server:
    """A server on a home and port of its own that can be killed and started again."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [TRIMTAB, "up", "--home", str(home), "--port", str(self.port)]
        self._command += ["--inference-port", str(free_port()), *flags]
        self.log = home.with_suffix(".log")
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self._command, stdout=output, stderr=output)
        until = time.monotonic() + PATIENCE_S
        with Client(self.url) as client:
            while True:
                assert self.process.poll() is None, self.log.read_text()[-4000:]
                assert time.monotonic() < until
                with contextlib.suppress(TrimtabError):
                    client.get("/openapi.json")
                    return
                time.sleep(0.1)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def workers(self) -> list[int]:
        """Return the worker processes of this server."""
        return [
            pid for pid in children(self.process.pid) if b"trimtab.worker\x00pipelines" in command_of(pid)
        ]


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += map(int, (task / "children").read_text().split())
    return found


def command_of(pid: int) -> bytes:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "home", *getattr(request, "param", ()))
    yield made
    made.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    target = tmp_path / "chaos_pipeline.py"
    target.write_text(SOURCE)
    return target


def command(server: Server, *words: str, token: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {"TRIMTAB_URL": server.url}
    if token is not None:
        environment["TRIMTAB_TOKEN"] = token
    return trimtab("pipelines", *words, **environment)


def wait_for(done: Callable[[], Any], what: str) -> Any:
    until = time.monotonic() + PATIENCE_S
    while True:
        found = done()
        if found:
            return found
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.05)


def started(server: Server, file: Path, log: Path, flag: Path) -> str:
    """Start the gated pipeline, wait until it stands at the gate, and return the run's id."""
    answer = command(server, "run", f"{file}:gated", "-p", f"log={log}", "-p", f"flag={flag}", "--no-wait")
    assert answer.returncode == 0, answer.stderr
    wait_for(lambda: log.exists() and "gate" in log.read_text(), "the gate")
    run_id = answer.stdout.strip()
    with Client(server.url) as client:
        wait_for(
            lambda: client.get(f"/pipeline-runs/{run_id}")["steps"][5]["state"] == "running", "the gate's row"
        )
    return run_id


def refused(client: Client) -> bool:
    try:
        client.get("/me")
    except Unauthenticated:
        return True
    return False


def names(log: Path) -> list[str]:
    return [line.partition(":")[0] for line in log.read_text().split()]


def pids(log: Path) -> set[int]:
    return {int(line.partition(":")[2]) for line in log.read_text().split()}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("victim", ["worker", "server"])
def test_a_killed_run_goes_on_where_it_was(
    database_url: str, file: Path, tmp_path: Path, request: pytest.FixtureRequest, victim: str
) -> None:
    server = Server(tmp_path / "home", "--database", database_url)
    request.addfinalizer(server.stop)
    log, flag = tmp_path / "log", tmp_path / "flag"
    run_id = started(server, file, log, flag)
    before = pids(log)
    if victim == "worker":
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
    else:
        server.kill()
        server.start()
    for pid in before:
        wait_gone(pid)
    wait_for(lambda: names(log).count("gate") == 2, "the second attempt")
    flag.touch()
    with Client(server.url) as client:
        run = wait_for(
            lambda: (found := client.get(f"/pipeline-runs/{run_id}"))["ended_us"] and found, "the end"
        )
    assert (run["state"], run["outputs"]) == ("succeeded", {"result": 9})
    assert names(log) == ["0", "1", "2", "3", "4", "gate", "gate", "9"]
    assert [step["attempt"] for step in run["steps"]] == [1, 1, 1, 1, 1, 2, 1]
    assert list((server.home / "runs").iterdir()) == []


@pytest.mark.timeout(180)
def test_a_stopped_server_leaves_no_process_and_goes_on_later(
    server: Server, file: Path, tmp_path: Path
) -> None:
    log, flag = tmp_path / "log", tmp_path / "flag"
    run_id = started(server, file, log, flag)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 15
    assert not any(map(alive, pids(log)))
    server.start()
    flag.touch()
    with Client(server.url) as client:
        run = wait_for(
            lambda: (found := client.get(f"/pipeline-runs/{run_id}"))["ended_us"] and found, "the end"
        )
    assert run["state"] == "succeeded"
    assert names(log) == ["0", "1", "2", "3", "4", "gate", "gate", "9"]


def test_steps_reach_an_open_server(server: Server, file: Path) -> None:
    answer = command(server, "run", f"{file}:asks", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    run = json.loads(answer.stdout)
    seen = run["outputs"]["result"]
    assert seen["me"]["id"] == "owner"
    assert (seen["token"], seen["run"], seen["mlflow"]) == (None, run["id"], server.url)
    assert "TRIMTAB_DATABASE" not in seen["settings"]
    assert "TRIMTAB_HOME" not in seen["settings"]


@pytest.mark.parametrize("server", [("--log-level", "warning")], indirect=True)
def test_a_step_may_wait_for_other_work_of_the_platform(server: Server, file: Path) -> None:
    answer = command(server, "run", f"{file}:waits", "--json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    run = json.loads(answer.stdout)
    assert run["outputs"] == {"result": "data:numbers@1"}
    with Client(server.url) as client:
        edges = client.get("/lineage", ref="data:numbers@1")["edges"]
        for cached in ([False, False, False], [False, True, True]):
            run_id = json.loads(command(server, "run", f"{file}:reads", "--json").stdout)["id"]
            steps = client.get(f"/pipeline-runs/{run_id}")["steps"]
            assert {step["name"]: step["cached"] for step in steps} == dict(
                zip(("newest", "after", "fixed"), cached, strict=True)
            )
    assert [(edge["from"], edge["to"], edge["kind"]) for edge in edges] == [
        (f"pipeline-run:{run['id']}", "data:numbers@1", "output")
    ]


@pytest.mark.parametrize("server", [("--sign-in", "always")], indirect=True)
def test_steps_sign_in_with_a_token_that_ends_with_the_run(server: Server, file: Path) -> None:
    owner = next(word for word in server.log.read_text().split() if word.startswith("tt_"))
    answer = command(server, "run", f"{file}:asks", "--json", token=owner)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    run = json.loads(answer.stdout)
    seen = run["outputs"]["result"]
    assert seen["me"]["role"] == "editor"
    assert seen["me"]["name"] == f"pipeline run {run['id']}"
    with Client(server.url, token=seen["token"]) as client:
        wait_for(
            lambda: refused(client), "the end of the token, which a server may remember for some seconds"
        )
    assert command(server, "ls").returncode == 4


def test_the_command_tells_people_and_programs(server: Server, file: Path, tmp_path: Path) -> None:
    done = command(server, "run", f"{file}:asks")
    assert done.returncode == 0
    assert "succeeded" in done.stdout
    failed = command(server, "run", f"{file}:fails")
    assert failed.returncode == 1
    assert "Step 'broken' failed: ValueError: no" in failed.stdout
    runs = json.loads(command(server, "runs", "--json").stdout)
    assert [run["state"] for run in runs] == ["failed", "succeeded"]
    assert "ValueError: no" in command(server, "logs", runs[0]["id"], "broken").stdout
    assert "broken | " in command(server, "logs", runs[0]["id"]).stdout
    assert "broken" in command(server, "show", runs[0]["id"]).stdout
    assert command(server, "retry", runs[0]["id"]).returncode == 1
    assert command(server, "cancel", runs[0]["id"]).returncode == 2
    assert command(server, "schedule", "asks", "--cron", "0 5 * * *").returncode == 0
    assert json.loads(command(server, "ls", "--json").stdout)[0]["cron"] == "0 5 * * *"
    assert command(server, "run", "asks", "--json").returncode == 0
    wrong = {
        "asks.py:asks": 3,
        f"{file}:ask": 3,
        f"{file}:asks -p x=1": 2,
        f"{file}:asks -p nonsense": 2,
        f"{file}:gated": 2,
        "no-such-pipeline": 3,
    }
    for words, code in wrong.items():
        answer = command(server, "run", *words.split())
        assert answer.returncode == code, answer.stderr
        assert answer.stderr.startswith("trimtab: ")
