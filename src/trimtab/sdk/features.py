"""Point-in-time joins: for each row the features as they were known at its moment, and never a later one."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from trimtab.kernel.errors import Invalid, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["point_in_time_join"]

_ROW = "__trimtab_row"
_TIME = "__trimtab_time"
_SHIFT = (
    1 << 40
)  # rows that one frame may have: a moment and a row's number together order what is simultaneous


def point_in_time_join(
    entities: Any,
    features: Any,
    *,
    on: str | Sequence[str],
    entity_time: str,
    feature_time: str,
    max_age: timedelta | float | None = None,
    memory_limit: str = "1GB",
) -> "pa.Table":
    """Return the entities in their order, each with the newest feature row of its keys that is not younger than itself.

    ``entities`` and ``features`` are Arrow tables, readers or datasets, pandas or polars frames, or anything else with
    the Arrow C stream interface; readers are read once and never held as a whole. ``on`` names the key columns, which
    both have. ``entity_time`` and ``feature_time`` are dates, timestamps (both with a zone or both without) or whole
    numbers. Of features with the same keys and moment the last row wins.

    ``max_age`` (a timedelta, or seconds; with whole numbers as times, in their unit) leaves older features out. A row
    without features has nulls. The time of the features is part of the result unless its name is taken by the
    entities. The join runs in DuckDB within ``memory_limit`` and spills to disk; only the result is held in memory.

    Raises Invalid that names the column for missing columns, columns with the same name on both sides, and types that
    cannot be compared.
    """
    import duckdb

    keys = [on] if isinstance(on, str) else list(on)
    left, right = _Side("entities", entities), _Side("features", features)
    left.require([*keys, entity_time])
    right.require([*keys, feature_time])
    for key in keys:
        _check_comparable(key, left.schema, right.schema)
    unit = _common_unit(left.schema.field(entity_time), right.schema.field(feature_time))
    wanted = [
        name
        for name in right.schema.names
        if name not in keys and not _is_taken_time(name, feature_time, left)
    ]
    clashes = [name for name in wanted if name in left.schema.names]
    if clashes:
        raise Invalid(
            f"Both sides have a column {clashes[0]!r}: rename one, or leave it out of the features.",
            field=clashes[0],
        )
    age = _age(max_age, unit)
    fresh = "true" if age is None else f"e.{_TIME} - f.{_TIME} <= {age}"
    chosen = [f"case when {fresh} then f.{_quoted(name)} end as {_quoted(name)}" for name in wanted]
    equal = [f"e.{_quoted(key)} = f.{_quoted(key)}" for key in keys]
    order = (
        f"cast(e.{_TIME} + 1 as hugeint) * {_SHIFT} - 1 >= cast(f.{_TIME} as hugeint) * {_SHIFT} + f.{_ROW}"
    )
    statement = (
        f"select {', '.join([*(f'e.{_quoted(name)}' for name in left.schema.names), *chosen])} "
        f"from entities e asof left join (select * from features where {_TIME} is not null) f "
        f"on {' and '.join([*equal, order])} order by e.{_ROW}"
    )
    with TemporaryDirectory(prefix="trimtab-join-") as folder, closing(duckdb.connect()) as connection:
        connection.execute("set memory_limit = ?", [memory_limit])
        connection.execute("set temp_directory = ?", [folder])
        connection.execute("set preserve_insertion_order = false")
        connection.execute("set asof_loop_join_threshold = 0")  # a stream says nothing of its length
        connection.execute("set timezone = 'UTC'")
        connection.register("entities", left.reader(entity_time, unit))
        connection.register("features", right.reader(feature_time, unit))
        joined = connection.sql(statement).to_arrow_table()
    return _restored(joined, left.schema, right.schema, wanted)


class _Side:
    """One of the frames, as a stream of batches."""

    def __init__(self, name: str, frame: Any) -> None:
        self.name = name
        self._stream = _stream(name, frame)
        self.schema: pa.Schema = self._stream.schema
        twice = {column for column in self.schema.names if self.schema.names.count(column) > 1}
        if twice:
            raise Invalid(f"The {name} have two columns named {min(twice)!r}.", field=name)

    def require(self, columns: list[str]) -> None:
        for column in columns:
            if column not in self.schema.names:
                hint = (
                    did_you_mean(column, self.schema.names) or f" They have {', '.join(self.schema.names)}."
                )
                raise Invalid(f"The {self.name} have no column {column!r}.{hint}", field=column)

    def reader(self, time: str, unit: str | None) -> "pa.RecordBatchReader":
        """Return the batches with the number of each row, and its moment as a whole number."""
        import pyarrow as pa

        schema = self.schema.append(pa.field(_ROW, pa.int64())).append(pa.field(_TIME, pa.int64()))
        return pa.RecordBatchReader.from_batches(schema, self._numbered(time, unit, schema))

    def _numbered(self, time: str, unit: str | None, schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
        import numpy as np
        import pyarrow as pa

        start = 0
        for batch in self._stream:
            moments = batch.column(self.schema.get_field_index(time))
            if unit is not None:
                moments = moments.cast(pa.timestamp(unit, getattr(moments.type, "tz", None)))
            rows = pa.array(np.arange(start, start + batch.num_rows, dtype=np.int64))
            start += batch.num_rows
            yield pa.RecordBatch.from_arrays([*batch.columns, rows, moments.cast(pa.int64())], schema=schema)


def _stream(name: str, frame: Any) -> "pa.RecordBatchReader":
    import pyarrow as pa

    if isinstance(frame, Mapping):
        frame = pa.table(dict(frame))
    if type(frame).__module__.partition(".")[0] == "pandas":
        frame = pa.Table.from_pandas(frame, preserve_index=False)
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(frame)
    if hasattr(frame, "scanner"):
        return frame.scanner().to_reader()
    raise Invalid(
        f"The {name} are of type {type(frame).__name__}, which is no table that Arrow can read.", field=name
    )


def _check_comparable(key: str, left: "pa.Schema", right: "pa.Schema") -> None:
    kinds = [_kind(side.field(key).type) for side in (left, right)]
    if kinds[0] != kinds[1] and "null" not in kinds:  # a column without a single value compares with anything
        raise Invalid(
            f"The key {key!r} is {left.field(key).type} in the entities and {right.field(key).type} in the features.",
            field=key,
        )


def _kind(column: "pa.DataType") -> str:
    """Return what a type can be compared with: text with text, whole numbers with whole numbers, others with their like."""
    import pyarrow.types as pt

    if pt.is_dictionary(column):
        return _kind(column.value_type)
    if pt.is_string(column) or pt.is_large_string(column) or pt.is_string_view(column):
        return "text"
    if pt.is_integer(column):
        return "whole number"
    return str(column)


def _common_unit(left: "pa.Field", right: "pa.Field") -> str | None:
    """Return the unit in which both times are counted, or None where they are whole numbers."""
    import pyarrow.types as pt

    if pt.is_null(left.type) or pt.is_null(right.type):
        left = right = left if pt.is_null(right.type) else right
    if pt.is_null(left.type):
        return None
    for field in (left, right):
        if not (pt.is_integer(field.type) or pt.is_date(field.type) or pt.is_timestamp(field.type)):
            raise Invalid(
                f"The time {field.name!r} is {field.type}: it must be a date, a timestamp or a whole number.",
                field=field.name,
            )
    if pt.is_integer(left.type) != pt.is_integer(right.type):
        raise Invalid(
            f"The times cannot be compared: {left.name!r} is {left.type}, {right.name!r} is {right.type}.",
            field=right.name,
        )
    if pt.is_integer(left.type):
        return None
    zones = [getattr(field.type, "tz", None) for field in (left, right)]
    if (zones[0] is None) != (zones[1] is None):
        raise Invalid(
            f"One of the times {left.name!r} ({left.type}) and {right.name!r} ({right.type}) has a time zone and the "
            "other has not, so which is later cannot be told.",
            field=right.name,
        )
    return "ns" if "ns" in (getattr(left.type, "unit", ""), getattr(right.type, "unit", "")) else "us"


def _is_taken_time(name: str, feature_time: str, left: _Side) -> bool:
    return name == feature_time and name in left.schema.names


def _age(max_age: timedelta | float | None, unit: str | None) -> int | None:
    if max_age is None:
        return None
    if unit is None:
        if isinstance(max_age, timedelta) or max_age != int(max_age):
            raise Invalid("With whole numbers as times, max_age is a whole number too.", field="max_age")
        age = int(max_age)
    else:
        seconds = max_age if isinstance(max_age, timedelta) else timedelta(seconds=max_age)
        age = seconds // timedelta(microseconds=1) * (1000 if unit == "ns" else 1)
    if age < 0:
        raise Invalid("max_age must not be negative.", field="max_age")
    return age


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _restored(joined: "pa.Table", left: "pa.Schema", right: "pa.Schema", wanted: list[str]) -> "pa.Table":
    """Return the table with the types that the columns had before DuckDB, where they can be had back."""
    import pyarrow as pa

    columns: list[Any] = []
    fields: list[Any] = []
    for name in joined.column_names:
        field = left.field(name) if name not in wanted else right.field(name).with_nullable(True)
        column = joined.column(name)
        if column.type != field.type:
            try:
                column = column.cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                field = field.with_type(column.type)
        columns.append(column)
        fields.append(field.remove_metadata())
    return pa.table(columns, schema=pa.schema(fields))
