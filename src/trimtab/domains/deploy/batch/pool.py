"""Keeps processes of one model at work on a stream of batches: a bounded number in flight, answers in order."""

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from trimtab.domains.deploy.batch.errors import ModelProcessFailed
from trimtab.serving.bulk import messages
from trimtab.serving.bulk.messages import EXIT_NOT_LOADED, Greeting, Order, Reply
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.processes import replica_environment

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST_LOAD_S = 300.0
_LONGEST_BATCH_S = 1800.0
_LOOK_S = 0.5
_TRIES = 2
_TAIL_BYTES = 4000


class ModelProcess:
    """One process with one loaded model at the other end of a socket."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        ours, theirs = socket.socketpair()
        self._log = log
        self._sock = ours
        with theirs, log.open("ab") as out:
            self._popen = subprocess.Popen(
                [*command, "--channel", str(theirs.fileno()), "--parent", str(os.getpid())],
                env=replica_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def greeting(self) -> Greeting:
        """Return what it serves, once it has loaded; raises ModelNotLoaded or ModelProcessFailed."""
        body = self._receive(_LONGEST_LOAD_S)
        if body is None:
            raise self._ended("while it loaded")
        return messages.decode_greeting(body)

    def ask(self, order: Order) -> Reply:
        """Return the answer to an order; raises ModelProcessFailed."""
        try:
            self._sock.settimeout(_LONGEST_BATCH_S)
            messages.send(self._sock, order)
        except OSError as error:
            raise self._ended(f"at row {order.first_row}") from error
        body = self._receive(_LONGEST_BATCH_S)
        if body is None:
            raise self._ended(f"at row {order.first_row} or after it")
        return messages.decode_reply(body)

    def end(self) -> None:
        """End it by force; whoever waits for its answer gets none."""
        self._popen.kill()
        self._popen.wait()
        with contextlib.suppress(OSError):
            self._sock.shutdown(
                socket.SHUT_RDWR
            )  # closed with this object: another thread may still read from it

    def _receive(self, longest_s: float) -> bytearray | None:
        self._sock.settimeout(longest_s)
        try:
            return messages.receive(self._sock)
        except TimeoutError as error:
            raise ModelProcessFailed(f"The model's process did not answer within {longest_s:g} s.") from error
        except (OSError, EOFError):
            return None

    def _ended(self, when: str) -> ModelProcessFailed | ModelNotLoaded:
        code = self._popen.wait(10.0)
        tail = self._tail()
        if code == EXIT_NOT_LOADED:
            for line in reversed(tail):
                if line.startswith("{") and '"load-failed"' in line:
                    return ModelNotLoaded(str(json.loads(line)["message"]))
        how = f"with code {code}"
        if code < 0:
            how = f"by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                how += ", perhaps for lack of memory"
        said = f" It said last: {tail[-1][:500]}" if tail else ""
        return ModelProcessFailed(f"The model's process ended {how} {when}.{said}")

    def _tail(self) -> list[str]:
        with self._log.open("rb") as file:
            file.seek(max(0, self._log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
        return [line for line in text.splitlines() if line.strip()]


class Pool:
    """Processes that predict batches side by side; a context manager that ends them all."""

    def __init__(
        self,
        model: Path,
        *,
        workers: int,
        log: Path,
        allow_pickle: bool = False,
        probabilities: bool = False,
        inputs: Sequence[str] = (),
        compiled: Path | None = None,
        nice: int = 0,
    ) -> None:
        """Start loading; `greeting` waits for the first process, and raises where the model cannot be loaded."""
        self._log = log
        self._command = [sys.executable, "-m", "trimtab.serving.bulk.process", "--model", str(model)]
        self._command += ["--inputs", json.dumps([*inputs]), "--nice", str(nice)]
        self._command += ["--allow-pickle"] if allow_pickle else []
        self._command += ["--compiled", str(compiled)] if compiled else []
        self._command += ["--probabilities"] if probabilities else []
        self._tasks: queue.SimpleQueue[tuple[Order, Future[Reply]] | None] = queue.SimpleQueue()
        self._closing = False
        self._lock = threading.Lock()
        self._processes = [ModelProcess(self._command, log) for _ in range(workers)]
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
            self._processes[place] = ModelProcess(self._command, self._log)
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
