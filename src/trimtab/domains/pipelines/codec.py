"""Turns objects into stored values and back. It runs in step processes only: the server never loads what steps made.

Each type of value has the plainest format that keeps it whole; only what has none is pickled.
"""

import io
import math
import mmap
import os
import pickle
import shutil
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
from blake3 import blake3

from trimtab.domains.pipelines.values import INLINE_MOST_BYTES, FolderEntry, Value, composite, digest_of
from trimtab.infra.blobs import Blobs
from trimtab.kernel.errors import Invalid

_MOST_PARTS = 1000
_LARGE_BYTES = 1 << 20
_PIECE = 1 << 20


class Codec:
    """Encodes into a blob store, decodes out of it. ``scratch`` is where files of decoded values are put."""

    def __init__(self, blobs: Blobs, *, scratch: Path) -> None:
        self._blobs = blobs
        self._scratch = scratch
        self._count = 0

    def constant(self, value: Any) -> Value:
        """Encode an argument that a pipeline gives by itself: a path stays a path, named by what lies there now."""
        if isinstance(value, Path):
            absolute = value.expanduser().absolute()
            return Value("path", _path_digest(absolute), inline=str(absolute))
        return self.encode(value)

    def encode(self, value: Any) -> Value:
        """Store an object and return its value; raises Invalid for what cannot be stored."""
        plain = _plain(value)
        if plain is not _NOT_PLAIN:
            return self._stored("json", msgspec.json.encode(plain), text=True)
        match value:
            case bytes():
                return self._stored("bytes", value)
            case datetime():
                return Value("datetime", digest_of("datetime", value.isoformat()), inline=value.isoformat())
            case date():
                return Value("date", digest_of("date", value.isoformat()), inline=value.isoformat())
            case Path():
                return self._encode_path(value)
            case dict() | list() | tuple():
                return self._encode_container(value)
            case _:
                return self._encode_object(value)

    def decode(self, value: Value) -> Any:  # noqa: PLR0911 - one return for each type
        """Load an object; files and folders are copied to where the step may change them."""
        match value.type:
            case "json":
                return msgspec.json.decode(self._raw(value))
            case "bytes":
                return bytes(self._raw(value))
            case "date":
                return date.fromisoformat(value.inline or "")
            case "datetime":
                return datetime.fromisoformat(value.inline or "")
            case "path":
                return Path(value.inline or "")
            case "file" | "folder":
                return self._decode_path(value)
            case "dict":
                return {key: self.decode(part) for key, part in (value.fields or {}).items()}
            case "list":
                return [self.decode(part) for part in value.items or ()]
            case "tuple":
                return tuple(self.decode(part) for part in value.items or ())
            case _:
                return self._decode_object(value)

    def _stored(self, kind: Any, raw: bytes, *, text: bool = False) -> Value:
        if text and len(raw) <= INLINE_MOST_BYTES:
            return Value(kind, digest_of(kind, raw), len(raw), inline=raw.decode())
        blob = self._blobs.put(raw)
        return Value(kind, digest_of(kind, blob), len(raw), blob=blob)

    def _stored_stream(self, kind: Any, stream: Any, size_bytes: int) -> Value:
        """Store what a stream holds from its beginning, piece by piece."""
        stream.seek(0)
        blob = self._blobs.put(stream)
        return Value(kind, digest_of(kind, blob), size_bytes, blob=blob)

    def _raw(self, value: Value) -> "bytes | mmap.mmap":
        if value.inline is not None:
            return value.inline.encode()
        assert value.blob is not None
        path = self._blobs.path(value.blob)
        with self._blobs.open(value.blob) if path is None else path.open("rb") as file:
            if path is not None and value.size_bytes >= _LARGE_BYTES:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return file.read()

    # containers

    def _encode_container(self, value: "dict[Any, Any] | list[Any] | tuple[Any, ...]") -> Value:
        kind = type(value)
        keyed = kind is dict and all(type(key) is str for key in value)
        if len(value) > _MOST_PARTS or not (keyed or kind in (list, tuple)):
            return self._pickled(value)
        if isinstance(value, dict):
            return composite("dict", {key: self.encode(part) for key, part in value.items()})
        return composite("tuple" if kind is tuple else "list", [self.encode(part) for part in value])

    # files

    def _encode_path(self, path: Path) -> Value:
        if path.is_dir():
            entries: list[FolderEntry] = []
            self._blobs.put_many(self._store_folder(path, entries))
            manifest = self._blobs.put(msgspec.json.encode(entries))
            size = sum(entry.size_bytes for entry in entries)
            return Value(
                "folder", digest_of("folder", manifest, path.name), size, blob=manifest, name=path.name
            )
        if not path.is_file():
            raise Invalid(f"The step returned the path {path}, at which nothing is.")
        with path.open("rb") as stream:
            blob = self._blobs.put(stream)
        return Value(
            "file", digest_of("file", blob, path.name), path.stat().st_size, blob=blob, name=path.name
        )

    def _store_folder(self, folder: Path, entries: list[FolderEntry]) -> Iterator[tuple[str, bytes]]:
        """Store the large files of a folder and yield the small ones, which are stored together; list all of them."""
        for file in sorted(folder.rglob("*")):
            if not file.is_file():
                continue
            status = file.stat()
            content = file.read_bytes() if status.st_size < _LARGE_BYTES else None
            if content is not None:
                blob = f"b3:{blake3(content).hexdigest()}"
                yield blob, content
            else:
                with file.open("rb") as stream:
                    blob = self._blobs.put(stream)
            executable = bool(status.st_mode & 0o100)
            entries.append(FolderEntry(file.relative_to(folder).as_posix(), blob, status.st_size, executable))

    def _decode_path(self, value: Value) -> Path:
        assert value.blob is not None
        self._count += 1
        target = self._scratch / f"input-{self._count}" / (value.name or "value")
        target.parent.mkdir(parents=True, exist_ok=True)
        if value.type == "file":
            self._copy(value.blob, target)
            return target
        target.mkdir()
        with self._blobs.open(value.blob) as stream:
            entries = msgspec.json.decode(stream.read(), type=list[FolderEntry])
        for entry in entries:
            file = target / entry.path
            file.parent.mkdir(parents=True, exist_ok=True)
            self._copy(entry.blob, file)
            if entry.executable:
                file.chmod(0o755)
        return target

    def _copy(self, blob: str, target: Path) -> None:
        path = self._blobs.path(blob)
        if path is not None:
            shutil.copyfile(path, target)
            return
        with self._blobs.open(blob) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, _PIECE)

    # objects of libraries: none is imported unless the object is one of its own

    def _encode_object(self, value: Any) -> Value:
        library = type(value).__module__.partition(".")[0]
        encoder = {"pyarrow": self._encode_arrow, "pandas": self._encode_pandas, "polars": self._encode_polars,
                   "numpy": self._encode_numpy}.get(library)  # fmt: skip
        encoded = encoder(value) if encoder is not None else None
        return encoded if encoded is not None else self._pickled(value)

    def _encode_arrow(self, value: Any) -> Value | None:
        import pyarrow as pa

        if not isinstance(value, (pa.Table, pa.RecordBatch)):
            return None
        table = value if isinstance(value, pa.Table) else pa.Table.from_batches([value])
        return self._stored_table("arrow", table)

    def _encode_pandas(self, value: Any) -> Value | None:
        import pandas as pd
        import pyarrow as pa

        if (
            type(value) is not pd.DataFrame
            or value.attrs
            or not all(type(name) is str for name in value.columns)
        ):
            return None
        for name, dtype in value.dtypes.items():
            if str(dtype) == "object" and pd.api.types.infer_dtype(value[name], skipna=False) != "string":
                return None  # Arrow would bring such a column back as another type
        try:
            table = pa.Table.from_pandas(value)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, ValueError):
            return None
        return self._stored_table("pandas", table)

    def _encode_polars(self, value: Any) -> Value | None:
        import polars as pl  # pyright: ignore[reportMissingImports] - an extra of the user's own

        if not isinstance(value, pl.DataFrame):
            return None
        buffer = io.BytesIO()
        value.write_ipc(buffer, compression="lz4")
        return self._stored_stream("polars", buffer, buffer.tell())

    def _encode_numpy(self, value: Any) -> Value | None:
        import numpy as np

        if type(value) is not np.ndarray or value.dtype.hasobject:
            return None
        buffer = io.BytesIO()
        np.save(buffer, value, allow_pickle=False)
        return self._stored_stream("numpy", buffer, buffer.tell())

    def _stored_table(self, kind: Any, table: Any) -> Value:
        import pyarrow as pa

        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.ipc.new_file(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        content = sink.getvalue()
        return self._stored_stream(kind, pa.BufferReader(content), content.size)

    def _pickled(self, value: Any) -> Value:
        try:
            try:
                import cloudpickle
            except ImportError:
                raw = pickle.dumps(value, protocol=5)
            else:
                raw = cloudpickle.dumps(value, protocol=5)
        except Exception as error:  # an object may fail to be pickled in any way
            kind = type(value).__name__
            raise Invalid(
                f"A {kind} cannot be passed between steps: {type(error).__name__}: {error}"
            ) from error
        return self._stored("pickle", raw)

    def _decode_object(self, value: Value) -> Any:
        raw = self._raw(value)
        match value.type:
            case "arrow":
                return _table(raw)
            case "pandas":
                return _table(raw).to_pandas()
            case "polars":
                import polars as pl  # pyright: ignore[reportMissingImports] - an extra of the user's own

                return pl.read_ipc(io.BytesIO(raw))
            case "numpy":
                import numpy as np

                return np.load(io.BytesIO(raw), allow_pickle=False)
            case _:
                return pickle.loads(raw)  # noqa: S301 - a step process holds nothing that its own code may not have


def _table(raw: "bytes | mmap.mmap") -> Any:
    import pyarrow as pa

    return pa.ipc.open_file(pa.py_buffer(raw)).read_all()


_NOT_PLAIN = object()


def _plain(value: Any) -> Any:
    """Return the value when JSON brings it back equal, with numpy's scalars as Python's; else the mark for no."""
    kind = type(value)
    if value is None or kind is bool or kind is str or (kind is int and -(1 << 63) <= value < 1 << 63):
        return value
    if kind is float:
        return value if math.isfinite(value) else _NOT_PLAIN
    if kind is list:
        parts = [_plain(part) for part in value]
        return _NOT_PLAIN if any(part is _NOT_PLAIN for part in parts) else parts
    if kind is dict:
        if not all(type(key) is str for key in value):
            return _NOT_PLAIN
        fields = {key: _plain(part) for key, part in value.items()}
        return _NOT_PLAIN if any(part is _NOT_PLAIN for part in fields.values()) else fields
    if kind.__module__ == "numpy" and "numpy" in sys.modules:
        import numpy as np

        if isinstance(value, (np.bool_, np.integer, np.floating)):
            return _plain(value.item())
    return _NOT_PLAIN


def _path_digest(path: Path) -> str:
    """Return the digest of a path and of the content that lies there now."""
    if path.is_file():
        return digest_of("path", str(path), _file_digest(path))
    if path.is_dir():
        pieces: list[bytes | str] = [str(path)]
        for file in sorted(path.rglob("*")):
            if file.is_file():
                pieces += [file.relative_to(path).as_posix(), _file_digest(file)]
        return digest_of("path", *pieces)
    return digest_of("path", str(path))


def _file_digest(file: Path) -> bytes:
    digest = blake3(max_threads=os.cpu_count() or 1)
    digest.update_mmap(file)
    return digest.digest()
