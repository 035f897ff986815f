"""Loads a model from its MLmodel folder into this process, from formats that run no code of the file's own."""

from importlib import import_module
from pathlib import Path
from typing import Any

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.kernel.trusted import strangers

_PICKLES = (".pkl", ".pickle", ".cloudpickle")
_XGBOOST = frozenset(
    {
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
        "xgboost.sklearn.XGBRanker",
        "xgboost.sklearn.XGBRegressor",
    }
)


def load(folder: Path, *, allow_pickle: bool = False) -> Any:
    """Return the estimator, booster or ONNX session in a folder.

    Raises Invalid for a pickle unless those are allowed, for types that are not trusted, and for unknown flavours.
    """
    import yaml

    try:
        text = (folder / "MLmodel").read_text("utf-8")
        content: Any = yaml.safe_load(text)  # in Python, because the loader in C dies of deep nesting
        flavors: dict[str, dict[str, Any]] = dict(content["flavors"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"{folder} holds no MLmodel file that can be read.", field="uri") from error
    if "xgboost" in flavors:
        return _load_xgboost(folder, flavors["xgboost"])
    if "lightgbm" in flavors:
        file = _file(folder, flavors["lightgbm"], "data")
        if file.suffix == ".lgb":
            return _library("lightgbm").Booster(model_file=file)
        return _load_estimator(file, allow_pickle=allow_pickle)
    if "onnx" in flavors:
        session = _library("onnxruntime").InferenceSession
        return session(str(_file(folder, flavors["onnx"], "data")), providers=["CPUExecutionProvider"])
    if "sklearn" in flavors:
        file = _file(folder, flavors["sklearn"], "pickled_model")
        return _load_estimator(file, allow_pickle=allow_pickle)
    raise Invalid(
        f"Models of the flavours {', '.join(sorted(flavors)) or 'none'} are loaded with mlflow.pyfunc.load_model.",
        field="uri",
    )


def _load_xgboost(folder: Path, entry: dict[str, Any]) -> Any:
    kind = str(entry.get("model_class", "xgboost.core.Booster"))
    if kind not in _XGBOOST:
        raise Invalid(f"The model's class {kind[:200]} is none of XGBoost's.", field="uri")
    model = getattr(_library("xgboost"), kind.rpartition(".")[2])()
    model.load_model(_file(folder, entry, "data"))
    return model


def _load_estimator(file: Path, *, allow_pickle: bool) -> Any:
    if file.suffix == ".skops":
        reader = _library("skops.io")
        named: set[str] = set(reader.get_untrusted_types(file=file))
        unknown = strangers(named)
        if unknown:
            raise Invalid(
                f"The model holds types that are not trusted: {', '.join(unknown[:8])}.", field="uri"
            )
        return reader.load(file, trusted=sorted(named))
    if file.suffix not in _PICKLES or not allow_pickle:
        raise Invalid(
            "The model is a pickle, which runs code when it is loaded. If you trust who made it, say allow_pickle=True.",
            field="uri",
        )
    with file.open("rb") as stream:
        return _library("cloudpickle").load(stream)


def _file(folder: Path, entry: dict[str, Any], key: str) -> Path:
    name = entry.get(key)
    file = (folder / str(name)).resolve()
    if not isinstance(name, str) or not file.is_relative_to(folder.resolve()) or not file.is_file():
        raise Invalid(
            f"The MLmodel file names {str(name)[:200]!r}, which is no file of the model.", field="uri"
        )
    return file


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as missing:
        package = name.partition(".")[0]
        raise Unavailable(f"This model needs the package {package}: pip install {package}.") from missing
