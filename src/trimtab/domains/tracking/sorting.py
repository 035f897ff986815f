"""Orders searches and continues them by keyset: the cursor holds the sort key of the last row of a page."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.infra.db import Where
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import decode_cursor, encode_cursor

_INFINITE: dict[Any, float] = {"inf": math.inf, "-inf": -math.inf}


class Term(msgspec.Struct, frozen=True):
    """One expression to sort by, which is never null, and its direction."""

    sql: str
    kind: type[int] | type[float] | type[str]
    ascending: bool = True


def order_sql(terms: Sequence[Term]) -> str:
    """Return what follows ORDER BY."""
    return ", ".join(f"{term.sql} {'asc' if term.ascending else 'desc'}" for term in terms)


def continue_after(where: Where, terms: Sequence[Term], cursor: str, *, search: str) -> None:
    """Narrow a search to the rows that follow the cursor's; raises Invalid for the cursor of another search."""
    follow(where, terms, place_of(cursor, terms, search=search))


def place_of(cursor: str, terms: Sequence[Term], *, search: str) -> list[Any]:
    """Return the sort values that a cursor holds; raises Invalid for the cursor of another search."""
    mark, *given = decode_cursor(cursor, len(terms) + 1)
    if mark != _mark(search):
        raise Invalid("The page token belongs to another search.", field="page_token")
    values: list[Any] = []
    for term, one in zip(terms, given, strict=True):
        value = _INFINITE.get(one, one) if term.kind is float else one
        if not isinstance(value, int | float if term.kind is float else term.kind):
            raise Invalid("The page token is not one that this server issued.", field="page_token")
        values.append(value)
    return values


def follow(where: Where, terms: Sequence[Term], values: Sequence[Any]) -> None:
    """Narrow a search to the rows that follow the one with these sort values.

    The bound of the first term stands apart too, so that an index can be entered there.
    """
    alternatives: list[str] = []
    params: dict[str, Any] = {}
    for index, (term, value) in enumerate(zip(terms, values, strict=True)):
        params[f"after_{index}"] = value
        equal = [f"{earlier.sql} = :after_{place}" for place, earlier in enumerate(terms[:index])]
        alternatives.append(
            " and ".join([*equal, f"{term.sql} {'>' if term.ascending else '<'} :after_{index}"])
        )
    first = terms[0]
    where.add(f"{first.sql} {'>=' if first.ascending else '<='} :after_0")
    where.add(" or ".join(f"({one})" for one in alternatives), **params)


def cursor_of(values: Sequence[Any], *, search: str) -> str:
    """Return the cursor that continues a search after the row with these sort values."""
    return encode_cursor((_mark(search), *map(_plain, values)))


def _plain(value: Any) -> Any:
    """Return a sort value as JSON takes it, which knows no infinity."""
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _mark(search: str) -> str:
    return hashlib.blake2b(search.encode(), digest_size=6).hexdigest()
