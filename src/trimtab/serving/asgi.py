"""The inference port's application in words of ASGI, for servers that bring their own connections.

Specification: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import sys
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from trimtab.kernel.errors import TooLarge, TrimtabError
from trimtab.serving.http import Answer, Application, Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Gone(Exception):
    """The client left before its request had come whole."""


def _nothing() -> None:
    """Write nothing down."""


class AsgiApplication:
    """An ``Application`` as an ASGI 3 callable. ``before_sending`` is called before an answer leaves."""

    def __init__(self, application: Application, *, before_sending: Callable[[], object] = _nothing) -> None:
        self._application = application
        self._before_sending = before_sending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the server's notices of its own start and end."""
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "http":
            try:
                await self._answer(scope, receive, send)
            except Gone:
                return
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        application, request = self._application, request_of(scope)
        try:
            limit = application.admit(request)
            request.body = await _body(request, receive, limit)
            answer = application.handle(request)
            if not isinstance(answer, Answer):
                answer = await answer
        except TrimtabError as error:
            answer = application.refuse(request, error)
        except Gone:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of the process: a bug answers in the protocol too
            traceback.print_exception(error, file=sys.stderr)
            answer = application.refuse(request, TrimtabError("the gateway met an error of its own"))
        self._before_sending()
        headers = [
            (b"content-type", answer.content_type),
            (b"content-length", b"%d" % len(answer.content)),
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send(
            {"type": "http.response.body", "body": b"" if request.method == b"HEAD" else answer.content}
        )


async def lifespan(receive: Receive, send: Send) -> None:
    """Say that all is ready when the server starts, and done when it ends."""
    while True:
        notice = (await receive())["type"]
        await send({"type": f"{notice}.complete"})
        if notice == "lifespan.shutdown":
            return


def request_of(scope: Scope) -> Request:
    """Return a request without its body; the place where a server mounted the application is no part of its path."""
    root, path = str(scope.get("root_path") or ""), str(scope["path"])
    if root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :] or "/"
    query = cast(bytes, scope.get("query_string") or b"")
    url = path.encode("utf-8", "surrogateescape") + (b"?" + query if query else b"")
    headers = dict(cast("list[tuple[bytes, bytes]]", scope["headers"]))
    return Request(str(scope["method"]).encode("latin-1"), url, path, query.decode("latin-1"), headers)


async def _body(request: Request, receive: Receive, limit: int) -> bytes:
    """Return a request's body; raises TooLarge as soon as it is more than the limit, and Gone."""
    said = request.headers.get(b"content-length", b"0")
    pieces: list[bytes] = []
    size, more = int(said) if said.isdigit() else 0, True
    while more and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        pieces.append(message.get("body", b""))
        size = max(size, sum(map(len, pieces)))
        more = message.get("more_body", False)
    if size > limit:
        raise TooLarge(f"the body has more than the {limit} bytes that are taken here")
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
