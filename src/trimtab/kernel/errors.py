"""What can go wrong, free of any transport: each error has a kind that edges map and a stable code."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

Kind = Literal[
    "not-found", "conflict", "invalid", "forbidden", "unauthenticated", "unavailable", "too-large", "bug"
]


class TrimtabError(Exception):
    """The root of all errors that a caller may see."""

    kind: ClassVar[Kind] = "bug"
    code: ClassVar[str] = "bug"

    def __init__(
        self, message: str, *, field: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.details = details or {}


class NotFound(TrimtabError):
    kind = "not-found"
    code = "not-found"


class Conflict(TrimtabError):
    kind = "conflict"
    code = "conflict"


class Invalid(TrimtabError):
    kind = "invalid"
    code = "invalid"


class Forbidden(TrimtabError):
    kind = "forbidden"
    code = "forbidden"


class Unauthenticated(TrimtabError):
    kind = "unauthenticated"
    code = "unauthenticated"


class Unavailable(TrimtabError):
    kind = "unavailable"
    code = "unavailable"


class TooLarge(TrimtabError):
    kind = "too-large"
    code = "too-large"


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the candidate nearest to the name, or nothing."""
    near = get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
