"""Lets large bodies pass by the event loop: the thread that handles a request reads from its socket, or sends a file to it.

uvicorn hands a body to the application in pieces of at most 64 KiB, each with two copies and a change of threads. Here a
handler takes over the connection for as long as the body lasts and gives it back afterwards; whoever does not ask for
that gets the body as ever.
"""

import asyncio
import contextlib
import functools
import io
import os
import select
import socket
from typing import Any, cast

import anyio.from_thread
import anyio.to_thread
import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from trimtab.kernel.errors import Invalid

EXTENSION = "trimtab.direct"
LEAST_BYTES = 128 << 10
_AT_ONCE = 256 << 10  # bytes to wait for before the reading thread is woken up
_IDLE_S = 60.0
_LEAVING_S = 5.0
_STALLED_S = 0.05
_MOST_SENT = 8 << 20
_SENDERS = 32


class UploadCutOff(Invalid):
    """The client left, or sent nothing for a minute, before its body was whole."""

    code = "upload-cut-off"


class DirectProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which can lend its connection to the handler of a request."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._seen = 0
        self._left_over = 0
        self.leaving = False
        """Whether the server is asked to stop: it waits for who sends, and no longer for who does not."""

    def shutdown(self) -> None:
        self.leaving = True
        super().shutdown()

    def on_message_begin(self) -> None:
        self._seen = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        before = cast("RequestResponseCycle | None", self.cycle)
        super().on_headers_complete()
        alone = before is None or before.response_complete
        if alone and self.transport.get_extra_info("sslcontext") is None:
            length = _content_length(self.headers)
            if length >= LEAST_BYTES:
                self.flow.pause_reading()  # what the handler will read itself must stay in the socket
            extensions = cast("dict[str, Any]", self.scope).setdefault("extensions", {})
            extensions[EXTENSION] = Direct(self, self.cycle, length)

    def on_body(self, body: bytes) -> None:
        self._seen += len(body)
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        if self._left_over:
            dropped = min(self._left_over, len(data))
            self._left_over -= dropped
            data = data[dropped:]
            if not data:
                return
        super().data_received(data)

    @property
    def seen(self) -> int:
        """How many bytes of the present body the parser has passed on."""
        return self._seen

    def begin_anew(self, left_over: int) -> None:
        """Expect the next request after so many more bytes, which the parser must not see."""
        self._left_over = left_over
        self.parser = httptools.HttpRequestParser(self)
        with contextlib.suppress(AttributeError):  # older httptools
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)


class Direct:
    """The connection of one request, on loan."""

    def __init__(self, protocol: DirectProtocol, cycle: RequestResponseCycle, length: int) -> None:
        self._protocol = protocol
        self._cycle = cycle
        self._length = length

    @property
    def leaving(self) -> bool:
        """Whether the server is asked to stop."""
        return self._protocol.leaving

    def take_body(self) -> "tuple[bytes, int, socket.socket] | None":
        """Return what has come, how much is still to come, and the socket to read it from; on the event loop only.

        None where the body is not worth it, was begun in another way or is whole already.
        """
        cycle, protocol = self._cycle, self._protocol
        left = self._length - protocol.seen
        if self._length < LEAST_BYTES or left <= 0 or cycle.disconnected or protocol.transport.is_closing():
            return None
        protocol.flow.pause_reading()
        if cycle.waiting_for_100_continue:
            protocol.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        first = bytes(cycle.body)
        cycle.body = bytearray()
        return first, left, self._own_socket()

    def give_back_body(self, left_over: int, *, lost: bool) -> None:
        """Let the connection go on with its next request; on the event loop only."""
        cycle, protocol = self._cycle, self._protocol
        cycle.more_body = False
        if lost:
            cycle.disconnected = True
            protocol.transport.abort()
        elif not protocol.transport.is_closing():
            protocol.begin_anew(left_over)
        cycle.message_event.set()

    async def send_file(self, file: io.BufferedIOBase, start: int, count: int) -> bool:
        """Send bytes of a file as the body, after the head of the answer; return whether all went.

        A reader that is slow holds no thread: the event loop waits for it.
        """
        cycle, transport = self._cycle, self._protocol.transport
        # The loop flushes what was written before its next turn, and tells nobody.
        while transport.get_write_buffer_size() and not transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0)
        if cycle.disconnected or transport.is_closing():
            return False
        loop = asyncio.get_running_loop()
        descriptor = file.fileno()
        with self._own_socket() as out:
            sent = 0
            while sent < count:
                some = await anyio.to_thread.run_sync(
                    functools.partial(_send, out, descriptor, start + sent, count - sent), limiter=_senders()
                )
                if some < 0:
                    transport.abort()
                    return False
                sent += some
                if sent < count and not await _writable(loop, out):
                    transport.abort()
                    return False
        cycle.expected_content_length = 0
        return True

    def _own_socket(self) -> socket.socket:
        """Return a second handle of the connection, which stays good when uvicorn closes its own."""
        given = self._protocol.transport.get_extra_info("socket")
        return socket.socket(fileno=os.dup(given.fileno()))


