"""XGBoost models in their own file formats, which hold no code. scikit-learn is not needed for them."""

import json
from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PROBABILITIES
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.lean import without
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.loaders.tables import frame, matrix, output
from trimtab.serving.routes import NUMERIC

with without("pandas", "pyarrow", "sklearn"):
    import xgboost


class XgboostModel:
    """A booster, answering as the class that it was logged as would."""

    flavor = "xgboost"
    row_wise = True
    input_errors: tuple[type[Exception], ...] = (ValueError, TypeError)

    def __init__(self, booster: xgboost.Booster, folder: ModelFolder) -> None:
        self.booster = booster
        self._signature = folder.signature
        known = tuple(booster.feature_names or ())
        signed = tuple(field.name for field in folder.signature.inputs) if folder.signature else ()
        self.names = known if known and (not signed or set(known) <= set(signed)) else signed
        types = booster.feature_types or []
        numeric = folder.signature is None or all(f.type in NUMERIC for f in folder.signature.inputs)
        self._categorical = [name for name, kind in zip(self.names, types, strict=False) if kind == "c"]
        self._frames = bool(self._categorical) or not numeric
        self.packed = bool(self.names) and not self._frames
        best = booster.attr("best_iteration")
        self._iterations = (0, int(best) + 1) if best is not None else (0, 0)
        self._predict = folder.predict
        model_class = str(folder.flavors["xgboost"].get("model_class", "xgboost.core.Booster"))
        self.classifies = model_class.endswith("Classifier")
        if self._predict not in ("predict", "predict_proba", "predict_proba_1"):
            raise ModelNotLoaded(
                f"the model's metadata asks for {self._predict!r}, which XGBoost models do not have"
            )
        objective = str(json.loads(booster.save_config())["learner"]["objective"]["name"])
        if self._predict == "predict_proba_1" and objective != "binary:logistic":
            raise ModelNotLoaded("predict_proba_1 needs a classifier of two classes")

    def predict(self, rows: Rows, want: int) -> list[Output]:
        raw = self._raw(rows)
        if self._predict == "predict_proba_1":
            outputs = [output("predictions", raw)]
        elif self._predict == "predict_proba":
            outputs = [output("predictions", _by_class(raw))]
        elif self.classifies:
            labels = raw.argmax(axis=1) if raw.ndim == 2 else (raw > 0.5).astype(np.int64)
            outputs = [output("predictions", labels)]
        else:
            return [output("predictions", raw)]
        if want & PROBABILITIES:
            outputs.append(output("probabilities", _by_class(raw)))
        return outputs

    def _raw(self, rows: Rows) -> np.ndarray:
        if not self._frames:
            table = matrix(rows, self.names)
            return self.booster.inplace_predict(
                table, iteration_range=self._iterations, validate_features=False
            )
        table: Any = frame(rows, self.names, self._signature)
        for name in self._categorical:
            table[name] = table[name].astype("category")
        data = xgboost.DMatrix(table, enable_categorical=True)
        return self.booster.predict(data, iteration_range=self._iterations)


def _by_class(raw: np.ndarray) -> np.ndarray:
    return raw if raw.ndim == 2 else np.column_stack((1 - raw, raw))


def load(folder: ModelFolder, *, allow_pickle: bool) -> XgboostModel:
    """Load a booster from JSON or UBJSON."""
    del allow_pickle  # these formats hold no code
    path = folder.file("xgboost", "data")
    try:
        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(path)
        booster.set_param({"nthread": 1})
    except xgboost.core.XGBoostError as error:
        raise ModelNotLoaded(f"XGBoost cannot read {path.name}: {str(error).splitlines()[0]}") from None
    return XgboostModel(booster, folder)
