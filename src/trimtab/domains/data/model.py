"""Datasets, their versions and files: which paths and names are allowed, and how content is named."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
from blake3 import blake3

from trimtab.domains.data.errors import BadPath
from trimtab.infra.blobs import BlobId, check_id
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.names import is_name

ValidationState = Literal["pending", "passed", "failed", "none"]

_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_PATH = 1000
_LONGEST_PART_BYTES = 255
_LONGEST_MESSAGE = 2000
_MOST_PARENTS = 100


class DataFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file of a version. ``chunks`` are the blobs which in this order are its content; none means ``blob`` itself."""

    path: str
    size_bytes: int
    blob: BlobId
    chunks: list[BlobId] = []


class Column(msgspec.Struct, frozen=True):
    """A column of a table as its file stores it, such as ``int64`` or ``timestamp[us]``."""

    name: str
    type: str
    table: str


class Check(msgspec.Struct, frozen=True):
    """What became of one expectation. ``table`` is None where a single one is expected."""

    expectation: str
    column: str | None
    passed: bool
    observed: Any
    expected: Any
    message: str
    severity: Literal["error", "warning"] = "error"
    table: str | None = None


class DataVersion(msgspec.Struct, frozen=True):
    """An immutable version. ``rows`` and what follows it are None until its profile is there."""

    name: str
    version: int
    digest: str
    manifest: BlobId
    file_count: int
    size_bytes: int
    message: str
    created_us: int
    created_by: str
    derived_from: list[str]
    validation_state: ValidationState
    rows: int | None = None
    suite_version: int | None = None
    profiled_us: int | None = None

    @property
    def ref(self) -> str:
        return refs.data(self.name, self.version)


class Findings(msgspec.Struct, frozen=True):
    """What the profile job found: the blobs with its results, the columns, the checks, and what could not be read."""

    profile: BlobId | None
    sketches: BlobId | None
    columns: list[Column]
    checks: list[Check]
    problem: str | None


class Dataset(msgspec.Struct, frozen=True):
    """A dataset as listings show it: its newest version and how many there are."""

    name: str
    latest_version: int
    versions: int
    rows: int | None
    size_bytes: int
    validation_state: ValidationState
    created_us: int
    updated_us: int


class Added(msgspec.Struct, frozen=True):
    """The outcome of an addition; ``created`` is False where the newest version is the same already."""

    version: DataVersion
    created: bool


def check_name(name: str) -> str:
    """Return the name of a dataset; raises Invalid for other than letters, digits and ``._-``."""
    if not is_name(name):
        raise Invalid(
            "The name of a dataset has 1 to 128 letters, digits, dots, dashes or underscores and starts with a letter"
            f" or digit; {name[:128]!r} has not.",
            field="name",
        )
    return name


def check_message(message: str) -> str:
    """Return the message of a version; raises Invalid when it is too long."""
    if len(message) > _LONGEST_MESSAGE:
        raise Invalid(f"message is longer than {_LONGEST_MESSAGE} characters.", field="message")
    return message


def check_parents(derived_from: Sequence[str]) -> list[str]:
    """Return the references that a version comes from; raises Invalid for what is none."""
    if len(derived_from) > _MOST_PARENTS:
        raise Invalid(f"A version comes from at most {_MOST_PARENTS} others.", field="derived_from")
    for place, ref in enumerate(derived_from):
        try:
            refs.split(ref)
        except ValueError as error:
            raise Invalid(
                f"{ref[:80]!r} is not a reference such as 'data:flights@3'.", field=f"derived_from[{place}]"
            ) from error
    return sorted(set(derived_from))


def check_files(files: Sequence[DataFile]) -> list[DataFile]:
    """Return the files by path; raises BadPath or Invalid for what could not be written back safely."""
    if not files:
        raise Invalid("A version needs at least one file.", field="files")
    seen: dict[str, int] = {}
    for place, file in enumerate(files):
        field = f"files[{place}]"
        _check_path(file.path, f"{field}.path")
        if file.path in seen:
            raise BadPath(f"The path {file.path!r} comes twice.", field=f"{field}.path")
        seen[file.path] = place
        check_id(file.blob)
        if file.size_bytes < 0:
            raise Invalid("size_bytes may not be negative.", field=f"{field}.size_bytes")
        if file.chunks not in ([], [file.blob]):
            raise Invalid("chunks must be left out, or hold the blob alone.", field=f"{field}.chunks")
    for path, place in seen.items():
        for folder in _folders(path):
            if folder in seen:
                raise BadPath(f"{folder!r} would be a file and a folder.", field=f"files[{place}].path")
    return sorted(files, key=lambda file: file.path)


def _check_path(path: str, field: str) -> None:
    parts = path.split("/")
    if not path or len(path) > _LONGEST_PATH:
        raise BadPath(f"A path has 1 to {_LONGEST_PATH} characters.", field=field)
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 or 0xD800 <= ord(letter) < 0xE000 for letter in path):
        raise BadPath(f"The path {path!r} holds a control character.", field=field)
    if path.startswith("/") or "\\" in path or _DRIVE.match(path):
        raise BadPath(f"The path {path!r} is not relative with forward slashes.", field=field)
    if any(part in ("", ".", "..") for part in parts):
        raise BadPath(f"The path {path!r} has an empty part, '.' or '..'.", field=field)
    if any(len(part.encode()) > _LONGEST_PART_BYTES for part in parts):
        raise BadPath(
            f"A part of the path {path[:80]!r}... is longer than {_LONGEST_PART_BYTES} bytes.", field=field
        )


def _folders(path: str) -> Iterable[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)


def digest_of(files: Sequence[DataFile]) -> str:
    """Return the name of a version's content: BLAKE3 over the paths, sizes and blobs in order of path.

    How a file is stored (its chunks) does not count, so the same content has one name for ever.
    """
    content = msgspec.json.encode([[file.path, file.size_bytes, file.blob] for file in files])
    return f"b3:{blake3(content).hexdigest()}"


def parse_version(text: str) -> int | None:
    """Return a version's number, None for ``latest``; raises Invalid."""
    if text == "latest":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise Invalid(f"{text[:40]!r} is not a version: a number from 1, or latest.", field="version")
    return int(text)
