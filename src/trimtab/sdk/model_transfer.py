"""Moves the files of models to and from the server, and keeps those of registered versions in a cache."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec
from blake3 import blake3

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.sdk.client import Client

_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_SCHEME = "mlflow-artifacts:/"
_PIECE = 1 << 20


class VersionFile(msgspec.Struct, frozen=True):
    """A file of a registered version as the server lists it."""

    path: str
    blob: str
    size_bytes: int


def prefix_of(uri: str) -> str:
    """Return the path below which the server keeps a model's files; raises Unavailable for any other store."""
    if not uri.startswith(_SCHEME):
        raise Unavailable(f"The model's files are in {uri[:200]}, which this client cannot reach.")
    return uri.removeprefix(_SCHEME).strip("/")


def upload(connection: Client, folder: Path, prefix: str) -> None:
    """Send every file of a folder, large ones in pieces."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            path = quote(f"{prefix}/{file.relative_to(folder).as_posix()}")
            size = file.stat().st_size
            content = _pieces(file) if size > _PIECE else file.read_bytes()
            connection.upload(f"{_FILES}/{path}", content, size_bytes=size)


def download_artifacts(connection: Client, prefix: str, folder: Path) -> None:
    """Write the artifacts below a path to a folder; these have no digests to compare with."""
    for entry in connection.get(_FILES, path=prefix).get("files", []):
        name = str(entry["path"]).rpartition("/")[2]
        if entry.get("is_dir"):
            download_artifacts(connection, f"{prefix}/{name}", _inside(folder, name))
        else:
            _receive(connection, f"{_FILES}/{quote(f'{prefix}/{name}')}", _inside(folder, name))


def download_version(connection: Client, name: str, version: int, digest: str, folder: Path) -> None:
    """Write a version's files to a folder; raises Unavailable where one is not what was registered."""
    for file in _files(connection, name, version, digest):
        received = _receive(
            connection, f"{_root(name, version)}/{quote(file.path)}", _inside(folder, file.path)
        )
        if received != file.blob:
            raise Unavailable(f"{file.path} of {name} version {version} is not what was registered.")


def cached(connection: Client, name: str, version: int, digest: str) -> Path:
    """Return a folder with exactly the version's files: the one in the cache where that is still right, or a new one."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trimtab" / "models"
    folder = home / digest.partition(":")[2]
    if folder.exists():
        wanted = {file.path: file.blob for file in _files(connection, name, version, digest)}
        held = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if not file.is_dir()}
        if wanted.keys() == held.keys() and all(_digest(held[path]) == blob for path, blob in wanted.items()):
            return folder
        shutil.rmtree(folder)
    with arriving(folder) as incoming:
        download_version(connection, name, version, digest, incoming)
    return folder


@contextmanager
def arriving(target: Path) -> Generator[Path]:
    """Give a folder that takes its final name when all went well, and vanishes otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    incoming = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield incoming
        incoming.chmod(0o755)
        try:
            incoming.replace(target)
        except OSError:
            if not target.is_dir() or not any(target.iterdir()):
                raise  # else another process has put the same files there meanwhile
    finally:
        shutil.rmtree(incoming, ignore_errors=True)


def _root(name: str, version: int) -> str:
    return f"/models/{quote(name, safe='')}/versions/{version}/files"


def _files(connection: Client, name: str, version: int, digest: str) -> Sequence[VersionFile]:
    files = msgspec.convert(connection.get(_root(name, version))["items"], tuple[VersionFile, ...])
    if not files:
        raise Invalid(f"{name} version {version} has no files.", field="uri")
    pairs = sorted((file.path, file.blob) for file in files)
    if digest != f"sha256:{hashlib.sha256(msgspec.json.encode(pairs)).hexdigest()}":
        raise Unavailable(
            f"The list of files of {name} version {version} is not the one that was registered."
        )
    return files


def _inside(folder: Path, path: str) -> Path:
    target = folder / path
    if not path or not target.resolve().is_relative_to(folder.resolve()):
        raise Unavailable(f"The server named a file outside of the model's folder: {path[:200]!r}.")
    return target


def _receive(connection: Client, path: str, target: Path) -> str:
    """Write what comes and return its blob id."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = blake3()
    with target.open("wb") as file:
        for piece in connection.download(path):
            digest.update(piece)
            file.write(piece)
    return f"b3:{digest.hexdigest()}"


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _digest(file: Path) -> str:
    digest = blake3()
    for piece in _pieces(file):
        digest.update(piece)
    return f"b3:{digest.hexdigest()}"
