"""What it takes to start the process of a native model, by how the model was logged: seconds, processor time, memory.

    python bench/bench_replicas.py [--runs 3] [--only class,code] [--beside /path/to/another/python] [--report FILE.json]

A replica is started as the server starts it, on a model that MLflow wrote, until its socket is there: the model is loaded
then and has predicted its input example. The best of the runs is told, which the rest of the machine disturbs least; the
memory is what the process has for itself (USS). ``--beside`` measures with another interpreter in turn, for example
that of an environment with an earlier release.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from trimtab.serving.processes import Interpreter, replica_command, replica_environment

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_CODE = """
import mlflow
import numpy as np


class Sums(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return np.asarray(model_input).sum(axis=1)


mlflow.models.set_model(Sums())
"""


class Start(msgspec.Struct):
    """One start: seconds until the socket was there, processor seconds, private and proportional megabytes."""

    wall_s: float
    cpu_s: float
    uss_mb: float
    pss_mb: float


def main() -> None:
    """Write the models, start each a few times, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    interpreters = {"ours": Interpreter()}
    if given.beside:
        interpreters["beside"] = Interpreter(python=str(given.beside))
    found: dict[str, dict[str, Start]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-replicas-") as name:
        models = _models(Path(name), [part for part in given.only.split(",") if part])
        for kind, folder in models.items():
            for title, interpreter in interpreters.items():
                starts = [_start(folder, interpreter) for _ in range(given.runs)]
                found.setdefault(kind, {})[title] = min(starts, key=lambda start: start.cpu_s)
    table = Table("model", "by", "start s", "processor s", "USS MB", "PSS MB")
    for kind, by in found.items():
        for title, start in by.items():
            table.add_row(
                kind,
                title,
                f"{start.wall_s:.2f}",
                f"{start.cpu_s:.2f}",
                f"{start.uss_mb:.0f}",
                f"{start.pss_mb:.0f}",
            )
    Console().print(table)
    if given.report:
        given.report.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2))


def _start(model: Path, interpreter: Interpreter) -> Start:
    with tempfile.TemporaryDirectory(prefix="replica-") as name:
        socket = Path(name) / "s"
        began = time.perf_counter()
        with (Path(name) / "log").open("wb") as log:
            process = subprocess.Popen(
                replica_command(model, socket, allow_pickle=True, interpreter=interpreter),
                env=replica_environment(os.environ, interpreter=interpreter),
                stderr=log,
            )
        try:
            while not socket.exists():
                if process.poll() is not None:
                    raise SystemExit(f"{model.name} did not start: {(Path(name) / 'log').read_text()}")
                time.sleep(0.002)
            wall_s = time.perf_counter() - began
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            memory = dict(
                line.split(":", 1)
                for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()[1:]
            )
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait()
    held = {key: int(value.split()[0]) / 1000 for key, value in memory.items()}
    cpu_s = (int(fields[11]) + int(fields[12])) * _TICK_S
    return Start(wall_s, cpu_s, held["Private_Clean"] + held["Private_Dirty"], held["Pss"])


def _models(root: Path, only: list[str]) -> dict[str, Path]:
    """Write the models that are asked for, with MLflow, and return their folders."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    warnings.simplefilter("ignore")
    import logging

    import lightgbm
    import mlflow
    import pandas as pd
    import xgboost
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    rows = np.random.default_rng(0).normal(size=(300, 12))
    frame = pd.DataFrame(rows, columns=[f"column_{at}" for at in range(12)])
    labels = (rows[:, 0] > 0).astype(int)
    linear = LogisticRegression().fit(frame, labels)
    code = root / "model_code.py"
    code.write_text(_CODE)

    class Wraps(mlflow.pyfunc.PythonModel):
        def __init__(self, model: Any) -> None:
            self.model = model

        def predict(self, model_input):  # not annotated, as MLflow reads annotations as promises
            return self.model.predict(model_input)

    def sums(model_input):
        return model_input.sum(axis=1)

    save, skops = mlflow.pyfunc.save_model, {"serialization_format": "skops"}
    booster = lightgbm.train({"verbose": -1}, lightgbm.Dataset(frame, labels), 5)
    boosted = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(frame, labels)
    writers: dict[str, tuple[Any, Callable[..., None]]] = {
        "code, array": (rows, lambda path, **more: save(path, python_model=str(code), **more)),
        "code, frame": (frame, lambda path, **more: save(path, python_model=str(code), **more)),
        "function, array": (rows, lambda path, **more: save(path, python_model=sums, **more)),
        "class of scikit-learn, frame": (
            frame,
            lambda path, **more: save(path, python_model=Wraps(linear), **more),
        ),
        "sklearn, skops": (
            frame,
            lambda path, **more: mlflow.sklearn.save_model(linear, path, **skops, **more),
        ),
        "xgboost": (
            frame,
            lambda path, **more: mlflow.xgboost.save_model(
                xgboost.XGBClassifier(n_estimators=5).fit(frame, labels), path, **more
            ),
        ),
        "lightgbm": (frame, lambda path, **more: mlflow.lightgbm.save_model(booster, path, **more)),
        "lightgbm, skops": (frame, lambda path, **more: mlflow.lightgbm.save_model(boosted, path, **more)),
    }
    folders: dict[str, Path] = {}
    for kind, (sample, write) in writers.items():
        if only and kind.partition(",")[0] not in only and kind not in only:
            continue
        folders[kind] = root / kind.replace(", ", "-").replace(" ", "-")
        write(
            folders[kind],
            signature=infer_signature(sample[:5]),
            input_example=None if sample is rows else sample[:2],
            pip_requirements=[],
        )
    return folders


if __name__ == "__main__":
    sys.exit(main())
