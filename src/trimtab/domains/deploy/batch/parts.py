"""The files that predictions are written to: parts of so many rows each, there whole or not at all, known by content.

A part carries in its metadata the digest of what it was made from: the model, the data, the options and the range of
rows. A run that was cut off goes on after the last part of that content.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from blake3 import blake3

from trimtab.domains.deploy.batch.errors import OutputLost
from trimtab.domains.deploy.batch.model import RowCounts

if TYPE_CHECKING:
    import pyarrow as pa

_MARK = "trimtab.batch"
_GROUP_ROWS = 131_072


class Part(msgspec.Struct, frozen=True):
    """What a finished part says of itself. ``states`` are those of the predictions' distribution, by column."""

    key: str
    counts: RowCounts
    states: dict[str, Any]


class Parts:
    """The parts of one run, in a folder of its own."""

    def __init__(self, folder: Path, *, identity: Sequence[Any], rows: int) -> None:
        """``identity`` is everything that the predictions depend on; ``rows`` how many of the data a part covers."""
        self._folder = folder
        self._identity = identity
        self.rows = rows
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, number: int) -> Path:
        return self._folder / f"part-{number:05d}.parquet"

    def refused_path(self, number: int) -> Path:
        """Return where the rows of a part's range lie that were refused, if there are any."""
        return self._folder / f"refused-{number:05d}.parquet"

    def finished(self) -> list[Part]:
        """Return the parts from the first on that are complete and of this content; what follows them is removed."""
        found: list[Part] = []
        while (part := self._read(len(found))) is not None:
            found.append(part)
        known = {self.path(number) for number in range(len(found))}
        known |= {self.refused_path(number) for number in range(len(found))}
        for path in self._folder.glob("*.parquet*"):
            if path not in known:
                path.unlink()
        return found

    def begin(self, number: int) -> "PartWriter":
        """Return what writes a part."""
        return PartWriter(self.path(number), self.refused_path(number), self._key(number))

    def files(self, count: int) -> list[Path]:
        """Return the files with predictions among so many parts: the first one where none has a row."""
        import pyarrow.parquet as pq

        every = [self.path(number) for number in range(count)]
        return [path for path in every if pq.read_metadata(path).num_rows] or every[:1]

    def refused_files(self, count: int) -> list[Path]:
        """Return the files with refused rows among so many parts."""
        return [path for number in range(count) if (path := self.refused_path(number)).exists()]

    def remove(self) -> None:
        """Remove the folder with all parts."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _key(self, number: int) -> str:
        content = msgspec.json.encode([*self._identity, number * self.rows, self.rows], enc_hook=str)
        return f"b3:{blake3(content).hexdigest()}"

    def _read(self, number: int) -> Part | None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            metadata = pq.read_metadata(self.path(number)).metadata or {}
            part = msgspec.json.decode(metadata.get(_MARK.encode(), b""), type=Part)
        except (OSError, pa.ArrowException, msgspec.MsgspecError):
            return None
        if part.key != self._key(number):
            return None
        if part.counts.refused and not self.refused_path(number).exists():
            return None
        return part


class PartWriter:
    """One part being written, beside its place until it is complete."""

    def __init__(self, path: Path, refused: Path, key: str) -> None:
        self._key = key
        self._predicted = _File(path)
        self._refused = _File(refused)
        self._empty: pa.Table | None = None

    def add(self, table: "pa.Table", refused: "pa.Table | None") -> None:
        """Add predicted rows and those that were refused; raises OutputLost."""
        self._empty = table.slice(0, 0)
        if table.num_rows:
            self._predicted.write(table)
        if refused is not None and refused.num_rows:
            self._refused.write(refused)

    def finish(self, counts: RowCounts, states: dict[str, Any]) -> None:
        """Complete the part and let it appear; raises OutputLost."""
        if not self._predicted.begun and self._empty is not None:  # every row was refused, or there was none
            self._predicted.write(self._empty)
        self._refused.finish({})
        part = Part(self._key, counts, states)
        self._predicted.finish({_MARK: msgspec.json.encode(part).decode()})

    def drop(self) -> None:
        """Forget what was written."""
        self._predicted.drop()
        self._refused.drop()


class _File:
    """A Parquet file that appears under its name when it is complete and on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hidden = path.with_name(path.name + ".new")
        self._writer: Any = None
        self._held: list[pa.Table] = []

    @property
    def begun(self) -> bool:
        return self._writer is not None or bool(self._held)

    def write(self, table: "pa.Table") -> None:
        """Add rows; they are written when there are enough for a group of rows."""
        if self._held:
            table = table.cast(self._held[0].schema)
        self._held.append(table)
        if sum(each.num_rows for each in self._held) >= _GROUP_ROWS:
            self._flush()

    def finish(self, metadata: dict[str, str]) -> None:
        if not self.begun:
            return
        self._flush()
        with _writing(self._path):
            if metadata:
                self._writer.add_key_value_metadata(metadata)
            self._writer.close()
            with self._hidden.open("rb") as file:
                os.fsync(file.fileno())
            self._hidden.replace(self._path)
            sync_folder(self._path.parent)

    def drop(self) -> None:
        self._held.clear()
        if self._writer is not None:
            with suppress(OSError):
                self._writer.close()
        self._hidden.unlink(missing_ok=True)

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._held:
            return
        whole, self._held = pa.concat_tables(self._held), []
        with _writing(self._path):
            if self._writer is None:
                self._writer = _writer(self._hidden, whole.schema)
            self._writer.write_table(whole.cast(self._writer.schema))


def _writer(path: Path, schema: "pa.Schema") -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Numbers seldom repeat, and a dictionary of those that do not costs time and space.
    texts: Any = [
        field.name
        for field in schema
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]
    return pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=texts or False)


class _writing:  # noqa: N801 - reads as a statement
    """Turns the disk's refusals into OutputLost."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise OutputLost(f"{self._path} cannot be written: {error.strerror or error}.") from error


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive the death of the machine."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def join(files: Sequence[Path], target: Path) -> None:
    """Write the rows of several Parquet files to one, which appears complete; memory does not grow with them."""
    import pyarrow.parquet as pq

    hidden = target.with_name(f".{target.name}.new")
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if len(files) == 1:
            shutil.copyfile(files[0], hidden)
        else:
            schema = pq.read_schema(files[0]).remove_metadata()
            with _writer(hidden, schema) as writer:
                for batch in _batches(files):
                    writer.write_batch(batch.cast(schema))
        with hidden.open("rb") as file:
            os.fsync(file.fileno())
        hidden.replace(target)
        sync_folder(target.parent)


def _batches(files: Sequence[Path]) -> "Iterator[pa.RecordBatch]":
    import pyarrow.parquet as pq

    for path in files:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            yield from file.iter_batches(batch_size=1 << 17, use_threads=False)
