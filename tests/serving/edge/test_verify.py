"""Signatures against the library's, and every way in which they are wrong."""

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.edge.conftest import PUBLIC, sign
from trimtab.serving.edge import verify
from trimtab.serving.edge.verify import Refused, is_signed


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 511))
def test_right_signatures_hold_and_any_other_bit_breaks_them(message: bytes, bit: int) -> None:
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert is_signed(public, signature, message)
    broken = bytearray(signature)
    broken[bit // 8] ^= 1 << bit % 8
    assert not is_signed(public, bytes(broken), message)
    assert not is_signed(public, signature, message + b"!")


def test_the_vectors_of_rfc_8032() -> None:
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b"
    )
    assert is_signed(public, signature, b"")


def test_what_is_no_signature_is_refused_as_the_library_does() -> None:
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key().public_bytes_raw(), key.sign(b"m")
    order = 2**252 + 27742317777372353535851937790883648493
    high = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    for wrong in (high, b"", signature[:63], bytes(64), b"\xff" * 64):
        assert not is_signed(public, wrong, b"m")
        with pytest.raises(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(public).verify(wrong, b"m")
    assert not is_signed(b"\xff" * 32, signature, b"m")
    assert not is_signed(public[:31], signature, b"m")


@pytest.mark.parametrize(
    ("content", "signature", "told"),
    [
        (b'{"format":1,"files":{"../x":["",0]}}', None, "outside"),
        (b'{"format":1,"files":{"/x":["",0]}}', None, "outside"),
        (b'{"format":1,"files":{"a/./b":["",0]}}', None, "outside"),
        (b'{"format":2,"files":{}}', None, "format 2"),
        (b'{"format":1,"files":{}}', b"!!", "base 64"),
        (b'{"format":1,"files":{}}', base64.b64encode(bytes(64)), "not that of the key"),
    ],
)
def test_manifests_that_are_refused(content: bytes, signature: bytes | None, told: str) -> None:
    with pytest.raises(Refused, match=told):
        verify.read_signed(content, signature or sign(verify.CONTEXT + content), PUBLIC)


def test_a_signature_over_something_else_of_the_same_key_is_refused() -> None:
    content = b'{"format":1,"files":{}}'
    with pytest.raises(Refused, match="not that of the key"):
        verify.read_signed(content, sign(content), PUBLIC)
