"""Signs what leaves this server, by Ed25519 under a key in a file beside the database; anyone with the public half checks.

The signatures are the plain 64 bytes of RFC 8032, so that other programs can check them too:
``openssl pkeyutl -verify -pubin -inkey KEY.pem -rawin -in FILE -sigfile FILE.sig``.
"""

import hashlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.kernel.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SigningKeyUnreadable(Unavailable):
    """The file with the signing key is damaged, or holds a key of another kind."""

    code = "signing-key-unreadable"


class BadSignature(Invalid):
    """A signature is not of this content by this key."""

    code = "bad-signature"


class Signer:
    """Signs with the key in a file, which is made at first use and belongs into every backup."""

    def __init__(self, file: Path) -> None:
        """``file`` holds the private key in PEM; every server process of one database needs the same."""
        self._file = file
        self._key: Ed25519PrivateKey | None = None

    def sign(self, content: bytes) -> bytes:
        """Return the 64 bytes of the signature; raises SigningKeyUnreadable."""
        return self._opened().sign(content)

    @property
    def public_key(self) -> str:
        """The key that checks, in PEM; raises SigningKeyUnreadable."""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self._opened().public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def _opened(self) -> "Ed25519PrivateKey":
        if self._key is None:
            self._key = _key(self._file)
        return self._key


def verify(content: bytes, signature: bytes, public_key: str) -> None:
    """Return where a signature is of this content by the holder of a key (PEM); raises BadSignature."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSignature("That is not a public key in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadSignature("Signatures are by Ed25519, and that is a key of another kind.")
    try:
        key.verify(signature, content)
    except InvalidSignature as error:
        raise BadSignature(
            "The signature is not by this key, or what it signs was changed. The key's fingerprint is"
            f" {fingerprint(public_key)}."
        ) from error


def fingerprint(public_key: str) -> str:
    """Return the SHA-256 of a public key (PEM), by which people compare keys; raises BadSignature."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

    try:
        der = load_pem_public_key(public_key.encode()).public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except ValueError as error:
        raise BadSignature("That is not a public key in PEM.") from error
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def _key(file: Path) -> "Ed25519PrivateKey":
    """Read the key; make it, readable for the owner only, where there is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        fresh = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(made)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(fresh, file)  # fails where another process was faster: then its key holds
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SigningKeyUnreadable(f"The signing key in {file} cannot be read.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyUnreadable(f"The key in {file} is not one of Ed25519.")
    return key
