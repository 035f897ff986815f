"""The contract of blob stores: subclass ``BlobsContract``, give it a ``blobs`` fixture, run it with pytest."""

import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from blake3 import blake3

from trimtab.infra.blobs import (
    BadParts,
    BlobId,
    BlobMismatch,
    BlobNotFound,
    Blobs,
    Part,
    UploadNotFound,
)
from trimtab.kernel.errors import Invalid

_SEVERAL_PIECES = bytes(range(256)) * (13 << 10)  # more than three pieces of a stream


def name_of(content: bytes) -> BlobId:
    """Return the id that content must have."""
    return f"b3:{blake3(content).hexdigest()}"


def read(blobs: Blobs, blob: BlobId) -> bytes:
    """Return all bytes of a blob."""
    with blobs.open(blob) as stream:
        return stream.read()


class BlobsContract:
    """What every store of content-addressed bytes must do."""

    @pytest.fixture
    def blobs(self) -> Blobs:
        """Return an empty store; the subclass says which."""
        raise NotImplementedError

    @pytest.mark.parametrize(
        "content", [b"", b"x", _SEVERAL_PIECES], ids=["empty", "one byte", "several pieces"]
    )
    def test_bytes_come_back(self, blobs: Blobs, content: bytes) -> None:
        blob = blobs.put(content)
        assert blob == name_of(content)
        assert read(blobs, blob) == content
        assert (blobs.exists(blob), blobs.size(blob)) == (True, len(content))

    def test_streams_and_iterators_are_the_same_as_bytes(self, blobs: Blobs) -> None:
        def pieces() -> Iterator[bytes]:
            yield _SEVERAL_PIECES[:1000]
            yield b""
            yield _SEVERAL_PIECES[1000:]

        expected = name_of(_SEVERAL_PIECES)
        assert blobs.put(io.BytesIO(_SEVERAL_PIECES)) == expected
        assert blobs.put(pieces()) == expected
        assert blobs.put(_SEVERAL_PIECES) == expected
        assert list(blobs.ids()) == [expected]

    def test_what_is_not_there_is_said(self, blobs: Blobs) -> None:
        absent = name_of(b"absent")
        assert not blobs.exists(absent)
        assert blobs.path(absent) is None
        assert not blobs.delete(absent)
        for ask in (blobs.open, blobs.size):
            with pytest.raises(BlobNotFound):
                ask(absent)

    @pytest.mark.parametrize(
        "name", ["", "b3:", "b3:../../etc/passwd", "b3:" + "g" * 64, "b3:" + "A" * 64, "sha256:" + "0" * 64]
    )
    def test_names_that_are_no_ids_are_refused(self, blobs: Blobs, name: str) -> None:
        for ask in (blobs.open, blobs.size, blobs.exists, blobs.path, blobs.delete):
            with pytest.raises(Invalid):
                ask(name)

    def test_a_wrong_digest_stores_nothing(self, blobs: Blobs) -> None:
        announced = name_of(b"announced")
        for content in (b"other", io.BytesIO(b"other"), iter([b"ot", b"her"])):
            with pytest.raises(BlobMismatch):
                blobs.put(content, expect=announced)
        with pytest.raises(BlobMismatch):
            blobs.put_many([(name_of(b"good"), b"good"), (announced, b"other")])
        assert list(blobs.ids()) == []
        assert blobs.put(b"announced", expect=announced) == announced

    def test_a_wrong_digest_leaves_the_true_blob_alone(self, blobs: Blobs) -> None:
        true = blobs.put(b"other")
        with pytest.raises(BlobMismatch):
            blobs.put(iter([b"other"]), expect=name_of(b"announced"))
        assert read(blobs, true) == b"other"

    def test_an_upload_that_breaks_off_leaves_nothing(self, blobs: Blobs) -> None:
        def broken() -> Iterator[bytes]:
            yield b"begun"
            raise ConnectionError

        with pytest.raises(ConnectionError):
            blobs.put(broken())
        assert list(blobs.ids()) == []

    def test_many_small_ones_at_once(self, blobs: Blobs) -> None:
        contents = [str(number % 90).encode() for number in range(100)]
        kept = blobs.put(contents[0])
        assert blobs.put_many((name_of(content), content) for content in contents) == 100
        assert sorted(blobs.ids()) == sorted({name_of(content) for content in contents})
        assert all(read(blobs, name_of(content)) == content for content in contents)
        assert blobs.exists(kept)
        assert blobs.put_many([]) == 0

    def test_deleted_is_gone_and_may_come_again(self, blobs: Blobs) -> None:
        blob = blobs.put(b"x")
        assert blobs.delete(blob)
        assert not blobs.exists(blob)
        assert list(blobs.ids()) == []
        assert blobs.put(b"x") == blob
        assert read(blobs, blob) == b"x"

    def test_a_local_path_cannot_be_written(self, blobs: Blobs) -> None:
        path = blobs.path(blobs.put(b"x"))
        if path is not None:
            assert path.read_bytes() == b"x"
            assert path.stat().st_mode & 0o222 == 0

    def test_threads_that_store_the_same_bytes_agree(self, blobs: Blobs) -> None:
        def store(number: int) -> BlobId:
            return blobs.put(io.BytesIO(b"%d" % (number % 20)))

        with ThreadPoolExecutor(6) as pool:
            made = list(pool.map(store, range(120)))
        assert len(set(made)) == 20
        assert sorted(blobs.ids()) == sorted(set(made))

    def test_a_sweep_takes_what_is_old_and_not_in_use(self, blobs: Blobs) -> None:
        used, free = blobs.put(b"used"), blobs.put(b"free")
        kept = blobs.keeping(3600).put(b"kept for a while")
        later = time.time_ns() // 1000 + 60_000_000
        assert blobs.sweep({used, free}, before_us=later) == (0, 0)
        assert blobs.sweep({used}, before_us=0) == (0, 0), "it was stored just now"
        assert blobs.sweep({used}, before_us=later, dry_run=True) == (1, 4)
        assert blobs.exists(free)
        assert blobs.sweep({used}, before_us=later) == (1, 4)
        assert sorted(blobs.ids()) == sorted([used, kept])
        assert blobs.put(b"free") == free
        assert read(blobs, free) == b"free"

    def test_touching_says_whether_a_blob_is_there_and_keeps_it(self, blobs: Blobs) -> None:
        blob = blobs.put(b"x")
        keeping = blobs.keeping(3600)
        later = time.time_ns() // 1000 + 60_000_000
        renewals: list[Callable[[], object]] = [
            lambda: keeping.touch(blob),
            lambda: keeping.put(b"x"),
            lambda: keeping.put(io.BytesIO(b"x")),
        ]
        for renew in renewals:
            assert renew()
            assert blobs.sweep(set(), before_us=later) == (0, 0)
        assert not blobs.touch(name_of(b"absent"))

    def test_parts_make_a_whole(self, blobs: Blobs) -> None:
        content = bytes(range(256)) * 1000
        upload = blobs.begin_parts()
        pieces = [content[start : start + 100_000] for start in range(0, len(content), 100_000)]

        def send(number: int) -> Part:
            piece = pieces[number - 1]
            sent = io.BytesIO(piece) if number % 2 else iter([piece[:7], piece[7:]])
            return Part(number, blobs.put_part(upload, number, sent, of=3, size_bytes=len(piece)))

        with ThreadPoolExecutor(3) as pool:
            parts = list(pool.map(send, [3, 1, 2]))
        parts = [part for part in parts if part.number != 1] + [send(1)]
        assert blobs.join_parts(upload, sorted(parts), of=3) == name_of(content)
        assert read(blobs, name_of(content)) == content
        with pytest.raises(UploadNotFound):
            blobs.join_parts(upload, sorted(parts), of=3)
        single = blobs.begin_parts()
        part = Part(1, blobs.put_part(single, 1, io.BytesIO(b"one"), of=1, size_bytes=3))
        assert blobs.join_parts(single, [part], of=1) == name_of(b"one")

    def test_parts_that_make_no_whole_are_refused(self, blobs: Blobs) -> None:
        upload = blobs.begin_parts()
        first = Part(1, blobs.put_part(upload, 1, io.BytesIO(b"12345"), of=3, size_bytes=5))
        second = Part(2, blobs.put_part(upload, 2, io.BytesIO(b"123"), of=3, size_bytes=3))
        with pytest.raises(BadParts):
            blobs.join_parts(upload, [first, second], of=3)
        third = Part(3, blobs.put_part(upload, 3, io.BytesIO(b"1"), of=3, size_bytes=1))
        with pytest.raises(BadParts, match="same size"):
            blobs.join_parts(upload, [first, second, third], of=3)
        with pytest.raises(BadParts):
            blobs.join_parts(upload, [first, second._replace(mark="0"), third], of=3)
        with pytest.raises(BadParts):
            blobs.put_part(upload, 2, io.BytesIO(b"1234"), of=3, size_bytes=5)
        with pytest.raises(BadParts):
            blobs.join_parts(upload, [first, second, third], of=3)
        blobs.drop_parts(upload)
        blobs.drop_parts(upload)
        with pytest.raises(UploadNotFound):
            blobs.put_part(upload, 1, io.BytesIO(b"12345"), of=3, size_bytes=5)
        with pytest.raises(UploadNotFound):
            blobs.put_part("../x", 1, io.BytesIO(b"12345"), of=3, size_bytes=5)
        assert list(blobs.ids()) == []
