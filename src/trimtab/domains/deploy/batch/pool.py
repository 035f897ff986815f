"""Keeps processes of one model at work on a stream of batches: a bounded number in flight, answers in order."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, wait
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from trimtab.domains.deploy.batch.errors import ModelProcessFailed
from trimtab.domains.deploy.batch.processes import Loading, Start, start
from trimtab.kernel.errors import TrimtabError
from trimtab.serving.bulk.messages import Greeting, Order, Reply

if TYPE_CHECKING:
    import pyarrow as pa

_LOOK_S = 0.5
_TRIES = 2


class _Task(NamedTuple):
    order: Order
    answer: Future[Reply]
    tries: int = _TRIES


class Pool:
    """Processes that predict batches side by side; a context manager that ends them all."""

    def __init__(self, loading: Loading, *, workers: int, log: Path, start: Start = start) -> None:
        """Start loading; `greeting` waits for the first process, and raises where the model cannot be loaded."""
        self._loading = loading
        self._log = log
        self._start = start
        self._working = workers
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._closing = False
        self._lock = threading.Lock()
        self._processes = [self._start(loading, log) for _ in range(workers)]
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
            self._tasks.put(_Task(Order(first_row, _stream(inputs), skip), future))
            waiting.append((first_row, kept, future))
            if len(waiting) >= most:
                first, held, done = waiting.popleft()
                yield first, held, _result(done, idle)
        while waiting:
            first, held, done = waiting.popleft()
            yield first, held, _result(done, idle)

    def _work(self, place: int) -> None:
        failed = self._begin(place)
        while failed is None or not self._leaves():
            task = self._tasks.get()
            if task is None:
                return
            if failed is not None:
                task.answer.set_exception(failed)
                continue
            try:
                task.answer.set_result(self._processes[place].ask(task.order))
            except ModelProcessFailed as error:
                self._again(task, error)
                failed = self._replace(place)
            except Exception as error:  # noqa: BLE001 - told to whoever waits for this answer
                task.answer.set_exception(error)

    def _begin(self, place: int) -> Exception | None:
        """Wait for a process to load; return why it did not."""
        try:
            greeting = self._processes[place].greeting()
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the pool
            with self._lock:
                if not self._ready.done():
                    self._ready.set_exception(error)
            return error
        with self._lock:
            if not self._ready.done():
                self._ready.set_result(greeting)
        return None

    def _leaves(self) -> bool:
        """Whether others do the work of a process that cannot be started; the last one tells why there is none."""
        with self._lock:
            if self._working == 1:
                return False
            self._working -= 1
            return True

    def _again(self, task: _Task, error: ModelProcessFailed) -> None:
        """Have whichever process is free next try a batch of which a process died, a bounded number of times."""
        if task.tries > 1:
            self._tasks.put(task._replace(tries=task.tries - 1))
        else:
            task.answer.set_exception(error)

    def _replace(self, place: int) -> Exception | None:
        """Start a process in place of one that died; return why there is none."""
        with self._lock:
            if self._closing:
                return ModelProcessFailed("The processes are being ended.")
            self._processes[place].end()
            try:
                self._processes[place] = self._start(self._loading, self._log)
            except (OSError, TrimtabError) as error:
                return error
        return self._begin(place)


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
