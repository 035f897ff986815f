"""Keyset pages: a cursor carries the sort key of the last row, so that page 1,000 costs what page 1 costs."""

import base64
import binascii
from typing import Any, Generic, TypeVar

import msgspec

from trimtab.kernel.errors import Invalid

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 1000


class Page(msgspec.Struct, Generic[T]):
    """Some items in order, and the cursor of the next page where there is one."""

    items: list[T]
    next_cursor: str | None = None


def encode_cursor(key: tuple[Any, ...]) -> str:
    """Return an opaque cursor for a sort key of numbers, text and None."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str, length: int) -> tuple[Any, ...]:
    """Return the sort key of a cursor; raises Invalid for anything that this server did not issue."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = msgspec.json.decode(raw, type=list[str | int | float | None])
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise Invalid("The cursor is not one that this server issued.", field="cursor") from error
    if len(key) != length:
        raise Invalid("The cursor belongs to another listing.", field="cursor")
    return tuple(key)


def check_limit(limit: int | None, *, default: int = DEFAULT_LIMIT, most: int = MAX_LIMIT) -> int:
    """Return a page size within 1..most; raises Invalid outside it."""
    if limit is None:
        return default
    if not 1 <= limit <= most:
        raise Invalid(f"limit must be between 1 and {most}, not {limit}.", field="limit")
    return limit
