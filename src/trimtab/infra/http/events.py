"""Server-sent events: one thread follows the outbox for all the live pages that are open."""

import asyncio
import threading
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import StreamingResponse

from trimtab.infra.bus import Bus
from trimtab.kernel.errors import TrimtabError
from trimtab.kernel.events import EventRecord

_POLL_S = 0.5
_KEEP_ALIVE_S = 15.0
_BACKLOG = 500


class Follower:
    """Reads committed events once and hands each to every listener; a listener that is too slow is cut off."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._lock = threading.Lock()
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[EventRecord]]] = set()
        self._thread: threading.Thread | None = None

    async def follow(self, after: int | None) -> AsyncIterator[bytes]:
        """Yield events as the text of a stream, from a sequence number on or from now."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[EventRecord] = asyncio.Queue(_BACKLOG)
        listener = (loop, queue)
        with self._lock:
            self._listeners.add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
        try:
            yield b"retry: 1000\n\n"
            last = 0
            if after is not None:
                for record in await asyncio.to_thread(self._bus.after, after, most=_BACKLOG):
                    last = record.seq
                    yield _frame(record)
            while True:
                try:
                    record = await asyncio.wait_for(queue.get(), _KEEP_ALIVE_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if record.seq > last:
                    last = record.seq
                    yield _frame(record)
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def _run(self) -> None:
        seq = self._bus.last_seq()
        while True:
            with self._lock:
                if not self._listeners:
                    self._thread = None
                    return
                listeners = list(self._listeners)
            try:
                records = self._bus.after(seq)
            except TrimtabError:
                records = []
            for record in records:
                seq = record.seq
                for loop, queue in listeners:
                    loop.call_soon_threadsafe(_offer, queue, record)
            if not records:
                self._bus.wait(_POLL_S)


def _offer(queue: asyncio.Queue[EventRecord], record: EventRecord) -> None:
    if queue.full():
        queue.get_nowait()  # the page reloads what it shows, so the oldest may go
    queue.put_nowait(record)


def _frame(record: EventRecord) -> bytes:
    return b"event: %b\nid: %d\ndata: %b\n\n" % (
        record.kind.encode(),
        record.seq,
        msgspec.json.encode(record),
    )


def response(follower: Follower, after: int | None) -> StreamingResponse:
    """Return the live stream as an answer that proxies do not buffer."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(follower.follow(after), media_type="text/event-stream", headers=headers)
