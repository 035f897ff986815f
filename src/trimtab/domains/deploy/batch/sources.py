"""The rows to be predicted: the table files of a data version or of this machine, read in order in bounded memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from trimtab.domains.data.tables import Unreadable, format_of, open_table
from trimtab.domains.deploy.batch.errors import BadTable

if TYPE_CHECKING:
    import pyarrow as pa

_READ_ROWS = 65_536


class Table:
    """Files with the same columns, as one table. Each is given as its path and the name that says its format."""

    def __init__(self, files: Sequence[tuple[Path, str]], *, digest: str) -> None:
        """Raises BadTable where a file is no table, or the files hold different columns."""
        if not files:
            raise BadTable("The data holds no table: Parquet, Arrow, CSV or JSON lines.", field="data")
        self.digest = digest
        self._files = files
        first, name = files[0]
        self._opened: Iterator[pa.RecordBatch] | None
        self.schema: pa.Schema
        self.schema, self._opened = _open(first, name)
        if len(set(self.schema.names)) < len(self.schema.names):
            raise BadTable(f"{name} has two columns of the same name.", field="data")
        for path, other in files[1:]:
            if set(_open(path, other)[0].names) != set(self.schema.names):
                raise BadTable(
                    f"The data holds several tables, such as {name!r} and {other!r}: choose one by its path.",
                    field="path",
                )
        self.rows = _count(files)
        """How many rows there are, None where only reading them all would tell."""

    def batches(self, columns: Sequence[str], *, skip: int) -> "Iterator[pa.RecordBatch]":
        """Yield the named columns from the row ``skip`` on, some ten thousand rows at a time."""
        import pyarrow as pa

        wanted = pa.schema([self.schema.field(column) for column in columns])
        for path, name in self._files:
            try:
                opened, self._opened = (
                    self._opened,
                    None,
                )  # a CSV is looked through before it is read: once is enough
                read, batches = _read(path, name, columns, skip, opened)
                skip -= read
                for batch in batches:
                    if skip >= batch.num_rows:
                        skip -= batch.num_rows
                        continue
                    yield _as(wanted, batch.slice(skip) if skip else batch)
                    skip = 0
            except Unreadable as error:
                raise BadTable(f"{name} cannot be read: {error}", field="data") from error


def _as(wanted: "pa.Schema", batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Return a batch with the types of the first file's columns."""
    import pyarrow as pa

    if batch.schema.equals(wanted):
        return batch
    try:
        return batch.cast(wanted)
    except pa.ArrowInvalid as error:
        raise Unreadable(f"its columns are not of the same types as the first file's: {error}") from error


def _open(path: Path, name: str) -> "tuple[pa.Schema, Iterator[pa.RecordBatch]]":
    try:
        return open_table(path, name)
    except Unreadable as error:
        raise BadTable(f"{name} cannot be read: {error}", field="data") from error


def _count(files: Sequence[tuple[Path, str]]) -> int | None:
    import pyarrow.parquet as pq

    if any(format_of(name) != ("parquet", None) for _, name in files):
        return None
    return sum(pq.read_metadata(path).num_rows for path, _ in files)


def _read(
    path: Path, name: str, columns: Sequence[str], skip: int, opened: "Iterator[pa.RecordBatch] | None"
) -> "tuple[int, Iterator[pa.RecordBatch]]":
    """Return how many rows before ``skip`` were passed over without reading, and batches of those after them."""
    if format_of(name) == ("parquet", None):
        return _read_parquet(path, columns, skip)
    batches = opened if opened is not None else open_table(path, name)[1]
    return 0, (batch.select([*columns]) for batch in batches)


def _read_parquet(path: Path, columns: Sequence[str], skip: int) -> "tuple[int, Iterator[pa.RecordBatch]]":
    import pyarrow.parquet as pq

    metadata: Any = pq.read_metadata(path)
    first = passed = 0
    while first < metadata.num_row_groups and passed + metadata.row_group(first).num_rows <= skip:
        passed += metadata.row_group(first).num_rows
        first += 1
    return passed, _parquet_batches(path, columns, range(first, metadata.num_row_groups))


def _parquet_batches(path: Path, columns: Sequence[str], groups: range) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            for batch in file.iter_batches(
                batch_size=_READ_ROWS, row_groups=[*groups], columns=[*columns], use_threads=False
            ):
                yield batch.select([*columns])
    except (pa.ArrowException, OSError) as error:
        raise Unreadable(" ".join(str(error).split())[:500]) from error


def cut(batches: "Iterator[pa.RecordBatch]", rows: int) -> "Iterator[pa.RecordBatch]":
    """Yield the same rows in batches of exactly so many, the last with what is left."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        rest = batch
        while count + rest.num_rows >= rows:
            held.append(rest.slice(0, rows - count))
            rest = rest.slice(rows - count)
            yield held[0] if len(held) == 1 else _one(held)
            held, count = [], 0
        if rest.num_rows:
            held.append(rest)
            count += rest.num_rows
    if held:
        yield held[0] if len(held) == 1 else _one(held)


def _one(batches: "list[pa.RecordBatch]") -> "pa.RecordBatch":
    import pyarrow as pa

    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0]


def digest_of_file(path: Path) -> str:
    """Return the name of a file's content."""
    return f"b3:{blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()}"


def digest_of_folder(folder: Path) -> str:
    """Return the name of a folder's content: its files by path, with the digest of each."""
    digest = blake3()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\x00{digest_of_file(path)}\n".encode())
    return f"b3:{digest.hexdigest()}"
