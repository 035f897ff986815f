"""Taking traces in and finding them again: ours beside MLflow's server, the same requests in turn.

    python bench/bench_traces.py [--mlflow /path/to/environment/bin/mlflow] [--traces 10000] [--report FILE]

Each trace has five spans with inputs and outputs of a chat, about 4 kB, and one assessment for every third. ``batched``
is OpenTelemetry's exporter with 50 traces a request; ``as the client`` is what MLflow's client sends for a trace: its
spans, then the statement of the whole. Requests are encoded beforehand and sent over keep-alive connections. The limits:
spans a second through OpenTelemetry's own reader of protobuf, in C, and commits a second that the disk takes.
"""

import argparse
import http.client
import json
import random
import sqlite3
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import servers
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from rich.console import Console
from rich.table import Table

BATCH = 50
TRIES = 20
BEGAN_NS = 1_795_289_572_501_000_000
WORDS = [
    "parcel",
    "order",
    "late",
    "refund",
    "where",
    "city",
    "pay",
    "card",
    "address",
    "phone",
    "again",
    "never",
    "today",
    "still",
    "door",
    "bell",
]
KINDS = (
    ("agent", "AGENT"),
    ("retrieve", "RETRIEVER"),
    ("chat", "CHAT_MODEL"),
    ("lookup", "TOOL"),
    ("chat", "CHAT_MODEL"),
)
Figures = dict[str, float]


class Connection:
    """One keep-alive connection that sends encoded messages."""

    def __init__(self, url: str) -> None:
        place = urllib.parse.urlsplit(url)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=300)

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        headers = {"Content-Type": kind, "x-mlflow-experiment-id": "0"} if body is not None else {}
        for _ in range(TRIES):
            try:
                self._connection.request(method, path, body, headers)
                answer = self._connection.getresponse()
                content = answer.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                # A loaded server takes a connection for idle before it reads what was sent.
                self._connection.close()
                continue
            if answer.status != 503:
                break
            # Of MLflow's server: its database was locked by another request. Clients try again.
            time.sleep(0.1)
        else:
            raise SystemExit(f"{method} {path}: no answer after {TRIES} tries")
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:300]!r}")
        return json.loads(content) if content else None

    def spans(self, body: bytes) -> None:
        self.ask("POST", "/v1/traces", body, "application/x-protobuf")

    def post(self, path: str, message: dict[str, Any]) -> Any:
        return self.ask("POST", f"/api/3.0/mlflow/{path}", json.dumps(message).encode())


def text(number: int, words: int) -> str:
    draw = random.Random(number)
    return " ".join(draw.choice(WORDS) for _ in range(words))


def export(first: int, many: int) -> bytes:
    """Return a request with the spans of many traces."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(first, first + many):
        began = BEGAN_NS + number * 1_000_000_000
        for place, (name, kind) in enumerate(KINDS):
            span = spans.add(
                trace_id=(number + 1).to_bytes(16),
                span_id=(place + 1).to_bytes(8),
                parent_span_id=(1).to_bytes(8) if place else b"",
                name=name,
                start_time_unix_nano=began + place * 10_000_000,
                end_time_unix_nano=began + (place + 1) * 10_000_000 + number % 97 * 1_000_000,
            )
            span.status.code = 2 if number % 50 == 7 and place in (0, 3) else 1
            span.attributes.add(key="mlflow.spanType").value.string_value = kind
            inputs = json.dumps({"messages": [{"role": "user", "content": text(number * 9 + place, 40)}]})
            span.attributes.add(key="mlflow.spanInputs").value.string_value = inputs
            span.attributes.add(key="mlflow.spanOutputs").value.string_value = text(
                number * 9 + place + 5, 60
            )
            if place == 0:
                span.attributes.add(key="session.id").value.string_value = f"session-{number // 10}"
                span.attributes.add(key="mlflow.traceTag.team").value.string_value = f"team{number % 7}"
                span.attributes.add(
                    key="mlflow.traceTag.mlflow.traceName"
                ).value.string_value = f"agent{number % 5}"
                if number % 1000 == 500:
                    span.attributes.add(key="note").value.string_value = "a needle in it"
    return request.SerializeToString()


def statement(number: int) -> bytes:
    """Return what MLflow's client says of a trace once it has ended."""
    info = {
        "trace_id": f"tr-{number + 1:032x}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_preview": text(number, 40),
        "response_preview": text(number + 1, 40),
        "request_time": "2026-11-21T19:32:52.501Z",
        "execution_duration": "0.150s",
        "state": "OK",
        "trace_metadata": {
            "mlflow.user": "me",
            "mlflow.source.name": "bot.py",
            "mlflow.trace_schema.version": "3",
        },
        "tags": {"mlflow.traceName": f"agent{number % 5}", "team": f"team{number % 7}"},
    }
    return json.dumps({"trace": {"trace_info": info}}).encode()


def together(url: str, clients: int, work: Callable[[Connection, int], None]) -> float:
    """Return the seconds that several clients take, each in a thread with a connection of its own."""
    connections = [Connection(url) for _ in range(clients)]
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        for done in [threads.submit(work, connections[client], client) for client in range(clients)]:
            done.result()
    return time.perf_counter() - started


def median_ms(call: Callable[[], object], rounds: int = 9) -> float:
    call()
    seconds: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) * 1000


