"""Whether a bundle is what the server signed: Ed25519 over its manifest, SHA-256 over its files.

The signature is checked here in plain Python, so that a device needs no library for it. Nothing in it is secret.
Source: RFC 8032, section 5.1.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any, cast

FORMAT = 1
MANIFEST, SIGNATURE, TRUST = "bundle.json", "bundle.sig", "trust.json"
CONTEXT = b"trimtab edge bundle 1\n"
"""Goes before the manifest where it is signed, so that no other signature of the key can stand for one of these."""

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_PIECE = 1 << 20
_MOST_MANIFEST_BYTES = 8 << 20
_Point = tuple[int, int, int, int]


class Refused(Exception):
    """A bundle that must not be used, and why."""


def read(folder: Path, key: str) -> dict[str, Any]:
    """Return the manifest of a bundle's folder after every check; raises Refused.

    ``key`` is the server's public key in base 64, which was pinned when the first bundle came.
    """
    manifest = read_signed((folder / MANIFEST).read_bytes(), (folder / SIGNATURE).read_bytes(), key)
    files = cast("dict[str, list[Any]]", manifest["files"])
    for name, (digest, size) in files.items():
        path = folder / name
        if path.is_symlink() or not path.is_file() or path.stat().st_size != size:
            raise Refused(f"{name} is not the file that was signed")
        if not hmac.compare_digest(_digest(path), str(digest)):
            raise Refused(f"{name} is not the file that was signed")
    return manifest


def read_signed(content: bytes, signature: bytes, key: str) -> dict[str, Any]:
    """Return a manifest whose signature is right; raises Refused."""
    if len(content) > _MOST_MANIFEST_BYTES:
        raise Refused("the manifest is too large")
    try:
        public, signed = (
            base64.b64decode(key, validate=True),
            base64.b64decode(signature.strip(), validate=True),
        )
    except ValueError:
        raise Refused("the key or the signature is not base 64") from None
    if not is_signed(public, signed, CONTEXT + content):
        raise Refused("the signature is not that of the key which is trusted here")
    manifest = json.loads(content)
    if manifest["format"] != FORMAT:
        raise Refused(
            f"the bundle has format {manifest['format']}; this runner reads {FORMAT}: install it anew"
        )
    for name in manifest["files"]:
        if name.startswith("/") or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
            raise Refused(f"{name!r} would lie outside of the bundle")
    return manifest


def fingerprint(key: str) -> str:
    """Return the short form of a public key that people compare."""
    return hashlib.sha256(base64.b64decode(key)).hexdigest()[:32]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def is_signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether an Ed25519 signature is right.

    >>> is_signed(bytes(32), bytes(64), b"")
    False
    """
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = _decoded(public), _decoded(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= _L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    return _same(_times(s, _BASE), _sum(r, _times(k, a)))


def _decoded(data: bytes) -> _Point | None:
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    x = _x(y, sign) if y < _P else None
    return None if x is None else (x, y, 1, x * y % _P)


def _x(y: int, sign: int) -> int | None:
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if square == 0:
        return None if sign else 0
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT % _P
    if (x * x - square) % _P:
        return None
    return x if x & 1 == sign else _P - x


def _sum(first: _Point, second: _Point) -> _Point:
    a = (first[1] - first[0]) * (second[1] - second[0]) % _P
    b = (first[1] + first[0]) * (second[1] + second[0]) % _P
    c = 2 * first[3] * second[3] * _D % _P
    d = 2 * first[2] * second[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(factor: int, point: _Point) -> _Point:
    total: _Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = _sum(total, point)
        point = _sum(point, point)
        factor >>= 1
    return total


def _same(first: _Point, second: _Point) -> bool:
    return not (
        (first[0] * second[2] - second[0] * first[2]) % _P
        or (first[1] * second[2] - second[1] * first[2]) % _P
    )


_BASE_Y = 4 * pow(5, -1, _P) % _P
_BASE: _Point = (_x(_BASE_Y, 0) or 0, _BASE_Y, 1, (_x(_BASE_Y, 0) or 0) * _BASE_Y % _P)
