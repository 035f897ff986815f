"""The names of MLflow that a model's own code needs to be loaded, without MLflow: until any other name is asked for.

A model logged as code, or as a pickled class, names `mlflow.pyfunc.PythonModel` and little else, and MLflow takes one
to two seconds to import and, with what it brings along, 100 MB. Here that class and two more names stand in its place.
Whatever else is looked up or imported makes the real package take over at once, for good and for everybody: the modules
here then hand every name through to it, and the classes here become subclasses of its own, so that models made before
are its models too.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from threading import RLock
from types import ModuleType
from typing import Any, get_type_hints

_GIVEN_AS_IT_COMES = frozenset(("DataFrame", "Series", "ndarray", "csr_matrix", "csc_matrix"))
"""Classes of pandas, NumPy and SciPy: an input annotated as one of them is neither checked nor converted by MLflow."""

_OF_EVERY_CLASS = frozenset(("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__"))
_LOCK = RLock()
_standing: dict[str, "_Placeholder"] = {}
_finders: list["_Finder"] = []
_chosen: list[Any] = []


class _Root:
    """Python lets the bases of a class be replaced only where it has one besides `object`."""


class PythonModel(_Root):
    """What `mlflow.pyfunc.PythonModel` is to a model whose input comes without a check of MLflow's."""

    def __init_subclass__(cls, **named: Any) -> None:
        if "predict" in cls.__dict__ and not comes_plain(cls.__dict__["predict"]):
            take_over()
        super().__init_subclass__(**named)  # MLflow's own, where it took over

    def load_context(self, context: Any) -> None:
        """Load nothing, unless the model says otherwise."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Left to the model."""

    def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Left to the model."""
        raise NotImplementedError

    @property
    def predict_type_hints(self) -> Any:
        """What MLflow makes of the annotations."""
        take_over()
        return self.predict_type_hints


class PythonModelContext(_Root):
    """A model's files by name, as absolute paths, and its configuration."""

    def __init__(self, artifacts: dict[str, str], model_config: Any) -> None:
        self._artifacts = artifacts
        self._model_config = model_config

    @property
    def artifacts(self) -> dict[str, str]:
        """Where each file is that was logged with the model."""
        return self._artifacts

    @property
    def model_config(self) -> Any:
        """The configuration that was logged with the model."""
        return self._model_config


def set_model(model: Any) -> None:
    """Note which model a model's code makes, as `mlflow.models.set_model` does."""
    if isinstance(model, PythonModel) or callable(model):
        _chosen[:] = [model]
    else:
        take_over()
        importlib.import_module("mlflow.models").set_model(model)


def stand_in() -> bool:
    """Put the placeholders in MLflow's place; False where it is not installed, or has been imported."""
    with _LOCK:
        if _standing:
            return True
        spec = None if "mlflow" in sys.modules else importlib.util.find_spec("mlflow")
        if spec is None or spec.submodule_search_locations is None:
            return False
        classes: dict[str, Any] = {"PythonModel": PythonModel, "PythonModelContext": PythonModelContext}
        model = _Placeholder("mlflow.pyfunc.model", None, classes)
        pyfunc = _Placeholder("mlflow.pyfunc", None, {**classes, "model": model})
        models = _Placeholder("mlflow.models", None, {"set_model": set_model})
        for module in (
            _Placeholder("mlflow", spec, {"pyfunc": pyfunc, "models": models}),
            pyfunc,
            model,
            models,
        ):
            sys.modules[module.__name__] = _standing[module.__name__] = module
        _finders.append(_Finder())
        sys.meta_path.insert(0, _finders[0])
        return True


def are_standing() -> bool:
    """Say whether MLflow has been needed for nothing yet."""
    return bool(_standing)


def chosen() -> Any:
    """Return the model that was set last, and forget it; None where none was."""
    return _chosen.pop() if _chosen else None


def take_over() -> None:
    """Import MLflow and let it have its place, where placeholders stand in it."""
    with _LOCK:
        if not _standing:
            return
        for name, module in _standing.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
            module.give_up()
        _standing.clear()
        with suppress(ValueError):
            sys.meta_path.remove(_finders.pop())
        pyfunc: Any = importlib.import_module("mlflow.pyfunc")
        for ours, its in ((PythonModel, pyfunc.PythonModel), (PythonModelContext, pyfunc.PythonModelContext)):
            for name in vars(ours).keys() - _OF_EVERY_CLASS:
                delattr(ours, name)
            ours.__bases__ = (its,)


def comes_plain(function: Any) -> bool:
    """Say whether MLflow would give the function its input as it comes: not annotated, or as a frame or an array."""
    try:
        parameters = list(inspect.signature(function).parameters)
        takes = [name for name in parameters if name != "self"]
        at = 1 if takes_context(parameters) else 0
        hint = get_type_hints(function).get(takes[at])
    except Exception:  # noqa: BLE001 - annotations are code, and may fail in any way: then MLflow is to say so
        return False
    if hint is None:
        return True
    library = str(getattr(hint, "__module__", "")).partition(".")[0]
    return library in ("pandas", "numpy", "scipy") and getattr(hint, "__name__", "") in _GIVEN_AS_IT_COMES


def takes_context(parameters: Sequence[str]) -> bool:
    """Say whether `predict` takes the context before the input, as MLflow tells it."""
    return (
        "context" in parameters or len([name for name in parameters if name not in ("self", "params")]) == 2
    )


class _Placeholder(ModuleType):
    """A module of MLflow with a few names of it; every other name is looked up in the real one."""

    def __init__(self, name: str, spec: ModuleSpec | None, names: dict[str, Any]) -> None:
        super().__init__(name)
        self.__dict__["__path__"] = list(spec.submodule_search_locations or ()) if spec else []
        self.__dict__["__spec__"] = spec or ModuleSpec(name, None, is_package=True)
        self.__dict__.update(names)
        self.__dict__["_given"] = list(names)

    def give_up(self) -> None:
        """Have every name looked up in the real module from now on."""
        for name in self.__dict__.pop("_given"):
            self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        take_over()
        return getattr(importlib.import_module(self.__name__), name)

    def __setattr__(self, name: str, value: Any) -> None:
        take_over()
        setattr(importlib.import_module(self.__name__), name, value)

    def __dir__(self) -> list[str]:
        take_over()
        return dir(importlib.import_module(self.__name__))


class _Finder(MetaPathFinder):
    """Has MLflow take over where any other module of it is imported."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        del path, target
        if not fullname.startswith("mlflow."):
            return None
        take_over()
        return ModuleSpec(fullname, _Found(importlib.import_module(fullname)))


class _Found(Loader):
    """Gives a module that was imported meanwhile, as it is."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec  # the import system has put its own there
