"""What protocols share of HTTP: the type of a request's body, and an answer's body with its type."""

from collections.abc import Mapping
from typing import NamedTuple

from trimtab.serving.http import JSON, Header


class Encoded(NamedTuple):
    """The body of a successful answer."""

    content: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()


def media_type(headers: Mapping[bytes, bytes]) -> bytes:
    """Return a body's content type without its parameters, in lower case; empty where none is given."""
    given = headers.get(b"content-type", b"")
    return given if given == JSON else given.partition(b";")[0].strip().lower()
