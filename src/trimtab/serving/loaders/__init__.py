"""Models as a replica holds them: one loader for each MLmodel flavour, imported only when such a model is there.

What a model predicts is decided in the MLmodel file. ``predictions`` is what ``predict()`` returns, as in MLflow, or
what the file's ``python_function.predict_fn`` names. Our own metadata goes before both:

    metadata: {trimtab: {predict: predict_proba_1}}     # P(class 1), one number a row: for scores and their monitoring
    metadata: {trimtab: {predict: predict_proba}}       # all class probabilities, a list a row
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.loaders.mlmodel import ModelFolder

_LOADERS = {
    "sklearn": "trimtab.serving.loaders.sklearn:load",
    "xgboost": "trimtab.serving.loaders.xgboost:load",
    "lightgbm": "trimtab.serving.loaders.lightgbm:load",
    "catboost": "trimtab.serving.loaders.catboost:load",
    "onnx": "trimtab.serving.loaders.onnx:load",
    "python_function": "trimtab.serving.loaders.pyfunc:load",
}
"""Loaders by flavour, the most direct first: a model often has `python_function` besides its own."""


class Rows:
    """Rows to predict: either a float64 matrix with columns in the model's order, or columns by name."""

    __slots__ = ("columns", "count", "matrix")

    def __init__(
        self, count: int, *, matrix: Any = None, columns: dict[str, list[Any]] | None = None
    ) -> None:
        self.count = count
        self.matrix = matrix
        self.columns = columns


class Model(Protocol):
    """A loaded model. One thread calls it."""

    flavor: str
    names: tuple[str, ...]
    """Input columns in the order of a matrix; empty where the model does not say."""
    packed: bool
    """Whether it takes a matrix."""
    row_wise: bool
    """Whether each row's prediction depends on that row alone, so that requests may share one call."""
    input_errors: tuple[type[Exception], ...]
    """What `predict` raises for input that it cannot take; anything else is the model's own failure."""

    def predict(self, rows: Rows, want: int) -> list[Output]:
        """Return the outputs for the rows; ``want`` has the bits of `trimtab.serving.frames.Call`."""
        ...


def load(folder: ModelFolder, *, allow_pickle: bool) -> Model:
    """Load the model in a folder; raises ModelNotLoaded saying what to do."""
    problems: list[str] = []
    for flavor, target in _LOADERS.items():
        if flavor not in folder.flavors:
            continue
        module, _, name = target.partition(":")
        loader: Callable[..., Model] = getattr(import_module(module), name)
        try:
            return loader(folder, allow_pickle=allow_pickle)
        except ModelNotLoaded as error:
            problems.append(error.message)
    if problems:
        raise ModelNotLoaded("; ".join(dict.fromkeys(problems)))
    raise ModelNotLoaded(
        f"no flavour of {', '.join(folder.flavors)} can be served; known: {', '.join(_LOADERS)}"
    )
