"""Moving in: a folder store of MLflow and event files of TensorBoard, ours beside what the field has.

    python bench/bench_moving.py [--runs 1000] [--mlflow /path/to/environment/bin/mlflow]
        [--tensorboard /path/to/environment/bin/python] [--report FILE]

The store has runs of 20 metrics of 100 points, 10 parameters, 8 tags and 2 files. MLflow's own way into its database is
``mlflow migrate-filestore``; between servers people use a loop of REST calls, as mlflow-export-import does: it is measured
with a few runs, into MLflow's server and into ours. The limits are reading every file of the store once, and reading an
event file without looking at it. Make the peers' environments with ``pip install mlflow`` and ``pip install tensorboard``.
"""

import argparse
import contextlib
import json
import math
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import servers
from rich.console import Console
from rich.table import Table

from trimtab.moving import import_mlflow, import_tensorboard
from trimtab.moving.tensorboard import writing
from trimtab.moving.tensorboard.events import Batch, Decoder
from trimtab.moving.tensorboard.frames import Reader, framed
from trimtab.sdk.client import Client

METRICS, POINTS, PARAMS, TAGS = 20, 100, 10, 8
BEGAN_MS = 1_700_000_000_000
LOOP = """
import sys, time
from pathlib import Path
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
folder, url, most = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
client = MlflowClient(tracking_uri=url)
experiment = client.create_experiment("loop")
client.search_experiments()
started = time.perf_counter()
runs = [one for one in sorted((folder / "1").iterdir()) if (one / "params").is_dir()][:most]
for run in runs:
    made = client.create_run(experiment, start_time=1).info.run_id
    texts = {kind: {one.name: one.read_text() for one in (run / kind).iterdir()} for kind in ("params", "tags")}
    params = [Param(key, value) for key, value in texts["params"].items()]
    tags = [RunTag(key, value) for key, value in texts["tags"].items()]
    points = []
    for file in (run / "metrics").iterdir():
        for line in file.read_text().splitlines():
            at, value, step = line.split()
            points.append(Metric(file.name, float(value), int(at), int(step)))
    client.log_batch(made, params=params, tags=tags)
    for first in range(0, len(points), 1000):
        client.log_batch(made, metrics=points[first : first + 1000])
    client.log_artifacts(made, str(run / "artifacts"))
    client.set_terminated(made)
print(len(runs) / (time.perf_counter() - started))
"""
ACCUMULATE = """
import os, sys, time
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
started, used = time.perf_counter(), time.process_time()
found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
found.Reload()
count = sum(len(found.Scalars(tag)) for tag in found.Tags()["scalars"])
print(count, time.perf_counter() - started, time.process_time() - used)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--loop-runs", type=int, default=20)
    parser.add_argument("--points", type=int, default=200_000, help="of the event file")
    parser.add_argument("--mlflow", type=Path)
    parser.add_argument("--tensorboard", type=Path)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "mlflow": moved_store(Path(folder), given.runs, given.loop_runs, given.mlflow),
            "tensorboard": read_events(Path(folder), given.points, given.tensorboard),
        }
    show(found)
    if given.report:
        given.report.write_text(json.dumps(found, indent=2) + "\n")


def moved_store(folder: Path, runs: int, loop_runs: int, program: Path | None) -> dict[str, Any]:
    store = folder / "mlruns"
    write_store(store, runs)
    found: dict[str, Any] = {"runs": runs, "points": runs * METRICS * POINTS}
    found["limit_s"] = timed(lambda: [file.read_bytes() for file in store.rglob("*") if file.is_file()])
    with servers.trimtab(folder / "ours") as url, Client(url) as client:
        used = time.process_time()
        report = import_mlflow(store, client=client)
        found["ours_s"], found["ours_client_cpu_s"] = report.seconds, round(time.process_time() - used, 2)
        assert (report.runs["created"], report.points) == (runs, found["points"]), report
        found["again_s"] = import_mlflow(store, client=client).seconds
        found["tensorboard_live_s"] = live(folder, client)
        if program:
            found["loop_into_ours_runs_per_s"] = looped(program, store, url, loop_runs)
    if program:
        with their_server(program, folder) as url:
            found["loop_runs_per_s"] = looped(program, store, url, loop_runs)
        command = [str(program), "migrate-filestore", "--source", str(folder), "--target"]
        environment = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
        migrate = [*command, f"sqlite:///{folder}/migrated.db", "--no-progress"]
        found["migrate_s"] = timed(
            lambda: subprocess.run(migrate, check=True, capture_output=True, env=environment)
        )
    return found


def their_server(program: Path, folder: Path) -> contextlib.AbstractContextManager[str]:
    """Run MLflow's server with one worker, which is enough for one client and starts sooner."""
    port = servers.free_port()
    command = [str(program), "server", "--port", str(port), "--workers", "1", "--backend-store-uri"]
    files = ["--artifacts-destination", str(folder / "artifacts")]
    return servers.running([*command, f"sqlite:///{folder}/mlflow.db", *files], port, folder / "theirs.log")


