"""What logging costs a training: ours beside MLflow's client, calls that wait and calls that do not, server up and down.

    python bench/bench_client.py [--mlflow /path/to/environment/bin/mlflow] [--points 200000] [--report FILE]

Each row is a process of its own that logs one metric again and again: in a loop that does nothing else, and between
pieces of work of about a millisecond that fill the processor's caches, as steps of a training do. "End to end" runs from
the first call until the server has the last point. MLflow's client talks to MLflow's server where ``--mlflow`` names
one (``pip install mlflow``), and to ours. For "down" the server is killed when the run has begun. The limits: one write
to a file, without and with having the disk store it, and appending to a list.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import servers
from rich.console import Console
from rich.table import Table

PATIENCE_S = 20.0
Figures = dict[str, float | str | None]


def main() -> None:
    """Measure every client in turn and print them beside each other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mlflow", type=Path, help="MLflow's program in an environment of its own")
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--only", default="", help="only rows with this word")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(MEASURED[given.measure](given.points)), flush=True)
        return
    rows: dict[str, Figures] = {}
    console = Console()
    with tempfile.TemporaryDirectory(prefix="bench-client-") as scratch:
        folder = Path(scratch)
        for name, points in (("a list", 100_000), ("a write", 20_000), ("a write on the disk", 300)):
            console.log(name)
            rows[f"limit: {name}"] = measure(name, points, folder)
        few, some = max(200, given.points // 400), max(2000, given.points // 40)
        cases = [("trimtab.run", "ours", "trimtab", given.points)]
        for where in ("ours", "mlflow") if given.mlflow else ("ours",):
            cases += [
                ("mlflow, waiting", where, "mlflow", few),
                ("mlflow, async", where, "mlflow async", some),
            ]
        for state in ("up", "down"):
            for name, where, method, points in cases:
                if given.only not in f"{name} -> {where}, {state}":
                    continue
                console.log(f"{name} -> {where}, {state}")
                server = servers.trimtab if where == "ours" else servers.mlflow
                arguments = [folder / f"{method}-{where}-{state}".replace(" ", "-")]
                if where == "mlflow":
                    arguments.insert(0, given.mlflow)
                try:
                    with contextlib.ExitStack() as stack:
                        url = stack.enter_context(server(*arguments))
                        kill = stack.close if state == "down" else None
                        found = measure(method, points, folder, url=url, kill=kill)
                except SystemExit:
                    found = {"note": "its server did not start"}
                rows[f"{name} -> {where}, {state}"] = found
                if given.report:
                    given.report.write_text(json.dumps(rows, indent=2) + "\n")
    console.print(table(rows))


def measure(
    method: str, points: int, folder: Path, *, url: str = "", kill: Callable[[], None] | None = None
) -> Figures:
    """Run one measurement in a process of its own; a server to be killed is killed when the run has begun."""
    environment = {
        **os.environ,
        "TRIMTAB_URL": url,
        "MLFLOW_TRACKING_URI": url,
        "TRIMTAB_SPOOL": str(folder / "spool"),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
        "BENCH_FOLDER": str(folder),
        "BENCH_DOWN": "down" if kill else "",
    }
    command = [sys.executable, __file__, "--measure", method, "--points", str(points)]
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    if kill is not None:
        kill()
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write("\n")
        process.stdin.flush()
    try:
        answer, _ = process.communicate(timeout=PATIENCE_S if kill else 300)
    except subprocess.TimeoutExpired:
        process.kill()
        answer, _ = process.communicate()
    lines = [line for line in answer.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {"note": f"no call returned in {PATIENCE_S:.0f} s"}


def begun() -> None:
    """Say that the run is there, and wait until the server is as the measurement wants it."""
    print("begun", flush=True)
    sys.stdin.readline()


def timed(
    call: Callable[[int], None], points: int, *, flush: Callable[[], object], end: Callable[[], object]
) -> Figures:
    """Time every call between pieces of work, then in a bare loop, and how long it takes until all is sent.

    What is known is printed before the end, which may not come.
    """
    import numpy as np

    block = np.ones((700, 700))
    few = min(points, 400)
    worked = durations(call, few, work=lambda: block * 1.0001)
    flush()
    started = time.perf_counter()
    bare = durations(lambda at: call(few + at), points, work=None)
    found: Figures = {
        "p50_us": quantile(bare, 0.5),
        "p99_us": quantile(bare, 0.99),
        "mean_us": statistics.fmean(bare) / 1000,
        "work_p50_us": quantile(worked, 0.5),
        "work_p99_us": quantile(worked, 0.99),
        "note": f"not at its end after {PATIENCE_S:.0f} s",
    }
    print(json.dumps(found), flush=True)
    finishing = time.perf_counter()
    end()
    found["finish_s"] = time.perf_counter() - finishing
    found["points_per_s"] = points / (time.perf_counter() - started)
    found["note"] = None
    return found


def durations(call: Callable[[int], None], points: int, *, work: Callable[[], object] | None) -> list[int]:
    found: list[int] = []
    clock = time.perf_counter_ns
    for at in range(points):
        if work is not None:
            work()
        started = clock()
        call(at)
        found.append(clock() - started)
    return found


def quantile(values: list[int], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] / 1000


def ours(points: int) -> Figures:
    import trimtab

    run = trimtab.run("bench", system_metrics_s=0)
    run.flush()
    begun()
    found = timed(
        lambda at: run.log_metric("loss", at * 0.5, step=at),
        points,
        flush=lambda: run.flush(1.0),
        end=lambda: run.finish(timeout_s=120),
    )
    found["waiting"] = run.waiting
    return found


def theirs(points: int, *, synchronous: bool) -> Figures:
    import mlflow

    mlflow.set_experiment("bench")
    mlflow.start_run()
    mlflow.log_metric("first", 0.0)
    begun()

    def flush() -> None:
        if not synchronous:
            mlflow.flush_async_logging()

    def end() -> None:
        flush()
        mlflow.end_run()

    return timed(
        lambda at: mlflow.log_metric("loss", at * 0.5, step=at, synchronous=synchronous),
        points,
        flush=(lambda: None) if os.environ["BENCH_DOWN"] else flush,
        end=end,
    )


def limit(points: int, call: Callable[[int], None]) -> Figures:
    begun()
    return timed(call, points, flush=lambda: None, end=lambda: None)


def list_limit(points: int) -> Figures:
    held: list[int] = []
    return limit(points, held.append)


def write_limit(points: int, *, synced: bool = False) -> Figures:
    file = os.open(Path(os.environ["BENCH_FOLDER"]) / "limit", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    content = b"x" * 80

    def call(_: int) -> None:
        os.write(file, content)
        if synced:
            os.fdatasync(file)

    return limit(points, call)


MEASURED: dict[str, Callable[[int], Figures]] = {
    "trimtab": ours,
    "mlflow": lambda points: theirs(points, synchronous=True),
    "mlflow async": lambda points: theirs(points, synchronous=False),
    "a list": list_limit,
    "a write": write_limit,
    "a write on the disk": lambda points: write_limit(points, synced=True),
}


def table(rows: dict[str, Figures]) -> Table:
    made = Table(title="Logging one metric, microseconds a call")
    for name in (
        "",
        "p50",
        "p99",
        "p50 amid work",
        "p99 amid work",
        "end to end, points/s",
        "end, s",
        "times ours",
    ):
        made.add_column(name, justify="left" if not name else "right")
    base = rows.get("trimtab.run -> ours, up", {}).get("p50_us")
    for name, row in rows.items():
        cells = [
            row.get(key)
            for key in ("p50_us", "p99_us", "work_p50_us", "work_p99_us", "points_per_s", "finish_s")
        ]
        texts = [
            "" if cell is None else f"{cell:,.1f}" if index != 4 else f"{cell:,.0f}"
            for index, cell in enumerate(cells)
        ]
        p50 = row.get("p50_us")
        ratio = f"{float(p50) / float(base):,.1f}" if p50 and base else ""
        if row.get("note"):
            ratio = f"{ratio} ({row['note']})".strip()
        if row.get("waiting"):
            texts[4] = f"{row['waiting']:,} kept"
        made.add_row(name, *texts, ratio)
    return made


if __name__ == "__main__":
    main()
