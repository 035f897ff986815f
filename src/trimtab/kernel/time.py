"""Time as integer microseconds since 1970 in UTC, and its written form."""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


def now_us() -> int:
    """Return the present time in microseconds since 1970."""
    return time.time_ns() // 1000


def iso(us: int) -> str:
    """Return RFC 3339 text in UTC, for example ``2013-03-01T05:00:00Z``."""
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.isoformat().replace("+00:00", "Z")


def parse(text: str) -> int:
    """Return microseconds from RFC 3339 text (no zone means UTC) or from digits that already are microseconds.

    Raises ValueError where it is neither.
    """
    if text.isascii() and text.lstrip("-").isdigit():
        return int(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
