"""Loads the benchmark's model in a peer's environment, as one function from an array (rows, 12) to its chances."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

KIND = os.environ["BENCH_KIND"]
FOLDER = Path(os.environ["BENCH_FOLDER"]) / KIND
PORT = int(os.environ.get("BENCH_PORT", "0"))
BATCHING = os.environ.get("BENCH_BATCHING") == "1"

Predict = Callable[[np.ndarray], np.ndarray]


def load() -> Predict:
    """Return the native model's own prediction."""
    if KIND == "python":
        from scorecard import chances

        return chances
    import joblib

    model = joblib.load(FOLDER / "model.joblib")
    return lambda rows: model.predict_proba(rows)[:, 1]


def load_onnx() -> Predict:
    """Return the prediction of the graph that `convert.py` made, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(FOLDER / "model.onnx"), options)
    (name,) = [one.name for one in session.get_inputs()]
    chances = session.get_outputs()[1].name
    return lambda rows: session.run([chances], {name: rows.astype(np.float32)})[0][:, 1]
