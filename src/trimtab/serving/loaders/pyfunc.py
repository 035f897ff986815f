"""MLflow's python_function: any model that the `mlflow` package can load. It runs the artifact's code."""

from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.loaders.tables import column, frame, output


class PyfuncModel:
    """A model with MLflow's `predict(model_input)`, whose rows may depend on one another."""

    flavor = "python_function"
    row_wise = False
    packed = False

    def __init__(self, model: Any, folder: ModelFolder, input_errors: tuple[type[Exception], ...]) -> None:
        self._model = model
        self._signature = folder.signature
        self.input_errors = input_errors
        self.names = tuple(field.name for field in folder.signature.inputs) if folder.signature else ()
        self._tensors = folder.signature is not None and (
            folder.signature.tensor or any(field.shape is not None for field in folder.signature.inputs)
        )

    def predict(self, rows: Rows, want: int) -> list[Output]:
        del want  # what a python_function gives is all there is
        result = self._model.predict(self._input(rows))
        if hasattr(result, "to_dict") and hasattr(result, "columns"):
            return [output(str(name), result[name].to_numpy()) for name in result.columns]
        if isinstance(result, dict) and all(np.ndim(value) for value in result.values()):
            return [output(str(name), value) for name, value in result.items()]
        return [output("predictions", result)]

    def _input(self, rows: Rows) -> Any:
        if not self._tensors:
            return frame(rows, self.names, self._signature)
        assert rows.columns is not None
        assert self._signature is not None
        if self._signature.tensor:
            return np.array([column(rows.columns, name) for name in self.names]).T
        arrays = {name: np.array(column(rows.columns, name)) for name in self.names}
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def load(folder: ModelFolder, *, allow_pickle: bool) -> PyfuncModel:
    """Load through mlflow, where that is installed and code from the artifact is allowed."""
    if not allow_pickle:
        raise ModelNotLoaded(
            "a python_function runs the artifact's code when it is loaded; allow pickles for it"
        )
    try:
        import mlflow.pyfunc
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise ModelNotLoaded("python_function models need MLflow: pip install mlflow-skinny pandas") from None
    try:
        model = mlflow.pyfunc.load_model(str(folder.path))
    except Exception as error:
        # The artifact's own code runs here and may raise anything.
        raise ModelNotLoaded(f"mlflow cannot load the model: {type(error).__name__}: {error}") from error
    return PyfuncModel(model, folder, (MlflowException,))
