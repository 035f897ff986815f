"""Taking the prediction log in: what a row costs the gateway that writes it down and the worker that takes it in.

    python bench/bench_ingest.py [--rows 300000] [--rounds 3] [--before FOLDER] [--report FILE]

Requests of 12 features (flights) and two probabilities, of 1,000 rows and of one: "numbers" come as packed doubles, as most
protocols bring them; "texts" have two more columns that are text, and numbers in lists. Processor time, in microseconds
a row, the least of the rounds; the worker also counts the rows into a monitor's windows, as it does for real. The limit is
reading the log's bytes, checking their sums, and writing a table of the same columns that is there already as Parquet.

``--before`` names the ``src`` folder of another checkout, whose code is measured in turn with this one's: a machine's speed
changes from minute to minute.
"""

import argparse
import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from trimtab.app import MIGRATED, build
from trimtab.domains.monitor import alarms, store
from trimtab.domains.monitor.ingest import Ingest
from trimtab.domains.monitor.model import Monitor, Policy
from trimtab.infra.db import Where
from trimtab.infra.db.migrate import migrate
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import DAY_US, now_us
from trimtab.science import plain
from trimtab.science.drift import sketch
from trimtab.serving.batch import Batch, Output
from trimtab.serving.front import Front
from trimtab.serving.routes import Field, Signature
from trimtab.serving.schema import Schema
from trimtab.serving.segments import SegmentWriter
from trimtab.settings import Settings

KINDS = (("numbers", 1000), ("texts", 1000), ("numbers", 1), ("texts", 1))
ONE_ROW_SHARE = 15
"""Requests of one row cost more: a fifteenth of the rows will do."""
RUN_AT_ONCE = 8
"""So many requests of one row are answered in one turn of the gateway's loop."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--once", action="store_true", help="print one round's figures as JSON")
    given = parser.parse_args()
    if given.once:
        print(json.dumps([measured(kind, size, given.rows) for kind, size in KINDS]))
        return
    sources = {"ours": Path(__file__).parent.parent / "src"}
    if given.before:
        sources["before"] = given.before.resolve()
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(given.rounds):
        for name, source in sources.items():
            one_round = in_turn(source, given.rows)
            found[name] = [
                {
                    key: value if isinstance(value, str) else min(value, best[key])
                    for key, value in one.items()
                }
                for one, best in zip(one_round, found.get(name, one_round), strict=True)
            ]
    show(found)
    if given.report:
        given.report.write_text(json.dumps(found, indent=2) + "\n")


def in_turn(source: Path, rows: int) -> list[dict[str, Any]]:
    """Measure the code in a folder, in a process of its own."""
    command = [sys.executable, __file__, "--once", "--rows", str(rows)]
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)


def measured(kind: str, size: int, rows: int) -> dict[str, Any]:
    requests = max(2, rows // size if size > 1 else rows // ONE_ROW_SHARE)
    with tempfile.TemporaryDirectory() as home:
        app = build(Settings(home=Path(home)))
        migrate(app.db, MIGRATED)
        with app.db.write() as tx:
            store.insert_monitor(tx, monitor())
        folder = app.serving_folder / "log"
        ingest = Ingest(app.db, app.bus, app.blobs, rollouts=list)
        write(folder, kind, size, 2)  # which imports what is imported late
        ingest.run(folder)
        written_s = write(folder, kind, size, requests)
        files = list(folder.glob("*.seg"))
        began = time.process_time()
        checked = [zlib.crc32(file.read_bytes()) for file in files]
        limit_s = time.process_time() - began
        assert len(checked) == len(files)
        log_bytes = sum(file.stat().st_size for file in files)
        began = time.process_time()
        while ingest.run(folder):
            pass
        taken_s = time.process_time() - began
        with app.db.read() as tx:
            (window,) = store.windows(tx, where=Where(), limit=10)
            parts = store.parts(tx, where=Where())
        assert window.rows == window.counted == (requests + 2) * size
        limit_s += sum(rewritten_s(app.blobs.open(part.blob).read()) for part in parts)
        kept = sum(app.blobs.size(part.blob) for part in parts)
    made = requests * size
    return {
        "kind": f"{kind}, {size:,} row{'s' if size > 1 else ''} a request",
        "write_us": written_s / made * 1e6,
        "take_in_us": taken_s / made * 1e6,
        "limit_us": limit_s / made * 1e6,
        "log_bytes": log_bytes / made,
        "kept_bytes": kept / made,
    }


def rewritten_s(content: bytes) -> float:
    """How long it takes to write a file's table as it is."""
    table = pq.read_table(io.BytesIO(content))
    kinds = {name: table.column(name).type for name in table.column_names}
    numbers = {
        name: "BYTE_STREAM_SPLIT" if kind == "double" else "DELTA_BINARY_PACKED"
        for name, kind in kinds.items()
        if kind in ("double", "int64")
    }
    others: Any = [name for name in kinds if name not in numbers]
    began = time.process_time()
    pq.write_table(
        table,
        io.BytesIO(),
        compression="zstd",
        compression_level=1,
        use_dictionary=others,
        column_encoding=numbers,
        write_statistics=False,
    )
    return time.process_time() - began