class DirectBody(io.RawIOBase):
    """A request's body as a file to read from once, in the thread of a handler; raises UploadCutOff."""

    def __init__(self, direct: Direct, first: bytes, left: int, source: socket.socket) -> None:
        self._direct = direct
        self._first = memoryview(first)
        self._left = left
        self._socket = source
        self._lost = False
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._wait_for = 1
        self._total = len(first) + left

    @property
    def size_bytes(self) -> int:
        """How many bytes the client announced."""
        return self._total

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if self._first:
            count = min(len(self._first), len(buffer))
            buffer[:count] = self._first[:count]
            self._first = self._first[count:]
            return count
        if not self._left:
            return 0
        wanted = memoryview(buffer)[: self._left]
        count = self._receive(wanted)
        self._left -= count
        return count

    def _receive(self, wanted: memoryview) -> int:
        self._await(min(_AT_ONCE, len(wanted)))
        idle_s = 0.0
        while idle_s < (_LEAVING_S if self._direct.leaving else _IDLE_S):
            ready = self._poll.poll(1000)  # after a second, also fewer bytes than were waited for will do
            try:
                count = self._socket.recv_into(wanted)
            except BlockingIOError:
                idle_s += 0.0 if ready else 1.0
                continue
            except OSError as error:
                raise self._cut_off() from error
            if not count:
                break
            return count
        raise self._cut_off()

    def _await(self, size: int) -> None:
        if self._wait_for != size:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
            self._wait_for = size

    def _cut_off(self) -> UploadCutOff:
        self._lost = True
        return UploadCutOff("The upload was cut off before its end.")

    def close(self) -> None:
        """Give the connection back; the rest of a body that was not read to its end is dropped as it comes."""
        if not self.closed:
            with self._socket:
                if not self._lost:
                    with contextlib.suppress(OSError):
                        self._await(1)
                give_back = functools.partial(self._direct.give_back_body, self._left, lost=self._lost)
                anyio.from_thread.run_sync(give_back)
        super().close()


def open_body(scope: Any) -> DirectBody | None:
    """Take over the body of a request, in the thread of its handler; None where that is not possible."""
    direct: Direct | None = (scope.get("extensions") or {}).get(EXTENSION)
    if direct is None:
        return None
    taken = anyio.from_thread.run_sync(direct.take_body)
    return DirectBody(direct, *taken) if taken is not None else None


def _send(out: socket.socket, descriptor: int, start: int, count: int) -> int:
    """Send from a file until all is sent or the reader falls behind; return how many bytes went, -1 when it is gone."""
    sent = 0
    poll = select.poll()
    poll.register(out, select.POLLOUT)
    while sent < count:
        try:
            some = os.sendfile(out.fileno(), descriptor, start + sent, min(count - sent, _MOST_SENT))
        except BlockingIOError:
            if not poll.poll(int(_STALLED_S * 1000)):
                break
            continue
        except OSError:
            return -1
        if not some:
            return -1  # the file is shorter than was said
        sent += some
    return sent


async def _writable(loop: asyncio.AbstractEventLoop, out: socket.socket) -> bool:
    """Wait until a socket takes more; return whether it does within the patience for idle connections."""
    ready = asyncio.Event()
    loop.add_writer(out.fileno(), ready.set)
    try:
        await asyncio.wait_for(ready.wait(), _IDLE_S)
    except TimeoutError:
        return False
    finally:
        loop.remove_writer(out.fileno())
    return True


@functools.cache
def _senders() -> anyio.CapacityLimiter:
    return anyio.CapacityLimiter(_SENDERS)


def _content_length(headers: list[tuple[bytes, bytes]]) -> int:
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and len(value) < 19:
            return int(value)
    return 0
