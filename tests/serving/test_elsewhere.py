"""Replicas on other hosts: a relay beside the model, called by mutual TLS over TCP."""

import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving.conftest import Plane
from trimtab.kernel.errors import Invalid
from trimtab.serving import tunnel
from trimtab.serving.relay import EXIT_NOT_LOADED
from trimtab.serving.routes import Version

ROW = {"dataframe_records": [{"a": 1.0, "b": 2}]}


def relay(folder: Path, secret: Path, *, port: int = 0) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "trimtab.serving.relay", "--model", str(folder), "--secret", str(secret)]
    process = subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.wait(5)
    return process, json.loads(line)["port"]


def ask(plane: Plane) -> tuple[int, Any]:
    status, answer, _ = plane.request("POST", "/endpoints/m/invocations", ROW)
    return status, answer


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "replicas.pem"
    made = [sys.executable, "-m", "trimtab.serving.relay", "--make-secret", str(file)]
    assert subprocess.run(made, check=False).returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert subprocess.run(made, check=False, capture_output=True).returncode == 2  # it is never replaced
    return file


@pytest.fixture
def plane(secret: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    running = Plane(tmp_path_factory.mktemp("away"), replica_secret=secret)
    yield running
    running.close()


def test_requests_go_to_whoever_is_there(
    plane: Plane, secret: Path, booster_folder: Path, booster_socket: str
) -> None:
    process, port = relay(booster_folder, secret)
    away = f"tcp://127.0.0.1:{port}"
    try:
        plane.route(Version("1", "m/1", 100, "champion", [away]))
        plane.wait_up()
        assert ask(plane) == (200, {"predictions": [1]})

        # The model's own process ends, and comes again.
        (replica,) = [
            int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
        os.kill(replica, signal.SIGKILL)
        assert ask(plane) == (200, {"predictions": [1]})

        # The host goes away, and comes again.
        plane.route(Version("1", "m/1", 100, "champion", [away, booster_socket]))
        plane.wait_up()
        process.kill()
        process.wait()
        assert Counter(ask(plane)[0] for _ in range(20)) == {200: 20}
        assert plane.control.state().endpoints["m"].versions["1"].replicas == {
            away: False,
            booster_socket: True,
        }
        process, _ = relay(booster_folder, secret, port=port)
        plane.wait_up()
        plane.route(Version("1", "m/1", 100, "champion", [away]))
        assert ask(plane)[0] == 200
    finally:
        process.terminate()
        assert process.wait(15) == 0


def test_only_who_has_the_secret_calls_and_answers(
    plane: Plane, secret: Path, booster_folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    tunnel.make_secret(other)
    process, port = relay(booster_folder, secret)
    try:
        for context in (ssl._create_unverified_context(), tunnel.caller(other)):
            with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), 5) as plain:
                plain.settimeout(5)
                with context.wrap_socket(plain) as talk:
                    assert talk.recv(100) == b""
                    raise ConnectionResetError
        with socket.create_connection(("127.0.0.1", port), 5) as plain:
            plain.sendall(b"\x00" * 100)
            plain.settimeout(5)
            try:
                while plain.recv(100):
                    pass  # an alert of TLS, and then the end
            except ConnectionResetError:
                pass
        with tunnel.caller(secret).wrap_socket(socket.create_connection(("127.0.0.1", port), 5)) as talk:
            assert b"xgboost" in talk.recv(1000)  # the replica's greeting
    finally:
        process.terminate()
        process.wait(15)
    stranger, port = relay(booster_folder, other)
    try:
        plane.route(Version("1", "m/1", 100, "champion", [f"tcp://127.0.0.1:{port}"]), timeout_ms=500)
        time.sleep(0.3)
        assert ask(plane)[0] == 503
    finally:
        stranger.terminate()
        stranger.wait(15)


def test_what_cannot_be_served_is_told(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}")
    command = [sys.executable, "-m", "trimtab.serving.relay", "--model", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--secret", str(secret), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == EXIT_NOT_LOADED
    assert "load-failed" in ended.stderr
    (tmp_path / "bad.pem").write_text("nothing")
    ended = subprocess.run(
        [*command, "--secret", str(tmp_path / "bad.pem")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 6


@pytest.mark.parametrize(
    "place",
    ["tcp://", "tcp://host", "tcp://host:0", "tcp://host:99999", "tcp://a:1/b", "tcp://u@a:1", "http://a:1"],
)
def test_places_that_are_none(place: str) -> None:
    with pytest.raises(Invalid):
        tunnel.address_of(place)
    assert tunnel.address_of("tcp://10.0.0.2:7001") == ("10.0.0.2", 7001)
    assert tunnel.address_of("tcp://[::1]:7001") == ("::1", 7001)
