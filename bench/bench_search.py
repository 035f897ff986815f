"""Searching runs: one metric and one parameter filter, ordered by a metric, a page of 100; ours beside MLflow's server.

    python bench/bench_search.py [--runs 10000 100000] [--mlflow /path/to/environment/bin/mlflow] [--report FILE]

Both databases are filled with the same runs, by statements and not by requests: each run has 4 parameters, 4 metrics and
5 tags. MLflow is measured with the smallest number only, as a search there takes seconds beyond. The limit is what reading
100 rows along a fitting index takes.
"""

import argparse
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import servers
from bench_tracking import Connection, times
from rich.console import Console
from rich.progress import track
from rich.table import Table

EXPERIMENT = 0
METRICS = ("accuracy", "auc", "loss", "seconds")
PARAMS = ("batch_size", "learning_rate", "model", "seed")
TAGS = ("mlflow.runName", "mlflow.source.name", "mlflow.source.type", "mlflow.user", "team")
BEGAN_MS = 1_700_000_000_000
CHUNK = 10_000

SEARCHES: dict[str, dict[str, Any]] = {
    "a metric and a parameter, by a metric": {
        "filter": "metrics.auc > 0.7 and params.model = 'tree'",
        "order_by": ["metrics.accuracy DESC"],
    },
    "few match: a seed, by a metric": {
        "filter": "params.seed = '4711'",
        "order_by": ["metrics.accuracy DESC"],
    },
    "a rare pair, by a metric": {
        "filter": "metrics.auc > 0.995 and params.model = 'tree' and params.batch_size = '32'",
        "order_by": ["metrics.loss ASC"],
    },
    "by a metric alone": {"order_by": ["metrics.accuracy DESC"]},
    "newest first": {},
    "a tag, newest first": {"filter": "tags.team = 'fraud'"},
    "a pattern of names": {"filter": "attributes.run_name LIKE 'run-99%'"},
}


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Yield what each run is."""
    source = random.Random(1)
    for number in range(count):
        yield {
            "id": f"{source.getrandbits(128):032x}",
            "name": f"run-{number}",
            "started_ms": BEGAN_MS + number * 1000,
            "params": (
                source.choice(("16", "32", "64", "128")),
                repr(round(10 ** source.uniform(-5, -1), 6)),
                source.choice(("linear", "tree", "forest", "boosting")),
                str(source.randrange(50_000)),
            ),
            "metrics": (source.random(), source.random(), source.expovariate(1), source.uniform(1, 900)),
            "tags": (
                f"run-{number}",
                "train.py",
                "LOCAL",
                source.choice(("ada", "grace")),
                source.choice(("fraud", "pricing", "search")),
            ),
        }


def fill_ours(file: Path, count: int) -> None:
    """Put runs into a database that our server has made."""
    database = sqlite3.connect(file)
    names = (*METRICS, *PARAMS, *TAGS)
    database.executemany(
        "insert into tracking_key (name) values (?) on conflict do nothing", [(name,) for name in names]
    )
    keys = dict(database.execute("select name, no from tracking_key"))
    first = database.execute("select coalesce(max(no), 0) + 1 from tracking_run").fetchone()[0]
    every: list[dict[str, Any]] = []
    for number, row in enumerate(track(rows(count), "filling ours", total=count), first):
        every.append({"no": number, **row})
        if len(every) == CHUNK:
            _insert_ours(database, every, keys)
            every.clear()
    _insert_ours(database, every, keys)
    database.commit()
    database.close()


def _insert_ours(database: sqlite3.Connection, every: list[dict[str, Any]], keys: dict[str, int]) -> None:
    database.executemany(
        "insert into tracking_run (no, id, experiment_no, name, status, started_us, ended_us, owner, state,"
        " artifact_uri) values (?, ?, ?, ?, 'FINISHED', ?, ?, 'ada', 'active', ?)",
        [
            (
                run["no"],
                run["id"],
                EXPERIMENT,
                run["name"],
                run["started_ms"] * 1000,
                run["started_ms"] * 1000 + 900_000,
                f"mlflow-artifacts:/0/{run['id']}/artifacts",
            )
            for run in every
        ],
    )
    for table, names, values in (("param", PARAMS, "params"), ("tag", TAGS, "tags")):
        database.executemany(
            f"insert into tracking_run_{table} (run_no, experiment_no, key_no, value) values (?, ?, ?, ?)",
            [
                (run["no"], EXPERIMENT, keys[name], value)
                for run in every
                for name, value in zip(names, run[values], strict=True)
            ],
        )
    database.executemany(
        "insert into tracking_metric_latest (run_no, key_no, experiment_no, nan, value, step, at_us, least, greatest,"
        " points) values (?, ?, ?, 0, ?, 99, ?, 0, 1, 100)",
        [
            (run["no"], keys[name], EXPERIMENT, value, run["started_ms"] * 1000)
            for run in every
            for name, value in zip(METRICS, run["metrics"], strict=True)
        ],
    )
    database.commit()


def fill_mlflow(file: Path, count: int) -> None:
    """Put the same runs into a database that MLflow's server has made."""
    database = sqlite3.connect(file)
    for run in track(rows(count), "filling MLflow's", total=count):
        started = run["started_ms"]
        database.execute(
            "insert into runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status, start_time,"
            " end_time, deleted_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
            " values (?, ?, 'UNKNOWN', '', '', 'ada', 'FINISHED', ?, ?, null, '', 'active', ?, 0)",
            (run["id"], run["name"], started, started + 900, f"mlflow-artifacts:/0/{run['id']}/artifacts"),
        )
        for table, names, values in (("params", PARAMS, "params"), ("tags", TAGS, "tags")):
            database.executemany(
                f"insert into {table} (key, value, run_uuid) values (?, ?, ?)",
                [(name, value, run["id"]) for name, value in zip(names, run[values], strict=True)],
            )
        database.executemany(
            "insert into latest_metrics (key, value, timestamp, step, is_nan, run_uuid) values (?, ?, ?, 99, 0, ?)",
            [(name, value, started, run["id"]) for name, value in zip(METRICS, run["metrics"], strict=True)],
        )
    database.commit()
    database.close()


