"""What a row costs natively, compiled, and through ONNX Runtime by hand: `python bench/bench_compiling.py [--report FILE]`.

Every model is fitted on the same made-up rows (12 columns of numbers). "Limit" is a graph that does nothing, run by the
same runtime class: what remains of a call when the model itself is free. Times are medians over different rows.
"""

import argparse
import json
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trimtab.sdk import model_files
from trimtab.serving.compiling import compare
from trimtab.serving.compiling.attempt import compile_model
from trimtab.serving.compiling.graph import NewGraph
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.compiled import load_compiled
from trimtab.serving.loaders.contract import METADATA_KEY, Answered, Contract

COLUMNS, FITTED = 12, 5000
PREDICTIONS = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({f"c{at}": rng.normal(size=FITTED) for at in range(COLUMNS)})
    label = (rows.c0 + rows.c1 * rows.c2 + rng.normal(size=FITTED) > 0).astype(int)
    single = [rng.normal(size=(1, COLUMNS)).astype(np.float32) for _ in range(100)]
    with tempfile.TemporaryDirectory() as folder:
        limit_us = one_row(load_compiled(nothing(Path(folder, "nothing.onnx"))), single)
        results = [
            measure(name, model.fit(rows, label), rows, single, Path(folder))
            for name, model in models().items()
        ]
    show(results, limit_us)
    if arguments.report:
        arguments.report.write_text(json.dumps({"limit_us": limit_us, "models": results}, indent=2))


def models() -> dict[str, object]:
    found: dict[str, object] = {
        "logistic pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
        "forest, 100 trees": RandomForestClassifier(100, n_jobs=1, random_state=0),
        "histogram boosting, 100": HistGradientBoostingClassifier(max_iter=100, random_state=0),
    }
    try:
        from xgboost import XGBClassifier

        found["XGBoost, 200 trees"] = XGBClassifier(n_estimators=200, n_jobs=1)
    except ImportError:
        print("XGBoost is left out: pip install xgboost")
    try:
        from lightgbm import LGBMClassifier

        found["LightGBM, 100 trees"] = LGBMClassifier(n_estimators=100, n_jobs=1, verbose=-1)
    except ImportError:
        print("LightGBM is left out: pip install lightgbm")
    return found


def measure(
    name: str, model: object, rows: pd.DataFrame, single: list[np.ndarray], root: Path
) -> dict[str, object]:
    folder, out = root / name / "model", root / name / "out"
    folder.mkdir(parents=True)
    out.mkdir()
    model_files.write(model, folder, name="m", run_id=None, signature=None, input_example=rows.head(3),
                      predict="predict_proba_1", metadata={}, allow_pickle=True)  # fmt: skip
    verdict = compile_model(folder, out, allow_pickle=True)
    assert verdict.state == "compiled", verdict.message
    started = time.perf_counter()
    compiled = load_compiled(out)
    load_ms = (time.perf_counter() - started) * 1000
    one, thousand = verdict.timings
    session = onnxruntime.InferenceSession(str(out / "model.onnx"), providers=["CPUExecutionProvider"])
    by_hand = [row.astype(compiled.dtype) for row in single]
    return {
        "name": name,
        "native_us": one.native_us,
        "compiled_us": one_row(compiled, single),
        "by_hand_us": compare.median_us(
            lambda row: session.run(["predictions"], {"rows": row})[0].tolist(), by_hand
        ),
        "native_1000_us": thousand.native_us,
        "compiled_1000_us": thousand.compiled_us,
        "load_ms": load_ms,
        "compile_s": verdict.took_s,
        "bytes": verdict.size_bytes,
    }


def one_row(model: object, single: list[np.ndarray]) -> float:
    batches = [Rows(1, matrix=row.astype(np.float64)) for row in single]
    return compare.median_us(lambda rows: model.predict(rows, PREDICTIONS), batches)


def nothing(file: Path) -> Path:
    """Write a graph that answers each row's first column."""
    from onnx import helper

    graph = NewGraph(np.float32)
    first = graph.constant(np.int64(0))
    graph.node("Gather", ["rows", first], outputs=["predictions"], axis=1)
    contract = Contract("matrix", [f"c{at}" for at in range(COLUMNS)], ["float32"] * COLUMNS,
                        [Answered("predictions", "FP32", [])])  # fmt: skip
    model = helper.make_model(
        helper.make_graph(
            graph.nodes, "nothing", [helper.make_tensor_value_info("rows", 1, [None, COLUMNS])],
            [helper.make_empty_tensor_value_info("predictions")], graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 18)], ir_version=8,
    )  # fmt: skip
    import msgspec

    helper.set_model_props(model, {METADATA_KEY: msgspec.json.encode(contract).decode()})
    file.write_bytes(model.SerializeToString())
    return file


def show(results: list[dict[str, object]], limit_us: float) -> None:
    table = Table(title=f"One row; a graph that does nothing takes {limit_us:.1f} us")
    for heading in (
        "model",
        "native",
        "compiled",
        "times",
        "by hand",
        "1,000 rows native",
        "compiled",
        "load",
        "compile",
        "size",
    ):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for one in results:
        table.add_row(
            one["name"], f"{one['native_us']:,.0f} us", f"{one['compiled_us']:.1f} us",
            f"{one['native_us'] / one['compiled_us']:,.0f}", f"{one['by_hand_us']:.1f} us",
            f"{one['native_1000_us'] / 1000:.2f} ms", f"{one['compiled_1000_us'] / 1000:.2f} ms",
            f"{one['load_ms']:.0f} ms", f"{one['compile_s']:.1f} s", f"{one['bytes'] / 1000:,.0f} kB",
        )  # fmt: skip
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
