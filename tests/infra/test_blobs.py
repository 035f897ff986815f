"""What is special to blobs in a folder: where files lie, what a crash leaves, and that nothing is half there."""

import io
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.infra import blobs
from trimtab.infra.blobs import BlobMismatch
from trimtab.infra.blobs.local import LocalBlobs
from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.testing.blobs import name_of


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(str(tmp_path / "blobs"))


def incoming(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "blobs" / "incoming").rglob("*"))


def test_files_lie_under_their_digits(store: LocalBlobs, tmp_path: Path) -> None:
    blob = store.put(b"x")
    digits = blob.removeprefix("b3:")
    assert (tmp_path / "blobs" / digits[:2] / digits[2:]).read_bytes() == b"x"


def test_nothing_of_a_failed_upload_stays(store: LocalBlobs, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise ConnectionResetError("the caller went away")

    with pytest.raises(ConnectionResetError, match="the caller went away"):
        store.put(broken())
    with pytest.raises(BlobMismatch):
        store.put(io.BytesIO(b"x"), expect=name_of(b"y"))
    with pytest.raises(ConnectionResetError):
        store.put_many((name_of(piece), piece) for piece in broken())
    assert incoming(tmp_path) == []
    assert list(store.ids()) == []


def test_a_full_or_forbidden_disk_is_unavailable(store: LocalBlobs, tmp_path: Path) -> None:
    folder = tmp_path / "blobs" / "incoming"
    folder.rmdir()
    folder.write_text("not a folder any more")
    for put in (lambda: store.put(io.BytesIO(b"x")), lambda: store.put_many([(name_of(b"x"), b"x")])):
        with pytest.raises(Unavailable, match="cannot write"):
            put()


def test_a_file_that_does_not_fit_is_refused_and_leaves_nothing(store: LocalBlobs, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    upload = store.begin_parts()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(Unavailable, match="cannot write"):
            store.put(io.BytesIO(bytes(3 << 20)))
        with pytest.raises(Unavailable, match="cannot write"):
            store.put_part(upload, 2, io.BytesIO(bytes(2 << 20)), of=3, size_bytes=2 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    store.drop_parts(upload)
    assert incoming(tmp_path) == []
    assert list(store.ids()) == []


def test_what_broken_uploads_left_is_swept(store: LocalBlobs, tmp_path: Path) -> None:
    upload = store.begin_parts()
    store.put_part(upload, 1, io.BytesIO(b"12345"), of=2, size_bytes=5)
    (tmp_path / "blobs" / "incoming" / "tmp_killed").write_bytes(b"123")
    assert store.sweep(set(), before_us=0) == (0, 0)
    found = store.sweep(set(), before_us=time.time_ns() // 1000 + 1_000_000)
    assert found.size_bytes >= 8
    assert [path for path in incoming(tmp_path) if path.is_file()] == []


CHILD = """
import os, signal, sys
from trimtab.infra.blobs.local import LocalBlobs

def pieces():
    yield b"x" * 3_000_000
    os.kill(os.getpid(), signal.SIGKILL)

LocalBlobs(sys.argv[1]).put(pieces())
"""


def test_a_crash_in_the_middle_leaves_no_blob(store: LocalBlobs, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CHILD, str(tmp_path / "blobs")], check=False, timeout=60)
    assert len(incoming(tmp_path)) == 1, "the half file lies apart"
    assert list(store.ids()) == []
    assert store.put(b"x" * 3_000_000) == next(iter(store.ids()))


def test_the_store_works_without_a_flush_of_the_whole_file_system(
    store: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Elsewhere:
        """A C library that has no syncfs, as on macOS."""

        def __init__(self, *_: object, **__: object) -> None:
            pass

    monkeypatch.setattr("ctypes.CDLL", Elsewhere)
    assert store.put_many([(name_of(b"a"), b"a"), (name_of(b"b"), b"b")]) == 2
    assert len(list(store.ids())) == 2


def test_unknown_stores_are_named() -> None:
    with pytest.raises(Invalid, match="Did you mean 'file'"):
        blobs.connect("fil:///x")
