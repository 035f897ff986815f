"""Uploads: what is lacking, blobs one by one, and packs."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domains.data.conftest import Warehouse, blob_of
from trimtab.app import App
from trimtab.domains.data.content import MOST_MEMBER_BYTES, unpack
from trimtab.domains.data.errors import FileNotInVersion
from trimtab.infra.blobs import BlobMismatch
from trimtab.kernel.errors import Invalid, TooLarge


def frame(content: bytes) -> bytes:
    return f"{blob_of(content)} {len(content)}\n".encode() + content


def cut(whole: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield whole[:size]
        whole = whole[size:]
    yield whole


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 70), max_size=12))
def test_packs_are_read_however_they_are_cut(contents: list[bytes], sizes: list[int]) -> None:
    whole = b"".join(frame(content) for content in contents)
    assert list(unpack(cut(whole, sizes))) == [(blob_of(content), content) for content in contents]


@given(st.binary(min_size=1, max_size=200))
def test_noise_is_no_pack(noise: bytes) -> None:
    with pytest.raises(Invalid):
        list(unpack(iter([noise])))


@pytest.mark.parametrize(
    "pack",
    [
        frame(b"abc")[:-1],
        frame(b"abc") + b"b3:",
        f"{blob_of(b'')} -1\n".encode(),
        f"{blob_of(b'')} 1e3\n".encode(),
        f"{blob_of(b'')}\n".encode(),
        f"{blob_of(b'')} {MOST_MEMBER_BYTES + 1}\n".encode(),
        b"x" * 200,
    ],
)
def test_packs_that_are_refused(app: App, warehouse: Warehouse, pack: bytes) -> None:
    with pytest.raises(Invalid):
        app.data.content.put_pack(warehouse.who, iter([frame(b"good"), pack]))
    assert list(app.blobs.ids()) == []


def test_a_pack_is_stored_whole_or_not_at_all(app: App, warehouse: Warehouse) -> None:
    contents = [b"%d" % number for number in range(50)]
    pack = b"".join(frame(content) for content in contents)
    with pytest.raises(BlobMismatch):
        app.data.content.put_pack(warehouse.who, iter([pack, f"{blob_of(b'x')} 1\ny".encode()]))
    assert list(app.blobs.ids()) == []
    assert app.data.content.put_pack(warehouse.who, iter([pack])) == 50
    assert set(app.blobs.ids()) == {blob_of(content) for content in contents}


def test_what_is_missing_is_said_once(app: App, warehouse: Warehouse) -> None:
    here, absent = app.blobs.put(b"here"), blob_of(b"absent")
    assert app.data.content.missing(warehouse.who, [absent, here, absent]) == [absent]
    with pytest.raises(Invalid):
        app.data.content.missing(warehouse.who, ["b3:../x"])
    with pytest.raises(TooLarge):
        app.data.content.missing(warehouse.who, [absent] * 200_001)


def test_a_blob_must_be_what_it_is_called(app: App, warehouse: Warehouse) -> None:
    with pytest.raises(BlobMismatch):
        app.data.content.put(warehouse.who, blob_of(b"other"), iter([b"bytes"]))
    assert list(app.blobs.ids()) == []
    assert app.data.content.put(warehouse.who, blob_of(b"bytes"), iter([b"by", b"tes"])) == blob_of(b"bytes")


def test_a_version_gives_packs_of_its_own_blobs_only(app: App, warehouse: Warehouse) -> None:
    secret = app.blobs.put(b"of another")
    warehouse.add("raw", {"a": b"one", "b": b"two", "c": b"one"})
    blobs = [blob_of(b"two"), blob_of(b"one"), blob_of(b"two")]
    pack = app.data.pack(warehouse.who, "raw", 1, blobs)
    assert list(unpack(pack)) == [(blob_of(b"two"), b"two"), (blob_of(b"one"), b"one")]
    with pytest.raises(FileNotInVersion):
        app.data.pack(warehouse.who, "raw", 1, [secret])
