"""What protocols share of HTTP: the type of a request's body, and an answer's body with its type."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from trimtab.serving.http import JSON, Header

JSON_TYPES = (JSON, b"", b"application/octet-stream", b"application/x-www-form-urlencoded")
"""What servers of these protocols take for JSON: the last is what curl says where nobody told it."""

NO_OTHER_TYPE = frozenset((b"*/*", JSON, b"application/json, */*;q=0.5"))
"""What clients that want JSON say in ``Accept``, as nearly all of them do."""


class Encoded(NamedTuple):
    """The body of a successful answer."""

    content: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()


def media_type(headers: Mapping[bytes, bytes]) -> bytes:
    """Return a body's content type without its parameters, in lower case; empty where none is given."""
    given = headers.get(b"content-type", b"")
    return given if given == JSON else given.partition(b";")[0].strip().lower()


def preferred(accept: bytes, known: Sequence[bytes]) -> bytes | None:
    """Return which of the known types a client would rather have than JSON, or None for JSON."""
    best: tuple[float, bytes | None] = (0.0, None)
    for part in accept.split(b","):
        kind, _, rest = part.partition(b";")
        kind = kind.strip().lower()
        quality = 1.0
        if rest.strip().startswith(b"q="):
            try:
                quality = float(rest.strip()[2:])
            except ValueError:
                quality = 0.0
        if quality <= best[0]:
            continue
        if kind in known:
            best = (quality, kind)
        elif kind in (b"application/json", b"*/*", b"application/*"):
            best = (quality, None)
    return best[1]
