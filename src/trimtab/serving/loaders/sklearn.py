"""scikit-learn models, and everything else with its interface that MLflow keeps under that flavour.

A skops file is loaded with a list of types that is ours, never with the one that the artifact itself brings. Pickles
run code when they are loaded, so they need ``--allow-pickle``.
"""

import warnings
from importlib import import_module
from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PROBABILITIES
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.lean import without
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.loaders.tables import column, frame, matrix, missing, objects, output
from trimtab.serving.loaders.trusted import load_skops
from trimtab.serving.routes import NUMERIC, Signature

_METHODS = (
    "predict",
    "predict_proba",
    "predict_proba_1",
    "predict_log_proba",
    "decision_function",
    "transform",
)


class SklearnModel:
    """A fitted estimator or pipeline."""

    flavor = "sklearn"
    row_wise = True
    input_errors: tuple[type[Exception], ...] = (ValueError, TypeError)

    def __init__(self, estimator: Any, signature: Signature | None, predict: str) -> None:
        self.estimator = estimator
        self._signature = signature
        self._predict = predict
        fitted = tuple(str(name) for name in getattr(estimator, "feature_names_in_", ()))
        signed = tuple(field.name for field in signature.inputs) if signature else ()
        # A frame's columns are found by name, an array's by place: the order of fitting counts then.
        self.names = fitted if fitted and (not signed or set(fitted) <= set(signed)) else signed
        self._tensor = signature is not None and any(field.shape is not None for field in signature.inputs)
        numeric = signature is None or all(f.type in NUMERIC and f.shape is None for f in signature.inputs)
        self._frames = not numeric and not self._tensor
        if numeric and signature is not None and fitted and _needs_frames(estimator):
            self._frames = not self._takes_arrays()
        # What was fitted on an array of text and numbers takes one again, at a third of a frame's cost.
        self._objects = self._frames and not fitted and _are_plain(signature)
        self.packed = numeric and bool(self.names)
        self._classes = getattr(estimator, "classes_", None)
        self._has_probabilities = self._classes is not None and hasattr(estimator, "predict_proba")
        if predict not in _METHODS:
            raise ModelNotLoaded(f"the model's metadata asks for {predict!r}; known: {', '.join(_METHODS)}")
        method = "predict_proba" if predict == "predict_proba_1" else predict
        if not hasattr(estimator, method):
            raise ModelNotLoaded(f"the model has no {method}(), which its metadata asks for")
        if predict == "predict_proba_1" and (self._classes is None or len(self._classes) != 2):
            raise ModelNotLoaded("predict_proba_1 needs a classifier of two classes")

    def predict(self, rows: Rows, want: int) -> list[Output]:
        table = self._table(rows)
        try:
            return self._outputs(table, want)
        except ValueError as error:
            gap = missing(rows, self.names)
            if gap and ("NaN" in str(error) or "missing" in str(error)):
                raise ValueError(gap) from error
            raise

    def _table(self, rows: Rows) -> Any:
        if self._tensor:
            assert rows.columns is not None
            return np.array(column(rows.columns, next(iter(self.names))))
        if self._objects:
            return objects(rows, self.names)
        if self._frames:
            return frame(rows, self.names, self._signature)
        return matrix(rows, self.names)

    def _outputs(self, table: Any, want: int) -> list[Output]:
        estimator = self.estimator
        if self._predict in ("predict_proba_1", "predict_proba"):
            probabilities = estimator.predict_proba(table)
            first = probabilities[:, 1] if self._predict == "predict_proba_1" else probabilities
            outputs = [output("predictions", first)]
            if want & PROBABILITIES:
                outputs.append(output("probabilities", probabilities))
            return outputs
        predicted = getattr(estimator, self._predict)(table)
        outputs = [output("predictions", predicted.toarray() if hasattr(predicted, "toarray") else predicted)]
        if want & PROBABILITIES and self._has_probabilities:
            probabilities = estimator.predict_proba(table)
            if isinstance(probabilities, np.ndarray):  # several outputs at once give a list of arrays
                outputs.append(output("probabilities", probabilities))
        return outputs

    def _takes_arrays(self) -> bool:
        """Try whether the pipeline gives the same for an array as for a frame, which costs 50 times as much to make."""
        for probe in (np.ones((1, len(self.names))), np.zeros((1, len(self.names)))):
            try:
                by_array = self.estimator.predict(probe)
                by_frame = self.estimator.predict(frame(Rows(1, matrix=probe), self.names, self._signature))
            except Exception:  # noqa: BLE001 - whatever a foreign pipeline raises here, a frame is the safe answer
                return False
            if not np.array_equal(by_array, by_frame):
                return False
        return True


def load(folder: ModelFolder, *, allow_pickle: bool) -> SklearnModel:
    """Load from skops, or from a pickle where that is allowed."""
    if folder.signature is None or all(field.type in NUMERIC for field in folder.signature.inputs):
        with without("pandas"):
            import_module("sklearn")
    entry = folder.flavors["sklearn"]
    path = folder.file("sklearn", "pickled_model", "model_data")
    serialization = str(entry.get("serialization_format", "pickle"))
    if serialization == "skops":
        estimator = load_skops(path)
    elif allow_pickle:
        import cloudpickle

        with path.open("rb") as file:
            estimator = cloudpickle.load(file)
    else:
        raise ModelNotLoaded(
            f"the model is a {serialization} file, which runs code when it is loaded; "
            "log it with serialization_format='skops', or allow pickles for this endpoint"
        )
    return prepare(estimator, folder)


def prepare(estimator: Any, folder: ModelFolder) -> SklearnModel:
    """Return an estimator as a model for one thread."""
    import sklearn

    # The caller's columns are checked and ordered already; without names scikit-learn would warn of each array.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    warnings.filterwarnings("ignore", message=".*sklearn.utils.parallel.delayed.*")
    sklearn.set_config(skip_parameter_validation=True)
    if hasattr(estimator, "get_params"):
        threads = [name for name in estimator.get_params() if name == "n_jobs" or name.endswith("__n_jobs")]
        estimator.set_params(**dict.fromkeys(threads, 1))
    return SklearnModel(estimator, folder.signature, folder.predict)


def _are_plain(signature: Signature | None) -> bool:
    return signature is not None and all(
        field.shape is None and field.type in (*NUMERIC, "string") for field in signature.inputs
    )


def _needs_frames(estimator: Any) -> bool:
    """Say whether some part of it may look columns up by name."""
    seen: set[int] = set()

    def look(part: Any) -> bool:
        if id(part) in seen:
            return False
        seen.add(id(part))
        if type(part).__name__ in ("ColumnTransformer", "FunctionTransformer") or hasattr(
            part, "transformers_"
        ):
            return True
        if isinstance(part, list | tuple):
            return any(look(item) for item in part)
        if not hasattr(part, "get_params"):
            return not type(part).__module__.startswith(("builtins", "numpy", "sklearn"))
        return any(look(value) for value in part.get_params(deep=False).values())

    return look(estimator)
