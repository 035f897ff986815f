"""How fast large artifacts go to the server and come back, and what memory that takes, ours beside MLflow's server.

    python bench/bench_artifacts.py [--mib 500] [--runs 3] [--mlflow PYTHON] [--report FILE.json]

``--mlflow`` names the interpreter of an environment with mlflow (``python -m venv peer && peer/bin/pip install mlflow``).
Each server runs on a fresh folder of the same disk. Three ways are measured, each with new random bytes:

- a plain client, which sends the file with sendfile and drops what it reads: what the server can do,
- the client of MLFLOW, one stream each way,
- the client of MLFLOW with uploads in parts and downloads by ranges, as it goes about files of 500 MiB by itself where the
  server says it can.

The limits are measured in the same run: the same bytes through a loopback connection, hashed and written by one thread and
flushed to the disk; and read from the page cache into a loopback connection.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3
from rich.console import Console
from rich.table import Table

FILES = "/api/2.0/mlflow-artifacts/artifacts/0/bench/artifacts"
CLIENT = """
import json, os, sys, time
import mlflow
from mlflow.tracking import MlflowClient
file, folder = sys.argv[1:]
client = MlflowClient()
run = client.create_run("0").info.run_id
size = os.path.getsize(file)
began = time.perf_counter(); client.log_artifact(run, file); up = time.perf_counter() - began
began = time.perf_counter(); client.download_artifacts(run, os.path.basename(file), folder); down = time.perf_counter() - began
print(json.dumps([size / up / 1e6, size / down / 1e6]))
"""
PIECE = 1 << 20


class Speed(NamedTuple):
    """Megabytes (10^6 bytes) a second each way, and by how many megabytes the server grew meanwhile."""

    up: float
    down: float
    grown_mb: float


def main() -> None:
    """Measure, print a table, and write a report where one is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=int, default=500)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mlflow", type=Path, help="an interpreter that has mlflow")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    found: dict[str, dict[str, Speed]] = {}
    with tempfile.TemporaryDirectory(prefix="trimtab-bench-") as name:
        folder = Path(name)
        file = folder / "big.bin"
        found["limit"] = {"plain": limit(file, given.mib, given.runs)}
        servers = {"trimtab": our_command}
        if given.mlflow:
            servers["mlflow"] = lambda home, port: mlflow_command(given.mlflow, home, port)
        for who, command in servers.items():
            with serving(folder / who, command) as (url, pid):
                found[who] = measure(url, pid, file, given.mib, given.runs)
    show(found, given.mib)
    if given.report:
        given.report.write_text(json.dumps(found, indent=2))


def measure(url: str, pid: int, file: Path, mib: int, runs: int) -> dict[str, Speed]:
    ways: dict[str, Callable[[], tuple[float, float]]] = {
        "plain": lambda: plain(url, file),
        "client": lambda: real(url, file, parts=False),
        "client, parts": lambda: real(url, file, parts=True),
    }
    found: dict[str, Speed] = {}
    for way, run in ways.items():
        speeds: list[Speed] = []
        for _ in range(runs):
            fill(file, mib)
            with watching(pid) as grown:
                up, down = run()
            speeds.append(Speed(up, down, grown()))
        found[way] = middle(speeds)
    return found


def middle(speeds: list[Speed]) -> Speed:
    return Speed(*(statistics.median(column) for column in zip(*speeds, strict=True)))


def fill(file: Path, mib: int) -> None:
    """Write new bytes: random ones that nobody has stored yet."""
    piece = os.urandom(PIECE)
    with file.open("wb") as target:
        for number in range(mib):
            target.write(number.to_bytes(8, "big") + piece[8:])
    os.sync()  # else the measurement would pay for these


def plain(url: str, file: Path) -> tuple[float, float]:
    size = file.stat().st_size
    host, _, port = url.removeprefix("http://").partition(":")
    path = f"{FILES}/{time.time_ns()}"
    with socket.create_connection((host, int(port))) as connection, file.open("rb") as source:
        began = time.perf_counter()
        connection.sendall(request("PUT", path, host, size))
        connection.sendfile(source)
        status, _ = answer(connection)
        up = time.perf_counter() - began
    assert status == 200, status
    with socket.create_connection((host, int(port))) as connection:
        began = time.perf_counter()
        connection.sendall(request("GET", path, host))
        status, got = answer(connection)
        down = time.perf_counter() - began
    assert (status, got) == (200, size), (status, got)
    return size / up / 1e6, size / down / 1e6


def request(method: str, path: str, host: str, size: int = 0) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n".encode()


