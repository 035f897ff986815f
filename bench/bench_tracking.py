"""Logging to runs and reading curves: ours beside MLflow's server, the same requests in turn.

    python bench/bench_tracking.py [--mlflow /path/to/environment/bin/mlflow] [--seconds 5] [--report FILE]
        [--database postgresql://... --mlflow-database postgresql://...]

Requests are encoded beforehand and sent over keep-alive connections by clients that do nothing else, so that what is
measured is the server. ``client:`` rows use MLflow's own client. The limits: points a second that the JSON reader takes
in, and commits a second that the disk takes.
"""

import argparse
import http.client
import http.server
import json
import multiprocessing
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import servers
from rich.console import Console
from rich.markup import escape
from rich.table import Table

BATCH = 1000
CURVE = 100_000
Figures = dict[str, float]


class Connection:
    """One keep-alive connection that sends encoded messages."""

    def __init__(self, url: str) -> None:
        place = urllib.parse.urlsplit(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)

    def post(self, path: str, body: bytes) -> bytes:
        return self._ask("POST", path, body)

    def get(self, path: str) -> bytes:
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:300]!r}")
        return content

    def create_run(self) -> str:
        body = encode({"experiment_id": "0", "start_time": 1_700_000_000_000})
        return json.loads(self.post("/api/2.0/mlflow/runs/create", body))["run"]["info"]["run_id"]


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def batch(run_id: str, number: int, *, keys: int) -> bytes:
    """Return a message of 1,000 points: so many metrics, each with its next steps."""
    source = random.Random(number)
    each = BATCH // keys
    metrics = [
        {
            "key": f"metric_{index % keys}",
            "value": source.gauss(0.5, 0.1),
            "timestamp": 1_700_000_000_000 + (number * each + index // keys) * 35 + source.randrange(5),
            "step": number * each + index // keys,
        }
        for index in range(BATCH)
    ]
    return encode({"run_id": run_id, "metrics": metrics})


def pump(url: str, seconds: float, keys: int, sent: "multiprocessing.Queue[tuple[int, float]]") -> None:
    """Send batches for some seconds; put how many points that were, and the seconds."""
    run_id = Connection(url).create_run()
    bodies = [batch(run_id, number, keys=keys) for number in range(int(60 * max(seconds, 1)))]
    connection = Connection(url)
    started = time.perf_counter()
    count = 0
    for body in bodies:
        connection.post("/api/2.0/mlflow/runs/log-batch", body)
        count += 1
        if time.perf_counter() - started > seconds:
            break
    sent.put((count * BATCH, time.perf_counter() - started))


def log_batches(url: str, seconds: float, *, clients: int, keys: int) -> float:
    """Return points a second."""
    sent: multiprocessing.Queue[tuple[int, float]] = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=pump, args=(url, seconds, keys, sent)) for _ in range(clients)
    ]
    for process in processes:
        process.start()
    found = [sent.get(timeout=seconds + 60) for _ in processes]
    for process in processes:
        process.join()
    return sum(points / spent for points, spent in found)


def times(call: Callable[[int], object], *, seconds: float, most: int = 100_000) -> tuple[float, float]:
    """Return the median and the 99th percentile of a call in milliseconds."""
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until and len(taken) < most:
        started = time.perf_counter()
        call(len(taken))
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return statistics.median(taken), taken[min(len(taken) - 1, int(len(taken) * 0.99))]


def measure(url: str, seconds: float) -> Figures:
    """Return the figures of one server."""
    found: Figures = {}
    connection = Connection(url)
    found["log-batch, 10 metrics, 1 client [points/s]"] = log_batches(url, seconds, clients=1, keys=10)
    found["log-batch, 10 metrics, 8 clients [points/s]"] = log_batches(url, seconds, clients=8, keys=10)
    found["log-batch, 1,000 metrics, 1 client [points/s]"] = log_batches(url, seconds, clients=1, keys=1000)
    run_id = connection.create_run()

    def log_metric(number: int) -> None:
        body = {"run_id": run_id, "key": "loss", "value": 0.5, "timestamp": 1_700_000_000_000 + number}
        connection.post("/api/2.0/mlflow/runs/log-metric", encode({**body, "step": number}))

    found["log-metric p50 [ms]"], found["log-metric p99 [ms]"] = times(log_metric, seconds=seconds)
    found["create run p50 [ms]"], _ = times(lambda _: connection.create_run(), seconds=seconds)
    found |= curve(connection)
    found |= real_client(url)
    return found


