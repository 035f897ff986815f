"""The contract of blob stores: subclass ``BlobsContract``, give it a ``blobs`` fixture, run it with pytest."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from blake3 import blake3

from trimtab.infra.blobs import BlobId, BlobMismatch, BlobNotFound, Blobs
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
