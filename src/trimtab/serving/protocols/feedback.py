"""Labels that arrive after the prediction: one object, many rows of one prediction, or a list of up to 10,000."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from trimtab.kernel import time
from trimtab.kernel.errors import Invalid
from trimtab.serving.errors import UnsupportedMedia
from trimtab.serving.protocols.answers import media_type
from trimtab.serving.protocols.lenient import loads

MAX_LABELS = 10_000

_NONE: Mapping[bytes, bytes] = {}
_INT64 = (-(2**63), 2**63 - 1)
_MAX_ID_CHARACTERS = 128
_MAX_LABEL_CHARACTERS = 1000


class Label(msgspec.Struct, frozen=True):
    """One true value: of a whole prediction (``row`` null) or of one of its rows."""

    prediction_id: str
    row: int | None
    label: bool | int | float | str
    event_us: int | None


def decode(body: bytes, headers: Mapping[bytes, bytes] = _NONE) -> list[Label]:
    """Return the labels in a body; raises Invalid naming the item and the field."""
    kind = media_type(headers)
    if kind not in (b"application/json", b""):
        raise UnsupportedMedia(
            f"content type {kind.decode('latin-1')!r} is not read here; send application/json"
        )
    payload, _ = loads(body)
    items: list[Any] = payload if isinstance(payload, list) else [payload]
    labels: list[Label] = []
    for at, item in enumerate(items):
        where = f"item {at}: " if isinstance(payload, list) else ""
        labels += _item(item, where)
        if len(labels) > MAX_LABELS:
            raise Invalid(f"one request carries at most {MAX_LABELS} labels; send several")
    if not labels:
        raise Invalid("there are no labels")
    return labels


def _item(item: Any, where: str) -> list[Label]:
    if not isinstance(item, dict):
        raise Invalid(f"{where}feedback is an object with prediction_id and label or labels")
    prediction, row = _address(item.get("prediction_id"), where)
    event_us = _event_us(item.get("event_time"), where)
    if ("label" in item) == ("labels" in item):
        raise Invalid(f"{where}give either label or labels", field="label")
    if "label" in item:
        return [Label(prediction, row, _label(item["label"], where), event_us)]
    values = item["labels"]
    if not isinstance(values, list):
        raise Invalid(f"{where}labels is a list, one label per row", field="labels")
    if row is not None:
        raise Invalid(f"{where}labels belong to a whole prediction, not to row {row}", field="labels")
    return [Label(prediction, at, _label(value, where), event_us) for at, value in enumerate(values)]


def _address(value: Any, where: str) -> tuple[str, int | None]:
    if not isinstance(value, str) or not value or len(value) > _MAX_ID_CHARACTERS:
        raise Invalid(
            f"{where}prediction_id is the text that the answer's x-prediction-id gave", field="prediction_id"
        )
    prediction, slash, row = value.partition("/")
    if not slash:
        return prediction, None
    if not prediction or not row.isascii() or not row.isdigit() or len(row) > 9:
        raise Invalid(f"{where}a row is addressed as ID/NUMBER, from 0", field="prediction_id")
    return prediction, int(row)


def _label(value: Any, where: str) -> bool | int | float | str:
    if isinstance(value, float) and math.isnan(value):
        value = None
    if value is None or not isinstance(value, bool | int | float | str):
        raise Invalid(f"{where}a label is a number, a string or a boolean", field="label")
    if isinstance(value, int) and not _INT64[0] <= value <= _INT64[1]:
        raise Invalid(f"{where}a label that is an integer has 64 bits at most", field="label")
    if isinstance(value, str) and len(value) > _MAX_LABEL_CHARACTERS:
        raise Invalid(f"{where}a label has at most {_MAX_LABEL_CHARACTERS} characters", field="label")
    return value


def _event_us(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return event_us(str(value))
        except (ValueError, OverflowError):
            pass
    raise Invalid(f"{where}event_time is RFC 3339 or microseconds since 1970", field="event_time")


def event_us(text: str) -> int:
    """Return microseconds from an event's time; raises ValueError or OverflowError outside years 1 to 9999."""
    us = time.parse(text)
    time.iso(us)
    return us
