"""What a metric's point takes on disk: ours beside MLflow's tables, the same curves sent to both.

    python bench/bench_space.py [--mlflow /path/to/environment/bin/mlflow] [--database postgresql://...]
        [--mlflow-database postgresql://...] [--report FILE]

Counted are the tables and indexes that grow with points: on SQLite their pages (``dbstat``), on PostgreSQL their whole
size. Ours are counted twice: as they come, and once the background has compacted them. The curves: the loss of a real
training in single precision, as most libraries train, and in double, each time a little late; and random numbers. The
limit: what is noise in a number cannot be compressed. That is 3 bytes of a float, 6.5 of a double, and of a double that
spreads over several powers of two, like a falling loss, about half a byte more; the times here have 0.3.
"""

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import bench_tracking as tracking
import numpy as np
import psycopg
import servers
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_breast_cancer

POINTS = 100_000
BATCH = 1000
PATIENCE_S = 60
TAIL, BLOCKS = ["tracking_metric_tail"], ["tracking_metric_block"]
THEIRS = ["metrics"]


def training(points: int) -> list[float]:
    """Return the loss of each step of a logistic regression that learns by gradients of 32 rows."""
    data = load_breast_cancer()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    y = data.target
    source = np.random.default_rng(1)
    weights = np.zeros(x.shape[1])
    losses: list[float] = []
    for _ in range(points):
        rows = source.integers(0, len(x), 32)
        p = 1 / (1 + np.exp(-x[rows] @ weights))
        q = np.clip(p, 1e-12, 1 - 1e-12)
        losses.append(float(-np.mean(y[rows] * np.log(q) + (1 - y[rows]) * np.log(1 - q))))
        weights -= 0.01 * x[rows].T @ (p - y[rows]) / 32
    return losses


class Space:
    """Counts what tables take."""

    def __init__(self, file: Path, url: str | None) -> None:
        self._file, self._url = file, url

    def taken(self, tables: Sequence[str]) -> int:
        """Return the bytes of tables with their indexes."""
        if self._url:
            with psycopg.connect(self._url) as connection:
                sizes = [
                    connection.execute("select pg_total_relation_size(%s::regclass)", (table,)).fetchone()
                    for table in tables
                ]
            return sum(size[0] for size in sizes if size)
        with sqlite3.connect(self._file) as connection:
            marks = ", ".join("?" * len(tables))
            return connection.execute(
                "select coalesce(sum(d.pgsize), 0) from dbstat d join sqlite_schema s on s.name = d.name "
                f"where s.tbl_name in ({marks})",
                tables,
            ).fetchone()[0]

    def rows(self, table: str) -> int:
        """Return how many rows a table has."""
        if self._url:
            with psycopg.connect(self._url) as connection:
                found = connection.execute(f"select count(*) from {table}").fetchone()
                return found[0] if found else 0
        with sqlite3.connect(self._file) as connection:
            return connection.execute(f"select count(*) from {table}").fetchone()[0]


def send(connection: tracking.Connection, values: Sequence[float], *, first: int) -> str:
    """Log a curve from a step on, in calls of a thousand points, to a run of its own; return the run."""
    run_id = connection.create_run()
    extend(connection, run_id, values, first=first)
    return run_id


def extend(connection: tracking.Connection, run_id: str, values: Sequence[float], *, first: int) -> None:
    """Log more points of a curve."""
    source = np.random.default_rng(first)
    late = source.integers(0, 5, len(values)).tolist()
    for start in range(0, len(values), BATCH):
        metrics = [
            {
                "key": "loss",
                "value": value,
                "step": first + start + at,
                "timestamp": 1_700_000_000_000 + (first + start + at) * 35 + late[start + at],
            }
            for at, value in enumerate(values[start : start + BATCH])
        ]
        body = tracking.encode({"run_id": run_id, "metrics": metrics})
        connection.post("/api/2.0/mlflow/runs/log-batch", body)


def ours(url: str, space: Space, values: Sequence[float]) -> tuple[float, float]:
    """Return bytes a point as they come, and compacted."""
    connection = tracking.Connection(url)
    tail, blocks = space.taken(TAIL), space.taken(BLOCKS)
    waiting = len(values) - BATCH  # one call less than what is compacted at once
    run_id = send(connection, values[:waiting], first=0)
    hot = (space.taken(TAIL) - tail) / waiting
    rows = space.rows(BLOCKS[0])
    extend(connection, run_id, values[waiting:], first=waiting)
    until = time.monotonic() + PATIENCE_S
    while space.rows(TAIL[0]) or space.rows(BLOCKS[0]) == rows:
        if time.monotonic() > until:
            raise SystemExit("the curve was not compacted")
        time.sleep(0.1)
    return hot, (space.taken(BLOCKS) - blocks) / len(values)


def main() -> None:
    """Measure, print a table, and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mlflow", type=Path)
    parser.add_argument("--database", help="another engine than SQLite for ours")
    parser.add_argument("--mlflow-database", help="another engine than SQLite for MLflow's")
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    losses = training(POINTS)
    curves = {
        "loss of a training, float": np.asarray(losses, np.float32).astype(float).tolist(),
        "loss of a training, double": losses,
        "random": np.random.default_rng(2).random(POINTS).tolist(),
    }
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        flags = ["--database", given.database] if given.database else []
        with servers.trimtab(folder / "ours", *flags) as url:
            space = Space(folder / "ours" / "trimtab.db", given.database)
            for name, values in curves.items():
                hot, compacted = ours(url, space, values)
                found[name] = {"hot": hot, "compacted": compacted}
        if given.mlflow:
            with servers.mlflow(given.mlflow, folder / "mlflow", given.mlflow_database) as url:
                space = Space(folder / "mlflow" / "mlflow.db", given.mlflow_database)
                for name, values in curves.items():
                    before = space.taken(THEIRS)
                    send(tracking.Connection(url), values, first=0)
                    found[name]["mlflow"] = (space.taken(THEIRS) - before) / len(values)
    table = Table("curve", "as it comes", "compacted", "MLflow", title="Bytes on disk for a metric's point")
    for name, one in found.items():
        theirs = one.get("mlflow")
        table.add_row(name, f"{one['hot']:.1f}", f"{one['compacted']:.1f}", f"{theirs:.1f}" if theirs else "")
    Console(width=100).print(table)
    if given.report:
        given.report.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