def curve(connection: Connection) -> Figures:
    """Log a long curve, read all of it, and read what a chart shows of it."""
    run_id = connection.create_run()
    for number in range(CURVE // BATCH):
        connection.post("/api/2.0/mlflow/runs/log-batch", batch(run_id, number, keys=1))
    path = f"/api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key=metric_0&max_results=25000"

    def whole(_: int) -> None:
        token, count = "", 0
        while True:
            answer = msgspec.json.decode(connection.get(path + (f"&page_token={token}" if token else "")))
            count += len(answer["metrics"])
            token = urllib.parse.quote(answer.get("next_page_token") or "")
            if not token:
                break
        if count != CURVE:
            raise SystemExit(f"{count} points of {CURVE}")

    chart = (
        f"/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run_id}&metric_key=metric_0"
        "&max_results=320"
    )
    return {
        "100,000 points, all [ms]": times(whole, seconds=4, most=5)[0],
        "100,000 points, 320 of them [ms]": times(lambda _: connection.get(chart), seconds=2, most=50)[0],
    }


CLIENT = """
import json, statistics, sys, time, mlflow
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
run = client.create_run("0")
def ms(call, count):
    taken = []
    for number in range(count):
        started = time.perf_counter(); call(number); taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return statistics.median(taken), taken[int(len(taken) * 0.99)]
ms(lambda n: client.log_metric(run.info.run_id, "loss", n, step=n), 20)
one = ms(lambda n: client.log_metric(run.info.run_id, "loss", n, step=n), 200)
def whole(_):
    with mlflow.start_run():
        for n in range(5):
            mlflow.log_param(f"p{n}", n)
        for n in range(5):
            mlflow.log_metric(f"m{n}", n)
whole(0)
print(json.dumps([*one, ms(whole, 8)[0]]))
"""


def real_client(url: str) -> Figures:
    """Return what MLflow's own client sees."""
    answer = subprocess.run([sys.executable, "-c", CLIENT, url], capture_output=True, text=True, check=True)
    p50, p99, whole = json.loads(answer.stdout.splitlines()[-1])
    return {
        "client: log_metric p50 [ms]": p50,
        "client: log_metric p99 [ms]": p99,
        "client: a run of 5 parameters, 5 metrics [ms]": whole,
    }


class Nothing(http.server.BaseHTTPRequestHandler):
    """Answers every request at once, with as much as MLflow's client needs to go on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    run = encode(
        {
            "run": {
                "info": {
                    "run_id": "0" * 32,
                    "experiment_id": "0",
                    "status": "RUNNING",
                    "lifecycle_stage": "active",
                },
                "data": {},
            }
        }
    )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.do_GET()

    def do_GET(self) -> None:
        body = self.run if "/runs/" in self.path else b"{}"
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Say nothing."""


def client_alone() -> Figures:
    """Return what MLflow's client takes against a server that does nothing."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nothing)
    process = multiprocessing.Process(target=server.serve_forever, daemon=True)
    process.start()
    found = real_client(f"http://127.0.0.1:{server.server_port}")
    process.terminate()
    return {f"limit: {name}, nothing done": figure for name, figure in found.items()}


def limits(folder: Path) -> Figures:
    """Return what reading the JSON alone, committing alone, and MLflow's client alone would allow."""
    body = batch("0" * 32, 0, keys=10)
    started = time.perf_counter()
    for _ in range(200):
        msgspec.json.decode(body)
    parsed = 200 * BATCH / (time.perf_counter() - started)
    database = sqlite3.connect(folder / "limit.db", isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute("create table t (x blob)")
    started = time.perf_counter()
    for _ in range(200):
        database.execute("insert into t values (zeroblob(12000))")
    commit = (time.perf_counter() - started) / 200
    database.close()
    alone = {
        "limit: points/s through the JSON reader": parsed,
        "limit: one commit of 12 kB [ms]": commit * 1000,
    }
    return alone | client_alone()


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mlflow", type=Path)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--database", help="another engine than SQLite for ours")
    parser.add_argument("--mlflow-database", help="another engine than SQLite for MLflow's")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        flags = ["--database", given.database] if given.database else []
        with servers.trimtab(folder / "ours", *flags) as url:
            ours = measure(url, given.seconds)
        theirs: Figures = {}
        if given.mlflow:
            with servers.mlflow(given.mlflow, folder / "mlflow", given.mlflow_database) as url:
                theirs = measure(url, given.seconds)
        floor = limits(folder)
    table = Table("work", "Trimtab", "MLflow", "ratio", title="Tracking, the same requests to both servers")
    for name, figure in ours.items():
        other = theirs.get(name)
        ratio = "" if other is None else (figure / other if "/s]" in name else other / figure)
        shown = "" if other is None else f"{other:,.4g}"
        table.add_row(escape(name), f"{figure:,.4g}", shown, f"{ratio:.1f}" if ratio else "")
    for name, figure in floor.items():
        table.add_row(escape(name), f"{figure:,.4g}", "", "")
    Console(width=110).print(table)
    if given.report:
        given.report.write_text(json.dumps({"trimtab": ours, "mlflow": theirs, "limits": floor}, indent=2))


if __name__ == "__main__":
    main()
