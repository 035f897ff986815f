"""Reads an MLmodel file and judges whether loading the model would run code that its files bring along.

The judgement is a first sieve over names, magic numbers and declared loaders; the scan looks into the files. A format
that is not known to be plain data counts as unsafe.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trimtab.domains.registry.model import Facts

MLMODEL = "MLmodel"
MOST_MLMODEL_BYTES = 4 << 20
HEAD_BYTES = 4

_MOST_VALUES = 50_000
_MOST_DEPTH = 50
_PICKLE_NAME = re.compile(r"\.(pkl|pickle|cloudpickle|joblib|dill|pt|pth|h5|keras)$", re.IGNORECASE)
_CODE_NAME = re.compile(r"\.(py|pyc|so|sh|jar)$", re.IGNORECASE)
_BY_NAME = {
    ".skops": "skops",
    ".onnx": "onnx",
    ".lgb": "lightgbm",
    ".ubj": "xgboost",
    ".xgb": "xgboost",
    ".cbm": "catboost",
    ".safetensors": "safetensors",
}
_SAFE = frozenset({"skops", "onnx", "xgboost", "lightgbm", "catboost", "safetensors"})
_NATIVE = {"xgboost": "xgboost", "onnx": "onnx", "catboost": "catboost"}
_PATH_KEYS = ("pickled_model", "data", "model_path", "model_data", "python_model", "model_binary")


class MLmodelUnreadable(ValueError):
    """The text is no MLmodel file; the message says why."""


def facts_of(mlmodel: bytes | None, heads: Mapping[str, bytes]) -> Facts:
    """Return what is known of a model from its MLmodel file and the first bytes of every file, by path."""
    if mlmodel is None:
        kind = "files" if heads else "none"
        return Facts(format=kind, safe=False, unsafe_because=["there is no MLmodel file"])
    try:
        content = read_mlmodel(mlmodel)
    except MLmodelUnreadable as error:
        return Facts(
            format="unknown", safe=False, unsafe_because=[f"the MLmodel file cannot be read: {error}"]
        )
    flavors = _mapping(content.get("flavors"))
    main = next((name for name in flavors if name != "python_function"), None) or next(iter(flavors), None)
    declared = _mapping(flavors.get(main)) if main else {}
    generic = _mapping(flavors.get("python_function"))
    kind = _format(main, declared, generic, heads)
    loader = generic.get("loader_module")
    reasons = _reasons(kind, declared, generic, heads)
    return Facts(
        format=kind,
        safe=not reasons,
        flavor=main,
        flavors=sorted(flavors),
        unsafe_because=reasons,
        signature=_signature(content.get("signature")),
        loaded=[*_paths(declared), *_paths(generic)],
        foreign_loader=loader is not None and not _is_mlflow(loader),
    )


def read_mlmodel(raw: bytes) -> dict[str, Any]:
    """Return the YAML mapping of an MLmodel file as plain values; raises MLmodelUnreadable.

    Anchors are allowed, because MLflow writes them, but not expansion into more than some ten thousand values.
    """
    import yaml

    if len(raw) > MOST_MLMODEL_BYTES:
        raise MLmodelUnreadable(f"it is larger than {MOST_MLMODEL_BYTES} bytes")
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(yaml.parse(raw, Loader=loader))
        content = yaml.load(raw, Loader=loader)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, MLmodelUnreadable):
            raise
        raise MLmodelUnreadable("it is not YAML") from error
    if not isinstance(content, dict):
        raise MLmodelUnreadable("it is not a mapping")
    return _Plain().mapping(content, 0)


def _check_depth(events: Iterable[Any]) -> None:
    """Raise MLmodelUnreadable for nesting on which the loader, which recurses in C, would crash the process."""
    depth = 0
    for event in events:
        kind = type(event).__name__
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            depth += 1
            if depth > _MOST_DEPTH:
                raise MLmodelUnreadable("it is nested too deeply")
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            depth -= 1


class _Plain:
    """Copies YAML values into values that JSON has, within a budget."""

    def __init__(self) -> None:
        self._left = _MOST_VALUES

    def mapping(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        return {str(key): self.value(item, depth + 1) for key, item in value.items()}

    def value(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > _MOST_DEPTH:
            raise MLmodelUnreadable("it holds too many values")
        match value:
            case dict():
                return self.mapping(value, depth)
            case list():
                return [self.value(item, depth + 1) for item in value]
            case None | bool() | int() | float() | str():
                return value
            case _:
                return str(value)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _format(
    main: str | None, declared: dict[str, Any], generic: dict[str, Any], heads: Mapping[str, bytes]
) -> str:
    for path in (*_paths(declared), *_paths(generic)):
        dot = path.rpartition(".")[2].lower()
        if known := _BY_NAME.get(f".{dot}"):
            return known
        if _PICKLE_NAME.search(path):
            return str(declared.get("serialization_format") or "pickle")
        if main in _NATIVE:
            return _NATIVE[main]
    if any(path.endswith(".safetensors") for path in heads):
        return "safetensors"
    stated = declared.get("serialization_format")
    return str(stated) if stated else (main or "unknown")


def _paths(flavor: dict[str, Any]) -> list[str]:
    return [value for key in _PATH_KEYS if isinstance(value := flavor.get(key), str)]


def _reasons(
    kind: str, declared: dict[str, Any], generic: dict[str, Any], heads: Mapping[str, bytes]
) -> list[str]:
    reasons: list[str] = []
    if kind not in _SAFE:
        reasons.append(f"the format {kind} is not known to be plain data")
    loader = generic.get("loader_module")
    if loader is not None and not _is_mlflow(loader):
        reasons.append(f"it is loaded by the module {str(loader)[:100]}")
    if declared.get("code") or generic.get("code"):
        reasons.append("it brings its own code")
    for path in sorted(heads):
        if _is_pickle(heads[path]) or _PICKLE_NAME.search(path):
            reasons.append(f"{path} is a pickle or may hold one")
        elif _CODE_NAME.search(path):
            reasons.append(f"{path} is code")
        if len(reasons) >= 10:
            break
    return reasons


def _is_mlflow(loader: Any) -> bool:
    return isinstance(loader, str) and loader.startswith("mlflow.")


def _is_pickle(head: bytes) -> bool:
    """Whether the bytes begin as a pickle of protocol 2 or later does."""
    return len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5


def _signature(value: Any) -> dict[str, Any] | None:
    """Return inputs, outputs and params, each decoded from the JSON text that MLflow keeps; None without any."""
    if not isinstance(value, dict):
        return None
    parts: dict[str, Any] = {}
    for key in ("inputs", "outputs", "params"):
        text = value.get(key)
        try:
            parts[key] = msgspec.json.decode(text) if isinstance(text, str) else None
        except (msgspec.DecodeError, RecursionError):
            parts[key] = None
    return parts if any(part is not None for part in parts.values()) else None
