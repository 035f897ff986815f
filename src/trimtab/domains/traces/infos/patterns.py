"""Matches texts against LIKE patterns and regular expressions where the database cannot, in time that stays bounded."""

import re
from collections.abc import Callable
from typing import Any

from trimtab.kernel.errors import Invalid

Predicate = Callable[[str], bool]
_MOST_PATTERN = 1000
_NEST = re.compile(r"\([^()]*[*+}][^()]*\)\s*(?:[*+]|\{\d*,)")


def like(pattern: str, *, fold: bool) -> Predicate:
    """Return whether a text matches a LIKE pattern; ``fold`` makes large and small letters alike.

    >>> like("%b_d%", fold=False)("abcd"), like("A%", fold=True)("abc"), like("a", fold=False)("ab")
    (True, True, False)
    """
    first, *others = (pattern.lower() if fold else pattern).split("%")

    def matches(text: str) -> bool:
        seen = text.lower() if fold else text
        if not others:
            return len(seen) == len(first) and _starts(seen, first, 0)
        if not _starts(seen, first, 0):
            return False
        place = len(first)
        for part in others[:-1]:
            found = _find(seen, part, place)
            if found < 0:
                return False
            place = found + len(part)
        last = others[-1]
        return len(seen) - len(last) >= place and _starts(seen, last, len(seen) - len(last))

    return matches


def longest(pattern: str) -> str:
    """Return the longest text that every match of a LIKE pattern holds.

    >>> longest("%a_bcd%e")
    'bcd'
    """
    return max(pattern.replace("_", "%").split("%"), key=len)


def _starts(text: str, part: str, at: int) -> bool:
    if "_" not in part:
        return text.startswith(part, at)
    return len(text) >= at + len(part) and all(
        letter in ("_", text[at + index]) for index, letter in enumerate(part)
    )


def _find(text: str, part: str, start: int) -> int:
    if "_" not in part:
        return text.find(part, start)
    found = re.compile(".".join(map(re.escape, part.split("_"))), re.DOTALL).search(text, start)
    return found.start() if found else -1


def regex(pattern: str) -> "re.Pattern[str]":
    """Return a compiled expression; raises Invalid for one that is wrong, or could take for ever.

    Repetitions of repetitions, as in ``(a+)+``, are refused: their time doubles with every letter.
    """
    if len(pattern) > _MOST_PATTERN:
        raise Invalid(f"A regular expression is longer than {_MOST_PATTERN} characters.", field="filter")
    if _NEST.search(pattern):
        raise Invalid("A regular expression repeats a repetition, which could take for ever.", field="filter")
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise Invalid(f"Invalid regular expression: {error}.", field="filter") from error


def rlike(pattern: str) -> Predicate:
    """Return whether an expression is found anywhere in a text."""
    compiled = regex(pattern)
    return lambda text: compiled.search(text) is not None


def predicate(operator: str, value: Any) -> Predicate:
    """Return the test of an operator on text; ``value`` is a tuple for IN."""
    match operator:
        case "LIKE" | "ILIKE":
            return like(value, fold=operator == "ILIKE")
        case "RLIKE":
            return rlike(value)
        case "IN":
            return lambda text: text in value
        case "NOT IN":
            return lambda text: text not in value
        case "!=":
            return lambda text: text != value
        case _:
            return lambda text: text == value
