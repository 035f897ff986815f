"""Lists as one parameter, and the keyset order of searches: a cursor holds the sort values of a page's last row."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.infra.db import Tx, Where
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import decode_cursor, encode_cursor


class Term(msgspec.Struct, frozen=True):
    """One expression to sort by, which is never null, and its direction."""

    sql: str
    kind: type[int] | type[float] | type[str]
    ascending: bool = True


def listed(tx: Tx, values: Sequence[Any]) -> Any:
    """Return values as one parameter: an array on PostgreSQL, JSON for ``json_each`` on SQLite."""
    return list(values) if tx.dialect == "postgresql" else msgspec.json.encode(values).decode()


def order_sql(terms: Sequence[Term]) -> str:
    """Return what follows ORDER BY."""
    return ", ".join(f"{term.sql} {'asc' if term.ascending else 'desc'}" for term in terms)


def columns_sql(terms: Sequence[Term]) -> str:
    """Return the sort values as further columns of a SELECT."""
    return "".join(f", {term.sql}" for term in terms)


def continue_after(
    where: Where, terms: Sequence[Term], values: Sequence[Any], *, name: str = "after"
) -> None:
    """Narrow a search to the rows that follow the one with these sort values."""
    alternatives: list[str] = []
    for index, term in enumerate(terms):
        equal = [f"{earlier.sql} = :{name}_{place}" for place, earlier in enumerate(terms[:index])]
        alternatives.append(
            " and ".join([*equal, f"{term.sql} {'>' if term.ascending else '<'} :{name}_{index}"])
        )
    params = {f"{name}_{index}": value for index, value in enumerate(values)}
    where.add(" or ".join(f"({one})" for one in alternatives), **params)


def cursor_of(values: Sequence[Any], *, search: str) -> str:
    """Return the cursor that continues a search after the row with these sort values."""
    return encode_cursor((_mark(search), *values))


def values_of(cursor: str, terms: Sequence[Term], *, search: str) -> list[Any]:
    """Return the sort values in a cursor; raises Invalid for the cursor of another search."""
    mark, *values = decode_cursor(cursor, len(terms) + 1)
    if mark != _mark(search):
        raise Invalid("The page token belongs to another search.", field="page_token")
    for term, value in zip(terms, values, strict=True):
        if not isinstance(value, int | float if term.kind is float else term.kind):
            raise Invalid("The page token is not one that this server issued.", field="page_token")
    return values


def _mark(search: str) -> str:
    return hashlib.blake2b(search.encode("utf-8", "replace"), digest_size=6).hexdigest()
