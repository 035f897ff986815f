"""Batch predictions: a model over one Parquet file, ours beside MLflow's pyfunc.predict and scikit-learn by hand.

    python bench/bench_batch.py [--rows 2000000] [--workers N] [--mlflow PYTHON] [--report FILE]

The file has 12 features and an id. Ours reads, predicts and writes (id, prediction) in parts, in bounded memory, with
its processes started and ended in the time; the peer reads all of it into a frame, calls ``pyfunc.predict`` once and
writes the same two columns. The limit is scikit-learn's own predict_proba on a matrix that is in memory already. Peak
memory is that of the largest process, and ours also of all together. Name an interpreter that has mlflow, pandas and
scikit-learn; make one with ``pip install mlflow``. By default it is the one that runs this.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import skops.io
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = [f"f{at}" for at in range(12)]
PEER = """
import sys, time
started = time.perf_counter()
import mlflow.pyfunc, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
frame = pd.read_parquet(sys.argv[2])
frame["prediction"] = model.predict(frame[[f"f{at}" for at in range(12)]])
frame[["id", "prediction"]].to_parquet(sys.argv[3])
print(time.perf_counter() - started)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--mlflow", type=Path, default=Path(sys.executable))
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, rows in (("logistic pipeline", given.rows), ("forest of 100 trees", given.rows // 10)):
            found.append(measured(folder, kind, rows, given.workers, given.mlflow))
        found[0]["growth"] = growth(folder, given.rows, given.workers)
    show(found)
    if given.report:
        given.report.write_text(json.dumps(found, indent=2) + "\n")


def measured(folder: Path, kind: str, rows: int, workers: int, peer: Path) -> dict[str, Any]:
    model = fitted(kind)
    place = folder / kind.replace(" ", "-")
    save(model, place)
    data = table(folder, rows)
    seconds, each, all_mb = ours(place, data, folder / "ours.parquet", workers)
    result: dict[str, Any] = {"model": kind, "rows": rows, "ours_s": seconds}
    result |= {"ours_process_mb": each, "ours_all_mb": all_mb}
    command = [str(peer), "-c", PEER, str(place), str(data), str(folder / "theirs.parquet")]
    result["mlflow_s"], result["mlflow_mb"], _ = watched(command)
    mine = pq.read_table(folder / "ours.parquet")["prediction"].to_numpy()
    theirs = pq.read_table(folder / "theirs.parquet")["prediction"].to_numpy()
    assert np.array_equal(mine, theirs), "both predict the same"
    matrix = np.column_stack([pq.read_table(data, columns=[name])[name] for name in FEATURES])
    started = time.perf_counter()
    model.predict(matrix)
    result["limit_s"] = time.perf_counter() - started
    return result


def growth(folder: Path, rows: int, workers: int) -> dict[str, float]:
    """Return the peak of the whole in MB over a tenth of the rows and over all of them."""
    place = folder / "logistic-pipeline"
    peaks = [
        ours(place, table(folder, each), folder / "o.parquet", workers)[2] for each in (rows // 10, rows)
    ]
    return {"tenth_mb": peaks[0], "all_mb": peaks[1]}


def ours(model: Path, data: Path, output: Path, workers: int) -> tuple[float, float, float]:
    command = [sys.executable, "-m", "trimtab", "predict", "--model", str(model), "--data", str(data)]
    command += ["--output", str(output), "--columns", "id", "--workers", str(workers)]
    return watched(command)


def watched(command: list[str]) -> tuple[float, float, float]:
    """Run a command and return its seconds, the peak of its largest process and of all of them, in MB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks = [0.0, 0.0]
    ended = threading.Event()

    def watch() -> None:
        whole = psutil.Process(process.pid)
        while not ended.wait(0.05):
            try:
                sizes = [one.memory_info().rss / 1e6 for one in (whole, *whole.children(recursive=True))]
            except psutil.Error:
                continue
            peaks[0], peaks[1] = max(peaks[0], *sizes), max(peaks[1], sum(sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    if code:
        raise SystemExit(f"{' '.join(command[:4])} ... ended with {code}")
    return seconds, round(peaks[0]), round(peaks[1])


def fitted(kind: str) -> Any:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, len(FEATURES)))
    y = x[:, 0] + rng.normal(size=5000) > 0
    if kind.startswith("forest"):
        return RandomForestClassifier(100, max_depth=10, random_state=0, n_jobs=1).fit(x, y)
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)


def save(model: Any, folder: Path) -> None:
    """Write an MLmodel folder that MLflow and ours load: ours by its skops file, MLflow's pyfunc by the same."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    skops.io.dump(model, folder / "model.skops")
    flavor = {"pickled_model": "model.skops", "serialization_format": "skops", "sklearn_version": "1"}
    trusted = skops.io.get_untrusted_types(file=folder / "model.skops")
    flavor["skops_trusted_types"] = trusted
    pyfunc = {
        "loader_module": "mlflow.sklearn",
        "model_path": "model.skops",
        "predict_fn": "predict",
        "env": {},
    }
    columns = [{"type": "double", "name": name} for name in FEATURES]
    content = {
        "flavors": {"sklearn": flavor, "python_function": pyfunc},
        "signature": {"inputs": json.dumps(columns)},
    }
    (folder / "MLmodel").write_text(json.dumps(content))


def table(folder: Path, rows: int) -> Path:
    path = folder / f"{rows}.parquet"
    if not path.exists():
        rng = np.random.default_rng(1)
        with pq.ParquetWriter(path, schema()) as writer:
            for at in range(0, rows, 100_000):
                count = min(100_000, rows - at)
                columns = {name: rng.normal(size=count) for name in FEATURES}
                writer.write_table(pa.table({"id": np.arange(at, at + count), **columns}))
    return path


def schema() -> pa.Schema:
    return pa.schema([("id", pa.int64()), *[(name, pa.float64()) for name in FEATURES]])


def show(found: list[dict[str, Any]]) -> None:
    shown = Table(title="Batch predictions, whole command, seconds (rows a second)")
    for column in (
        "model",
        "rows",
        "ours",
        "MLflow pyfunc",
        "ratio",
        "predict alone",
        "peak MB: process/all",
        "peer MB",
    ):
        shown.add_column(column, justify="right")
    for one in found:
        rows = one["rows"]
        shown.add_row(
            one["model"],
            f"{rows:,}",
            *[f"{one[key]:.2f} ({rows / one[key]:,.0f})" for key in ("ours_s", "mlflow_s")],
            f"{one['mlflow_s'] / one['ours_s']:.2f}x",
            f"{one['limit_s']:.2f} ({rows / one['limit_s']:,.0f})",
            f"{one['ours_process_mb']:,.0f}/{one['ours_all_mb']:,.0f}",
            f"{one['mlflow_mb']:,.0f}",
        )
    console = Console(width=140)
    console.print(shown)
    grown = found[0]["growth"]
    console.print(
        f"all processes: {grown['tenth_mb']} MB for a tenth of the rows, {grown['all_mb']} MB for all"
    )


if __name__ == "__main__":
    main()
