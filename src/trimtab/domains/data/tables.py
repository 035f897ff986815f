"""Which files of a version are tables, which of them belong together, and how to read each in bounded memory.

The first part only looks at names and runs anywhere; the readers import Arrow and DuckDB and run in a worker.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import msgspec

from trimtab.domains.data.model import DataFile

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["parquet", "arrow", "csv", "jsonl"]

_FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_PACKED: dict[str, str] = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".zip": "zip"}
_SEPARATORS = (",", "\t", ";", "|")
_BLOCK_BYTES = 1 << 20
_BATCH_ROWS = 65_536
_LONGEST_NESTED = 200


class Unreadable(Exception):
    """A file that should be a table cannot be read as one; the message says why."""


class Group(msgspec.Struct, frozen=True):
    """Files which are parts of one table, named after them."""

    name: str
    files: list[DataFile]


def format_of(path: str) -> tuple[Format, str | None] | None:
    """Return (format, compression) by the name of a file, None for what is no table.

    >>> format_of("a/flights.csv.gz"), format_of("photo.jpg"), format_of("DAY.PARQUET")
    (('csv', 'gzip'), None, ('parquet', None))
    """
    name = PurePosixPath(path.lower())
    compression = _PACKED.get(name.suffix)
    if compression is not None:
        name = name.with_suffix("")
    kind = _FORMATS.get(name.suffix)
    if kind is None or (compression is not None and kind in ("parquet", "arrow")):
        return None
    return kind, compression


def group(files: Sequence[tuple[DataFile, tuple[str, ...]]]) -> list[Group]:
    """Return the tables that files with these columns make: those with the same columns are parts of one."""
    by_columns: dict[frozenset[str], list[DataFile]] = {}
    for file, columns in files:
        by_columns.setdefault(frozenset(columns), []).append(file)
    groups: list[Group] = []
    for parts in by_columns.values():
        name = _name([file.path for file in parts])
        taken = {one.name for one in groups}
        groups.append(Group(next(each for each in _numbered(name) if each not in taken), parts))
    return groups


def _name(paths: Sequence[str]) -> str:
    stems = [path.rpartition("/")[2].partition(".")[0] for path in paths]
    if len(paths) == 1:
        return stems[0] or "table"
    first, last = min(stems), max(stems)
    alike = next((at for at, letter in enumerate(first) if letter != last[at : at + 1]), len(first))
    folder = paths[0].rpartition("/")[0].rpartition("/")[2]
    return re.sub(r"[^A-Za-z]+$", "", first[:alike]) or folder or "table"


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def open_table(path: Path, name: str) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
    """Return the schema of a table file and an iterator over it, some ten thousand rows at a time.

    ``name`` says the format, since a blob has no ending. Raises Unreadable.
    """
    import pyarrow as pa

    kind, compression = format_of(name) or ("csv", None)
    try:
        match kind:
            case "parquet":
                schema, batches = _parquet(path)
            case "arrow":
                schema, batches = _arrow(path)
            case "csv":
                schema, batches = _csv(path, compression)
            case "jsonl":
                schema, batches = _jsonl(path, compression)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise Unreadable(_said(error)) from error
    return schema, _guarded(batches)


def _guarded(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    try:
        yield from _gathered(batches)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(_said(error)) from error


def _gathered(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    """Join small batches, since each costs its consumer about the same whatever its size."""
    import pyarrow as pa

    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        if rows >= _BATCH_ROWS:
            yield from pa.Table.from_batches(held).combine_chunks().to_batches()
            held, rows = [], 0
    if held:
        yield from pa.Table.from_batches(held).combine_chunks().to_batches()


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__


def _parquet(path: Path) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    return file.schema_arrow, file.iter_batches(batch_size=_BATCH_ROWS)


def _arrow(path: Path) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
    import pyarrow as pa

    source = pa.memory_map(str(path))
    try:
        file = pa.ipc.open_file(source)
    except pa.ArrowInvalid:  # not the file form, so the stream form
        source.seek(0)
        reader = pa.ipc.open_stream(source)
        return reader.schema, iter(reader)
    return file.schema, (file.get_batch(number) for number in range(file.num_record_batches))


def _bytes_of(path: Path, compression: str | None) -> Any:
    import pyarrow as pa

    if compression is None:
        return pa.OSFile(str(path))
    if compression == "zip":
        return pa.PythonFile(_only_member(path))
    return pa.CompressedInputStream(pa.OSFile(str(path)), compression)


def _only_member(path: Path) -> BinaryIO:
    import zipfile

    try:
        archive = zipfile.ZipFile(path)
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise Unreadable(f"The archive holds {len(members)} files; a table is a single one.")
        return archive.open(members[0])  # type: ignore[return-value]
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise Unreadable(_said(error)) from error


def _csv(path: Path, compression: str | None) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
    import pyarrow as pa

    try:
        types = None
        for _ in _read_csv(path, compression, types):
            pass  # streaming fixes the types by the first block, so see whether the rest agrees
    except pa.ArrowInvalid:
        types = _csv_types(path, compression)
    reader = _read_csv(path, compression, types)
    return reader.schema, iter(reader)


def _read_csv(path: Path, compression: str | None, types: "dict[str, pa.DataType] | None") -> Any:
    from pyarrow import csv

    with _bytes_of(path, compression) as stream:
        head = stream.read(64 << 10).split(b"\n", 1)[0].decode("utf-8", "replace")
    separator = max(_SEPARATORS, key=head.count)
    return csv.open_csv(
        _bytes_of(path, compression),
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            strings_can_be_null=True, quoted_strings_can_be_null=False, column_types=types
        ),
    )


def _csv_types(path: Path, compression: str | None) -> "dict[str, pa.DataType]":
    """Return for each column the narrowest type that every one of its values has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with _bytes_of(path, compression) as stream:
        first = _read_csv_header(stream)
    candidates: dict[str, list[pa.DataType]] = {
        name: [pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us"), pa.string()]
        for name in first
    }
    for batch in _read_csv(path, compression, dict.fromkeys(first, pa.string())):
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            while len(candidates[name]) > 1:
                try:
                    pc.cast(values, candidates[name][0])
                    break
                except pa.ArrowInvalid:
                    candidates[name].pop(0)
    return {name: kinds[0] for name, kinds in candidates.items()}


def _read_csv_header(stream: Any) -> list[str]:
    import csv

    text = stream.read(1 << 20).decode("utf-8-sig", "replace")
    head = text.partition("\n")[0]
    return next(csv.reader([head.rstrip("\r")], delimiter=max(_SEPARATORS, key=head.count)), [])


def _jsonl(path: Path, compression: str | None) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
    import duckdb

    if compression not in (None, "gzip", "zstd"):
        raise Unreadable(f"JSON lines cannot be read from {compression}; use gzip or zstd.")
    try:
        connection = duckdb.connect(config={"threads": 1, "memory_limit": "512MB"})
        relation = connection.sql(
            "select * from read_json($path, format = 'newline_delimited', compression = $compression,"
            " sample_size = -1, maximum_object_size = 16777216)",
            params={"path": str(path), "compression": compression or "none"},
        )
        reader = relation.to_arrow_reader(_BATCH_ROWS)
    except duckdb.Error as error:
        raise Unreadable(_said(error)) from error
    return reader.schema, iter(reader)


def plain(values: "pa.Array[Any]") -> "pa.Array[Any]":
    """Return a column as the profile takes it: decimals as numbers, nested and binary values as short texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_dictionary(kind):
        return plain(pc.cast(values, kind.value_type))
    if pa.types.is_decimal(kind):
        return pc.cast(values, pa.float64())
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array(
            [None if value is None else _short(value) for value in values.to_pylist()], pa.string()
        )
    if pa.types.is_null(kind):
        return pc.cast(values, pa.string())
    return values


def _short(value: Any) -> str:
    if isinstance(value, bytes):
        return value[:32].hex()
    return msgspec.json.encode(value, enc_hook=str).decode()[:_LONGEST_NESTED]
