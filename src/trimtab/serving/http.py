"""The little of HTTP that the gateway's two applications share: bodies, answers, and statuses of errors."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from trimtab.kernel.errors import Invalid, TooLarge, TrimtabError
from trimtab.serving.errors import ModelTimeout, UnsupportedMedia

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]


class ClientGone(Exception):
    """The client left before its request was whole; nobody waits for an answer."""


class MethodNotAllowed(Invalid):
    """The route is there, but not for this method."""

    code = "method-not-allowed"

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"{method} is not answered here; use {allowed}", details={"allow": allowed})


_STATUS_OF_CODE = {UnsupportedMedia.code: 415, ModelTimeout.code: 504, MethodNotAllowed.code: 405}
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
    if status == 503:
        return status, ((b"retry-after", b"1"),)
    if status == 401:
        return status, ((b"www-authenticate", b'Bearer realm="trimtab", Basic realm="trimtab"'),)
    if status == 405:
        return status, ((b"allow", error.details["allow"].encode()),)
    return status, ()


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Return the whole body; raises TooLarge, UnsupportedMedia for a compressed one, ClientGone."""
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise UnsupportedMedia("a compressed body is not read here; send it plain")
    length = headers.get(b"content-length")
    if length is not None and int(length) > limit:
        raise TooLarge(f"the body has {int(length)} bytes, more than the {limit} that this endpoint takes")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        body: bytes = message["body"]
        if not message["more_body"] and not chunks:
            if len(body) > limit:
                raise TooLarge(f"the body has more than the {limit} bytes that this endpoint takes")
            return body
        size += len(body)
        if size > limit:
            raise TooLarge(f"the body has more than the {limit} bytes that this endpoint takes")
        chunks.append(body)
        if not message["more_body"]:
            return b"".join(chunks)


async def answer(
    send: Send, status: int, content: bytes, headers: Iterable[Header] = (), *, text: bool = False
) -> None:
    """Send a whole answer, JSON unless it is ``text``."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"text/plain; charset=utf-8" if text else b"application/json"),
                (b"content-length", str(len(content)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": content})