def measure(url: str, count: int) -> dict[str, tuple[float, float, int]]:
    """Return the median and the 99th percentile of each search in milliseconds, and how many runs it found."""
    connection = Connection(url)
    found: dict[str, tuple[float, float, int]] = {}
    for name, search in SEARCHES.items():
        body = msgspec.json.encode({"experiment_ids": [str(EXPERIMENT)], "max_results": 100, **search})

        def ask(_: int, body: bytes = body) -> int:
            answer = connection.post("/api/2.0/mlflow/runs/search", body)
            return len(msgspec.json.decode(answer).get("runs", []))

        length = ask(0)
        found[f"{count:,} runs: {name}"] = (*times(ask, seconds=3, most=200), length)
    return found


def limit_ms(file: Path) -> float:
    """Return what it takes to read 100 numbers along an index."""
    database = sqlite3.connect(file)
    statement = (
        "select run_no, value from tracking_metric_latest where experiment_no = 0 and key_no ="
        " (select no from tracking_key where name = 'accuracy') and nan = 0 order by value desc limit 100"
    )
    database.execute(statement).fetchall()
    started = time.perf_counter()
    for _ in range(100):
        database.execute(statement).fetchall()
    return (time.perf_counter() - started) * 10


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--mlflow", type=Path)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    ours: dict[str, tuple[float, float, int]] = {}
    theirs: dict[str, tuple[float, float, int]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for count in given.runs:
            home = folder / f"ours-{count}"
            with servers.trimtab(home):
                pass
            fill_ours(home / "trimtab.db", count)
            with servers.trimtab(home) as url:
                ours |= measure(url, count)
            limit = limit_ms(home / "trimtab.db")
        if given.mlflow:
            with servers.mlflow(given.mlflow, folder / "mlflow"):
                pass
            fill_mlflow(folder / "mlflow" / "mlflow.db", min(given.runs))
            with servers.mlflow(given.mlflow, folder / "mlflow") as url:
                theirs = measure(url, min(given.runs))
    table = Table("search, page of 100", "found", "p50", "p99", "MLflow p50", "ratio", title="Milliseconds")
    for name, (p50, p99, found) in ours.items():
        other = theirs.get(name)
        shown = (f"{other[0]:,.1f}", f"{other[0] / p50:,.1f}") if other else ("", "")
        table.add_row(name, str(found), f"{p50:,.2f}", f"{p99:,.2f}", *shown)
    table.add_row("limit: 100 rows of an index, without a server", "", f"{limit:,.3f}")
    Console(width=120).print(table)
    if given.report:
        given.report.write_text(json.dumps({"trimtab": ours, "mlflow": theirs, "limit_ms": limit}, indent=2))


if __name__ == "__main__":
    main()
