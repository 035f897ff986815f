"""Times, durations and numbers in the JSON that protobuf makes of them."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from trimtab.kernel.errors import Invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s")
_STAMP = re.compile(r"(.*?)(?:\.(\d{1,9}))?(Z|[+-]\d{2}:\d{2})")
_MOST_SECONDS = 253_402_300_799


def stamp(us: int) -> str:
    """Return a time as protobuf writes it: in UTC, with no more digits than it needs, in groups of three.

    >>> stamp(1_500_000), stamp(0)
    ('1970-01-01T00:00:01.500Z', '1970-01-01T00:00:00Z')
    """
    seconds, rest = divmod(us, 1_000_000)
    moment = _EPOCH + timedelta(seconds=max(-62_135_596_800, min(_MOST_SECONDS, seconds)))
    return f"{moment.strftime('%Y-%m-%dT%H:%M:%S').rjust(19, '0')}{_fraction(rest)}Z"


def duration(us: int) -> str:
    """Return a duration as protobuf writes it, such as ``1.500s``."""
    seconds, rest = divmod(abs(us), 1_000_000)
    return f"{'-' if us < 0 else ''}{seconds}{_fraction(rest)}s"


def _fraction(us: int) -> str:
    if not us:
        return ""
    return f".{us // 1000:03}" if us % 1000 == 0 else f".{us:06}"


def read_stamp(text: str | None, field: str) -> int | None:
    """Return whole milliseconds, as microseconds, of a written time; raises Invalid."""
    if text is None:
        return None
    found = _STAMP.fullmatch(text)
    try:
        if found is None:
            raise ValueError(text)
        moment = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
        if moment.tzinfo is None:  # a date without a time has no place for one
            raise ValueError(text)
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError) as error:
        raise wrong(text, field) from error
    return seconds * 1_000_000 + int((found[2] or "").ljust(3, "0")[:3] or 0) * 1000


def read_duration(text: str | None, field: str) -> int | None:
    """Return whole milliseconds, as microseconds, of a written duration; raises Invalid."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text)
    if found is None or int(found[2]) > 315_576_000_000:
        raise wrong(text, field)
    us = int(found[2]) * 1_000_000 + int((found[3] or "").ljust(3, "0")[:3]) * 1000
    return -us if found[1] else us


def wrong(value: Any, field: str) -> Invalid:
    """Return the error for a value that a field cannot have, in the words of MLflow's server."""
    return Invalid(f"Invalid value {json.dumps(value)[:200]} for parameter '{field}' supplied.", field=field)


def numbers(value: Any) -> Any:
    """Return a JSON value in which numbers are floating-point ones, as protobuf keeps them; raises Invalid."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        try:
            return float(value)
        except OverflowError as error:
            raise Invalid("A number is larger than any that protobuf keeps.", field="value") from error
    if isinstance(value, list):
        return [numbers(one) for one in value]
    if isinstance(value, dict):
        return {key: numbers(one) for key, one in value.items()}
    return value