def answer(connection: socket.socket) -> tuple[int, int]:
    """Return the status and how many bytes the body had."""
    buffer = memoryview(bytearray(PIECE))
    head = b""
    while b"\r\n\r\n" not in head:
        head += bytes(buffer[: connection.recv_into(buffer)])
    top, _, body = head.partition(b"\r\n\r\n")
    got = len(body)
    while count := connection.recv_into(buffer):
        got += count
    return int(top.split()[1]), got


def real(url: str, file: Path, *, parts: bool) -> tuple[float, float]:
    """Return the speeds that MLflow's own client sees, in a process of its own."""
    asked = "true" if parts else "false"
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": url,
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": asked,
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": asked,
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        command = [sys.executable, "-c", CLIENT, str(file), folder]
        ran = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    up, down = json.loads(ran.stdout.splitlines()[-1])
    return up, down


def limit(file: Path, mib: int, runs: int) -> Speed:
    """Return what this machine does without any server."""
    speeds: list[Speed] = []
    for _ in range(runs):
        fill(file, mib)
        up = loopback(file, mib, store=True)
        speeds.append(Speed(up, loopback(file, mib, store=False), 0.0))
    return middle(speeds)


def loopback(file: Path, mib: int, *, store: bool) -> float:
    """Send a file to a socket of this machine; hash, write and flush it there, or drop it."""
    listener = socket.create_server(("127.0.0.1", 0))
    code = (
        "import socket, sys\n"
        f"connection = socket.create_connection(('127.0.0.1', {listener.getsockname()[1]}))\n"
        f"with open({str(file)!r}, 'rb') as source: connection.sendfile(source)\n"
    )
    sender = subprocess.Popen([sys.executable, "-c", code])
    connection, _ = listener.accept()
    buffer, digest = memoryview(bytearray(PIECE)), blake3()
    copy = file.with_suffix(".copy")
    began = time.perf_counter()
    with connection, copy.open("wb", buffering=0) as target:
        while count := connection.recv_into(buffer):
            if store:
                digest.update(buffer[:count])
                target.write(buffer[:count])
        if store:
            os.fsync(target.fileno())
    seconds = time.perf_counter() - began
    sender.wait()
    listener.close()
    copy.unlink()
    return mib * PIECE / seconds / 1e6


@contextmanager
def watching(pid: int) -> Iterator[Callable[[], float]]:
    """Give a function that tells by how much the server's processes have grown at most."""
    before, most = memory_mb(pid), [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            most[0] = max(most[0], memory_mb(pid) - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        done.set()
        thread.join()


def memory_mb(pid: int) -> float:
    """Return the proportional memory of a process and its children."""
    total = 0.0
    for one in family(pid):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) / 1000 for line in text.splitlines() if line.startswith("Pss:"))
    return total


def family(pid: int) -> list[int]:
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += family(int(child))
    except OSError:
        pass
    return found


def our_command(home: Path, port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "trimtab",
        "up",
        "--home",
        str(home),
        "--port",
        str(port),
        "--log-level",
        "warning",
    ]


def mlflow_command(python: Path, home: Path, port: int) -> list[str]:
    home.mkdir()
    return [
        *(str(python), "-m", "mlflow", "server", "--port", str(port), "--workers", "1"),
        *(
            "--backend-store-uri",
            f"sqlite:///{home}/mlflow.db",
            "--artifacts-destination",
            f"file://{home}/files",
        ),
    ]


@contextmanager
def serving(home: Path, command: Callable[[Path, int], list[str]]) -> Iterator[tuple[str, int]]:
    """Run a server and give its address and process id once it answers."""
    port = free_port()
    server = subprocess.Popen(
        command(home, port),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        cwd=home.parent,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait(f"{url}/health")
        yield url, server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def wait(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def free_port() -> int:
    """Return a port that is free together with the next one."""
    for port in range(20_000, 30_000, 2):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise SystemExit("no free port")


def show(found: dict[str, dict[str, Speed]], mib: int) -> None:
    table = Table(title=f"one artifact of {mib} MiB, MB/s")
    for column in ("client", "server", "up", "down", "server grew by MB"):
        table.add_column(column, justify="left" if column in ("client", "server") else "right")
    for way in ("plain", "client", "client, parts"):
        for who, ways in found.items():
            if way in ways:
                speed = ways[way]
                grown = "" if who == "limit" else f"{speed.grown_mb:.1f}"
                table.add_row(way, who, f"{speed.up:.0f}", f"{speed.down:.0f}", grown)
        if "mlflow" in found:
            ours, theirs = found["trimtab"][way], found["mlflow"][way]
            table.add_row(way, "ratio", f"{ours.up / theirs.up:.1f}", f"{ours.down / theirs.down:.1f}", "")
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()
