"""What goes into a model and comes out of it, read from sample data, in the words of MLflow's signatures."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from trimtab.kernel.errors import Invalid

Spec = dict[str, Any]

_MOST_LOOKED_AT = 10_000  # values of a column of Python objects whose types are looked at
_NUMPY = {
    "b1": "boolean",
    "i1": "integer",
    "i2": "integer",
    "i4": "integer",
    "u1": "integer",
    "u2": "integer",
    "u4": "long",
    "i8": "long",
    "u8": "long",
    "f2": "float",
    "f4": "float",
    "f8": "double",
}
_NULLABLE = {
    "boolean": "boolean",
    "Int8": "integer",
    "Int16": "integer",
    "Int32": "integer",
    "UInt8": "integer",
    "UInt16": "integer",
    "UInt32": "long",
    "Int64": "long",
    "UInt64": "long",
    "Float32": "float",
    "Float64": "double",
}
_ARROW = {
    "bool": "boolean",
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "uint8": "integer",
    "uint16": "integer",
    "uint32": "long",
    "int64": "long",
    "uint64": "long",
    "halffloat": "float",
    "float": "float",
    "double": "double",
    "string": "string",
    "large_string": "string",
    "string_view": "string",
    "binary": "binary",
    "large_binary": "binary",
}
_PYTHON: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "long"),
    (float, "double"),
    (str, "string"),
    (bytes, "binary"),
    (dt.date, "datetime"),
)


class Signature(msgspec.Struct, frozen=True):
    """Columns or a tensor that a model takes and gives; each is a list of MLflow's column or tensor specifications."""

    inputs: list[Spec]
    outputs: list[Spec] | None = None

    def to_mlmodel(self) -> dict[str, str | None]:
        """Return it as the MLmodel file holds it: each part is a JSON text."""
        return {
            "inputs": msgspec.json.encode(self.inputs).decode(),
            "outputs": msgspec.json.encode(self.outputs).decode() if self.outputs is not None else None,
            "params": None,
        }


class Column(NamedTuple):
    """A column of a sample: its type, and whether no value is missing."""

    kind: str
    required: bool


def infer(inputs: Any, outputs: Any = None) -> Signature:
    """Read a signature from samples: frames (pandas, polars, Arrow), dicts of columns, NumPy arrays, lists.

    A column with a missing value is not required. Raises Invalid for a type that MLflow has no name for.
    """
    return Signature(
        inputs=specs_of(inputs, "inputs"), outputs=None if outputs is None else specs_of(outputs, "outputs")
    )


def specs_of(data: Any, what: str) -> list[Spec]:
    """Return the specifications of a sample; raises Invalid."""
    if _is_numpy(data):
        return [_tensor(data, None)]
    if _is_series(data):
        return [_spec(None if data.name is None else str(data.name), _pandas_column(data, str(data.name)))]
    columns = columns_of(data)
    if columns is not None:
        if not columns:
            raise Invalid(f"The sample of {what} has no columns.", field=what)
        return [
            _tensor(values, name) if _is_matrix(values) else _spec(name, _column(values, name))
            for name, values in columns.items()
        ]
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return [_spec(None, _python_column(data, what))]
    raise Invalid(
        f"A signature cannot be read from {type(data).__name__}: give a frame, an Arrow table, a dict of columns"
        " or a NumPy array.",
        field=what,
    )


def columns_of(data: Any) -> dict[str, Any] | None:
    """Return the columns of a frame, a table or a dict by name, or None for what has none."""
    module = type(data).__module__.partition(".")[0]
    if module == "pandas" and hasattr(data, "columns"):
        return {str(name): data[name] for name in data.columns}
    if module == "pyarrow" and hasattr(data, "column_names"):
        return {name: data.column(name) for name in data.column_names}
    if isinstance(data, Mapping):
        return {str(name): values for name, values in data.items()}
    if hasattr(data, "__arrow_c_stream__"):
        import pyarrow as pa

        table: Any = pa.table(data)
        return {name: table.column(name) for name in table.column_names}
    return None


def _column(values: Any, name: str) -> Column:
    module = type(values).__module__.partition(".")[0]
    if module == "pandas":
        return _pandas_column(values, name)
    if module == "pyarrow":
        return _arrow_column(values, name)
    if _is_numpy(values):
        return _numpy_column(values, name)
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return _python_column(values, name)
    raise Invalid(f"Column {name!r} of the sample is a {type(values).__name__}, not a column.", field=name)


