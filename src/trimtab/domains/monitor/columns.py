"""The prediction log of one endpoint as a table: numbers go from the log's bytes to its columns as they are.

What came as lists, from requests of few rows or of values that are no numbers, is put together value by value; so is a
column that some requests brought as numbers and others as something else.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trimtab.domains.monitor import requests
from trimtab.domains.monitor.requests import Requests, is_answered
from trimtab.science.sequential.classes import code
from trimtab.serving.records import Column, Kind, Prediction
from trimtab.serving.routes import Field

FEATURE_PREFIX = "input."
_DTYPES: dict[Kind, Any] = {"boolean": np.bool_, "long": np.int64, "double": np.float64}
_WIRE: dict[Kind, str] = {"boolean": "|b1", "long": "<i8", "double": "<f8"}
_KINDS: dict[str, Kind] = {"boolean": "boolean", "integer": "long", "long": "long"}
_LONG_ENDS = 2.0**63
_NUMBERS = (int, float, type(None))  # a union of types would take five times as long
_PLAIN = ({bool}, {int}, {float}, {str})

Logged = tuple[Prediction, Sequence[Field]]
"""A prediction as the log has it, and the fields of its packed columns."""


def flatten(logged: Sequence[Logged]) -> tuple[Requests, pa.Table]:
    """Return one endpoint's requests, and a table of their answered rows with their inputs."""
    answered = [one for one in logged if is_answered(one[0])]
    outputs = _outputs(answered, sum(one.rows for one, _ in answered))
    classes = _classes(answered, outputs)
    found = requests.from_log([one for one, _ in logged], _scores(answered), classes)
    at = np.flatnonzero(found.counts)
    counts = found.counts[at]
    of_row = np.repeat(np.arange(len(at)), counts)

    def texts(values: Sequence[str]) -> pa.Array:
        mine = values if len(at) == len(values) else [values[one] for one in at.tolist()]
        return _repeated(mine, of_row)

    columns: dict[str, Any] = {
        "prediction_id": texts(found.ids),
        "row": np.arange(found.rows) - np.repeat(found.first[at], counts),
        "version": texts(found.versions),
        "role": texts(found.roles),
        "route": texts(found.routes),
        "event_us": found.event_us[at][of_row],
        "at_us": found.at_us[at][of_row],
        "latency_us": found.latency_us[at][of_row],
        "score": found.scores,
        "output": outputs,
    }
    if classes is not None:
        columns["class"] = pa.array(classes).dictionary_encode()
    for name, values in sorted(_inputs(answered, found.rows).items()):
        columns[FEATURE_PREFIX + name] = values
    return found, pa.table(columns)


def inputs(table: pa.Table, keep: NDArray[np.bool_] | None = None) -> dict[str, Any]:
    """Return the input columns of all rows, or of the kept ones, by the model's names for them."""
    names = [name for name in table.column_names if name.startswith(FEATURE_PREFIX)]
    kept = table.select(names)
    if keep is not None:
        kept = kept.filter(pa.array(keep))
    return {name.removeprefix(FEATURE_PREFIX): kept.column(name) for name in names}


