"""The list of a package's files with their digests, which is what is signed; and the check of a folder against it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from trimtab.infra.signing import BadSignature, verify

MANIFEST, SIGNATURE, KEY = "manifest.json", "manifest.sig", "signing-key.pem"
WHEELS = "wheels/"
"""The folder that whoever builds the image may fill."""

_PIECE = 1 << 20


class File(msgspec.Struct, frozen=True):
    """A file of a package, by its path from the package's folder."""

    path: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a package holds and what it is of. ``digest`` is the registered version's own."""

    endpoint: str
    model: str
    version: str
    digest: str
    made_by: str
    files: list[File]
    format: str = "trimtab.package/1"


def digest_of(file: Path) -> tuple[int, str]:
    """Return a file's size and SHA-256."""
    sha256, size = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            sha256.update(piece)
            size += len(piece)
    return size, sha256.hexdigest()


def files_of(folder: Path) -> list[File]:
    """Return every file of a folder, sorted by path, but the manifest and its signature."""
    found: list[File] = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file() or path.is_symlink()):
        path = file.relative_to(folder).as_posix()
        if path not in (MANIFEST, SIGNATURE):
            found.append(File(path, *digest_of(file)))
    return sorted(found, key=lambda one: one.path)


def encode(manifest: Manifest) -> bytes:
    """Return the bytes that are signed."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def check(folder: Path, public_key: str) -> Manifest:
    """Return a folder's manifest where its signature holds and every file is as it says; raises BadSignature.

    Wheels that were added for a build without a registry are not part of it.
    """
    try:
        content = (folder / MANIFEST).read_bytes()
        signature = (folder / SIGNATURE).read_bytes()
    except OSError as error:
        raise BadSignature(f"{folder} is no package: it has no {Path(error.filename).name}.") from None
    verify(content, signature, public_key)
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadSignature(f"{MANIFEST} is signed, but no manifest: {error}") from None
    problems = [*_differences(manifest.files, files_of(folder))]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise BadSignature(f"The package is not the one that was signed: {', '.join(problems[:5])}{more}.")
    return manifest


def _differences(signed: Iterable[File], present: Iterable[File]) -> Iterable[str]:
    known = {file.path: file for file in signed}
    for file in present:
        wanted = known.pop(file.path, None)
        if wanted is None:
            if not (file.path.startswith(WHEELS) and file.path.endswith(".whl")):
                yield f"{file.path} was added"
        elif file != wanted:
            yield f"{file.path} was changed"
    for path in known:
        yield f"{path} is missing"
