"""HTTP as the gateway's two applications see it: whole requests, whole answers, and the statuses of errors."""

from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple, Protocol

from trimtab.kernel.errors import Invalid, TooLarge, TrimtabError
from trimtab.serving.errors import ModelTimeout, QuotaExceeded, RateLimited, UnsupportedMedia

Header = tuple[bytes, bytes]

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"


class Request:
    """One request: header names are in lower case, ``path`` is decoded, and ``body`` is whole when it is handled."""

    __slots__ = (
        "body",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query",
        "refusal",
        "target",
        "url",
        "who",
    )

    def __init__(self, method: bytes, url: bytes, path: str, query: str, headers: dict[bytes, bytes]) -> None:
        self.method = method
        self.url = url
        self.path = path
        self.query = query
        self.headers = headers
        self.body = b""
        self.keep_alive = True
        self.refusal: TrimtabError | None = None
        self.target: Any = None
        self.who: Any = None


class Answer(NamedTuple):
    """A whole answer; length, date and connection headers are the connection's affair."""

    status: int
    content: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()


class Application(Protocol):
    """What answers requests. Neither method raises for what a client may send, other than as said."""

    def admit(self, request: Request) -> int:
        """Return how many bytes of body a request may have; raises TrimtabError where it is refused without one."""
        ...

    def handle(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        """Return the answer, or what will return it."""
        ...

    def refuse(self, request: Request | None, error: TrimtabError) -> Answer:
        """Return an error as the protocol of a request words it; there is none where it could not be read."""
        ...


class MethodNotAllowed(Invalid):
    """The route is there, but not for this method."""

    code = "method-not-allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method} is not answered here; use {allowed}", details={"allow": allowed})


class NotHttp(Invalid):
    """What came is no HTTP/1.1 request that could be read."""

    code = "not-http"


class TooSlow(Invalid):
    """A request did not arrive whole within its time."""

    code = "request-timeout"


class HeadersTooLarge(TooLarge):
    code = "headers-too-large"


_STATUS_OF_CODE = {
    UnsupportedMedia.code: 415,
    ModelTimeout.code: 504,
    MethodNotAllowed.code: 405,
    TooSlow.code: 408,
    HeadersTooLarge.code: 431,
    RateLimited.code: 429,
    QuotaExceeded.code: 429,
}
_STATUS_OF_KIND = {
    "not-found": 404,
    "conflict": 409,
    "invalid": 400,
    "forbidden": 403,
    "unauthenticated": 401,
    "unavailable": 503,
    "too-large": 413,
    "bug": 500,
}


def status_of(error: TrimtabError) -> int:
    """Return the HTTP status that tells a client of this error."""
    return _STATUS_OF_CODE.get(error.code) or _STATUS_OF_KIND[error.kind]


def refusal(error: TrimtabError) -> tuple[int, tuple[Header, ...]]:
    """Return the status of an error and the headers that say what a client may do about it."""
    status = status_of(error)
    if status in (429, 503):
        wait_s = error.details.get("retry_after_s", 1)
        return status, ((b"retry-after", b"%d" % wait_s), *error.details.get("headers", ()))
    if status == 401:
        return status, ((b"www-authenticate", b'Bearer realm="trimtab", Basic realm="trimtab"'),)
    if status == 405:
        return status, ((b"allow", error.details["allow"].encode()),)
    return status, ()


def plain_body(headers: Mapping[bytes, bytes]) -> None:
    """Raise UnsupportedMedia where a body is compressed."""
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise UnsupportedMedia("a compressed body is not read here; send it plain")