def write_store(store: Path, runs: int) -> None:
    """Write what MLflow's client would, as plain files."""
    source = random.Random(1)
    experiment = store / "1"
    experiment.mkdir(parents=True)
    meta = f"artifact_location: {experiment}\nexperiment_id: '1'\nlifecycle_stage: active\nname: bench\n"
    (experiment / "meta.yaml").write_text(f"{meta}creation_time: {BEGAN_MS}\nlast_update_time: {BEGAN_MS}\n")
    for number in range(runs):
        run_id = f"{source.getrandbits(128):032x}"
        run = experiment / run_id
        for name in ("metrics", "params", "tags", "artifacts"):
            (run / name).mkdir(parents=True)
        start = BEGAN_MS + number * 1000
        (run / "meta.yaml").write_text(
            f"artifact_uri: {run}/artifacts\nend_time: {start + 900}\nentry_point_name: ''\nexperiment_id: '1'\n"
            f"lifecycle_stage: active\nrun_id: {run_id}\nrun_name: run-{number}\nsource_name: ''\nsource_type: 4\n"
            f"source_version: ''\nstart_time: {start}\nstatus: 3\ntags: []\nuser_id: me\n"
        )
        for key in range(METRICS):
            value, lines = 1.0, []
            for step in range(POINTS):
                value *= 0.98 + 0.03 * source.random()
                lines.append(f"{start + step * 9} {value} {step}\n")
            (run / "metrics" / f"metric_{key}").write_text("".join(lines))
        for key in range(PARAMS):
            (run / "params" / f"param_{key}").write_text(str(source.random()))
        for key in range(TAGS):
            (run / "tags" / f"tag_{key}").write_text(f"value {source.randrange(50)}")
        (run / "artifacts" / "model.bin").write_bytes(source.randbytes(20_000))
        (run / "artifacts" / "report.json").write_text(json.dumps({"run": number}))


