"""CatBoost models in its own binary or JSON format, which hold no code."""

from importlib import import_module
from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PROBABILITIES
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.loaders.tables import frame, matrix, output
from trimtab.serving.routes import NUMERIC


class CatboostModel:
    """A model, answering as the class that it was logged as would."""

    flavor = "catboost"
    row_wise = True

    def __init__(self, model: Any, folder: ModelFolder, input_errors: tuple[type[Exception], ...]) -> None:
        self.booster = model
        self.input_errors = (ValueError, TypeError, *input_errors)
        self._signature = folder.signature
        self._predict = folder.predict
        known = tuple(str(name) for name in model.feature_names_ or ())
        signed = tuple(field.name for field in folder.signature.inputs) if folder.signature else ()
        self.names = known if not signed or set(known) <= set(signed) else signed
        numeric = folder.signature is None or all(field.type in NUMERIC for field in folder.signature.inputs)
        self._frames = not numeric or bool(model.get_cat_feature_indices())
        self.packed = not self._frames
        self.classifies = type(model).__name__ == "CatBoostClassifier"
        if self._predict not in ("predict", "predict_proba", "predict_proba_1"):
            raise ModelNotLoaded(
                f"the model's metadata asks for {self._predict!r}, which CatBoost models do not have"
            )
        if self._predict != "predict" and not self.classifies:
            raise ModelNotLoaded(f"{self._predict} needs a classifier")
        if self._predict == "predict_proba_1" and len(model.classes_) != 2:
            raise ModelNotLoaded("predict_proba_1 needs a classifier of two classes")

    def predict(self, rows: Rows, want: int) -> list[Output]:
        table: Any = frame(rows, self.names, self._signature) if self._frames else matrix(rows, self.names)
        outputs: list[Output] = []
        probabilities: Any = None
        if self._predict != "predict" or (self.classifies and want & PROBABILITIES):
            probabilities = np.asarray(self.booster.predict_proba(table, thread_count=1))
        if self._predict == "predict":
            outputs.append(output("predictions", self.booster.predict(table, thread_count=1)))
        else:
            first = probabilities[:, 1] if self._predict == "predict_proba_1" else probabilities
            outputs.append(output("predictions", first))
        if want & PROBABILITIES and probabilities is not None:
            outputs.append(output("probabilities", probabilities))
        return outputs


def load(folder: ModelFolder, *, allow_pickle: bool) -> CatboostModel:
    """Load a model as the class that the MLmodel file names."""
    del allow_pickle  # these formats hold no code
    path = folder.file("catboost", "data")
    entry = folder.flavors["catboost"]
    try:
        catboost: Any = import_module("catboost")
    except ImportError:
        raise ModelNotLoaded("CatBoost models need CatBoost: pip install catboost") from None
    kind = str(entry.get("model_type", "CatBoost"))
    if kind not in ("CatBoost", "CatBoostClassifier", "CatBoostRegressor"):
        raise ModelNotLoaded(f"the MLmodel file names {kind!r}, which is no class of CatBoost")
    model: Any = getattr(catboost, kind)()
    try:
        model.load_model(str(path), format=str(entry.get("save_format", "cbm")))
    except (catboost.CatBoostError, ValueError, TypeError) as error:
        raise ModelNotLoaded(f"CatBoost cannot read {path.name}: {str(error).splitlines()[0]}") from None
    return CatboostModel(model, folder, (catboost.CatBoostError,))
