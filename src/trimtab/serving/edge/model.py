"""A bundle's model: an ONNX graph that takes rows of named values, held to its signature and to its reference rows."""

import json
import math
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

GRAPH, REFERENCE = "model.onnx", "reference.json"
_CONTRACT = "trimtab"
_DTYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
_NUMERIC = ("boolean", "integer", "long", "float", "double")


class BadRows(Exception):
    """Rows that do not keep the signature; the message names the column and the row."""


class Model:
    """One loaded graph. Any thread may call it."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        runtime: Any = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session: Any = runtime.InferenceSession(
            str(folder / GRAPH), options, providers=["CPUExecutionProvider"]
        )
        self.version = str(manifest["version"])
        self.sequence = int(manifest["sequence"])
        self.fields = cast("list[dict[str, Any]]", manifest["inputs"])
        self._predict = str(manifest["predict"])
        text = self._session.get_modelmeta().custom_metadata_map.get(_CONTRACT)
        contract: dict[str, Any] | None = json.loads(text) if text else None
        self._complete: frozenset[str] = frozenset(contract["complete"] if contract else ())
        inputs = self._session.get_inputs()
        names = [field["name"] for field in self.fields]
        if contract is not None:
            self._matrix = contract["layout"] == "matrix"
            self._names: list[str] = contract["names"]
            self._outputs = [contract["outputs"][0]["name"]]
            self._predict = "predict"  # what it answers was settled when it was compiled
            self._shape: list[int] | None = contract["outputs"][0]["shape"]
        else:
            self._matrix = len(inputs) == 1 and len(inputs[0].shape) == 2 and len(names) != 1
            self._names = names if self._matrix else [one.name for one in inputs]
            self._outputs = [one.name for one in self._session.get_outputs()]
            self._shape = None
        self._types: list[Any] = [_DTYPES[one.type] for one in inputs]
        self._inputs: list[str] = [one.name for one in inputs]

    def predict(self, columns: dict[str, list[Any]]) -> list[Any]:
        """Return one prediction a row; raises BadRows."""
        checked, rows = self._checked(columns)
        if self._matrix:
            table = np.array([_numbers(name, checked[name]) for name in self._names]).T
            feed = {self._inputs[0]: np.ascontiguousarray(table, dtype=self._types[0])}
        else:
            feed = {
                name: _array(name, checked[name], kind).reshape(-1, 1)
                for name, kind in zip(self._inputs, self._types, strict=True)
            }
        results: list[Any] = self._session.run(self._outputs, feed)
        first = np.asarray(results[0])
        if self._predict != "predict":
            table = _probabilities(results[1])
            first = table[:, 1] if self._predict == "predict_proba_1" else table
        if self._shape is not None:
            first = first.reshape(rows, *self._shape)
        elif first.ndim == 2 and first.shape[1] == 1:
            first = first[:, 0]
        return first.tolist()

    def _checked(self, columns: dict[str, list[Any]]) -> tuple[dict[str, list[Any]], int]:
        rows = max((len(values) for values in columns.values()), default=0)
        if not rows:
            raise BadRows("there are no rows")
        checked: dict[str, list[Any]] = {}
        for field in self.fields:
            name = field["name"]
            required = field.get("required", True) or name in self._complete
            values = columns.get(name, [] if required else [None] * rows)
            if len(values) != rows:
                raise BadRows(
                    f"column {name!r} " + (f"has {len(values)} values of {rows}" if values else "is missing")
                )
            for row, value in enumerate(values):
                problem = _problem(field["type"], value, required=required)
                if problem:
                    raise BadRows(f"column {name!r}, row {row} {problem}")
            checked[name] = values
        return checked, rows


def _problem(kind: str, value: Any, *, required: bool) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "has no value" if required else ""
    if kind in _NUMERIC:
        if kind == "boolean":
            return "" if isinstance(value, bool) else "is neither true nor false"
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
            return "is not a number"
        return "" if kind in ("float", "double") or value == int(value) else "is not a whole number"
    if kind == "string" and not isinstance(value, str):
        return "is not a string"
    return ""


def _numbers(name: str, values: list[Any]) -> Any:
    try:
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    except (TypeError, ValueError):
        raise BadRows(f"column {name!r} has a value that is no number") from None


def _array(name: str, values: list[Any], kind: Any) -> Any:
    if kind is np.object_:
        return np.array(values, dtype=object)
    numbers = _numbers(name, values)
    if np.dtype(kind).kind in "ib" and np.isnan(numbers).any():
        raise BadRows(f"column {name!r} has no value in row {int(np.isnan(numbers).argmax())}")
    return numbers.astype(kind)


def _probabilities(values: Any) -> Any:
    """Return rows of class probabilities; converters give a list of dicts unless told not to."""
    if isinstance(values, list) and values and isinstance(values[0], dict):
        return np.array([list(cast("dict[Any, float]", row).values()) for row in cast("list[Any]", values)])
    return np.asarray(values)


def check(folder: Path, manifest: dict[str, Any]) -> str:
    """Return what is wrong with a bundle's model when it predicts its reference rows, nothing where all is well."""
    reference = json.loads((folder / REFERENCE).read_text("utf-8"))
    found = Model(folder, manifest).predict(reference["rows"])
    wanted = reference["predictions"]
    if len(found) != len(wanted):
        return f"{len(found)} predictions came of {len(wanted)} reference rows"
    for row, (one, other) in enumerate(zip(found, wanted, strict=True)):
        if isinstance(other, str) or isinstance(one, str):
            same = str(one) == str(other)
        else:
            near = np.isclose(one, other, rtol=reference["rtol"], atol=reference["atol"], equal_nan=True)
            same = bool(np.all(near))
        if not same:
            return f"reference row {row} gives {one}, not {other}"
    return ""
