"""MLflow's python_function: any model that is a class or a function, or that MLflow can load. It runs the artifact's code."""

import sys
from typing import Any

import msgspec
import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.loaders import Rows, placeholders
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.loaders.plain import Predict, load_plain
from trimtab.serving.loaders.tables import column, frame, missing, output

_EXACT = ("boolean", "integer", "float", "double")
"""Types whose values are exact as float64."""
_NEVER_MISSING = ("boolean", "integer", "long")


class GapRefused(ValueError):
    """A value is missing where the model's type has no way to say so."""


class PyfuncModel:
    """A model with MLflow's `predict(model_input)`, whose rows may depend on one another."""

    flavor = "python_function"
    row_wise = False

    def __init__(self, predict: Predict, folder: ModelFolder) -> None:
        self._predict = predict
        signature = self._signature = folder.signature
        fields = signature.inputs if signature else []
        self.names = tuple(field.name for field in fields)
        self._dtypes = _tensor_types(folder)
        self._tensors = bool(self._dtypes)
        checked = not folder.content.get("is_signature_from_type_hint")
        # In an array NaN may be a value; what a request leaves out is none, and here both look alike.
        strict = signature is not None and signature.tensor
        self._whole = tuple(
            field.name for field in fields if strict or (checked and field.type in _NEVER_MISSING)
        )
        self.packed = bool(fields) and all(field.shape is None and field.type in _EXACT for field in fields)

    @property
    def input_errors(self) -> tuple[type[Exception], ...]:
        """Refusals of ours, and MLflow's own where it is there."""
        its = sys.modules.get("mlflow.exceptions")
        return (GapRefused, its.MlflowException) if its is not None else (GapRefused,)

    def predict(self, rows: Rows, want: int) -> list[Output]:
        del want  # what a python_function gives is all there is
        if self._whole and (gap := missing(rows, self.names, only=self._whole)):
            raise GapRefused(gap)
        result = self._predict(self._input(rows))
        if hasattr(result, "to_dict") and hasattr(result, "columns"):
            return [output(str(name), result[name].to_numpy()) for name in result.columns]
        if isinstance(result, dict) and all(np.ndim(value) for value in result.values()):
            return [output(str(name), value) for name, value in result.items()]
        return [output("predictions", result)]

    def _input(self, rows: Rows) -> Any:
        if not self._tensors:
            return frame(rows, self.names, self._signature)
        assert self._signature is not None
        if self._signature.tensor:
            table = rows.matrix if rows.matrix is not None else _table(rows, self.names)
            return np.array(table, dtype=self._dtypes[0], order="C")  # a copy: the model may write into it
        assert rows.columns is not None
        arrays = {
            name: np.array(column(rows.columns, name), dtype=dtype)
            for name, dtype in zip(self.names, self._dtypes, strict=True)
        }
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def load(folder: ModelFolder, *, allow_pickle: bool) -> PyfuncModel:
    """Load the model where code from the artifact is allowed: by itself where that is all it takes, else through mlflow."""
    if not allow_pickle:
        raise ModelNotLoaded(
            "a python_function runs the artifact's code when it is loaded; allow pickles for it"
        )
    predict = load_plain(folder)
    if predict is not None:
        return PyfuncModel(predict, folder)
    try:
        placeholders.take_over()
        import mlflow.pyfunc
    except ImportError:
        raise ModelNotLoaded("python_function models need MLflow: pip install mlflow-skinny pandas") from None
    try:
        model = mlflow.pyfunc.load_model(str(folder.path))
    except Exception as error:
        # The artifact's own code runs here and may raise anything.
        raise ModelNotLoaded(f"mlflow cannot load the model: {type(error).__name__}: {error}") from error
    return PyfuncModel(model.predict, folder)


def _table(rows: Rows, names: tuple[str, ...]) -> Any:
    assert rows.columns is not None
    return np.array([column(rows.columns, name) for name in names], dtype=object).T


def _tensor_types(folder: ModelFolder) -> tuple[np.dtype[Any], ...]:
    """Return the types of the arrays that the model takes; none where it takes a frame."""
    signature = folder.signature
    if signature is None or not (
        signature.tensor or any(field.shape is not None for field in signature.inputs)
    ):
        return ()
    specs: Any = folder.content["signature"]["inputs"]
    entries: list[dict[str, Any]] = msgspec.json.decode(specs) if isinstance(specs, str) else specs
    return tuple(np.dtype(entry["tensor-spec"]["dtype"]) for entry in entries)
