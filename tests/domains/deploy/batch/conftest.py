"""A real model in a folder, and tables for it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from tests.serving.conftest import write_mlmodel
from trimtab.serving.routes import Field, Signature

_RNG = np.random.default_rng(2)
_X = _RNG.normal(size=(300, 2))
MODEL = LogisticRegression().fit(_X, _X[:, 0] > 0)


def table(rows: int, *, seed: int = 0) -> pa.Table:
    """Return rows with an id, the model's columns a and b, and a text."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "id": np.arange(rows) * 10,
            "a": rng.normal(size=rows),
            "b": rng.normal(size=rows),
            "note": [f"n{at}" for at in range(rows)],
        }
    )


def expected(rows: pa.Table) -> np.ndarray:
    """Return what the library predicts."""
    return MODEL.predict_proba(np.column_stack([rows["a"], rows["b"]]))[:, 1]


@pytest.fixture(scope="session")
def sklearn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logistic regression of columns a and b, predicting the probability of class 1."""
    folder = tmp_path_factory.mktemp("model")
    skops.io.dump(MODEL, folder / "model.skops")
    return write_mlmodel(
        folder,
        {"sklearn": {"pickled_model": "model.skops", "serialization_format": "skops"}},
        Signature([Field("a", "double"), Field("b", "double")]),
        metadata={"trimtab": {"predict": "predict_proba_1"}},
    )


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a graph in double precision, which starts in a third of the time: for tests that start many."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["s"]),
        helper.make_node("Sigmoid", ["s"], ["p"]),
    ]
    graph = helper.make_graph(
        nodes,
        "logistic",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [None, 2])],
        [helper.make_tensor_value_info("p", TensorProto.DOUBLE, [None, 1])],
        [
            numpy_helper.from_array(MODEL.coef_.T.copy(), "w"),
            numpy_helper.from_array(MODEL.intercept_.copy(), "b"),
        ],
    )
    folder = tmp_path_factory.mktemp("graph")
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, folder / "model.onnx")
    signature = Signature([Field("a", "double"), Field("b", "double")])
    return write_mlmodel(folder, {"onnx": {"data": "model.onnx"}}, signature)