def measure(url: str, traces: int) -> Figures:
    figures: Figures = {}
    bodies = [export(first, BATCH) for first in range(0, traces, BATCH)]
    half = len(bodies) // 2

    def send(part: list[bytes], clients: int) -> Callable[[Connection, int], None]:
        def work(connection: Connection, client: int) -> None:
            for body in part[client::clients]:
                connection.spans(body)

        return work

    figures["batched, 1 client (traces/s)"] = half * BATCH / together(url, 1, send(bodies[:half], 1))
    figures["batched, 8 clients (traces/s)"] = (
        (len(bodies) - half) * BATCH / together(url, 8, send(bodies[half:], 8))
    )

    many = 400
    pairs = [(export(number, 1), statement(number)) for number in range(10**6, 10**6 + 2 * many)]

    def as_client(part: list[tuple[bytes, bytes]], clients: int) -> Callable[[Connection, int], None]:
        def work(connection: Connection, client: int) -> None:
            for spans, said in part[client::clients]:
                connection.spans(spans)
                connection.ask("POST", "/api/3.0/mlflow/traces", said)

        return work

    figures["as the client, 1 client (traces/s)"] = many / together(url, 1, as_client(pairs[:many], 1))
    figures["as the client, 8 clients (traces/s)"] = many / together(url, 8, as_client(pairs[many:], 8))

    here = Connection(url)
    ids = [f"tr-{number + 1:032x}" for number in range(traces)]
    source = {"source_type": "HUMAN", "source_id": "me"}
    scored = ids[: traces // 10]

    def assess(trace_id: str) -> object:
        score = int(trace_id[-4:], 16) % 10 / 10
        said = {
            "assessment_name": "score",
            "trace_id": trace_id,
            "source": source,
            "feedback": {"value": score},
        }
        return here.post(f"traces/{trace_id}/assessments", {"assessment": said})

    started = time.perf_counter()
    for trace_id in scored:
        assess(trace_id)
    figures["assessment written (ms)"] = (time.perf_counter() - started) / len(scored) * 1000

    location = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]

    def search(where: str, *order_by: str) -> Callable[[], object]:
        message = {"locations": location, "filter": where, "max_results": 100, "order_by": list(order_by)}
        return lambda: here.post("traces/search", message)

    for name, call in {
        "newest 100": search(""),
        "status, 100": search("status = 'ERROR'"),
        "tag and name, 100": search("tags.team = 'team3' AND name = 'agent2'"),
        "session of 10": search(f"metadata.`mlflow.trace.session` = 'session-{traces // 20}'"),
        "one span's kind and status": search("span.type = 'TOOL' AND span.status = 'ERROR'"),
        "feedback over a number": search("feedback.score > 0.85"),
        "text that 1 in 1,000 holds": search("trace.text LIKE '%a needle in it%'"),
        "text that none holds": search("trace.text LIKE '%no such text%'"),
        "by duration, 100": search("", "execution_time_ms DESC"),
    }.items():
        figures[f"search: {name} (ms)"] = median_ms(call)
    one = ids[traces // 2]
    figures["one trace with spans (ms)"] = median_ms(
        lambda: here.ask("GET", f"/api/3.0/mlflow/traces/get?trace_id={one}")
    )
    wanted = "&".join(f"trace_ids={each}" for each in ids[:: traces // 50])
    figures["50 traces with spans (ms)"] = median_ms(
        lambda: here.ask("GET", f"/api/3.0/mlflow/traces/batchGet?{wanted}")
    )
    figure = {
        "experiment_ids": ["0"],
        "view_type": "TRACES",
        "metric_name": "latency",
        "aggregations": [
            {"aggregation_type": "AVG"},
            {"aggregation_type": "PERCENTILE", "percentile_value": 95},
        ],
        "dimensions": ["trace_name"],
    }
    figures["average and 95th percentile by name (ms)"] = median_ms(
        lambda: here.post("traces/metrics", figure)
    )
    return figures


def limits(folder: Path) -> Figures:
    """Return what reading the protobuf in C alone, and committing alone, would allow."""
    body = export(0, BATCH)
    started = time.perf_counter()
    for _ in range(200):
        ExportTraceServiceRequest().ParseFromString(body)
    parsed = 200 * BATCH / (time.perf_counter() - started)
    database = sqlite3.connect(folder / "limit.db", isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute("create table t (x blob)")
    started = time.perf_counter()
    for _ in range(200):
        database.execute("insert into t values (zeroblob(4000))")
    commits = 200 / (time.perf_counter() - started)
    database.close()
    return {"limit: traces/s through a protobuf reader in C": parsed, "limit: commits/s of 4 kB": commits}


def size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.glob("*.db*")) / 1e6


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mlflow", type=Path)
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with servers.trimtab(folder / "ours") as url:
            ours = measure(url, given.traces)
        ours["database (MB)"] = size_mb(folder / "ours")
        theirs: Figures = {}
        if given.mlflow:
            with servers.mlflow(given.mlflow, folder / "mlflow") as url:
                theirs = measure(url, given.traces)
            theirs["database (MB)"] = size_mb(folder / "mlflow")
        floor = limits(folder)
    table = Table("work", "Trimtab", "MLflow", "ratio", title=f"{given.traces:,} traces on SQLite")
    for name, figure in ours.items():
        other = theirs.get(name)
        ratio = "" if other is None else f"{figure / other if '/s)' in name else other / figure:.1f}"
        table.add_row(name, f"{figure:,.4g}", "" if other is None else f"{other:,.4g}", ratio)
    for name, figure in floor.items():
        table.add_row(name, f"{figure:,.4g}", "", "")
    Console(width=110).print(table)
    if given.report:
        given.report.write_text(json.dumps({"trimtab": ours, "mlflow": theirs, "limits": floor}, indent=2))


if __name__ == "__main__":
    main()
