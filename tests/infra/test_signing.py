"""Signatures hold for what was signed by the key that signed it, and other programs agree."""

import shutil
import subprocess
from pathlib import Path

import pytest

from trimtab.infra.signing import BadSignature, Signer, SigningKeyUnreadable, fingerprint, verify


def test_a_signature_holds_for_its_content_and_key_alone(tmp_path: Path) -> None:
    signer, other = Signer(tmp_path / "a" / "signing.key"), Signer(tmp_path / "other.key")
    signature = signer.sign(b"content")
    assert len(signature) == 64
    verify(b"content", signature, signer.public_key)
    for content, given, key in (
        (b"contend", signature, signer.public_key),
        (b"content", bytes([signature[0] ^ 1]) + signature[1:], signer.public_key),
        (b"content", b"", signer.public_key),
        (b"content", signature, other.public_key),
        (b"content", signature, "no key"),
    ):
        with pytest.raises(BadSignature):
            verify(content, given, key)


def test_the_key_is_kept_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "signing.key"
    first = Signer(file).public_key
    assert Signer(file).public_key == first
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["signing.key"]
    assert fingerprint(first).startswith("sha256:")
    file.write_text("damaged")
    with pytest.raises(SigningKeyUnreadable):
        Signer(file).sign(b"")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_openssl_agrees(tmp_path: Path) -> None:
    signer = Signer(tmp_path / "signing.key")
    (tmp_path / "key.pem").write_text(signer.public_key)
    (tmp_path / "content").write_bytes(b"content")
    (tmp_path / "sig").write_bytes(signer.sign(b"content"))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "content"]
    done = subprocess.run(
        [*command, "-sigfile", "sig"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "Signature Verified Successfully")
