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
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A logistic regression of columns a and b, predicting the probability of class 1."""
    folder = tmp_path_factory.mktemp("model")
    skops.io.dump(MODEL, folder / "model.skops")
    return write_mlmodel(
        folder,
        {"sklearn": {"pickled_model": "model.skops", "serialization_format": "skops"}},
        Signature([Field("a", "double"), Field("b", "double")]),
        metadata={"trimtab": {"predict": "predict_proba_1"}},
    )
