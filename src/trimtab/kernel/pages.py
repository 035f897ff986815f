"""Keyset pages: a cursor carries the sort key of the last row, so that page 1,000 costs what page 1 costs."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from trimtab.kernel.errors import Invalid

T = TypeVar("T")
K = TypeVar("K", int, str)

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
        raise _foreign()
    for part in key:
        # No database can compare with such a number or text, and none of them was in one.
        if (isinstance(part, int) and not -(2**63) <= part < 2**63) or (
            isinstance(part, str) and "\x00" in part
        ):
            raise Invalid("The cursor is not one that this server issued.", field="cursor")
    return tuple(key)


def cursor_key(cursor: str, kind: type[K]) -> K:
    """Return the sort key of a listing that has one of a single value; raises Invalid as ``decode_cursor``."""
    (key,) = decode_cursor(cursor, 1)
    if not isinstance(key, kind):
        raise _foreign()
    return key


def page_of(found: Sequence[T], size: int, *, key: Callable[[T], int | str]) -> Page[T]:
    """Return a page of what was found when one row more than its size was looked for; ``key`` is what it is sorted by.

    >>> page_of([9, 8], 2, key=int).next_cursor is None, page_of([9, 8, 7], 2, key=int).items
    (True, [9, 8])
    """
    shown = list(found[:size])
    return Page(shown, encode_cursor((key(shown[-1]),)) if len(found) > size else None)


def _foreign() -> Invalid:
    return Invalid("The cursor belongs to another listing.", field="cursor")


def check_limit(limit: int | None, *, default: int = DEFAULT_LIMIT, most: int = MAX_LIMIT) -> int:
    """Return a page size within 1..most; raises Invalid outside it."""
    if limit is None:
        return default
    if not 1 <= limit <= most:
        raise Invalid(f"limit must be between 1 and {most}, not {limit}.", field="limit")
    return limit
