"""Connections from the gateway to model replicas, here or on other hosts: kept open, pipelined, made again when they break.

A replica that is away is looked for all the time.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

from trimtab.serving.errors import ModelTimeout
from trimtab.serving.frames import (
    PROTOCOL,
    Answer,
    Call,
    FrameReader,
    Hello,
    decode_answer,
    decode_hello,
    frame,
    socket_address,
)
from trimtab.serving.policies.circuits import Circuit
from trimtab.serving.tunnel import SCHEME, address_of

_CONNECT_S = 3.0
"""How long another host may take to answer a connection."""

_SWEEP_S = 0.05
_FIRST_RETRY_S = 0.01
_LAST_RETRY_S = 0.25


class LinkBroken(Exception):
    """The connection went away before the answer came."""


class Link(asyncio.Protocol):
    """One connection to one replica, usable after its Hello."""

    def __init__(self, on_up: Callable[["Link"], None], on_down: Callable[["Link"], None]) -> None:
        self.hello: Hello | None = None
        self.waiting: dict[int, tuple[asyncio.Future[Answer], float]] = {}
        self._draining = False
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._next = 0
        self._loop = asyncio.get_running_loop()
        self._on_up = on_up
        self._on_down = on_down

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # whatever broke it, its calls are to be made again
        self._transport = None
        self._on_down(self)
        waiting, self.waiting = self.waiting, {}
        for future, _ in waiting.values():
            if not future.done():
                future.set_exception(LinkBroken())

    def data_received(self, data: bytes) -> None:
        try:
            for body in self._reader.feed(data):
                if self.hello is None:
                    hello = decode_hello(body)
                    if hello.protocol != PROTOCOL:
                        raise ValueError(f"the replica speaks protocol {hello.protocol}, not {PROTOCOL}")
                    self.hello = hello
                    self._on_up(self)
                    continue
                answer = decode_answer(body)
                entry = self.waiting.pop(answer.call, None)
                if entry is not None and not entry[0].done():
                    entry[0].set_result(answer)
            if self._draining and not self.waiting:
                self.close()
        except ValueError:
            # What answers there is no replica of this release: leave it, the keeper looks again later.
            self.close()

    def call(
        self, rows: int, want: int, *, packed: bytes | None, columns: bytes | None, deadline: float
    ) -> asyncio.Future[Answer]:
        """Send a call and return the future of its answer; it fails with LinkBroken or ModelTimeout."""
        transport = self._transport
        if transport is None:
            raise LinkBroken
        self._next += 1
        future: asyncio.Future[Answer] = self._loop.create_future()
        self.waiting[self._next] = (future, deadline)
        transport.write(frame(Call(self._next, rows, want, packed, columns)))
        return future

    def expire(self, now: float) -> None:
        """Fail the calls whose time is up."""
        late = [call for call, (_, deadline) in self.waiting.items() if deadline <= now]
        for call in late:
            future, _ = self.waiting.pop(call)
            if not future.done():
                future.set_exception(ModelTimeout("the model did not answer in time"))
        if self._draining and not self.waiting:
            self.close()

    def drain(self) -> None:
        """Close as soon as the calls that are under way are answered."""
        self._draining = True
        if not self.waiting:
            self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Replica:
    """One replica's socket and the connection to it, which is made again whenever it breaks."""

    def __init__(self, path: str, links: set[Link], *, tunnel: ssl.SSLContext | None = None) -> None:
        """``path`` is a socket's, or ``tcp://HOST:PORT``, which is called through the ``tunnel``."""
        self.path = path
        self.link: Link | None = None
        self.up_at = 0.0
        self.circuit = Circuit()
        self._links = links
        self._tunnel = tunnel
        self.watchers: set[asyncio.Event] = set()
        self._down = asyncio.Event()
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        pause = _FIRST_RETRY_S
        while True:
            self._down.clear()
            try:
                await (self._call_away() if self.path.startswith(SCHEME) else self._call_here())
            except OSError:  # not there, not listening, or its queue is full: all of them pass
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LAST_RETRY_S)
                continue
            await self._down.wait()
            pause = _FIRST_RETRY_S

    async def _call_here(self) -> None:
        connection = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        try:
            with socket_address(self.path) as address:
                connection.connect(address)
            loop = asyncio.get_running_loop()
            await loop.create_unix_connection(lambda: Link(self._up, self._lost), sock=connection)
        except OSError:
            connection.close()
            raise

    async def _call_away(self) -> None:
        if self._tunnel is None:
            raise OSError("replicas on other hosts need the secret that they share with this gateway")
        host, port = address_of(self.path)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_S):  # its TimeoutError is an OSError, too
            transport, _ = await loop.create_connection(
                lambda: Link(self._up, self._lost), host, port, ssl=self._tunnel, server_hostname=""
            )
        connection = transport.get_extra_info("socket")
        # A host that lost its power does not say so.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 2), (socket.TCP_KEEPCNT, 3)):
            connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def _up(self, link: Link) -> None:
        self.link = link
        self.up_at = asyncio.get_running_loop().time()
        self.circuit.succeeded()  # most likely a new process, which has failed nobody yet
        self._links.add(link)
        for watcher in self.watchers:
            watcher.set()

    def _lost(self, link: Link) -> None:
        self._links.discard(link)
        if self.link is link:
            self.link = None
        self._down.set()

    def drain(self) -> None:
        """Look no more for the replica, and close the connection when its calls are answered."""
        self._keeper.cancel()
        if self.link is not None:
            self.link.drain()


class Replicas:
    """Every replica of every version, one connection each, with one timer for all time-outs."""

    def __init__(self, *, tunnel: ssl.SSLContext | None = None) -> None:
        """``tunnel`` is how replicas on other hosts are called."""
        self._tunnel = tunnel
        self._by_path: dict[str, tuple[Replica, int]] = {}
        self._links: set[Link] = set()
        self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    def take(self, path: str) -> Replica:
        """Return the replica at a socket; `leave` it when it is no longer needed."""
        replica, users = self._by_path.get(path, (None, 0))
        replica = replica or self._make(path)
        self._by_path[path] = (replica, users + 1)
        return replica

    def _make(self, path: str) -> Replica:
        return Replica(path, self._links, tunnel=self._tunnel)

    def leave(self, path: str) -> None:
        replica, users = self._by_path[path]
        if users > 1:
            self._by_path[path] = (replica, users - 1)
        else:
            del self._by_path[path]
            replica.drain()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = loop.time()
            for link in tuple(self._links):
                if link.waiting:
                    link.expire(now)

    def close(self) -> None:
        self._sweeper.cancel()
        for replica, _ in self._by_path.values():
            replica.drain()
        self._by_path.clear()
