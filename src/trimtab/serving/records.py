"""What the prediction log is made of: records of predictions and of labels, and how they are put into bytes and back.

A record is MessagePack. Requests of many rows bring their numbers as arrays of bytes, column by column, which whoever
counts them takes as they are; nobody makes an object of each value.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from trimtab.serving.batch import Output, nest, unpack
from trimtab.serving.routes import Field

Route = Literal["split", "key", "pinned", "cached", "repeat", "rerouted", "device", ""]
"""How a request came to the version that answered it.

``split``: the weights chose, by the prediction's id or as the first request of a routing key. Only these were randomised,
each by itself, and are evidence on their version. ``key``: a further request of a routing key, which goes where the first
one went. ``pinned``: the caller, or a proxy, named the version. ``cached``: the answer was kept from an earlier request
with the same features. ``repeat``: the model answered, but another version's answer to these features was kept: requests
that only one of two versions has to work on are not alike. ``rerouted``: another version stood in for the one that had
been chosen, which left meanwhile. ``device``: a bundle on a device answered. Empty: written before routes were.
"""

Kind = Literal["boolean", "long", "double"]

MANY_ROWS = 16
"""From so many rows on a record has arrays: for fewer, making them costs more than it saves."""

_CODES: dict[str, str] = {"boolean": "?", "long": "q", "double": "d"}
_KIND_OF_FIELD: dict[str, Kind] = {
    "boolean": "boolean",
    "integer": "long",
    "long": "long",
    "float": "double",
    "double": "double",
}
_KIND_OF_DATATYPE: dict[str, Kind] = {
    "BOOL": "boolean",
    **dict.fromkeys(("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32"), "long"),
    **dict.fromkeys(("FP16", "FP32", "FP64"), "double"),
}


_DIMENSIONS = {"predictions": 1, "probabilities": 2}
"""Of the outputs that are looked at, where they have one number a row, or one a class."""


class Layout(msgspec.Struct, tag="l", array_like=True, frozen=True, gc=False):
    """What the packed columns of later records in the same file are called, and their types."""

    number: int
    fields: list[Field]


class Column(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Values of one kind as little-endian numbers: a byte each for ``boolean``, else eight.

    ``missing`` has a byte for each value, 1 where there is none, and is empty where all are there.
    """

    kind: Kind
    values: bytes
    missing: bytes = b""

    def as_list(self) -> list[Any]:
        """Return the values as objects; what is missing is None."""
        size = len(self.values) // (1 if self.kind == "boolean" else 8)
        values: list[Any] = list(struct.unpack(f"<{size}{_CODES[self.kind]}", self.values))
        if self.missing:
            return [None if gone else value for value, gone in zip(values, self.missing, strict=True)]
        return values


class Arrays(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The numbers of a record of many rows: columns by name, and what was predicted, in place of the record's lists."""

    columns: dict[str, Column] = {}
    outputs: Column | None = None
    probabilities: Column | None = None
    """Row after row, each with one number a class."""


class _Answered(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What records of predictions have had from the beginning."""

    id: str
    endpoint: str
    version: str
    role: Literal["champion", "challenger", "shadow", "warm", ""]
    at_us: int
    event_us: int
    latency_us: int
    rows: int
    columns: dict[str, list[Any]]
    outputs: list[Any]
    status: int
    error: str | None = None
    probabilities: list[list[float]] | None = None
    packed: bytes | None = None
    layout: int = 0


class Prediction(_Answered, tag="r", array_like=True, frozen=True, gc=False):
    """One request as one version answered it; row ``i`` of it is addressed as ``<id>/<i>``.

    ``outputs`` has one item per row and is empty where ``status`` is not 200; ``error`` then says why. A shadow's
    record has the id and the ``route`` of the request that it copied. A request refused before any version was asked has neither
    version nor role nor rows. Columns of numbers are written ``packed``, as float64, column after column,
    after the record of their ``layout``, or in ``arrays``, beside those that are not; `plain` makes lists of them.
    """

    route: Route = ""
    arrays: Arrays | None = None


class _BeforeRoutes(_Answered, tag="p", array_like=True, frozen=True, gc=False):
    """A record of an earlier release."""

    cached: bool = False


class Feedback(msgspec.Struct, tag="f", array_like=True, frozen=True, gc=False):
    """One true value that arrived later. ``row`` null means the whole prediction, which then has one row.

    ``event_us`` is when the label became known, by the sender's account, else ``at_us``.
    """

    prediction_id: str
    row: int | None
    label: bool | int | float | str
    at_us: int
    event_us: int
    endpoint: str = ""


Record = Prediction | Feedback

encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record | Layout | _BeforeRoutes).decode


def decode(body: bytes | memoryview) -> Record | Layout:
    """Return a record as it was written, by this release or an earlier one; raises msgspec.DecodeError."""
    record = _decode(body)
    if isinstance(record, _BeforeRoutes):
        known = {name: getattr(record, name) for name in _Answered.__struct_fields__}
        return Prediction(**known, route="cached" if record.cached else "")
    return record


def plain(record: Prediction, fields: Sequence[Field]) -> Prediction:
    """Return a record with lists in place of arrays; ``fields`` are those of its layout."""
    if record.packed is None and record.arrays is None:
        return record
    columns, outputs, probabilities = record.columns, record.outputs, record.probabilities
    if record.packed is not None:
        columns = unpack(record.packed, fields) | columns
    if (arrays := record.arrays) is not None:
        columns = {name: one.as_list() for name, one in arrays.columns.items()} | columns
        if arrays.outputs is not None:
            outputs = arrays.outputs.as_list()
        if arrays.probabilities is not None:
            values = arrays.probabilities.as_list()
            probabilities = nest(values, [record.rows, len(values) // record.rows])
    return msgspec.structs.replace(
        record,
        columns=columns,
        outputs=outputs,
        probabilities=probabilities,
        packed=None,
        layout=0,
        arrays=None,
    )


def as_arrays(
    columns: Mapping[str, list[Any]], outputs: Sequence[Output], fields: Sequence[Field]
) -> tuple[dict[str, list[Any]], list[Output], Arrays]:
    """Return the columns and outputs of a request of many rows that are no numbers, and arrays of those that are.

    The named columns keep the types of their fields; of outputs, what is predicted and probabilities are looked at.
    """
    lists, numbers = dict(columns), dict[str, Column]()
    for field in fields:
        kind = _KIND_OF_FIELD.get(field.type)
        if kind is None or field.shape is not None or field.name not in lists:
            continue
        made = _column(kind, lists[field.name])
        if made is not None:
            numbers[field.name] = made
            del lists[field.name]
    others: list[Output] = []
    found: dict[str, Column] = {}
    for output in outputs:
        kind = _KIND_OF_DATATYPE.get(output.datatype)
        made = None
        if kind is not None and len(output.shape) == _DIMENSIONS.get(output.name):
            made = _column(kind, output.data)
        if made is None:
            others.append(output)
        else:
            found[output.name] = made
    return lists, others, Arrays(numbers, found.get("predictions"), found.get("probabilities"))


def _column(kind: Kind, values: list[Any]) -> Column | None:
    missing = b""
    for _ in range(2):
        try:
            if kind == "boolean":
                return Column(kind, bytes(values), missing)
            return Column(kind, struct.pack(f"<{len(values)}{_CODES[kind]}", *values), missing)
        except (struct.error, TypeError):
            if missing or None not in values:
                return None  # it has something that is no such number, whatever its type says
            missing = bytes([value is None for value in values])
            values = [0 if value is None else value for value in values]
        except (OverflowError, ValueError):
            return None
    return None
