"""LightGBM models: boosters in LightGBM's own text format, and its scikit-learn classes in skops files."""

from importlib import import_module
from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PROBABILITIES
from trimtab.serving.loaders import Model, Rows
from trimtab.serving.loaders.lean import without
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.loaders.tables import frame, matrix, output
from trimtab.serving.routes import NUMERIC


class LightgbmModel:
    """A booster. Its prediction is the objective's: P(class 1) for a binary one."""

    flavor = "lightgbm"
    row_wise = True

    def __init__(self, booster: Any, folder: ModelFolder, input_errors: tuple[type[Exception], ...]) -> None:
        self.booster = booster
        self.input_errors = input_errors
        self._signature = folder.signature
        self._predict = folder.predict
        known = tuple(booster.feature_name())
        signed = tuple(field.name for field in folder.signature.inputs) if folder.signature else ()
        self.names = known if not signed or set(known) <= set(signed) else signed
        self._frames = folder.signature is not None and any(
            f.type not in NUMERIC for f in folder.signature.inputs
        )
        self.packed = not self._frames
        self._binary = str(booster.dump_model(num_iteration=1)["objective"]).startswith(
            ("binary", "cross_entropy")
        )
        if self._predict not in ("predict", "predict_proba", "predict_proba_1"):
            raise ModelNotLoaded(
                f"the model's metadata asks for {self._predict!r}, which LightGBM models do not have"
            )
        if self._predict == "predict_proba_1" and not self._binary:
            raise ModelNotLoaded("predict_proba_1 needs a classifier of two classes")

    def predict(self, rows: Rows, want: int) -> list[Output]:
        table = frame(rows, self.names, self._signature) if self._frames else matrix(rows, self.names)
        raw = np.asarray(self.booster.predict(table, num_threads=1))
        by_class = np.column_stack((1 - raw, raw)) if self._binary else raw
        outputs = [output("predictions", by_class if self._predict == "predict_proba" else raw)]
        if want & PROBABILITIES and by_class.ndim == 2:
            outputs.append(output("probabilities", by_class))
        return outputs


def load(folder: ModelFolder, *, allow_pickle: bool) -> Model:
    """Load a booster from text, or an estimator from skops; from a pickle where that is allowed."""
    path = folder.file("lightgbm", "data")
    if path.suffix == ".skops":
        from trimtab.serving.loaders.sklearn import prepare
        from trimtab.serving.loaders.trusted import load_skops

        _import(folder, "matplotlib")
        return prepare(load_skops(path), folder)
    if path.suffix in (".pkl", ".pickle", ".cloudpickle"):
        if not allow_pickle:
            raise ModelNotLoaded(
                "the model is a pickle, which runs code when it is loaded; allow pickles for it"
            )
        import cloudpickle

        from trimtab.serving.loaders.sklearn import prepare

        with path.open("rb") as file:
            return prepare(cloudpickle.load(file), folder)
    lightgbm = _import(folder, "sklearn", "matplotlib")
    try:
        booster = lightgbm.Booster(model_file=path)
    except lightgbm.basic.LightGBMError as error:
        raise ModelNotLoaded(f"LightGBM cannot read {path.name}: {error}") from None
    return LightgbmModel(booster, folder, (ValueError, TypeError, lightgbm.basic.LightGBMError))


def _import(folder: ModelFolder, *unused: str) -> Any:
    """Return LightGBM, imported without what the model has no use for."""
    with without(*unused, *(() if _needs_frames(folder) else ("pandas", "pyarrow"))):
        return import_module("lightgbm")


def _needs_frames(folder: ModelFolder) -> bool:
    return folder.signature is not None and any(
        field.type not in NUMERIC for field in folder.signature.inputs
    )
