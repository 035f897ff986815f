"""Real fitted models, written as MLmodel folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimtab.sdk import model_files
from trimtab.serving.compiling import compare

pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

ROWS = 160
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the times of a few calls only, and of the process leave the warnings' filters as they are."""
    monkeypatch.setattr(compare, "_TIMED_S", 0.0)


@pytest.fixture(scope="session")
def table() -> Any:
    """Three columns of numbers of different sizes and one of small integers."""
    import pandas as pd

    rng = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "a": rng.normal(size=ROWS),
            "b": rng.normal(5, 100, ROWS),
            "c": rng.random(ROWS),
            "n": rng.integers(0, 12, ROWS),
        }
    )


@pytest.fixture(scope="session")
def label(table: Any) -> Any:
    rng = np.random.default_rng(8)
    return ((table.a + table.b / 100 + (table.n % 3) + rng.normal(size=ROWS)) > 1).astype(int)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what writes a fitted model as the SDK does, with a signature from the first rows of its table."""

    def to_folder(model: Any, rows: Any, *, predict: str = "predict", name: str = "model") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        model_files.write(
            model,
            folder,
            name=name,
            run_id=None,
            signature=None,
            input_example=rows.head(3),
            predict=predict,
            metadata={},
            allow_pickle=True,
        )
        return folder

    return to_folder
