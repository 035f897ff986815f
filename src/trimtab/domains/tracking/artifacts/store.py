"""The table of artifacts. Folders are there as long as a file is in them."""

from collections.abc import Iterator, Sequence

import msgspec

from trimtab.domains.tracking.artifacts.model import Artifact, Entry, Upload, ancestors
from trimtab.domains.tracking.errors import BadPath
from trimtab.domains.tracking.keys import listed
from trimtab.infra.db import Tx, load

Q = load(__package__ or "")

_LAST = "\U0010ffff"  # sorts after every path


def put(tx: Tx, artifact: Artifact) -> None:
    tx.run(
        Q.put_artifact,
        path=artifact.path,
        folder=artifact.path.rpartition("/")[0],
        blob=artifact.blob,
        size_bytes=artifact.size_bytes,
        created_us=artifact.created_us,
    )


def get(tx: Tx, *, path: str) -> Artifact | None:
    row = tx.one(Q.artifact, path=path)
    return Artifact(*row) if row else None


def file_among(tx: Tx, paths: Sequence[str]) -> str | None:
    """Return one of the paths that is a file, if any is."""
    row = tx.one(Q.files_among, paths=listed(tx, paths)) if paths else None
    return row[0] if row else None


def check_place(tx: Tx, *, path: str) -> None:
    """Raise BadPath where a file cannot be: below another file, or in the place of a folder."""
    if obstacle := file_among(tx, ancestors(path)):
        raise BadPath(f"Invalid path: {obstacle} is a file and no folder.", field="path")
    if is_folder(tx, path=path):
        raise BadPath(f"Invalid path: {path} is a folder.", field="path")


def is_folder(tx: Tx, *, path: str) -> bool:
    low, high = _range(path)
    return (
        tx.one(Q.files_in, folder=path) is not None or tx.one(Q.next_folder, low=low, high=high) is not None
    )


def entries(tx: Tx, *, folder: str) -> list[Entry]:
    """Return the files and folders directly in a folder, by name."""
    files = [Entry(path, is_dir=False, size_bytes=size) for path, size in tx.all(Q.files_in, folder=folder)]
    folders = [Entry(path, is_dir=True) for path in _folders_in(tx, folder)]
    return sorted([*files, *folders], key=lambda entry: entry.path)


def _folders_in(tx: Tx, folder: str) -> Iterator[str]:
    """Go from folder to folder by the index, past everything that lies inside each."""
    prefix = f"{folder}/" if folder else ""
    low, high = (prefix or "\x01"), _range(folder)[1]
    seen: set[str] = set()
    while row := tx.one(Q.next_folder, low=low, high=high):
        found: str = row[0]
        child = prefix + found[len(prefix) :].partition("/")[0]
        if child not in seen:
            seen.add(child)
            yield child
        low = f"{child}0" if found.startswith(f"{child}/") else f"{found}\x01"


def below(tx: Tx, *, folder: str) -> list[Artifact]:
    """Return every file in a folder and the folders in it."""
    low, high = _range(folder)
    return [Artifact(*row) for row in tx.all(Q.below, low=low, high=high)]


def delete(tx: Tx, *, path: str) -> int:
    """Remove a file, or all in a folder, and return how many files went."""
    low, high = _range(path)
    return tx.run(Q.delete_artifact, path=path) + tx.run(Q.delete_below, low=low, high=high)


def size_below(tx: Tx, *, folder: str) -> tuple[int, int]:
    """Return how many files are in a folder and the folders in it, and their bytes."""
    low, high = _range(folder)
    row = tx.one(Q.size_below, low=low, high=high)
    return (row[0], row[1]) if row else (0, 0)


def blobs(tx: Tx) -> Iterator[str]:
    """Go through the blobs of all files."""
    for (blob,) in tx.all(Q.blobs):
        yield blob


def insert_upload(tx: Tx, upload: Upload) -> None:
    columns = msgspec.structs.asdict(upload)
    columns.pop("blob")
    tx.run(Q.insert_upload, **columns)


def upload(tx: Tx, *, upload_id: str) -> Upload | None:
    row = tx.one(Q.upload, id=upload_id)
    return Upload(*row) if row else None


def finish_upload(tx: Tx, *, upload_id: str, blob: str) -> None:
    tx.run(Q.finish_upload, id=upload_id, blob=blob)


def delete_upload(tx: Tx, *, upload_id: str) -> None:
    tx.run(Q.delete_upload, id=upload_id)


def expire_uploads(tx: Tx, *, before_us: int) -> int:
    return tx.run(Q.expire_uploads, before_us=before_us)


def _range(folder: str) -> tuple[str, str]:
    """Return the bounds of what lies in a folder: ``0`` follows ``/`` in the order of bytes."""
    return (f"{folder}/", f"{folder}0") if folder else ("", _LAST)
