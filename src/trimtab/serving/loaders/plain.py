"""Python functions of MLflow whose files say all that it takes to load and call them: those need no MLflow.

A pickled class or function, a file of code, or a loader of the model's own: MLflow would load the file, hand over the
context, and pass on rows whose types are the signature's already. What asks more of it (checks by annotations,
parameters, types that it converts, any name that `placeholders` does not have) is left to it, and so is what fails here,
so that its own words say why.
"""

import gc
import importlib
import importlib.util
import inspect
import pickle
import sys
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trimtab.serving.loaders import placeholders
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.routes import NUMERIC

_PICKLED = "mlflow.pyfunc.model"
_CODE = "mlflow.pyfunc.loaders.code_model"
_UNDERSTOOD = frozenset(
    (
        "artifacts",
        "cloudpickle_version",
        "code",
        "config",
        "data",
        "env",
        "loader_module",
        "model_code_path",
        "predict_fn",
        "python_model",
        "python_version",
        "streamable",
    )
)
_LOGGING_ONLY = ("mlflow.models.signature", "mlflow.types.schema")
"""Modules of what is pickled with a function and used only when it is logged."""

Predict = Callable[[Any], Any]


class _Left(Exception):
    """Something that is left to MLflow."""


def load_plain(folder: ModelFolder) -> Predict | None:
    """Return the model's function of rows, or None where it is for MLflow to load and call."""
    if not _is_plain(folder) or not placeholders.stand_in():
        return None
    try:
        predict = _load(folder)
    except Exception:  # noqa: BLE001 - the model's code may raise anything; MLflow tries again, and says why it fails
        return None
    return predict if placeholders.are_standing() else None


def _is_plain(folder: ModelFolder) -> bool:
    entry, content = folder.flavors["python_function"], folder.content
    if not entry.keys() <= _UNDERSTOOD:
        return False
    if content.get("is_signature_from_type_hint") or content.get("type_hint_from_example"):
        return False
    if (content.get("signature") or {}).get("params"):
        return False
    signature = folder.signature
    if signature is None:
        return True
    frames = "tensor-spec" not in str(content["signature"]["inputs"])
    return (frames or signature.tensor) and all(
        field.shape is None and field.type in (*NUMERIC, "string") for field in signature.inputs
    )


def _load(folder: ModelFolder) -> Predict:
    entry = folder.flavors["python_function"]
    if entry.get("code"):
        sys.path.insert(0, str(folder.path / entry["code"]))
    config = entry.get("config")
    module = str(entry["loader_module"])
    if module.partition(".")[0] != "mlflow":
        return _loaded_by_itself(folder, module, config)
    if entry.get("predict_fn", "predict") != "predict":
        raise _Left
    if module == _PICKLED:
        model = _unpickled(folder.file("python_function", "python_model"))
    elif module == _CODE:
        model = _made_by(folder.path / Path(entry["model_code_path"]).name)
    else:
        raise _Left
    if isinstance(model, _Function) and placeholders.comes_plain(model.func):
        return model.func
    if not isinstance(model, placeholders.PythonModel) or not placeholders.comes_plain(type(model).predict):
        raise _Left
    files = {name: str(folder.path / info["path"]) for name, info in (entry.get("artifacts") or {}).items()}
    context = placeholders.PythonModelContext(files, config)
    model.load_context(context)
    predict = model.predict
    parameters = list(inspect.signature(predict).parameters)
    named: dict[str, Any] = {"params": None} if "params" in parameters else {}
    if placeholders.takes_context(parameters):
        return lambda rows: predict(context, rows, **named)
    return lambda rows: predict(rows, **named)  # pyright: ignore[reportCallIssue] - its first is the input then


def _loaded_by_itself(folder: ModelFolder, module: str, config: Any) -> Predict:
    entry = folder.flavors["python_function"]
    data = str(folder.path / entry["data"]) if "data" in entry else str(folder.path)
    loader = importlib.import_module(module)._load_pyfunc  # noqa: SLF001 - that is how MLflow names it
    model: Any = loader(data, config) if config else loader(data)
    predict = getattr(model, entry.get("predict_fn", "predict"))
    params = inspect.signature(predict).parameters.get("params")
    if params is not None and params.kind is not inspect.Parameter.VAR_KEYWORD:
        return lambda rows: predict(rows, params=None)
    return predict


def _made_by(path: Path) -> Any:
    """Run a file of code and return the model that it sets."""
    if "dbutils" in path.read_text("utf-8"):  # MLflow puts a dummy there
        raise _Left
    spec = importlib.util.spec_from_file_location(f"code_model_{uuid.uuid4().hex}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    model = placeholders.chosen()
    return _Function(model) if callable(model) else model


def _unpickled(path: Path) -> Any:
    unused = type("Unused", (_Unused,), {})
    with path.open("rb") as file:
        reader = _Reader(file)
        reader.unused = unused
        model = reader.load()
        asked = reader.asked
    del reader
    if isinstance(model, _Function):
        model.signature = None
    if asked:
        watched = weakref.ref(unused)
        del unused
        gc.collect()
        if watched() is not None:  # the model itself holds on to one
            raise _Left
    return model


class _Function:
    """A function that was logged as a model, under the name that its pickle gives it."""

    def __init__(self, func: Predict) -> None:
        self.func = func
        self.signature: Any = None


class _TypeHints:
    """What MLflow found out about annotations when it logged the model."""


class _Unused:
    """Stands for what is used only when a model is logged."""

    def __init__(self, *given: Any, **named: Any) -> None:
        pass


class _Reader(pickle.Unpickler):
    """Reads a pickle that MLflow made of a model."""

    unused: type
    asked = False

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        if (module_name, global_name) == (_PICKLED, "_FunctionPythonModel"):
            return _Function
        if (module_name, global_name) == ("mlflow.models.signature", "_TypeHints"):
            return _TypeHints
        if module_name in _LOGGING_ONLY:
            self.asked = True
            return self.unused
        return super().find_class(module_name, global_name)
