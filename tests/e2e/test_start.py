"""``trimtab up`` as an operator meets it: what it needs, whom it lets in, how it ends, what its commands answer."""

import ctypes
import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.processes import TRIMTAB, Server, free_port, running
from trimtab.kernel.sockets import listen
from trimtab.sdk.client import Client

MOST_IDLE_BYTES = 150_000_000
_PIDFD_GETFD = 438


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("start") / "home") as server:
        _wait_for_front(server)
        yield server


def _wait_for_front(server: Server) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.inference_port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the inference front did not start"
            time.sleep(0.05)


def trimtab(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TRIMTAB_")}
    return subprocess.run(
        [TRIMTAB, *words], env=clean | environment, capture_output=True, text=True, check=False, timeout=60
    )


def family(pid: int) -> list[int]:
    """Return a process with all its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def proportional_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Pss")


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_it_answers(server: Server) -> None:
    assert httpx2.get(f"{server.url}/health").text == "OK"
    assert httpx2.get(f"{server.url}/version").status_code == 200
    assert server.log.read_text().count(f"Trimtab is at {server.url}") == 1


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_asked_to(tmp_path: Path, asked: signal.Signals) -> None:
    with running(tmp_path / "home") as server:
        _wait_for_front(server)
        everyone = family(server.pid)
        assert server.stop(asked) == 0
        assert not [pid for pid in everyone if Path(f"/proc/{pid}").exists()]
        assert "Traceback" not in server.log.read_text()


def test_it_needs_little_memory_when_idle(server: Server) -> None:
    deadline = time.monotonic() + 60
    while any("trimtab.worker" in command_of(pid) for pid in family(server.pid)):
        assert time.monotonic() < deadline, "the workers do not leave"
        time.sleep(0.5)
    with Client(server.url) as client:
        client.get("/overview")
    commands = {pid: command_of(pid) for pid in family(server.pid)}
    assert sum("trimtab.serving" in command for command in commands.values()) == 1
    used = {commands[pid]: proportional_bytes(pid) for pid in commands}
    assert sum(used.values()) < MOST_IDLE_BYTES, used


def test_nothing_heavy_is_loaded(server: Server) -> None:
    for pid in family(server.pid):
        maps = Path(f"/proc/{pid}/maps").read_text()
        for library in ("numpy", "scipy", "pyarrow", "duckdb", "sklearn", "pandas"):
            assert f"/{library}/" not in maps, (library, command_of(pid))


# sockets


def accepted(pid: int, port: int) -> list[socket.socket]:
    """Return copies of a process's connected sockets on one of its ports."""
    library = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    found: list[socket.socket] = []
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if not str(link.readlink()).startswith("socket:"):
                    continue
            except FileNotFoundError:
                continue
            copied = library.syscall(_PIDFD_GETFD, process, int(link.name), 0)
            if copied < 0:
                pytest.skip(f"the kernel does not give out other processes' sockets: {ctypes.get_errno()}")
            one = socket.socket(fileno=copied)
            try:
                ours = one.family == socket.AF_INET and one.getsockname()[1] == port and one.getpeername()
            except OSError:
                ours = False
            if ours:
                found.append(one)
            else:
                one.close()
    finally:
        os.close(process)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into processes as Linux shows them")
@pytest.mark.parametrize("which", ["management", "inference"])
def test_answers_leave_at_once(server: Server, which: str) -> None:
    port = server.port if which == "management" else server.inference_port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/health" if which == "management" else "/v2/health/live")
    connection.getresponse().read()
    sockets = [one for pid in family(server.pid) for one in accepted(pid, port)]
    assert sockets
    assert all(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in sockets)
    for one in sockets:
        one.close()
    connection.close()


def test_accepted_sockets_inherit_no_delay() -> None:
    listener = listen("127.0.0.1", 0)
    listener.setblocking(True)
    with listener, socket.create_connection(listener.getsockname()[:2]):
        taken, _ = listener.accept()
        with taken:
            assert taken.proto == socket.IPPROTO_TCP
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# who is let in


def test_other_names_and_other_sites_are_refused(server: Server) -> None:
    runs, experiments = f"{server.url}/api/v1/runs", f"{server.url}/api/v1/experiments"
    assert httpx2.get(runs, headers={"host": "evil.example"}).status_code == 403
    assert httpx2.get(runs, headers={"host": f"localhost:{server.port}"}).status_code == 200
    foreign = {"origin": "https://evil.example"}
    assert httpx2.post(experiments, json={"name": "stolen"}, headers=foreign).status_code == 403
    mlflow = f"{server.url}/api/2.0/mlflow/experiments/create"
    assert httpx2.post(mlflow, json={"name": "stolen"}, headers=foreign).status_code == 403
    own = {"origin": server.url}
    assert httpx2.post(experiments, json={"name": "mine"}, headers=own).status_code == 201
    assert "stolen" not in httpx2.get(experiments).text


@pytest.mark.timeout(180)
def test_an_address_that_others_reach_asks_for_a_token(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home, host="0.0.0.0") as server:
        words = server.log.read_text().split()
        (token,) = [word for word in words if word.startswith("tt_")]
        for path in (
            "/api/v1/me",
            "/api/v1/runs",
            "/api/2.0/mlflow/experiments/get?experiment_id=0",
            "/metrics",
        ):
            answer = httpx2.get(server.url + path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].split()[0] in ("Bearer", "Basic")
        assert httpx2.get(f"{server.url}/health").status_code == 200
        signed = {"authorization": f"Bearer {token}"}
        assert httpx2.get(f"{server.url}/api/v1/me", headers=signed).json()["role"] == "admin"
        wrong = {"authorization": f"Bearer {token}x"}
        assert httpx2.get(f"{server.url}/api/v1/me", headers=wrong).status_code == 401
        _wait_for_front(server)
        guess = httpx2.post(f"{server.inference_url}/endpoints/x/invocations", json={})
        assert guess.status_code == 401
        denied = trimtab("experiments", "ls", TRIMTAB_URL=server.url)
        assert denied.returncode == 4, denied.stderr
        assert trimtab("tokens", "ls", TRIMTAB_URL=server.url, TRIMTAB_TOKEN=token).returncode == 0
        assert server.stop() == 0
        server.start()
        assert server.log.read_text().count("tt_") == 1
        assert httpx2.get(f"{server.url}/api/v1/me", headers=signed).status_code == 200
        assert token not in (home / "trimtab.db").read_bytes().decode("latin-1")


# commands


def test_a_home_has_one_server(server: Server) -> None:
    second = trimtab("up", "--home", str(server.home), "--port", str(free_port()))
    assert second.returncode == 5
    assert str(server.home) in second.stderr
    assert "Traceback" not in second.stderr


def test_a_taken_port_is_named(server: Server, tmp_path: Path) -> None:
    second = trimtab("up", "--home", str(tmp_path / "other"), "--port", str(server.port))
    assert second.returncode == 5
    assert f":{server.port}" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("option", ["--inference-port", "--grpc-port"])
def test_a_taken_inference_port_is_named(server: Server, tmp_path: Path, option: str) -> None:
    ports = {"--port": free_port(), "--inference-port": free_port()} | {option: server.inference_port}
    words = [word for name, port in ports.items() for word in (name, str(port))]
    second = trimtab("up", "--home", str(tmp_path / "other"), *words)
    assert second.returncode == 5
    assert f":{server.inference_port}: Address already in use" in second.stderr
    assert option in second.stderr
    assert "Traceback" not in second.stderr


def test_commands_end_with_the_code_of_their_kind(server: Server, tmp_path: Path) -> None:
    here = {"TRIMTAB_URL": server.url}
    expected = [
        (0, ["version"], here),
        (0, ["status", "--json"], here),
        (0, ["audit", "verify"], here),
        (2, ["runs"], here),
        (2, ["up", "--port", "many"], here),
        (2, ["up", "--home", str(tmp_path / "h")], here | {"TRIMTAB_WORKERS": "some"}),
        (2, ["tokens", "create", "x", "--role", "king"], here),
        (3, ["models", "show", "nothing"], here),
        (3, ["runs", "show", "0" * 32], here),
        (5, ["status"], {"TRIMTAB_URL": f"http://127.0.0.1:{free_port()}"}),
    ]
    for code, words, environment in expected:
        done = trimtab(*words, **environment)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_broken_chain_fails_its_check(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as server:
        here = {"TRIMTAB_URL": server.url}
        for name in ("a", "b", "c"):
            assert trimtab("tokens", "create", name, **here).returncode == 0
        assert trimtab("audit", "verify", **here).returncode == 0
        assert server.stop() == 0
        _forge(home / "trimtab.db")
        server.start()
        done = trimtab("audit", "verify", **here)
        assert done.returncode == 1, (done.stdout, done.stderr)


def _forge(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        for (name,) in connection.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            connection.execute(f'drop trigger "{name}"')
        changed = connection.execute("update govern_audit set actor = 'nobody' where seq = 2").rowcount
    connection.close()
    assert changed == 1
