"""Reads the filter and ordering texts of searches: ``metrics.auc > 0.9 and tags.`team` like 'risk%'``.

This is the grammar of MLflow's search, as its clients write it; which entities, keys and operators a search takes
is for each domain to say. Quotes are cut off and not unescaped: a value holding one kind of quote goes in the other.
"""

import ast
import re
from typing import Literal

import msgspec

from trimtab.kernel.errors import Invalid

Operator = Literal[
    "=", "!=", "<", "<=", ">", ">=", "LIKE", "ILIKE", "RLIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"
]
ORDERINGS: tuple[Operator, ...] = ("=", "!=", ">", ">=", "<", "<=")
TEXTUAL: tuple[Operator, ...] = ("=", "!=", "LIKE", "ILIKE")
MOST_CHARACTERS = 20_000
MOST_CLAUSES = 50

_NAME = r"""(?:\w+|`[^`]*`|"[^"]*")"""
_IDENTIFIER = re.compile(rf"{_NAME}(?:\.(?:\w|\.|`[^`]*`|\"[^\"]*\"|'[^']*')+)?")
_OPERATOR = re.compile(
    r"(?P<symbol><=|>=|!=|=|<|>)|(?P<word>IS\s+NOT\s+NULL|IS\s+NULL|NOT\s+IN|IN|[IR]?LIKE)(?!\w)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_STRING = re.compile(r"'(?:''|\\'|[^'])*'|\"(?:\"\"|\\\"|[^\"])*\"")
_LIST = re.compile(r"\((?:'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[^()'\"])*\)")
_AND = re.compile(r"AND(?!\w)", re.IGNORECASE)
_SPACE = re.compile(r"\s*")
_DIRECTION = re.compile(r"\s+(asc|desc)$", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"\w\.\d+$")  # reads as a fraction in SQL


class BadFilter(Invalid):
    """A filter or ordering that cannot be read or asks for what cannot be compared; the message names the place."""

    code = "bad-filter"


class Clause(msgspec.Struct, frozen=True):
    """One comparison. ``entity`` is None where only a key was written; ``position`` counts from 0.

    ``written`` is the operator with its letters as they were.
    """

    entity: str | None
    key: str
    operator: Operator
    value: str | int | float | tuple[str, ...] | None
    position: int
    written: str = ""

    def refuse(self, message: str) -> BadFilter:
        """Return the error for this clause."""
        return bad_filter(message, self.position)


class Ordering(msgspec.Struct, frozen=True):
    """One column to sort by. ``entity`` is None where only a key was written."""

    entity: str | None
    key: str
    ascending: bool


def bad_filter(message: str, position: int) -> BadFilter:
    """Return the error for a place in a filter."""
    return BadFilter(f"{message} (at character {position})", field="filter", details={"position": position})


def parse_filter(text: str) -> list[Clause]:
    """Return the comparisons that ``AND`` joins; empty text gives none. Raises BadFilter.

    >>> parse_filter("metrics.`val auc` >= 0.9 AND status IN ('FINISHED')")[0].key
    'val auc'
    """
    if len(text) > MOST_CHARACTERS:
        raise bad_filter(f"The filter is longer than {MOST_CHARACTERS} characters.", MOST_CHARACTERS)
    if text and text.isspace():
        raise bad_filter(f"Invalid filter {text[:50]!r}. Could not be parsed.", 0)
    clauses: list[Clause] = []
    place = _skip(text, 0)
    while place < len(text):
        if joined := _AND.match(text, place):
            place = _skip(text, joined.end())
            continue
        clause, place = _clause(text, place)
        clauses.append(clause)
        if len(clauses) > MOST_CLAUSES:
            raise bad_filter(f"The filter has more than {MOST_CLAUSES} comparisons.", clause.position)
    return clauses


def _clause(text: str, start: int) -> tuple[Clause, int]:
    identifier = _IDENTIFIER.match(text, start)
    if identifier is None:
        raise bad_filter(
            f"Invalid clause(s) in filter string: expected a name, found {_next(text, start)}.", start
        )
    if _BARE_NUMBER.search(identifier.group()):
        raise bad_filter(
            f"Invalid clause(s) in filter string: {identifier.group()!r} ends in a number, which belongs in quotes.",
            start,
        )
    entity, key = split_identifier(identifier.group())
    place = _skip(text, identifier.end())
    found = _OPERATOR.match(text, place)
    if found is None:
        raise bad_filter(
            f"Invalid clause(s) in filter string: expected a comparison after {identifier.group()!r},"
            f" found {_next(text, place)}.",
            place,
        )
    operator: Operator = found["symbol"] or " ".join(found["word"].upper().split())  # type: ignore[assignment]
    if operator in ("IS NULL", "IS NOT NULL"):
        return Clause(entity, key, operator, None, start, operator), _skip(text, found.end())
    place = _skip(text, found.end())
    value, place = _value(text, place, in_list=operator in ("IN", "NOT IN"))
    written = " ".join(found.group().split())
    return Clause(entity, key, operator, value, start, written), _skip(text, place)


def _value(text: str, start: int, *, in_list: bool) -> tuple[str | int | float | tuple[str, ...], int]:
    if in_list:
        if found := _LIST.match(text, start):
            return _strings(found.group(), start), found.end()
        raise bad_filter("While parsing a list in the query, expected a list of quoted values.", start)
    if found := _NUMBER.match(text, start):
        digits = found.group()
        return (float(digits) if set(digits) & set(".eE") else int(digits)), found.end()
    if found := _STRING.match(text, start):
        return found.group()[1:-1], found.end()
    raise bad_filter(f"Expected a number or a quoted value, found {_next(text, start)}.", start)


def _strings(written: str, position: int) -> tuple[str, ...]:
    try:
        value = ast.literal_eval(written)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise bad_filter("While parsing a list in the query, the list is ill-formed.", position) from error
    values = value if isinstance(value, tuple) else (value,)
    if not values or not all(isinstance(one, str) for one in values):
        raise bad_filter(
            "While parsing a list in the query, expected a non-empty list of quoted values.", position
        )
    for one in values:
        if "\x00" in one or any("\ud800" <= letter <= "\udfff" for letter in one):
            raise bad_filter(
                "While parsing a list in the query, found a character that is not text.", position
            )
    return values


def parse_ordering(text: str) -> Ordering:
    """Return the column and direction of ``metrics.auc DESC``; ascending where none is given. Raises BadFilter."""
    body, ascending = text, True
    if direction := _DIRECTION.search(text):
        body, ascending = text[: direction.start()], direction.group(1).lower() == "asc"
    found = _IDENTIFIER.fullmatch(body)
    if found is None or _BARE_NUMBER.search(body):
        raise BadFilter(f"Invalid order_by clause {text[:200]!r}. Could not be parsed.", field="order_by")
    entity, key = split_identifier(body)
    return Ordering(entity, key, ascending)


def split_identifier(written: str) -> tuple[str | None, str]:
    """Return (entity, key) of ``metrics.`a b```, with quotes cut off; the entity is None without a full stop."""
    if written[0] in '`"':
        end = written.find(written[0], 1) + 1
        if end == len(written):
            return None, _unquote(written)
        head, rest = written[1 : end - 1], written[end + 1 :]
    else:
        head, stop, rest = written.partition(".")
        if not stop:
            return None, head
    return head, _unquote(rest)


def _unquote(key: str) -> str:
    for quote in ("'", '"', "`"):
        if len(key) >= 2 and key.startswith(quote) and key.endswith(quote):
            return key[1:-1]
    return key


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _next(text: str, place: int) -> str:
    rest = text[place : place + 30].split("\n", maxsplit=1)[0]
    return repr(rest) if rest else "the end"