def text(value: Any) -> str | None:
    """Return an output as people see it."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()


class _Piece:
    """The values of one column in rows that follow each other: numbers of one kind, or ``kind`` null for objects."""

    __slots__ = ("kind", "missing", "start", "values")
    kind: Kind | None

    def __init__(
        self, start: int, kind: Kind | None, values: Any, missing: NDArray[np.bool_] | None = None
    ) -> None:
        self.start = start
        self.kind = kind
        self.values = values
        self.missing = missing

    @property
    def end(self) -> int:
        return self.start + len(self.values)

    def as_list(self) -> list[Any]:
        if self.kind is None:
            return self.values
        values = self.values.tolist()
        if self.missing is None:
            return values
        return [None if gone else value for value, gone in zip(values, self.missing.tolist(), strict=True)]


def _inputs(answered: Sequence[Logged], rows: int) -> dict[str, pa.Array]:
    pieces: dict[str, list[_Piece]] = {}
    start = 0
    for run, fields in _alike(answered):
        size = sum(one.rows for one in run)
        for name, piece in _pieces(run, fields, start, size):
            pieces.setdefault(name, []).append(piece)
        start += size
    return {name: _whole(found, rows, _array) for name, found in pieces.items()}


def _alike(answered: Sequence[Logged]) -> Iterator[tuple[list[Prediction], Sequence[Field]]]:
    """Yield the requests that follow each other and have the same form; those with arrays one by one."""

    def form(place: int) -> tuple[Any, ...]:
        one, fields = answered[place]
        apart = place if one.arrays is not None else -1
        return (fields, one.rows == 1, _is_packed(one, fields), apart)

    for _, places in groupby(range(len(answered)), form):
        run = [answered[place] for place in places]
        yield [one for one, _ in run], run[0][1]


def _pieces(
    run: list[Prediction], fields: Sequence[Field], start: int, size: int
) -> Iterator[tuple[str, _Piece]]:
    """Yield what requests of one form have of each column; of two with one name, the one in lists counts."""
    lists = {name for one in run for name in one.columns}
    counts = [one.rows for one in run]
    for name in lists:
        found = [one.columns.get(name, ()) for one in run]
        if list(map(len, found)) != counts:
            found = [_of_rows(values, rows) for values, rows in zip(found, counts, strict=True)]
        yield name, _Piece(start, None, list(chain.from_iterable(found)))
    arrays = run[0].arrays
    if arrays is not None:
        for name, column in arrays.columns.items():
            if name not in lists:
                yield name, _from_array(column, start, size)
    if not _is_packed(run[0], fields):
        return
    for field, values in zip(fields, _matrix(run, len(fields)), strict=True):
        if field.name not in lists:
            yield field.name, _from_doubles(field, values, start)


def _is_packed(one: Prediction, fields: Sequence[Field]) -> bool:
    return one.packed is not None and len(one.packed) == 8 * one.rows * len(fields) > 0


def _matrix(run: list[Prediction], width: int) -> NDArray[np.float64]:
    """Return packed columns as an array (columns, rows)."""
    if run[0].rows == 1:
        return np.frombuffer(b"".join([one.packed or b"" for one in run]), "<f8").reshape(-1, width).T
    return np.concatenate(
        [np.frombuffer(one.packed or b"", "<f8").reshape(width, one.rows) for one in run], axis=1
    )


def _from_doubles(field: Field, values: NDArray[np.float64], start: int) -> _Piece:
    """Return a packed column with the type of its field; what is missing is NaN in it."""
    kind = _KINDS.get(field.type, "double")
    missing = np.isnan(values)
    gone = missing if missing.any() else None
    if kind == "double":
        return _Piece(start, kind, values, gone)
    known = np.where(missing, 0.0, values) if gone is not None else values
    if kind == "boolean":
        return _Piece(start, kind, known != 0.0, gone)
    if (np.abs(known) >= _LONG_ENDS).any():  # no signature lets them in
        return _Piece(start, "double", values, gone)
    return _Piece(start, kind, known.astype(np.int64), gone)


def _from_array(column: Column, start: int, rows: int) -> _Piece:
    values = np.frombuffer(column.values, _WIRE[column.kind])
    missing = np.frombuffer(column.missing, np.bool_) if column.missing else None
    if len(values) != rows:
        return _Piece(start, None, _of_rows(column.as_list(), rows))
    return _Piece(start, column.kind, values, missing)


def _outputs(answered: Sequence[Logged], rows: int) -> pa.Array:
    pieces: list[_Piece] = []
    start = 0
    for one, _ in answered:
        if one.arrays is not None and one.arrays.outputs is not None:
            pieces.append(_from_array(one.arrays.outputs, start, one.rows))
        elif pieces and pieces[-1].kind is None:
            pieces[-1].values.extend(_of_rows(one.outputs, one.rows))
        else:
            pieces.append(_Piece(start, None, list(_of_rows(one.outputs, one.rows))))
        start += one.rows
    return _whole(pieces, rows, _answers)


def _scores(answered: Sequence[Logged]) -> NDArray[np.float64]:
    """Return one number a row: the last class's probability where there is one, else a numeric output, else NaN."""
    found: list[Any] = [np.empty(0)]
    few: list[float] = []
    for one, _ in answered:
        arrays = one.arrays
        if arrays is not None and arrays.probabilities is not None:
            found += [few, _numbers(arrays.probabilities, one.rows)]
            few = []
        elif one.probabilities is not None:
            few += _of_rows([_last(row) for row in one.probabilities], one.rows, np.nan)
        elif arrays is not None and arrays.outputs is not None:
            found += [few, _numbers(arrays.outputs, one.rows)]
            few = []
        else:
            few += _of_rows([_number(value) for value in one.outputs], one.rows, np.nan)
    return np.concatenate([*found, few]).astype(np.float64, copy=False)


