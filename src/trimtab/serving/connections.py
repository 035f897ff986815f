"""HTTP/1.1 on an event loop: bytes are parsed by llhttp, whole requests go to an application, answers go back in order.

A request whose answer is there at once costs neither a task nor a future, which is what the front needs for models that
predict in a few microseconds. Requests on one connection are answered in the order in which they came. Whoever sends
slowly, sends too much, or does not take the answers, is cut off without touching the others.
"""

import asyncio
import socket
import ssl
import sys
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import unquote

import httptools

from trimtab.kernel.errors import TooLarge, TrimtabError
from trimtab.serving.encoding import encode
from trimtab.serving.http import Answer, Application, HeadersTooLarge, NotHttp, Request, TooSlow

MAX_HEAD_BYTES = 64 * 1024
MAX_WAITING = 64
"""Requests that one connection may have sent ahead of their answers before it is read no further."""

_SWEEP_S = 1.0
_LINGER_S = 2.0
"""How long what a refused client goes on to send is read and thrown away, so that it sees the answer."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _nothing() -> None:
    """Write nothing down."""


class Connection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_answering",
        "_application",
        "_body",
        "_body_bytes",
        "_closing",
        "_head_bytes",
        "_headers",
        "_limit",
        "_parser",
        "_paused",
        "_reading",
        "_request",
        "_server",
        "_transport",
        "_url",
        "_waiting",
        "deadline",
    )

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._application = server.application
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._limit = 0
        self._request: Request | None = None
        self._waiting: deque[Request] = deque()
        self._answering = False
        self._closing = False
        self._paused = False
        self._reading = False
        self.deadline = server.now + server.keep_alive_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # whatever ended it, nobody is left to hear of it
        self._transport = None
        self._waiting.clear()
        self._server.left(self)

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()
            self._paused = True

    def resume_writing(self) -> None:
        if self._transport is not None and self._paused:
            self._paused = False
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # an offer to speak another protocol may be left aside: the request was answered, for the last time
        except httptools.HttpParserError as error:
            cause = error.__context__
            if cause is not None and not isinstance(cause, httptools.HttpParserError):
                traceback.print_exception(cause, file=sys.stderr)
            self._refuse(NotHttp("this is no HTTP/1.1 request"))
        if self._request is None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(HeadersTooLarge(f"the headers have more than {MAX_HEAD_BYTES} bytes"))

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._request = None
        self._reading = True
        self.deadline = self._server.now + self._server.request_s

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        url, headers = self._url, self._headers
        path, _, query = url.partition(b"?")
        if path[:1] != b"/":
            path = _absolute(url)
        decoded = path.decode("latin-1")
        if "%" in decoded:
            decoded = unquote(decoded)
        request = Request(self._parser.get_method(), url, decoded, query.decode("latin-1"), headers)
        request.keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._request = request
        self._body = []
        self._body_bytes = 0
        try:
            self._limit = self._application.admit(request)
        except TrimtabError as error:
            request.refusal = error
            self._limit = self._server.forgiven_bytes
        if int(headers.get(b"content-length", b"0")) > self._limit:
            self._too_large()
        elif headers.get(b"expect", b"").lower() == b"100-continue":
            if request.refusal is not None:
                self._refuse(request.refusal)
            else:
                self._send(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._closing:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._limit:
            self._too_large()
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._reading = False
        request = self._request
        if self._closing or request is None:
            return
        body = self._body
        request.body = body[0] if len(body) == 1 else b"".join(body)
        self._body = []
        if self._answering or self._waiting:
            self._waiting.append(request)
            if len(self._waiting) >= MAX_WAITING:
                self.pause_writing()
            return
        self._answer(request)

    # Answers.

    def _answer(self, request: Request) -> None:
        """Answer a request now, or have it answered; those behind it wait."""
        try:
            if request.refusal is not None:
                answer = self._application.refuse(request, request.refusal)
            else:
                answer = self._application.handle(request)
        except Exception as error:  # noqa: BLE001 - the edge of the process
            # A bug answers in the protocol too, and the connection lives on.
            answer = self._bug(request, error)
        if type(answer) is Answer:
            self._write(request, answer)
        else:
            self._answering = True
            self._server.run(self._answer_later(request, cast(Coroutine[Any, Any, Answer], answer)))

    async def _answer_later(self, request: Request, coming: Coroutine[Any, Any, Answer]) -> None:
        try:
            answer = await coming
        except Exception as error:  # noqa: BLE001 - the edge of the process
            answer = self._bug(request, error)
        self._answering = False
        self._write(request, answer)
        while self._waiting and not self._answering:
            self._answer(self._waiting.popleft())
        if self._closing and not self._answering:
            self._send(b"", last=True)
        if self._paused and len(self._waiting) < MAX_WAITING:
            self.resume_writing()

    def _bug(self, request: Request | None, error: Exception) -> Answer:
        traceback.print_exception(error, file=sys.stderr)
        return self._application.refuse(request, TrimtabError("the gateway met an error of its own"))

    def _write(self, request: Request, answer: Answer) -> None:
        server = self._server
        last = not request.keep_alive or server.draining
        data = encode(answer, date=server.date, last=last, bodiless=request.method == b"HEAD")
        self._send(data, last=last)
        self.deadline = server.now + server.keep_alive_s

    def _send(self, data: bytes, *, last: bool = False) -> None:
        if self._transport is not None:
            self._closing = self._closing or last
            self._server.send(self._transport, data, last=last)

    def _too_large(self) -> None:
        self._refuse(TooLarge(f"the body has more than the {self._limit} bytes that are taken here"))

    def _refuse(self, error: TrimtabError) -> None:
        """Answer at once and for the last time; whatever the client still sends is thrown away for a moment."""
        if self._closing or self._transport is None:
            return
        self._closing = True
        if self._answering:  # those before it are answered first, and then the connection ends
            return
        answer = self._application.refuse(self._request, error)
        self._send(encode(answer, date=self._server.date, last=True))
        self._server.end(self._transport)
        self.deadline = self._server.now + _LINGER_S

    def sweep(self, now: float) -> None:
        """Cut off who took too long."""
        if now < self.deadline or self._answering or self._transport is None:
            return
        if self._closing:
            self._transport.abort()
        elif self._reading:
            self._refuse(TooSlow("the request did not arrive in time"))
        else:
            self._transport.close()

    def drain(self) -> None:
        """Close at once where nothing is under way; else with the next answer."""
        if not self._answering and not self._reading and self._transport is not None:
            self._closing = True
            self._transport.close()


def _end(transport: asyncio.Transport) -> None:
    if transport.is_closing():
        return
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()


def _absolute(url: bytes) -> bytes:
    """Return the path of an address with scheme and host, as proxies are sent them."""
    try:
        return httptools.parse_url(url).path or b"/"
    except httptools.HttpParserInvalidURLError:
        return b"/"


class HttpServer:
    """Accepts connections for an application until it drains.

    ``request_s`` is how long a request may take to arrive, ``keep_alive_s`` how long a connection may rest, and
    ``forgiven_bytes`` how much body is read of a request that is refused by its headers, so that the connection lives.
    ``before_sending`` is called before answers leave: what it writes down is on its file when a client reads them.
    """

    def __init__(
        self,
        application: Application,
        *,
        request_s: float = 60.0,
        keep_alive_s: float = 75.0,
        forgiven_bytes: int = 1 << 20,
        before_sending: Callable[[], object] = _nothing,
    ) -> None:
        self.application = application
        self._before_sending = before_sending
        self.request_s = request_s
        self.keep_alive_s = keep_alive_s
        self.forgiven_bytes = forgiven_bytes
        self.connections: set[Connection] = set()
        self.draining = False
        self.date = b""
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._empty = asyncio.Event()
        self._outgoing: list[tuple[asyncio.Transport, bytes, bool]] = []
        self._tick()

    async def listen(self, listener: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Accept connections from a bound TCP or Unix socket."""
        if listener.family == socket.AF_UNIX:
            server = await self._loop.create_unix_server(lambda: Connection(self), sock=listener)
        else:
            server = await self._loop.create_server(lambda: Connection(self), sock=listener, ssl=tls)
        self._servers.append(server)

    async def drain(self, timeout_s: float) -> None:
        """Accept nothing more, answer what is under way, and close every connection."""
        self.draining = True
        for server in self._servers:
            server.close()
        for connection in tuple(self.connections):
            connection.drain()
        if self.connections:
            try:
                await asyncio.wait_for(self._empty.wait(), timeout_s)
            except TimeoutError:
                return

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what answers a request."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def send(self, transport: asyncio.Transport, data: bytes, *, last: bool) -> None:
        """Send at the end of this turn of the loop, and close the connection after its last answer.

        All answers of a turn leave together: a client that sleeps is woken once for them instead of once for each, which
        costs more than most predictions.
        """
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append((transport, data, last))

    def end(self, transport: asyncio.Transport) -> None:
        """Say that no more answers come, once those of this turn are sent; the client may still be sending."""
        self._loop.call_soon(_end, transport)

    def _flush(self) -> None:
        self._before_sending()
        outgoing, self._outgoing = self._outgoing, []
        for transport, data, last in outgoing:
            if not transport.is_closing():
                transport.write(data)
                if last:
                    transport.close()

    def left(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self._empty.set()

    def _tick(self) -> None:
        now = self.now = self._loop.time()
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        for connection in tuple(self.connections):
            connection.sweep(now)
        self._loop.call_later(_SWEEP_S, self._tick)
