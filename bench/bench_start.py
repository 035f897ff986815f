"""How long the server takes from the command to its first answer, and what it holds in memory when idle.

    python bench/bench_start.py [--runs 5] [--mlflow /path/to/an/environment/with/mlflow/bin/mlflow]

With ``--mlflow`` its server is started in turn with ours, each on a fresh folder. The limit is what an interpreter needs
to import the libraries that a server cannot do without: it is measured too.
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
import time
import urllib.request
from pathlib import Path


def main() -> None:
    """Measure and print one JSON object with medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--mlflow", type=Path)
    given = parser.parse_args()
    ours, theirs, floor = [], [], []
    for _ in range(given.runs):
        ours.append(measure(our_command))
        if given.mlflow:
            theirs.append(measure(lambda folder, port: mlflow_command(given.mlflow, folder, port)))
        floor.append(imports_s())
    found = {"trimtab": summary(ours), "limit_imports_s": round(statistics.median(floor), 3)}
    if theirs:
        found["mlflow"] = summary(theirs)
        found["ratio_start"] = round(found["mlflow"]["start_s"] / found["trimtab"]["start_s"], 1)
        found["ratio_memory"] = round(found["mlflow"]["pss_mb"] / found["trimtab"]["pss_mb"], 1)
    print(json.dumps(found, indent=2))


def our_command(folder: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "trimtab", "up", "--home", str(folder), "--port", str(port)]


def mlflow_command(program: Path, folder: Path, port: int) -> list[str]:
    return [
        str(program),
        "server",
        "--port",
        str(port),
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
    ]


def measure(command: object) -> tuple[float, float, int]:
    """Return (seconds to the first answer, proportional memory in MB, processes) of one start."""
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        started = time.perf_counter()
        server = subprocess.Popen(
            command(Path(folder), port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait(f"http://127.0.0.1:{port}/health")
            seconds = time.perf_counter() - started
            time.sleep(3)
            pids = family(server.pid)
            return seconds, sum(pss_mb(pid) for pid in pids), len(pids)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def wait(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.005)
    raise SystemExit(f"{url} does not answer")


def free_port() -> int:
    for port in range(20_000, 30_000, 2):
        with socket.socket() as first, socket.socket() as second:
            try:
                first.bind(("127.0.0.1", port))
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise SystemExit("no free port")


def family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1000
    return 0.0


def imports_s() -> float:
    code = "import uvicorn, uvloop, httptools, starlette.routing, starlette.responses, msgspec, sqlite3"
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
    return time.perf_counter() - started


def summary(runs: list[tuple[float, float, int]]) -> dict[str, float]:
    seconds, memory, processes = zip(*runs, strict=True)
    return {
        "start_s": round(statistics.median(seconds), 3),
        "start_s_min_max": [round(min(seconds), 3), round(max(seconds), 3)],
        "pss_mb": round(statistics.median(memory), 1),
        "processes": statistics.median(processes),
    }


if __name__ == "__main__":
    main()
