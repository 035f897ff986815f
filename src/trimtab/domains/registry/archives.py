"""Looks into the files of a model, and into the archives among them, for what would run when they are loaded.

Content decides and names only add suspicion: a pickle under another name is found, a damaged archive is not passed over.
Nothing is loaded, nothing is written, and all of it ends at fixed limits.
"""

import ast
import bz2
import gzip
import io
import json
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, Literal

import msgspec

from trimtab.domains.registry.pickles import Budget, Malformed, TooLong, Walk

Kind = Literal["plain", "pickle", "archive", "code", "unknown"]

PICKLE_NAME = re.compile(r"\.(pkl|pickle|cloudpickle|joblib|dill|pt|pth|ckpt|mar|dat)$", re.IGNORECASE)
CODE_NAME = re.compile(r"\.(py|pyc|pyd|so|dll|sh|jar|exe|bat)$", re.IGNORECASE)
_PLAIN_NAME = re.compile(
    r"\.(json|ya?ml|txt|md|csv|toml|cfg|ini|onnx|safetensors|lgb|ubj|xgb|cbm|parquet|html|png|svg|jpe?g|model)$"
    r"|(^|/)(MLmodel|requirements|LICENSE|README|METADATA)$",
    re.IGNORECASE,
)
_ZIP, _NPY, _HDF5 = b"PK\x03\x04", b"\x93NUMPY", b"\x89HDF\r\n\x1a\n"
_PROTOCOLS = range(2, 6)
_MOST_MEMBERS = 20_000
_DEEPEST = 4
_MOST_CONFIG = 16 << 20
_HDF5_MOST = 64 << 20
_JOBLIB: dict[bytes, Callable[[BinaryIO], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
    b"\x5d\x00": partial(lzma.LZMAFile, format=lzma.FORMAT_ALONE),
}
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_KERAS_MODULE = re.compile(r"(keras|keras_core|tensorflow\.keras|tensorflow\.python\.keras)(\.|$)")


class FileFinding(msgspec.Struct, frozen=True):
    """What one file, or one member of an archive, holds: the names that it imports, and what cannot be told of it."""

    path: str
    kind: Kind
    names: list[str] = []
    problem: str | None = None


class Inspector:
    """Reads the files of one model within one budget."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._members = 0

    def file(self, path: str, stream: BinaryIO, *, loaded: bool = False) -> list[FileFinding]:
        """Return what a file holds; ``loaded`` says that it is one which the model's loader opens."""
        try:
            return [*self._findings(path, stream, 0, loaded=loaded)]
        except TooLong as error:
            return [FileFinding(path, "unknown", problem=str(error))]

    def _findings(self, path: str, stream: BinaryIO, depth: int, *, loaded: bool) -> Iterator[FileFinding]:
        head = stream.read(16)
        stream.seek(0)
        if depth > _DEEPEST:
            yield FileFinding(path, "unknown", problem="archives are nested too deeply")
        elif CODE_NAME.search(path) or head.startswith((b"\x7fELF", b"MZ", b"#!")):
            yield FileFinding(path, "code", problem="it is code")
        elif head.startswith(_NPY):
            yield self._array(path, stream)
        elif head.startswith(_HDF5):
            yield self._hdf5(path, stream)
        elif len(head) > 1 and head[0] == 0x80 and head[1] in _PROTOCOLS:
            yield self._pickle(path, stream)
            if zipfile.is_zipfile(stream):
                yield FileFinding(path, "unknown", problem="it is a pickle and an archive at once")
        elif opened := _decompressed(head, stream):
            yield from self._compressed(path, opened, depth)
        elif head.startswith(_ZIP) or zipfile.is_zipfile(stream):
            if not head.startswith(_ZIP):
                yield FileFinding(path, "unknown", problem="an archive begins in the middle of it")
            stream.seek(0)
            yield from self._zip(path, stream, depth)
        elif _is_tar(stream):
            yield from self._tar(path, stream, depth)
        elif PICKLE_NAME.search(path) or (loaded and not _PLAIN_NAME.search(path)):
            stream.seek(0)
            yield self._pickle(path, stream)
        else:
            yield FileFinding(path, "plain")

    def _pickle(self, path: str, stream: BinaryIO) -> FileFinding:
        """Read the pickles that follow each other in a file; bytes after the last are data."""
        names: set[str] = set()
        problem: str | None = None
        buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Raw(stream))
        while True:
            walk = Walk(buffered, self._budget)
            try:
                walk.run()
            except Malformed as error:
                problem = f"it cannot be followed to its end: {error}"
            finally:
                names |= walk.names
            after = buffered.peek(2)[:2]
            if problem or len(after) < 2 or after[0] != 0x80 or after[1] not in _PROTOCOLS:
                return FileFinding(path, "pickle", sorted(names), problem)

    def _array(self, path: str, stream: BinaryIO) -> FileFinding:
        try:
            kind = _array_kind(stream)
        except (ValueError, SyntaxError, struct.error, MemoryError, RecursionError) as error:
            return FileFinding(path, "unknown", problem=f"its header cannot be read: {error}"[:200])
        return self._pickle(path, stream) if _names_objects(kind) else FileFinding(path, "plain")

    def _hdf5(self, path: str, stream: BinaryIO) -> FileFinding:
        """Search a Keras model in HDF5 for layers that carry code; their configuration is JSON inside of it."""
        content = stream.read(_HDF5_MOST + 1)
        self._budget.read(len(content))
        if len(content) > _HDF5_MOST:
            return FileFinding(path, "unknown", problem="it is larger than what is searched")
        if b"model_config" not in content:
            return FileFinding(path, "plain")
        if (
            re.search(rb'"class_name":\s*"(?:Lambda|TFOpLambda|SlicingOpLambda)"', content)
            or b"\\u00" in content
        ):
            return FileFinding(path, "archive", ["keras.layers.Lambda"])
        if rb"__lambda__" in content:
            return FileFinding(path, "archive", ["keras.layers.Lambda"])
        return FileFinding(path, "archive")

    def _compressed(self, path: str, opened: Any, depth: int) -> Iterator[FileFinding]:
        try:
            content = _bounded(opened, self._budget)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
            yield FileFinding(path, "unknown", problem=f"it cannot be decompressed: {error}"[:200])
            return
        yield from self._findings(f"{path}:content", content, depth + 1, loaded=True)

    def _zip(self, path: str, stream: BinaryIO, depth: int) -> Iterator[FileFinding]:
        try:
            with zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
                self._count(len(members))
                for member in members:
                    if member.is_dir():
                        continue
                    name = f"{path}:{member.filename}"
                    with archive.open(member) as source:
                        content = _bounded(source, self._budget)
                    yield from self._member(path, name, content, depth)
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, RuntimeError, NotImplementedError,
                ValueError, KeyError, IndexError, struct.error) as error:  # fmt: skip
            yield FileFinding(path, "unknown", problem=f"the archive cannot be read: {error}"[:200])

    def _member(self, path: str, name: str, content: BinaryIO, depth: int) -> Iterator[FileFinding]:
        if path.lower().endswith(".keras") and name.endswith(":config.json"):
            yield _keras(name, content.read(_MOST_CONFIG + 1))
            return
        if name.endswith(":schema.json"):
            content.seek(0)
            found = _skops(name, content.read(_MOST_CONFIG + 1))
            if found is not None:
                yield found
                return
            content.seek(0)
        yield from self._findings(name, content, depth + 1, loaded=False)

    def _tar(self, path: str, stream: BinaryIO, depth: int) -> Iterator[FileFinding]:
        stream.seek(0)
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                for member in archive:
                    self._count(1)
                    name = f"{path}:{member.name}"
                    source = archive.extractfile(member) if member.isfile() else None
                    if source is None:
                        if not member.isdir():
                            yield FileFinding(name, "unknown", problem="it is a link or a device")
                        continue
                    content = _bounded(source, self._budget)
                    yield from self._findings(name, content, depth + 1, loaded="." not in member.name)
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            yield FileFinding(path, "unknown", problem=f"the archive cannot be read: {error}"[:200])

    def _count(self, members: int) -> None:
        self._members += members
        if self._members > _MOST_MEMBERS:
            raise TooLong("it holds more files than are scanned")