def _numpy_column(values: Any, name: str) -> Column:
    code = values.dtype.str[1:]
    if code in _NUMPY:
        missing = values.dtype.kind == "f" and bool((values != values).any())  # noqa: PLR0124 (NaN)
        return Column(_NUMPY[code], required=not missing)
    match values.dtype.kind:
        case "M":
            return Column("datetime", required=not bool((values != values).any()))  # noqa: PLR0124 (NaT)
        case "U":
            return Column("string", required=True)
        case "S":
            return Column("binary", required=True)
        case "O":
            return _python_column(values.tolist(), name)
        case _:
            raise _nameless(name, str(values.dtype))


def _pandas_column(values: Any, name: str) -> Column:
    dtype = values.dtype
    required = not bool(values.isna().any())
    if hasattr(dtype, "categories"):
        return Column(_column(dtype.categories.to_series(), name).kind, required)
    known = _NULLABLE.get(str(dtype))
    if known is not None:
        return Column(known, required)
    if str(dtype).startswith(("string", "str")):
        return Column("string", required)
    if getattr(dtype, "kind", "") == "M":
        return Column("datetime", required)
    if getattr(dtype, "kind", "") == "O":
        return Column(_python_column(values.dropna().tolist(), name).kind, required)
    return Column(_numpy_column(values.to_numpy(), name).kind, required)


def _arrow_column(values: Any, name: str) -> Column:
    kind: Any = values.type
    while hasattr(kind, "index_type"):  # a dictionary
        kind = kind.value_type
    text = str(kind)
    found = _ARROW.get(text) or ("datetime" if text.startswith(("timestamp", "date")) else None)
    if found is None:
        raise _nameless(name, text)
    required = values.null_count == 0
    if required and found in ("float", "double"):
        required = not _has_nan(values)
    return Column(found, required)


def _has_nan(values: Any) -> bool:
    import pyarrow.compute as pc

    compute: Any = pc  # its functions are made at run time
    return bool(compute.any(compute.is_nan(values)).as_py())


def _python_column(values: Iterable[Any], name: str) -> Column:
    kinds: set[str] = set()
    required = True
    for count, value in enumerate(values):
        if count >= _MOST_LOOKED_AT:
            break
        if value is None or value != value:  # noqa: PLR0124 (NaN)
            required = False
            if value is not None:
                kinds.add("double")
            continue
        kinds.add(_kind_of(value, name))
    if kinds <= {"long", "double"} and "double" in kinds:
        return Column("double", required)
    if "string" in kinds and not required:
        kinds.discard("double")  # NaN stands for a missing text
    if len(kinds) != 1:
        found = ", ".join(sorted(kinds)) or "nothing"
        raise Invalid(f"Column {name!r} of the sample holds {found}; it needs one type.", field=name)
    return Column(kinds.pop(), required)


def _kind_of(value: Any, name: str) -> str:
    for known, kind in _PYTHON:
        if isinstance(value, known):
            return kind
    if hasattr(value, "dtype") and not getattr(value, "shape", (1,)):
        return _kind_of(value.item(), name)
    raise _nameless(name, type(value).__name__)


def _tensor(values: Any, name: str | None) -> Spec:
    if values.dtype.kind not in "biufUSO" or values.ndim == 0:
        raise _nameless(name or "the array", str(values.dtype))
    dtype = {"U": "str", "S": "bytes", "O": "object"}.get(values.dtype.kind, values.dtype.name)
    spec: Spec = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *values.shape[1:]]}}
    return spec if name is None else {**spec, "name": name}


def _spec(name: str | None, column: Column) -> Spec:
    named = {} if name is None else {"name": name}
    return {"type": column.kind, **named, "required": column.required}


def _nameless(name: str, kind: str) -> Invalid:
    return Invalid(
        f"Column {name!r} of the sample has the type {kind}, which signatures have no name for.", field=name
    )


def _is_numpy(data: Any) -> bool:
    return type(data).__module__ == "numpy" and type(data).__name__ == "ndarray"


def _is_matrix(values: Any) -> bool:
    return _is_numpy(values) and values.ndim > 1


def _is_series(data: Any) -> bool:
    return type(data).__module__.partition(".")[0] == "pandas" and type(data).__name__ == "Series"