def looped(program: Path, store: Path, url: str, runs: int) -> float:
    """Return how many runs a second a loop of calls of MLflow's client moves."""
    python = str(program.with_name("python"))
    command = [python, "-c", LOOP, str(store), url, str(runs)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return round(float(done.stdout.split()[-1]), 2)


def live(folder: Path, client: Client) -> float:
    """Return the seconds that an event file of 50,000 points takes into a server."""
    logs = folder / "logs"
    logs.mkdir()
    write_events(logs, 50_000)
    return import_tensorboard(logs, client=client).seconds


def write_events(folder: Path, points: int) -> Path:
    """Write one event file of ten tags that take turns, as a training does."""
    file = folder / "events.out.tfevents.1700000000.host.1.0"
    with file.open("wb") as output:
        for piece in framed(records(points)):
            output.write(piece)
    return file


def records(points: int) -> Iterator[bytes]:
    yield writing.version(BEGAN_MS * 1000)
    tags = []
    for tag in range(10):
        values = (
            (
                step,
                BEGAN_MS * 1000 + step * 100_000,
                struct.unpack("<f", struct.pack("<f", math.sin(step / 99) * tag))[0],
            )
            for step in range(points // 10)
        )
        tags.append(writing.scalars(f"train/metric_{tag}", values))
    for together in zip(*tags, strict=True):
        yield from together


def read_events(folder: Path, points: int, python: Path | None) -> dict[str, Any]:
    logs = folder / "events"
    logs.mkdir()
    found: dict[str, Any] = {"points": points}
    started = time.process_time()
    file = write_events(logs, points)
    found["write_cpu_s"] = round(time.process_time() - started, 3)
    found["mb"] = round(file.stat().st_size / 1e6, 2)
    found["limit_s"] = timed(file.read_bytes)
    seconds, used = [], []
    for _ in range(3):
        began, before = time.perf_counter(), time.process_time()
        assert count(file) == points
        seconds.append(time.perf_counter() - began)
        used.append(time.process_time() - before)
    found["ours_s"], found["ours_cpu_s"] = (
        round(statistics.median(seconds), 3),
        round(statistics.median(used), 3),
    )
    if python:
        command = [str(python), "-c", ACCUMULATE, str(logs)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        read, wall, cpu = done.stdout.split()[-3:]
        assert int(read) == points
        found["accumulator_s"], found["accumulator_cpu_s"] = round(float(wall), 3), round(float(cpu), 3)
    return found


def count(file: Path) -> int:
    batch, decoder, size, place = Batch(), Decoder(), file.stat().st_size, 0
    with file.open("rb") as opened:
        reader = Reader(opened)
        while place < size:
            frames = reader.read(place, size=size)
            decoder.decode(frames.data, frames.starts, frames.lengths, batch)
            place = frames.end
    return sum(len(curve.steps) for curve in batch.scalars.values())


def timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return round(time.perf_counter() - started, 3)


def show(found: dict[str, Any]) -> None:
    store, events = found["mlflow"], found["tensorboard"]
    table = Table(title=f"A store of {store['runs']:,} runs and {store['points']:,} points, into a server")
    for column in ("", "seconds", "runs/s", "points/s", "ours is"):
        table.add_column(column, justify="right" if column else "left")

    def add(name: str, seconds: float) -> None:
        ratio = f"{seconds / store['ours_s']:.1f}x" if seconds > store["ours_s"] else ""
        rates = f"{store['runs'] / seconds:,.0f}", f"{store['points'] / seconds:,.0f}"
        table.add_row(name, f"{seconds:,.2f}", *rates, ratio)

    add("limit: reading the files", store["limit_s"])
    add("trimtab import mlflow", store["ours_s"])
    add("the same again: nothing is new", store["again_s"])
    if "migrate_s" in store:
        add("mlflow migrate-filestore, into a SQLite file", store["migrate_s"])
        add("a loop of REST calls, into MLflow's server", store["runs"] / store["loop_runs_per_s"])
        add("a loop of REST calls, into ours", store["runs"] / store["loop_into_ours_runs_per_s"])
    console = Console()
    console.print(table)
    table = Table(title=f"An event file of {events['points']:,} points, {events['mb']} MB, read and checked")
    for column in ("", "seconds of CPU", "MB/s", "points/s", "ours is"):
        table.add_column(column, justify="right" if column else "left")
    rows = [("trimtab", events["ours_cpu_s"])]
    if "accumulator_cpu_s" in events:
        rows.append(("tensorboard's EventAccumulator", events["accumulator_cpu_s"]))
    for name, seconds in rows:
        ratio = f"{seconds / events['ours_cpu_s']:.1f}x" if seconds > events["ours_cpu_s"] else ""
        rates = f"{events['mb'] / seconds:,.1f}", f"{events['points'] / seconds:,.0f}"
        table.add_row(name, f"{seconds:,.2f}", *rates, ratio)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
