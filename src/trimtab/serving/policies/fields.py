"""Anonymises the columns of a prediction before they are written down: what the disk never had, it cannot lose."""

import hmac
import math
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from trimtab.serving.batch import Batch, Output
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.routes import Field

MASKED = "***"

_KEY_BYTES = 32
_DIGEST_BYTES = 16
_DATE_LENGTHS = {"day": 10, "month": 7, "year": 4}
_encoder = msgspec.json.Encoder(order="deterministic")


class Anonymiser:
    """The rules of one endpoint, ready to be applied to columns."""

    def __init__(self, rules: Mapping[str, FieldRule], key: bytes) -> None:
        """``key`` is what makes hashes of this server: without it nobody can try values until one fits."""
        self._rules: dict[str, Callable[[Any], Any] | None] = {
            name: _rule(name, rule, key) for name, rule in rules.items()
        }

    def columns(self, batch: Batch, fields: Sequence[Field]) -> tuple[bytes | None, dict[str, list[Any]]]:
        """Return (packed, columns) of a request as they may be written down; one of them is empty."""
        if batch.packed is not None and self._rules.keys().isdisjoint(field.name for field in fields):
            return batch.packed, {}
        return None, self.apply(batch.by_name(fields))

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
            salted = hmac.digest(
                key, name.encode(), "sha256"
            )  # equal values of two columns must not look equal
            return lambda value: hmac.digest(salted, _canonical(value), "sha256")[:_DIGEST_BYTES].hex()
        case "generalise":
            if rule.by in _DATE_LENGTHS:
                return lambda value: _date(value, _DATE_LENGTHS[rule.by])
            if rule.by.startswith("prefix:"):
                length = int(rule.by.partition(":")[2])
                return lambda value: str(value)[:length]
            return lambda value: _bin(value, float(rule.by))


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
