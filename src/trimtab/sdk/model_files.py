"""Writes a model as an MLmodel folder that MLflow and our replicas load: native formats and skops, no pickle unasked.

One writer for each kind of model; which one it is is told from the model's class, so that no library is imported
that the model did not bring along.
"""

import datetime as dt
import platform
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.kernel.trusted import strangers
from trimtab.sdk.signatures import Signature, columns_of, infer

MLMODEL = "MLmodel"
MLFLOW_FORMAT = "3.17.2"  # the release whose MLmodel files these are
PREDICTIONS = ("predict", "predict_proba_1", "predict_proba")
_EXAMPLE_ROWS = 10


class Written(msgspec.Struct, frozen=True):
    """What a writer left in the folder: the flavour's entry, that of python_function, and what the model needs."""

    flavor: str
    entry: dict[str, Any]
    generic: dict[str, Any]
    packages: tuple[str, ...]


def write(
    model: Any,
    folder: Path,
    *,
    name: str,
    run_id: str | None,
    signature: Signature | None,
    input_example: Any,
    predict: str,
    metadata: Mapping[str, Any],
    allow_pickle: bool,
) -> Signature | None:
    """Write the folder and return the signature, inferred from the example where none is given.

    Raises Invalid for a model that has no safe format, and for one that cannot answer its own example.
    """
    if predict not in PREDICTIONS:
        raise Invalid(f"predict must be one of {', '.join(PREDICTIONS)}, not {predict!r}.", field="predict")
    writer = _writer(model)
    _check_predict(model, predict)
    written = writer(model, folder, allow_pickle)
    content: dict[str, Any] = {
        "artifact_path": name,
        "flavors": {
            written.flavor: written.entry,
            "python_function": {
                "loader_module": f"mlflow.{written.flavor}",
                "python_version": platform.python_version(),
                "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
                **written.generic,
                **(_predict_fn(predict) if written.flavor == "sklearn" else {}),
            },
        },
        "metadata": {**metadata, "trimtab": {"predict": predict}},
        "mlflow_version": MLFLOW_FORMAT,
        "run_id": run_id,
        "utc_time_created": dt.datetime.now(dt.UTC).replace(tzinfo=None).isoformat(" "),
    }
    if input_example is not None:
        content["saved_input_example_info"] = _write_example(folder, input_example)
        signature = signature or infer(input_example, answer(model, input_example, predict))
    if signature is not None:
        content["signature"] = signature.to_mlmodel()
    _write_environment(folder, written.packages)
    content["model_size_bytes"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    _write_yaml(folder / MLMODEL, content)
    return signature


def set_id(folder: Path, model_id: str) -> None:
    """Write into the folder under which id the server knows the model."""
    import yaml

    content = yaml.safe_load((folder / MLMODEL).read_text("utf-8"))
    _write_yaml(
        folder / MLMODEL, {**content, "model_id": model_id, "model_uuid": model_id.removeprefix("m-")}
    )


Writer = Callable[[Any, Path, bool], Written]


def _writer(model: Any) -> Writer:
    modules = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if isinstance(model, bytes) or "onnx" in modules:
        return _write_onnx
    if "xgboost" in modules:
        return _write_xgboost
    if "lightgbm" in modules:
        return _write_lightgbm
    if "sklearn" in modules or hasattr(model, "predict"):
        return _write_sklearn
    raise Invalid(
        f"A {type(model).__name__} cannot be logged: give a scikit-learn estimator or pipeline, an XGBoost or LightGBM"
        " model, or the bytes of an ONNX graph.",
        field="model",
    )


def _check_predict(model: Any, predict: str) -> None:
    if predict == "predict" or isinstance(model, bytes):
        return
    classes = getattr(model, "classes_", None)
    if hasattr(model, "predict") and hasattr(model, "get_params"):
        if not hasattr(model, "predict_proba"):
            raise Invalid(f"The {type(model).__name__} has no predict_proba().", field="predict")
        if predict == "predict_proba_1" and (classes is None or len(classes) != 2):
            raise Invalid("predict_proba_1 needs a classifier of two classes.", field="predict")


def _predict_fn(predict: str) -> dict[str, str]:
    """Return what MLflow's own loader is to call; it has no name for the second column alone."""
    return {"predict_fn": "predict" if predict == "predict" else "predict_proba"}


def _write_sklearn(model: Any, folder: Path, allow_pickle: bool) -> Written:  # noqa: FBT001 (one kind of function)
    trusted: list[str] | None = None
    try:
        file, trusted = "model.skops", _dump_skops(model, folder / "model.skops")
        serialization = "skops"
    except Invalid:
        if not allow_pickle:
            raise
        file, serialization = "model.pkl", "cloudpickle"
        _dump_pickle(model, folder / file)
    entry = {
        "code": None,
        "pickled_model": file,
        "serialization_format": serialization,
        "skops_trusted_types": trusted,
        "sklearn_version": _installed("scikit-learn"),
    }
    return Written("sklearn", entry, {"model_path": file}, ("scikit-learn", serialization))


def _write_xgboost(model: Any, folder: Path, _: bool) -> Written:  # noqa: FBT001
    model.save_model(folder / "model.ubj")
    entry = {
        "code": None,
        "data": "model.ubj",
        "model_class": _class_name(model),
        "model_format": "ubj",
        "xgb_version": _installed("xgboost"),
    }
    return Written("xgboost", entry, {"data": "model.ubj"}, ("xgboost",))


def _write_lightgbm(model: Any, folder: Path, allow_pickle: bool) -> Written:  # noqa: FBT001
    trusted: list[str] | None = None
    serialization = "skops"
    if type(model).__name__ == "Booster":
        file = "model.lgb"
        model.save_model(folder / file)
    else:
        # Only the whole estimator knows its classes; LightGBM's own file holds the trees alone.
        try:
            file, trusted = "model.skops", _dump_skops(model, folder / "model.skops")
        except Invalid:
            if not allow_pickle:
                raise
            file, serialization = "model.pkl", "cloudpickle"
            _dump_pickle(model, folder / file)
    entry = {
        "code": None,
        "data": file,
        "model_class": _class_name(model),
        "serialization_format": serialization,
        "skops_trusted_types": trusted,
        "lgb_version": _installed("lightgbm"),
    }
    packages = ("lightgbm",) if file.endswith(".lgb") else ("lightgbm", "scikit-learn", serialization)
    return Written("lightgbm", entry, {"data": file}, packages)


def _write_onnx(model: Any, folder: Path, _: bool) -> Written:  # noqa: FBT001
    content = model if isinstance(model, bytes) else model.SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    entry = {
        "code": None,
        "data": "model.onnx",
        "onnx_version": _installed("onnx"),
        "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    }
    return Written("onnx", entry, {"data": "model.onnx"}, ("onnx", "onnxruntime"))


def _dump_skops(model: Any, file: Path) -> list[str]:
    """Write a skops file and return the types that MLflow's reader must be told of; raises Invalid without a trace."""
    try:
        import skops.io
    except ImportError as missing:
        raise Invalid(
            "Logging scikit-learn models needs the extra 'sklearn': pip install 'trimtab[sklearn]'.",
            field="model",
        ) from missing
    try:
        skops.io.dump(model, file)
        named: list[str] = sorted(skops.io.get_untrusted_types(file=file))
    except Exception as error:  # skops raises anything for objects that it has no form for
        file.unlink(missing_ok=True)
        raise Invalid(
            f"The model cannot be written without a pickle ({type(error).__name__}: {error})."
            " allow_pickle=True writes one, which runs code wherever it is loaded.",
            field="model",
        ) from error
    unknown = strangers(named)
    if unknown:
        file.unlink(missing_ok=True)
        raise Invalid(
            f"The model holds types that are not trusted where models are served: {', '.join(unknown[:8])}."
            " allow_pickle=True writes a pickle, which runs code wherever it is loaded.",
            field="model",
        )
    return named


def _dump_pickle(model: Any, file: Path) -> None:
    try:
        import cloudpickle
    except ImportError as missing:
        raise Invalid("Pickling models needs the package cloudpickle: pip install cloudpickle.") from missing
    with file.open("wb") as stream:
        cloudpickle.dump(model, stream)


def answer(model: Any, example: Any, predict: str) -> Any:
    """Return what a model says to the first rows of its example, None for an ONNX graph; raises Invalid if it cannot."""
    if isinstance(model, bytes) or not hasattr(model, "predict"):
        return None
    try:
        rows = _rows(example)
        if type(model).__module__.startswith("xgboost") and type(model).__name__ == "Booster":
            import xgboost

            return model.predict(xgboost.DMatrix(rows))
        if predict == "predict":
            return model.predict(rows)
        if not hasattr(model, "predict_proba"):
            return model.predict(rows)
        chances = model.predict_proba(rows)
        return chances[:, 1] if predict == "predict_proba_1" else chances
    except Exception as error:  # the model's own code
        raise Invalid(
            f"The model cannot answer its own input example: {type(error).__name__}: {error}",
            field="input_example",
        ) from error


def _rows(example: Any) -> Any:
    """Return the first rows as a model takes them: an array as it is, columns as a pandas frame."""
    if type(example).__module__.partition(".")[0] in ("pandas", "numpy"):
        return example[:_EXAMPLE_ROWS]
    columns = columns_of(example)
    if columns is None:
        return example[:_EXAMPLE_ROWS]
    import pandas as pd

    return pd.DataFrame({name: _listed(values) for name, values in columns.items()})


def _listed(values: Any) -> list[Any]:
    part = values[:_EXAMPLE_ROWS]
    for method in ("to_pylist", "tolist"):
        if hasattr(part, method):
            return list(getattr(part, method)())
    return list(part)


def _write_example(folder: Path, example: Any) -> dict[str, Any]:
    """Write the first rows as MLflow keeps examples and as a scoring request; return the entry of the MLmodel file."""
    columns = columns_of(example)
    if columns is None:
        values = _plain(_listed(example))
        (folder / "input_example.json").write_bytes(msgspec.json.encode({"inputs": values}))
        (folder / "serving_input_example.json").write_bytes(msgspec.json.encode({"inputs": values}))
        return {
            "artifact_path": "input_example.json",
            "format": "tf-serving",
            "serving_input_path": "serving_input_example.json",
            "type": "ndarray",
        }
    lists = [_listed(values) for values in columns.values()]
    split = {"columns": list(columns), "data": _plain([list(row) for row in zip(*lists, strict=True)])}
    (folder / "input_example.json").write_bytes(msgspec.json.encode(split))
    (folder / "serving_input_example.json").write_bytes(msgspec.json.encode({"dataframe_split": split}))
    return {
        "artifact_path": "input_example.json",
        "pandas_orient": "split",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
    }


def _plain(value: Any) -> Any:
    """Return nested lists as JSON has them; what is missing becomes null."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if value is None or value != value or str(value) in ("<NA>", "NaT"):  # noqa: PLR0124 (NaN)
        return None
    if isinstance(value, dt.date):
        return value.isoformat()
    return value


def _write_environment(folder: Path, packages: tuple[str, ...]) -> None:
    """Write the three files in which MLflow looks for what a model needs."""
    needed = [f"{name}=={found}" for name in packages if (found := _installed(name))]
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in needed))
    python = platform.python_version()
    environment = {"python": python, "build_dependencies": ["pip"], "dependencies": ["-r requirements.txt"]}
    _write_yaml(folder / "python_env.yaml", environment)
    conda = {
        "channels": ["conda-forge"],
        "dependencies": [f"python={python}", "pip", {"pip": needed}],
        "name": "mlflow-env",
    }
    _write_yaml(folder / "conda.yaml", conda)


def _write_yaml(file: Path, content: Mapping[str, Any]) -> None:
    import yaml

    try:
        file.write_text(yaml.safe_dump(dict(content), allow_unicode=True), "utf-8")
    except yaml.YAMLError as error:
        raise Invalid(f"The metadata holds what YAML cannot: {error}.", field="metadata") from error


def _class_name(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__name__}"


def _installed(package: str) -> str | None:
    try:
        return installed(package)
    except PackageNotFoundError:
        return None
