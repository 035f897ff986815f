"""One column of a table as numbers or as labelled counts, from whatever holds it: numpy, lists, Arrow or
pandas.

Missing is None, NaN, NaT or an Arrow null. Arrow and pandas are recognised by their methods, never imported.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

Kind = Literal["numeric", "categorical"]


def kind_of(values: Any) -> Kind:
    """Tell numbers and times ("numeric") from texts, flags and anything else ("categorical").

    >>> kind_of([1, None, 2.5]), kind_of(["a", None]), kind_of(np.array([True]))
    ('numeric', 'categorical', 'categorical')
    """
    array = _array(values)
    if array.dtype.kind in "iufmM":
        return "numeric"
    if array.dtype.kind != "O":
        return "categorical"
    seen = False
    for value in cast(Iterable[Any], array[:10_000]):
        if is_missing(value):
            continue
        if isinstance(value, bool | np.bool_ | str | bytes) or not _numeric(value):
            return "categorical"
        seen = True
    return "numeric" if seen or array.size == 0 else "categorical"


def numbers(values: Any) -> NDArray[np.float64]:
    """The column as (n,) floats, NaN where missing; times become microseconds since the epoch.

    Raises ValueError if something in it is no number.

    >>> numbers([1, None, 2.5]).tolist()
    [1.0, nan, 2.5]
    """
    array = _array(values)
    if array.dtype.kind in "mM":
        missing = np.isnat(array)
        unit = "m8[us]" if array.dtype.kind == "m" else "M8[us]"
        micros = array.astype(unit).astype(np.int64).astype(np.float64)
        micros[missing] = np.nan
        return micros
    if array.dtype.kind == "O":
        plain = [math.nan if is_missing(value) else _float(value) for value in cast(Iterable[Any], array)]
        return np.asarray(plain, dtype=np.float64)
    return array.astype(np.float64, copy=False).ravel()


def labels(values: Any) -> tuple[dict[str, int], int]:
    """Count of each value as text, and how many are missing.

    >>> labels(["a", "b", "a", None])
    ({'a': 2, 'b': 1}, 1)
    >>> labels([1, 1.0, True])
    ({'1': 2, 'true': 1}, 0)
    """
    if hasattr(values, "value_counts") and hasattr(
        values, "null_count"
    ):  # Arrow counts by itself, and faster
        pairs = ((item["values"], item["counts"]) for item in values.value_counts().to_pylist())
        return _gathered(pairs)
    array = _array(values)
    if array.dtype.kind in "iubU":
        distinct, counts = np.unique(array, return_counts=True)
        return _gathered(zip(distinct.tolist(), counts.tolist(), strict=True))
    items = cast(list[Any], array.tolist())
    counted = Counter(items)
    if 1 in counted or 0 in counted:
        # 1, 1.0 and True are one key in a dict; the type keeps a flag apart from a number.
        apart = Counter((value, isinstance(value, bool)) for value in items)
        return _gathered((value, count) for (value, _), count in apart.items())
    return _gathered(counted.items())


def label(value: Any) -> str:
    """The text a value is counted under: flags as true/false, whole floats without the point."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, np.generic):
        value = cast(Any, value.item())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def is_missing(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - only NaN and NaT differ from themselves
    except (TypeError, ValueError):  # pandas.NA refuses to be a truth value, an array has many
        return type(value).__name__ == "NAType"


def _gathered(pairs: Iterable[tuple[Any, int]]) -> tuple[dict[str, int], int]:
    found: dict[str, int] = {}
    missing = 0
    for value, count in pairs:
        if is_missing(value):
            missing += count
        else:
            text = label(value)
            found[text] = found.get(text, 0) + count
    return found, missing


def _array(values: Any) -> NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        plain = np.array(values, dtype=object)
        plain[np.ma.getmaskarray(values)] = None
        return plain.ravel()
    if isinstance(values, np.ndarray):
        return cast(NDArray[Any], values).ravel()
    if hasattr(values, "null_count") and hasattr(values, "type"):  # pyarrow Array or ChunkedArray
        return _from_arrow(values)
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy()).ravel()
    return _from_list(list(cast(Sequence[Any], values)))


def _from_list(items: list[Any]) -> NDArray[Any]:
    if any(value is None for value in items) or {type(value) for value in items} - {int, float}:
        array = np.empty(len(items), dtype=object)
        array[:] = items
        if items and all(isinstance(value, bool) for value in items):
            return array.astype(bool)
        return array
    return np.asarray(items, dtype=None if items else np.float64)


def _from_arrow(values: Any) -> NDArray[Any]:
    text = str(values.type)
    if text.startswith("dictionary") or text in ("string", "large_string", "string_view", "bool"):
        array = np.empty(len(values), dtype=object)
        array[:] = values.to_pylist()
        return array
    if hasattr(values, "num_chunks"):
        return np.asarray(values.to_numpy()).ravel()
    return np.asarray(values.to_numpy(zero_copy_only=False)).ravel()


def _numeric(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return isinstance(value, np.datetime64 | np.timedelta64) or hasattr(value, "timestamp")
    return True


def _float(value: Any) -> float:
    if hasattr(value, "timestamp"):
        return float(value.timestamp()) * 1e6
    if isinstance(value, np.datetime64):
        return float(value.astype("M8[us]").astype(np.int64))
    return float(value)