class _Raw(io.RawIOBase):
    """A readable stream as raw input, so that it can be buffered and peeked into."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _bounded(source: Any, budget: Budget) -> BinaryIO:
    """Return what a stream gives as a file in memory, within the budget; raises TooLong."""
    content = io.BytesIO()
    while piece := source.read(1 << 20):
        budget.read(len(piece))
        content.write(piece)
    content.seek(0)
    return content


def _decompressed(head: bytes, stream: BinaryIO) -> Any:
    """Return a reader of what a compressed file holds, or None; joblib compresses whole pickles like this."""
    for magic, opener in _JOBLIB.items():
        if head.startswith(magic):
            return opener(stream)
    return _Zlib(stream) if head.startswith(_ZLIB) else None


class _Zlib:
    """Reads a zlib stream piece by piece, so that a bomb is met by the budget and not by the memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._engine = zlib.decompressobj()

    def read(self, size: int) -> bytes:
        while not self._engine.eof:
            raw = self._engine.unconsumed_tail or self._stream.read(1 << 16)
            if not raw:
                raise EOFError("it ends in the middle")
            if piece := self._engine.decompress(raw, size):
                return piece
        return b""


def _is_tar(stream: BinaryIO) -> bool:
    stream.seek(257)
    magic = stream.read(5)
    stream.seek(0)
    return magic == b"ustar"


