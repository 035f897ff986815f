"""Anonymises the columns of a prediction before they are written down: what the disk never had, it cannot lose."""

import hashlib
import hmac
import math
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from trimtab.serving.batch import Batch, Output, packed_column
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.routes import Field

MASKED = "***"

_KEY_BYTES = 32
_DIGEST_BYTES = 16
_DOUBLE_BYTES = 8
_BLOCK_BYTES = 64
_DATE_LENGTHS = {"day": 10, "month": 7, "year": 4}
_encoder = msgspec.json.Encoder(order="deterministic")


class Anonymiser:
    """The rules of one endpoint, ready to be applied to columns."""

    def __init__(self, rules: Mapping[str, FieldRule], key: bytes) -> None:
        """``key`` is what makes hashes of this server: without it nobody can try values until one fits."""
        self._rules: dict[str, Callable[[Any], Any] | None] = {
            name: _rule(name, rule, key) for name, rule in rules.items()
        }
        self._fields: Sequence[Field] = ()
        self._ruled: list[int] = []
        self._runs: list[tuple[int, int]] = []
        self.untouched: list[Field] = []
        """The fields that stay packed, of those that `columns` was last asked for."""
        self.layout = 0
        """Their number in the prediction log, once they are logged."""

    def columns(self, batch: Batch, fields: Sequence[Field]) -> tuple[bytes | None, dict[str, list[Any]]]:
        """Return (packed, columns) of a request as they may be written down; packed are the `untouched` fields."""
        packed, rows = batch.packed, batch.rows
        if packed is None:
            return None, self.apply(batch.columns)
        if fields is not self._fields:
            self._divide(fields)
        if not self._ruled:
            return packed, {}
        size = rows * _DOUBLE_BYTES
        columns: dict[str, list[Any]] = {}
        for at in self._ruled:
            field = fields[at]
            change = self._rules[field.name]
            if change is not None:
                values = packed_column(packed, at, rows=rows, kind=field.type)
                columns[field.name] = [None if value is None else change(value) for value in values]
        if not self.untouched:
            return None, columns
        return b"".join([packed[start * size : end * size] for start, end in self._runs]), columns

    def _divide(self, fields: Sequence[Field]) -> None:
        """Find out once which of the packed fields have a rule, and the runs of those between them."""
        self._fields = fields
        self._ruled = [at for at, field in enumerate(fields) if field.name in self._rules]
        self.untouched = [field for field in fields if field.name not in self._rules]
        self.layout = 0
        ends = [-1, *self._ruled, len(fields)]
        self._runs = [(last + 1, at) for last, at in pairwise(ends) if at > last + 1]

    def outputs(self, outputs: list[Output]) -> list[Output]:
        """Return what a model answered, with the rules applied to outputs that have a rule's name.

        Rows stay rows: an output that is left out is null in each. Probabilities, which are numbers or nothing, are
        left out by any rule.
        """
        if self._rules.keys().isdisjoint(output.name for output in outputs):
            return outputs
        kept: list[Output] = []
        for output in outputs:
            if output.name not in self._rules:
                kept.append(output)
            elif output.name != "probabilities":
                changed = self.apply({output.name: output.data}).get(output.name)
                shape, data = output.shape, changed
                if data is None:
                    shape, data = [output.shape[0]], [None] * output.shape[0]
                kept.append(Output(output.name, output.datatype, shape, data))
        return kept

    def apply(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the columns as they may be written down; those without a rule are the same lists."""
        kept: dict[str, list[Any]] = {}
        for name, values in columns.items():
            if name not in self._rules:
                kept[name] = values
                continue
            change = self._rules[name]
            if change is not None:
                kept[name] = [None if value is None else change(value) for value in values]
        return kept


def _rule(name: str, rule: FieldRule, key: bytes) -> Callable[[Any], Any] | None:
    """Return what is done to a value that is there, or None where the column is left out."""
    match rule.kind:
        case "drop":
            return None
        case "mask":
            return lambda _: MASKED
        case "hash":
            # Equal values of two columns must not look equal.
            digest = keyed_hash(hmac.digest(key, name.encode(), "sha256"))
            return lambda value: digest(_canonical(value))[:_DIGEST_BYTES].hex()
        case "generalise":
            if rule.by in _DATE_LENGTHS:
                return lambda value: _date(value, _DATE_LENGTHS[rule.by])
            if rule.by.startswith("prefix:"):
                length = int(rule.by.partition(":")[2])
                return lambda value: str(value)[:length]
            return lambda value: _bin(value, float(rule.by))


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


def _canonical(value: Any) -> bytes:
    """Return the same bytes for the same value, whether it came as 5 or as 5.0."""
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return b"j" + _encoder.encode(value)
    except (TypeError, OverflowError, UnicodeEncodeError, RecursionError):
        return b"r" + repr(value).encode("utf-8", "surrogatepass")


def _bin(value: Any, width: float) -> float | str:
    """Return the lower edge of a number's bin; what is no number is masked, since it cannot be coarsened."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return MASKED
    if not math.isfinite(number):
        return MASKED
    edge = math.floor(number / width) * width
    return edge if math.isfinite(edge) else MASKED


def _date(value: Any, length: int) -> str:
    """Return a date cut to its day, month or year; seconds, milliseconds and microseconds since 1970 are dates too."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()[:length]
    try:
        if isinstance(value, str):
            return datetime.fromisoformat(value.strip()).isoformat()[:length]
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


def hash_key(file: Path) -> bytes:
    """Return the server's key for hashes; made once, readable for its owner only. Raises OSError."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(secrets.token_bytes(_KEY_BYTES))
            out.flush()
            os.fsync(out.fileno())
        with suppress(FileExistsError):  # where another process was faster, its key holds
            os.link(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)
    return file.read_bytes()
