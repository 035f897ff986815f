"""Keeps secrets unreadable in the database: AES-256-GCM under a key that lies in a file beside it, never in it."""

import base64
import binascii
import hmac
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.kernel.errors import Unavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MARK = "sealed:1:"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class SecretUnreadable(Unavailable):
    """A stored secret cannot be opened: the key file is another one, or the text was changed."""

    code = "secret-unreadable"


class Secrets:
    """Seals and opens short texts. The key file is made at first use and belongs into every backup."""

    def __init__(self, file: Path) -> None:
        """``file`` holds the key; every server process of one database needs the same."""
        self._file = file
        self._cipher: AESGCM | None = None

    def seal(self, text: str, *, purpose: str) -> str:
        """Return the text sealed for a purpose (what it belongs to): it opens for the same purpose only."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._opened().encrypt(nonce, text.encode(), purpose.encode())
        return _MARK + base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, sealed: str, *, purpose: str) -> str:
        """Return the text; what was stored before secrets were sealed is returned as it is. Raises SecretUnreadable."""
        if not is_sealed(sealed):
            return sealed
        from cryptography.exceptions import InvalidTag

        try:
            raw = base64.urlsafe_b64decode(sealed.removeprefix(_MARK))
            return self._opened().decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SecretUnreadable(
                f"A stored secret does not open with the key in {self._file}. Restore that file, or set the secret anew."
            ) from error

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes that belong to the key and a purpose, and tell nothing of either: another process may know them."""
        return hmac.digest(_key(self._file), b"derived:" + purpose.encode(), "sha256")

    def _opened(self) -> "AESGCM":
        if self._cipher is None:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._cipher = AESGCM(_key(self._file))
        return self._cipher


def is_sealed(text: str) -> bool:
    """Whether a stored text is a sealed one."""
    return text.startswith(_MARK)


def _key(file: Path) -> bytes:
    """Read the key; make it, readable for the owner only, where there is none. Raises SecretUnreadable."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(fresh, file)  # fails where another process was faster: then its key holds
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    try:
        key = base64.urlsafe_b64decode(file.read_bytes().strip())
    except (OSError, binascii.Error, ValueError) as error:
        raise SecretUnreadable(f"The key file {file} cannot be read.") from error
    if len(key) != _KEY_BYTES:
        raise SecretUnreadable(f"The key file {file} does not hold a key.")
    return key