def _array_kind(stream: BinaryIO) -> Any:
    """Read the header of a .npy file and return its ``descr``."""
    fixed = stream.read(8)
    wide = fixed[6] >= 2
    (size,) = struct.unpack("<I" if wide else "<H", stream.read(4 if wide else 2))
    if size > 1 << 20:
        raise ValueError("it is too long")
    header = ast.literal_eval(stream.read(size).decode("latin-1"))
    return header["descr"] if isinstance(header, dict) and "descr" in header else "O"


def _names_objects(kind: Any) -> bool:
    if isinstance(kind, str):
        return "O" in kind
    if isinstance(kind, list | tuple):
        return any(_names_objects(one) for one in kind)
    return False


def _keras(path: str, raw: bytes) -> FileFinding:
    """Return the classes that a .keras file's configuration names outside of Keras, and its layers made of code."""
    try:
        content = json.loads(raw) if len(raw) <= _MOST_CONFIG else None
    except (ValueError, RecursionError):
        content = None
    if content is None:
        return FileFinding(path, "unknown", problem="the configuration cannot be read")
    names: set[str] = set()
    for entry in _mappings(content):
        module, kind = entry.get("module"), entry.get("class_name")
        if not isinstance(kind, str):
            continue
        if "Lambda" in kind or kind == "__lambda__":
            names.add("keras.layers.Lambda")
        elif isinstance(module, str) and not _KERAS_MODULE.match(module):
            names.add(f"{module}.{str(entry.get('config'))[:100] if kind == 'function' else kind}")
    return FileFinding(path, "archive", sorted(names))


def _skops(path: str, raw: bytes) -> FileFinding | None:
    """Return the types that a skops file names, or None where the JSON is no schema of skops."""
    try:
        content = json.loads(raw) if len(raw) <= _MOST_CONFIG else None
    except (ValueError, RecursionError):
        content = None
    if content is None:
        return FileFinding(path, "unknown", problem="its schema cannot be read")
    if not isinstance(content, dict) or "__loader__" not in content:
        return None
    names: set[str] = set()
    for entry in _mappings(content):
        module, kind = entry.get("__module__"), entry.get("__class__")
        if isinstance(module, str) and isinstance(kind, str):
            names.add(f"{module}.{kind}" if "." not in kind else f"{module}:{kind}")
    return FileFinding(path, "archive", sorted(names))


def _mappings(content: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a JSON value, however deep, without recursion."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
