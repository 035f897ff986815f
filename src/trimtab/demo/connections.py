"""HTTP/1.1 POSTs over a few kept connections, as light as Python allows: the traffic shares its cores with the server."""

import asyncio
from collections import deque
from collections.abc import Mapping
from urllib.parse import urlsplit

import httptools
import msgspec


class Answer(msgspec.Struct):
    """What came back: ``status`` 0 means that the connection failed, and ``body`` says how."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def good(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


class Connections:
    """At most ``limit`` connections to one server; a request waits for a free one. Nothing is ever sent twice."""

    def __init__(self, url: str, *, limit: int = 16, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._timeout_s = timeout_s
        self._free: deque[_Connection] = deque()
        self._places = asyncio.Semaphore(limit)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
        """Send one JSON request and return its answer, whatever it is."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
        )
        async with self._places:
            try:
                connection = await self._connection()
                answer = await asyncio.wait_for(connection.send(head.encode() + body), self._timeout_s)
            except OSError as error:  # TimeoutError is one
                return Answer(0, {}, str(error or type(error).__name__).encode())
            if connection.usable:
                self._free.append(connection)
            return answer

    async def _connection(self) -> "_Connection":
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        return connection

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._free:
            self._free.pop().close()


class _Connection(asyncio.Protocol):
    """One connection with at most one request under way; asyncio sets TCP_NODELAY on it."""

    def __init__(self) -> None:
        self.usable = False
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body = b""

    async def send(self, message: bytes) -> Answer:
        assert self._transport is not None, "create_connection has called connection_made"
        self._waiting = asyncio.get_running_loop().create_future()
        self._headers, self._body = {}, b""
        self._transport.write(message)
        try:
            return await self._waiting
        except asyncio.CancelledError:
            self.close()  # an answer that comes too late must not be taken for that of the next request
            raise

    def close(self) -> None:
        self.usable = False
        if self._transport is not None:
            self._transport.close()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "TCP"
        self._transport = transport
        self.usable = True

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"no HTTP answer: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError(str(exc) if exc else "the server closed the connection"))

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.usable = self._parser.should_keep_alive()
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Answer(status, self._headers, self._body))
        if not self.usable:
            self.close()

    def _fail(self, error: Exception) -> None:
        self.usable = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        if self._transport is not None:
            self._transport.close()
