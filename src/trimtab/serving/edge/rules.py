"""What is done to a column's values before they are written down, here and on devices.

Each rule may be applied to what it gave before: a mask stays a mask, and the edge of a bin is in that bin.
"""

import hashlib
import hmac
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

MASKED = "***"
DIGEST_BYTES = 16

Change = Callable[[Any], Any]
"""What is made of a value that is there."""

_BLOCK_BYTES = 64
_DATE_LENGTHS = {"day": 10, "month": 7, "year": 4}
_MOST_DIGITS = 5
_DATE_REST = {4: "-01-01", 7: "-01"}


class Rules:
    """The rules of a bundle, ready to be applied on a device. A rule that is not known here drops its column."""

    def __init__(self, rules: Mapping[str, Mapping[str, str]], key: bytes) -> None:
        """``rules`` have a ``kind`` and a ``by`` for each column; ``key`` is the device's own, for hashes."""
        self._rules = {
            name: _change(name, str(rule["kind"]), str(rule.get("by", "")), key)
            for name, rule in rules.items()
        }

    def apply(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the columns as they may be written down; those without a rule are the same lists."""
        return applied(self._rules, columns)


def applied(changes: Mapping[str, Change | None], columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the columns after what is done to each; those that nothing is done to are the same lists, None drops one."""
    kept: dict[str, list[Any]] = {}
    for name, values in columns.items():
        if name not in changes:
            kept[name] = values
            continue
        change = changes[name]
        if change is not None:
            kept[name] = [None if value is None else change(value) for value in values]
    return kept


def _change(name: str, kind: str, by: str, key: bytes) -> Callable[[Any], Any] | None:
    if kind == "mask":
        return lambda _: MASKED
    if kind == "hash":
        digest = keyed_hash(hmac.digest(key, name.encode(), "sha256"))
        return lambda value: digest(json.dumps(_whole(value)).encode())[:DIGEST_BYTES].hex()
    if kind == "generalise":
        with suppress(ValueError):
            return coarser(by)
    return None


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def coarser(by: str) -> Callable[[Any], Any]:
    """Return what coarsens a value: to a bin of that width, a date's day, month or year, or a text's first characters; else ValueError."""
    if by in _DATE_LENGTHS:
        return lambda value: _date(value, _DATE_LENGTHS[by])
    start, _, length = by.partition(":")
    if start == "prefix":
        if not (length.isascii() and length.isdigit() and len(length) <= _MOST_DIGITS):
            raise ValueError(f"{by[:20]!r} is no prefix:N")
        most = int(length)
        return lambda value: str(value)[:most]
    width = float(by)
    if not 0 < width < math.inf:
        raise ValueError(f"no bin is {width:g} wide")
    return lambda value: _bin(value, width)


def keyed_hash(key: bytes) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA256 under a key of at most 64 bytes (RFC 2104), which here takes half as long as `hmac.digest`.

    >>> keyed_hash(b"key")(b"text") == hmac.digest(b"key", b"text", "sha256")
    True
    """
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def digest(text: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(text)
        second.update(first.digest())
        return second.digest()

    return digest


def _bin(value: Any, width: float) -> float | str:
    """Return the lower edge of a number's bin; what is no number is masked, since it cannot be coarsened."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return MASKED
    if not math.isfinite(number):
        return MASKED
    quotient = number / width
    if not math.isfinite(quotient):
        return number  # numbers as large as it lie further apart than bins are wide
    places = math.floor(quotient)
    if (places + 1) * width <= number:  # the quotient was rounded down: an edge is the edge of its own bin
        places += 1
    edge = places * width
    return edge if math.isfinite(edge) else MASKED


def _date(value: Any, length: int) -> str:
    """Return a date cut to its day, month or year; seconds, milliseconds and microseconds since 1970 are dates too."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()[:length]
    try:
        if isinstance(value, str):
            text = value.strip()
            if len(text) in _DATE_REST:  # cut already: no finer than it is
                return datetime.fromisoformat(text + _DATE_REST[len(text)]).isoformat()[
                    : min(length, len(text))
                ]
            return datetime.fromisoformat(text).isoformat()[:length]
        number = float(value)
        for unit in (
            1,
            1e3,
            1e6,
            1e9,
        ):  # seconds up to the year 5138: whatever is larger counts in finer units
            if abs(number / unit) < 1e11:
                return datetime.fromtimestamp(number / unit, UTC).isoformat()[:length]
        return MASKED
    except (TypeError, ValueError, OverflowError, OSError):
        return MASKED
