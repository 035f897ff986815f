"""Real server processes on both engines, and the real client pointed at one of them."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.postgres import Cluster

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

mlflow = pytest.importorskip("mlflow")


@contextmanager
def running(home: Path, *flags: str) -> Iterator[str]:
    """Start ``trimtab up`` and yield its address once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        str(Path(sys.executable).with_name("trimtab")),
        "up",
        "--home",
        str(home),
        "--port",
        str(port),
        *flags,
    ]
    log = home.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            _wait(url, process, log)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on SQLite."""
    with running(tmp_path_factory.mktemp("server") / "home") as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[str]:
    """The address of a server on PostgreSQL."""
    home = tmp_path_factory.mktemp("server") / "home"
    with cluster.database() as database, running(home, "--database", database) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def each_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server, once on each engine, at which the client points."""
    yield from _pointed(request.getfixturevalue(f"{request.param}_server"))


@pytest.fixture
def server(sqlite_server: str) -> Iterator[str]:
    """The address of the server on SQLite, at which the client points."""
    yield from _pointed(sqlite_server)


def _pointed(url: str) -> Iterator[str]:
    mlflow.set_tracking_uri(url)
    mlflow.set_registry_uri(url)
    yield url
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def experiment(server: str, request: pytest.FixtureRequest) -> str:
    """The id of a fresh experiment, which is the active one."""
    return mlflow.set_experiment(request.node.nodeid).experiment_id
