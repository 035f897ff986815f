"""Moves files to and from the server by content: hashes here, sends only what the server lacks, checks what comes.

Small files travel many to a request in a pack: for each a line ``b3:<digits> <size>`` and then its bytes.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import msgspec
from blake3 import blake3

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.sdk.client import Client
from trimtab.sdk.progress import Report

_PIECE = 1 << 20
_SMALL_BYTES = 4 << 20
_PACK_BYTES = 32 << 20
_PACK_MEMBERS = 5000
_ASK = 100_000
_THREADS = 4


class LocalFile(msgspec.Struct, frozen=True):
    """A file on this machine, and its path in the dataset."""

    path: str
    file: Path
    size_bytes: int


class RemoteFile(msgspec.Struct, frozen=True):
    """A file of a version as the server lists it."""

    path: str
    size_bytes: int
    blob: str


def scan(source: Path) -> list[LocalFile]:
    """Return the files of a folder by path, or the one file; raises Invalid for what is neither.

    Links to files count as files. Links to folders are refused rather than left out silently.
    """
    if source.is_file():
        return [LocalFile(source.name, source, source.stat().st_size)]
    if not source.is_dir():
        raise Invalid(f"{source} is neither a file nor a folder.", field="path")
    found: list[LocalFile] = []
    for folder, folders, names in os.walk(source, onerror=_refuse):
        for name in folders:
            if (Path(folder) / name).is_symlink():
                raise Invalid(
                    f"{Path(folder) / name} is a link to a folder; copy the folder or add it by itself."
                )
        for name in names:
            file = Path(folder) / name
            if not file.is_file():
                raise Invalid(f"{file} is not a regular file.")
            found.append(LocalFile(file.relative_to(source).as_posix(), file, file.stat().st_size))
    if not found:
        raise Invalid(f"{source} holds no files.", field="path")
    return sorted(found, key=lambda file: file.path)


def _refuse(error: OSError) -> None:
    raise Invalid(f"{error.filename} cannot be read: {error.strerror}.", field="path") from error


def digests(files: Sequence[LocalFile], report: Report) -> list[str]:
    """Return the blob id of each file, in order."""
    total = sum(file.size_bytes for file in files)

    def digest(file: LocalFile) -> str:
        if file.size_bytes <= _SMALL_BYTES:
            made = blake3(file.file.read_bytes())
        else:
            made = blake3(max_threads=blake3.AUTO).update_mmap(file.file)
        report("Hashing", file.size_bytes, total)
        return f"b3:{made.hexdigest()}"

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(digest, files))


def upload(client: Client, files: Sequence[LocalFile], blobs: Sequence[str], report: Report) -> int:
    """Send the blobs that the server lacks and return how many bytes those were."""
    by_blob = dict(zip(blobs, files, strict=True))
    ids = list(by_blob)
    missing = [
        blob
        for start in range(0, len(ids), _ASK)
        for blob in client.post("/blobs/missing", {"blobs": ids[start : start + _ASK]})["missing"]
    ]
    total = sum(by_blob[blob].size_bytes for blob in missing)
    small = [blob for blob in missing if by_blob[blob].size_bytes <= _SMALL_BYTES]
    large = [blob for blob in missing if by_blob[blob].size_bytes > _SMALL_BYTES]

    def send_large(blob: str) -> None:
        file = by_blob[blob]
        pieces = _pieces(file.file, lambda size: report("Uploading", size, total))
        client.upload(f"/blobs/{blob}", pieces, size_bytes=file.size_bytes)

    def send_pack(pack: Sequence[str]) -> None:
        client.upload("/blobs/pack", _pack(pack, by_blob), method="POST")
        report("Uploading", sum(by_blob[blob].size_bytes for blob in pack), total)

    packs = batches(small, [by_blob[blob].size_bytes for blob in small])
    with ThreadPoolExecutor(_THREADS) as pool:
        for done in [pool.submit(send_pack, pack) for pack in packs]:
            done.result()
        for done in [pool.submit(send_large, blob) for blob in large]:
            done.result()
    return total


def batches(blobs: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """Return the blobs in portions for one request each, of bounded size and number."""
    made: list[list[str]] = []
    held = 0
    for blob, size in zip(blobs, sizes, strict=True):
        if not made or held + size > _PACK_BYTES or len(made[-1]) >= _PACK_MEMBERS:
            made.append([])
            held = 0
        made[-1].append(blob)
        held += size
    return made


def _pieces(file: Path, tell: Callable[[int], None]) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece
            tell(len(piece))


def _pack(blobs: Sequence[str], by_blob: dict[str, LocalFile]) -> Iterator[bytes]:
    waiting = bytearray()
    for blob in blobs:
        content = by_blob[blob].file.read_bytes()
        waiting += f"{blob} {len(content)}\n".encode()
        waiting += content
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def download(client: Client, address: str, files: Sequence[RemoteFile], folder: Path, report: Report) -> None:
    """Write the files of a version under a folder; raises Unavailable where the bytes are not those announced.

    ``address`` is the version's path in the API.
    """
    total = sum(file.size_bytes for file in files)
    same: dict[str, list[RemoteFile]] = {}
    for file in files:
        same.setdefault(file.blob, []).append(file)
    for parent in {(folder / file.path).parent for file in files}:
        parent.mkdir(parents=True, exist_ok=True)

    def place(blob: str, first: Path) -> None:
        report("Downloading", sum(file.size_bytes for file in same[blob]), total)
        for file in same[blob][1:]:
            shutil.copyfile(first, folder / file.path)

    def fetch_large(blob: str) -> None:
        file = same[blob][0]
        target = folder / file.path
        digest = blake3()
        with target.open("xb") as copy:
            for piece in client.download(f"{address}/files/{quote(file.path)}"):
                digest.update(piece)
                copy.write(piece)
        _check(file.path, blob, digest.hexdigest())
        place(blob, target)

    def fetch_pack(pack: Sequence[str]) -> None:
        expected = list(pack)
        for blob, content in _unpack(client.download(f"{address}/pack", {"blobs": expected})):
            if not expected or blob != expected.pop(0):
                raise Unavailable("The server sent other files than those asked for.")
            file = same[blob][0]
            _check(file.path, blob, blake3(content).hexdigest())
            (folder / file.path).write_bytes(content)
            place(blob, folder / file.path)
        if expected:
            raise Unavailable("The server sent fewer files than those asked for.")

    small = [blob for blob, its in same.items() if its[0].size_bytes <= _SMALL_BYTES]
    large = [blob for blob, its in same.items() if its[0].size_bytes > _SMALL_BYTES]
    packs = batches(small, [same[blob][0].size_bytes for blob in small])
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting = [pool.submit(fetch_pack, pack) for pack in packs]
        waiting += [pool.submit(fetch_large, blob) for blob in large]
        for done in waiting:
            done.result()


def _check(path: str, blob: str, digest: str) -> None:
    if blob != f"b3:{digest}":
        raise Unavailable(f"The bytes of {path!r} are not those that were stored; try again.")


def _unpack(pieces: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        start = 0
        while (stop := waiting.find(b"\n", start)) >= 0:
            blob, _, size = waiting[start:stop].decode("ascii").partition(" ")
            end = stop + 1 + int(size)
            if end > len(waiting):
                break
            yield blob, bytes(waiting[stop + 1 : end])
            start = end
        del waiting[:start]
    if waiting:
        raise Unavailable("The download broke off; try again.")