def _classes(answered: Sequence[Logged], outputs: pa.Array) -> NDArray[np.int64] | None:
    """Return a code for each row's output, below 0 where its score says more of it, or None where that is so of all."""
    named = [_is_class(one) for one, _ in answered]
    if not any(named):
        return None
    encoded = outputs.dictionary_encode()
    names = [class_name(value) for value in encoded.dictionary.to_pylist()]
    codes = np.asarray([code(name) for name in [*names, ""]], np.int64)
    found = codes[encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)]
    return np.where(np.repeat(named, [one.rows for one, _ in answered]), found, -found)


def _is_class(one: Prediction) -> bool:
    """Whether a request was answered by classes: more than two with probabilities, or something that is no number."""
    arrays = one.arrays
    if arrays is not None and arrays.probabilities is not None:
        return len(arrays.probabilities.values) > 2 * 8 * one.rows
    if one.probabilities:
        return len(one.probabilities[0]) > 2
    if (arrays is not None and arrays.outputs is not None) or not one.outputs:
        return False
    return not isinstance(one.outputs[0], _NUMBERS)


def class_name(value: Any) -> str:
    """Return an output as the name of a class: a whole number is the same one however it was written."""
    name = text(value) or ""
    whole = name.removesuffix(".0")
    return whole if whole.removeprefix("-").isdigit() else name


def _numbers(column: Column, rows: int) -> NDArray[np.float64]:
    """Return each row's last number."""
    numbers = np.frombuffer(column.values, _WIRE[column.kind]).astype(np.float64)
    if column.missing:
        numbers[np.frombuffer(column.missing, np.bool_)] = np.nan
    width = len(numbers) // rows
    return (
        numbers.reshape(rows, width)[:, -1]
        if width and width * rows == len(numbers)
        else np.full(rows, np.nan)
    )


def _last(row: list[float]) -> float:
    return float(row[-1]) if row else float("nan")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _of_rows(values: Sequence[Any], rows: int, missing: Any = None) -> Sequence[Any]:
    """Return one value a row, whatever a record from elsewhere has."""
    return values if len(values) == rows else [*values[:rows], *[missing] * (rows - len(values))]


def _whole(pieces: list[_Piece], rows: int, of_objects: Callable[[list[Any]], pa.Array]) -> pa.Array:
    """Return a column of its pieces; rows between them are missing."""
    kind = pieces[0].kind if pieces else None
    if kind is None or any(piece.kind != kind for piece in pieces):
        objects: list[Any] = [None] * rows
        for piece in pieces:
            objects[piece.start : piece.end] = piece.as_list()
        return of_objects(objects)
    if len(pieces) == 1 and len(pieces[0].values) == rows:
        return pa.array(pieces[0].values, mask=pieces[0].missing, from_pandas=False)
    values = np.zeros(rows, _DTYPES[kind])
    missing = np.ones(rows, np.bool_)
    for piece in pieces:
        values[piece.start : piece.end] = piece.values
        missing[piece.start : piece.end] = False if piece.missing is None else piece.missing
    return pa.array(values, mask=missing if missing.any() else None, from_pandas=False)


def _array(values: list[Any]) -> pa.Array:
    """Return values as a column that Parquet can keep: as text where they are of several kinds, or objects."""
    try:
        found = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return pa.array([text(value) for value in values])
    kind = found.type
    while pa.types.is_list(kind):
        kind = kind.value_type
    return pa.array([text(value) for value in values]) if pa.types.is_struct(kind) else found


def _answers(values: list[Any]) -> pa.Array:
    """Return outputs as a column: with their type where all have one that `text` gives back, else as text."""
    if set(map(type, values)) - {type(None)} in _PLAIN:
        return _array(values)
    return pa.array([text(value) for value in values])


def _repeated(values: Sequence[str], of_row: NDArray[np.int64]) -> pa.Array:
    """Return each row's value by the place of its request, every text kept once."""
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    found = of_row
    if len(places) < len(values):
        found = np.fromiter(map(places.__getitem__, values), np.int64, len(values))[of_row]
    return pa.DictionaryArray.from_arrays(
        pa.array(found.astype(np.int32)), pa.array(list(places), pa.string())
    )