def write(folder: Path, kind: str, size: int, requests: int) -> float:
    """Log requests as a gateway does; return the processor time of it in seconds."""
    schema, asked = questions(kind, size, min(requests, 100))
    version = SimpleNamespace(route=SimpleNamespace(version="1", role="champion"))
    endpoint = SimpleNamespace(schema=schema, guard=None)

    async def log() -> float:
        writer = SegmentWriter(folder)
        front: Any = Front(None, writer)  # type: ignore[arg-type] - nothing is routed
        many = [
            SimpleNamespace(
                id=new_id(),
                name="flights",
                endpoint=endpoint,
                batch=asked[at % len(asked)][0],
                at_us=now_us(),
                event_us=10 * DAY_US + at,
                route="split",
            )
            for at in range(requests)
        ]
        began = time.process_time()
        for at, one in enumerate(many):
            outputs = asked[at % len(asked)][1]
            # What a gateway writes its front alone knows.
            front._write(one, version, 1000, outputs, status=200, problem=None)  # noqa: SLF001
            if size > 1 or at % RUN_AT_ONCE == RUN_AT_ONCE - 1:
                writer.flush()
        writer.close()
        return time.process_time() - began

    return asyncio.run(log())


def questions(kind: str, size: int, count: int) -> tuple[Schema, list[tuple[Batch, list[Output]]]]:
    rng = np.random.default_rng(0)
    fields = [Field(name, "double") for name in features(rng, 1)]
    if kind == "texts":
        fields += [Field("carrier", "string"), Field("dest", "string")]
    schema = Schema(Signature(fields))
    made: list[tuple[Batch, list[Output]]] = []
    for _ in range(count):
        columns: dict[str, list[Any]] = {
            name: values.tolist() for name, values in features(rng, size).items()
        }
        if kind == "texts":
            columns["carrier"] = [f"C{code}" for code in rng.integers(0, 16, size).tolist()]
            columns["dest"] = [f"DST{code}" for code in rng.integers(0, 105, size).tolist()]
            batch = Batch(columns, size)
        else:
            batch = Batch({}, size, packed=schema.pack(columns, size))
        late = rng.random(size)
        outputs = [
            Output("predictions", "INT64", [size], (late > 0.5).astype(int).tolist()),
            Output("probabilities", "FP64", [size, 2], np.stack([1 - late, late], 1).ravel().tolist()),
        ]
        made.append((batch, outputs))
    return schema, made


def features(rng: np.random.Generator, size: int) -> dict[str, Any]:
    whole = {
        "month": (1, 13),
        "day": (1, 32),
        "hour": (5, 24),
        "minute": (0, 60),
        "carrier_number": (0, 16),
        "origin": (0, 3),
        "destination": (0, 105),
        "distance": (80, 4983),
    }
    return {
        **{name: rng.integers(*ends, size).astype(float) for name, ends in whole.items()},
        "temperature": rng.normal(57, 18, size).round(2),
        "wind": rng.exponential(10, size),
        "visibility": rng.choice([10.0, 9.0, 3.0], size),
        "pressure": rng.normal(1018, 7, size).round(1),
    }


def monitor() -> Monitor:
    table = features(np.random.default_rng(1), 4000)
    made = Monitor(
        name="flights",
        endpoint="flights",
        reference="data:flights@1",
        features=list(table),
        group_by=None,
        policy=Policy(),
        baseline=None,
        champion="1",
        state="watching",
        problem=None,
        reference_rows=4000,
        sketch=plain.dump(sketch.build(table)),
        drift_state=None,
        loss_state=None,
        watermark_us=0,
        label_watermark_us=0,
        created_us=1,
        updated_us=1,
    )
    return msgspec.structs.replace(
        made, drift_state=alarms.fresh_drift(made), loss_state=alarms.fresh_losses(made)
    )


def show(found: dict[str, list[dict[str, Any]]]) -> None:
    table = Table(title="The prediction log: processor time in microseconds a row", title_justify="left")
    for heading in (
        "requests",
        "code",
        "gateway writes",
        "worker takes in",
        "limit of it",
        "bytes: log",
        "kept",
    ):
        table.add_column(heading, justify="left" if heading in ("requests", "code") else "right")
    for at, ours in enumerate(found["ours"]):
        for name, rows in found.items():
            one = rows[at]
            figures = [one[key] for key in ("write_us", "take_in_us", "limit_us", "log_bytes", "kept_bytes")]
            words = [f"{figure:.3g}" for figure in figures]
            if name != "ours":
                for place, key in enumerate(("write_us", "take_in_us")):
                    words[place] += f" ({one[key] / ours[key]:.1f} x ours)"
            table.add_row(one["kind"] if name == "ours" else "", name, *words)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
