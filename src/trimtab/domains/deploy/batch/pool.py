"""Keeps processes of one model at work on a stream of batches: a bounded number in flight, answers in order."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trimtab.domains.deploy.batch.errors import ModelProcessFailed
from trimtab.domains.deploy.batch.processes import Loading, start
from trimtab.serving.bulk.messages import Greeting, Order, Reply

if TYPE_CHECKING:
    import pyarrow as pa

_LOOK_S = 0.5
_TRIES = 2


class Pool:
    """Processes that predict batches side by side; a context manager that ends them all."""

    def __init__(self, loading: Loading, *, workers: int, log: Path) -> None:
        """Start loading; `greeting` waits for the first process, and raises where the model cannot be loaded."""
        self._loading = loading
        self._log = log
        self._tasks: queue.SimpleQueue[tuple[Order, Future[Reply]] | None] = queue.SimpleQueue()
        self._closing = False
        self._lock = threading.Lock()
        self._processes = [start(loading, log) for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._work, args=(place,), name=f"batch-{place}", daemon=True)
            for place in range(workers)
        ]
        self._ready: Future[Greeting] = Future()
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closing = True
            for process in self._processes:
                process.end()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def greeting(self) -> Greeting:
        """Return what the first process that has loaded serves."""
        return self._ready.result()

    def predict(
        self,
        batches: "Iterable[tuple[int, pa.RecordBatch, pa.RecordBatch]]",
        *,
        skip: bool,
        idle: Callable[[], None],
    ) -> "Generator[tuple[int, pa.RecordBatch, Reply]]":
        """Yield (first row, what was to be kept, answer) in the order of what comes in: first row, inputs, kept.

        At most two batches a process, and one, are held at any time. ``idle`` is called while an answer takes
        long, and may raise.
        """
        most = 2 * len(self._processes) + 1
        waiting: deque[tuple[int, pa.RecordBatch, Future[Reply]]] = deque()
        for first_row, inputs, kept in batches:
            future: Future[Reply] = Future()
            self._tasks.put((Order(first_row, _stream(inputs), skip), future))
            waiting.append((first_row, kept, future))
            if len(waiting) >= most:
                first, held, done = waiting.popleft()
                yield first, held, _result(done, idle)
        while waiting:
            first, held, done = waiting.popleft()
            yield first, held, _result(done, idle)

    def _work(self, place: int) -> None:
        try:
            greeting = self._processes[place].greeting()
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the pool
            self._fail(error)
        else:
            with self._lock:
                if not self._ready.done():
                    self._ready.set_result(greeting)
        while (task := self._tasks.get()) is not None:
            order, future = task
            try:
                future.set_result(self._ask(place, order))
            except Exception as error:  # noqa: BLE001 - told to whoever waits for this answer
                future.set_exception(error)

    def _fail(self, error: Exception) -> None:
        with self._lock:
            if not self._ready.done():
                self._ready.set_exception(error)

    def _ask(self, place: int, order: Order) -> Reply:
        """Ask a process; one that died of it is replaced, and the batch tried once more."""
        for attempt in range(1, _TRIES + 1):
            try:
                return self._processes[place].ask(order)
            except ModelProcessFailed:
                if attempt == _TRIES or not self._replace(place):
                    raise
        raise AssertionError("the last try returns or raises")

    def _replace(self, place: int) -> bool:
        with self._lock:
            if self._closing:
                return False
            self._processes[place].end()
            self._processes[place] = start(self._loading, self._log)
        self._processes[place].greeting()
        return True


def _result(future: Future[Reply], idle: Callable[[], None]) -> Reply:
    while not wait([future], _LOOK_S).done:
        idle()
    return future.result()


def _stream(batch: "pa.RecordBatch") -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()
