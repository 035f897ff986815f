"""Anonymises the columns of a prediction before they are written down: what the disk never had, it cannot lose."""

import hmac
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from trimtab.serving.batch import Batch, Output, packed_column
from trimtab.serving.edge.rules import DIGEST_BYTES, MASKED, applied, coarser, keyed_hash
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.records import Prediction
from trimtab.serving.routes import Field

_KEY_BYTES = 32
_DOUBLE_BYTES = 8
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

    def record(self, record: Prediction) -> Prediction:
        """Return a record from elsewhere as it may be written down; what was changed where it came from stays changed."""
        outputs = self.apply({"predictions": record.outputs}).get("predictions")
        return msgspec.structs.replace(
            record,
            columns=self.apply(record.columns),
            outputs=[None] * record.rows if outputs is None else outputs,
            probabilities=None if "probabilities" in self._rules else record.probabilities,
        )

    def apply(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Return the columns as they may be written down; those without a rule are the same lists."""
        return applied(self._rules, columns)


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
            return lambda value: digest(_canonical(value))[:DIGEST_BYTES].hex()
        case "generalise":
            return coarser(rule.by)


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
