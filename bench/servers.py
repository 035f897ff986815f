"""Starts the servers that benchmarks compare, each with a folder and a port of its own, and ends them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator, Sequence
from pathlib import Path


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log: Path) -> Generator[str]:
    """Run a server until the block ends; yields its address once ``/health`` answers."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["MLFLOW_DISABLE_TELEMETRY"] = "true"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, log)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5):
            return
        time.sleep(0.05)
    raise SystemExit(f"{url} does not answer:\n{log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def trimtab(folder: Path, *flags: str) -> Generator[str]:
    """Run our server on a fresh home."""
    port = free_port()
    command = [sys.executable, "-m", "trimtab", "up", "--home", str(folder), "--port", str(port)]
    with running([*command, "--log-level", "warning", *flags], port, folder.with_suffix(".log")) as url:
        yield url


@contextlib.contextmanager
def mlflow(program: Path, folder: Path, database: str | None = None) -> Generator[str]:
    """Run MLflow's server as its documentation does: its defaults, with a SQLite file or the database given."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [
        str(program),
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--backend-store-uri",
        database or f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    with running(command, port, folder.with_suffix(".log")) as url:
        yield url
