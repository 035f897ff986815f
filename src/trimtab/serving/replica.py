"""A replica: one model in a process of its own, answering calls over a Unix socket.

    python -m trimtab.serving.replica --model DIR --socket PATH [--allow-pickle] [--allow-network]
    python -m trimtab.serving.replica --model DIR --try

One thread reads, predicts and writes. While it predicts, further calls wait in their sockets; it then takes all of
them at once and, where rows do not depend on one another, predicts them in one call: batches form only where a queue
does. The socket appears when the model is loaded and has answered its input example. A model that cannot be loaded
ends the process with code 3 and one JSON line on stderr; SIGTERM ends it after the calls that it has read.
"""

import argparse
import faulthandler
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from trimtab.kernel.process import die_with_parent, no_new_privileges
from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded, first_line
from trimtab.serving.explaining.errors import Unexplained
from trimtab.serving.explaining.models import Explain, explain_with
from trimtab.serving.files import write_atomically
from trimtab.serving.frames import (
    EXPLANATIONS,
    PREDICTIONS,
    PROBABILITIES,
    PROTOCOL,
    Answer,
    Call,
    FrameReader,
    Hello,
    decode_call,
    decode_columns,
    frame,
    socket_address,
)
from trimtab.serving.isolation import isolate, isolation_file
from trimtab.serving.loaders import Model, Rows, load
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.protocols import mlflow
from trimtab.serving.pulse import Pulse
from trimtab.serving.schema import Schema

EXIT_NOT_LOADED = 3

MAX_BATCH_CALLS = 256
MAX_BATCH_ROWS = 4096

_READ_BYTES = 1 << 18
_MAX_TRACEBACKS = 20
_LAST_WORDS_S = 2.0


class Connection:
    """One gateway's connection: what it sent, and what it has not yet taken."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.reader = FrameReader()
        self.unsent = bytearray()


class Replica:
    """Serves one loaded model on one listening socket."""

    def __init__(self, model: Model, listener: socket.socket, *, pulse: Pulse | None = None) -> None:
        self._model = model
        self._pulse = pulse
        self._listener = listener
        self._poll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._queue: deque[tuple[Connection, Call]] = deque()
        self._explainer: Explain | None = None
        self._stopping = False
        self._tracebacks = 0
        self._wake, wake = socket.socketpair()
        self._wake.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        self._wake_writer = wake
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        self._poll.register(self._wake, select.EPOLLIN)
        self._poll.register(listener, select.EPOLLIN)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def run(self) -> None:
        """Serve until a signal says stop; calls that were read by then are answered."""
        while not self._stopping:
            for descriptor, events in self._poll.poll():
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor in self._connections:
                    self._serve(self._connections[descriptor], events)
            self._work()
        for connection in self._connections.values():
            connection.sock.settimeout(_LAST_WORDS_S)
            with suppress(OSError):
                connection.sock.sendall(connection.unsent)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:  # it left again before its turn
            return
        sock.setblocking(False)
        connection = Connection(sock)
        self._connections[sock.fileno()] = connection
        self._poll.register(sock, select.EPOLLIN)
        model = self._model
        self._send(connection, Hello(PROTOCOL, model.names, model.packed, model.flavor, os.getpid()))

    def _serve(self, connection: Connection, events: int) -> None:
        if events & select.EPOLLOUT:
            self._flush(connection)
        if not events & ~select.EPOLLOUT:
            return
        try:
            data = connection.sock.recv(_READ_BYTES)
            if not data:
                self._drop(connection)
                return
            for body in connection.reader.feed(data):
                self._queue.append((connection, decode_call(body)))
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        if self._connections.pop(connection.sock.fileno(), None) is not None:
            self._poll.unregister(connection.sock)
            connection.sock.close()

    def _send(self, connection: Connection, *messages: Hello | Answer) -> None:
        connection.unsent += b"".join([frame(message) for message in messages])
        self._flush(connection)

    def _flush(self, connection: Connection) -> None:
        if connection.sock.fileno() < 0:
            return
        try:
            sent = connection.sock.send(connection.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(connection)
            return
        del connection.unsent[:sent]
        events = select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0)
        self._poll.modify(connection.sock, events)

    def _work(self) -> None:
        """Answer everything that was read, as many calls at a time as may share one prediction."""
        while self._queue:
            batch = [self._queue.popleft()]
            first = batch[0][1]
            rows = first.rows
            while self._queue and self._model.row_wise and len(batch) < MAX_BATCH_CALLS:
                call = self._queue[0][1]
                if (
                    (call.packed is None) != (first.packed is None)
                    or (call.want ^ first.want) & EXPLANATIONS
                    or rows + call.rows > MAX_BATCH_ROWS
                ):
                    break
                rows += call.rows
                batch.append(self._queue.popleft())
            answers = self._answer([call for _, call in batch])
            by_connection: dict[Connection, list[Answer]] = {}
            for (connection, _), answer in zip(batch, answers, strict=True):
                by_connection.setdefault(connection, []).append(answer)
            for connection, its in by_connection.items():
                self._send(connection, *its)

    def _answer(self, calls: Sequence[Call]) -> list[Answer]:
        """Return one answer per call; where one spoils the batch, each is tried alone."""
        want = 0
        for call in calls:
            want |= call.want
        pulse = self._pulse
        try:
            rows = self._rows(calls)
            if pulse is not None:
                pulse.begin()
            outputs = self._model.predict(rows, want)
            if want & EXPLANATIONS:
                outputs += self._explain(rows)
            return _split(calls, outputs)
        except (*self._model.input_errors, Unexplained) as error:
            if len(calls) == 1:
                return [Answer(calls[0].call, fault="input", message=first_line(error))]
        except Exception as error:  # noqa: BLE001 - a model may raise anything, and the next call must go on
            if len(calls) == 1:
                self._tell(error)
                message = (
                    f"the model failed on this input with {type(error).__name__}; its log has the details"
                )
                return [Answer(calls[0].call, fault="model", message=message)]
        finally:
            if pulse is not None:
                pulse.end()
        return [self._answer([call])[0] for call in calls]

    def _explain(self, rows: Rows) -> list[Output]:
        """Return the explanations of rows; what they need is made with the first ones."""
        if self._explainer is None:
            self._explainer = explain_with(self._model)
        return self._explainer(rows)

    def _tell(self, error: Exception) -> None:
        self._tracebacks += 1
        if self._tracebacks <= _MAX_TRACEBACKS:
            traceback.print_exception(error, file=sys.stderr)
            sys.stderr.flush()

    def _rows(self, calls: Sequence[Call]) -> Rows:
        total = sum(call.rows for call in calls)
        if calls[0].packed is not None:
            width = len(self._model.names)
            packed = [call.packed or b"" for call in calls]
            if any(len(data) != call.rows * width * 8 for data, call in zip(packed, calls, strict=True)):
                raise ValueError("a packed call has the wrong size")
            if total == len(calls):
                return Rows(total, matrix=np.frombuffer(b"".join(packed)).reshape(total, width))
            parts = [
                np.frombuffer(data).reshape(width, call.rows).T
                for data, call in zip(packed, calls, strict=True)
            ]
            return Rows(total, matrix=parts[0] if len(parts) == 1 else np.concatenate(parts))
        tables = [decode_columns(call.columns or b"") for call in calls]
        columns = tables[0]
        for table in tables[1:]:
            if table.keys() != columns.keys():
                raise ValueError("the calls have different columns")
            for name, values in table.items():
                columns[name] += values
        return Rows(total, columns=columns)


def _split(calls: Sequence[Call], outputs: list[Output]) -> list[Answer]:
    """Return each call's share of the outputs."""
    if len(calls) == 1:
        return [Answer(calls[0].call, _wanted(calls[0], outputs))]
    answers: list[Answer] = []
    start = 0
    for call in calls:
        shares: list[Output] = []
        for output in _wanted(call, outputs):
            width = 1
            for size in output.shape[1:]:
                width *= size
            data = output.data[start * width : (start + call.rows) * width]
            shape = [call.rows, *output.shape[1:]]
            shares.append(Output(output.name, output.datatype, shape, data, output.labels))
        answers.append(Answer(call.call, shares))
        start += call.rows
    return answers


def _wanted(call: Call, outputs: list[Output]) -> list[Output]:
    if call.want & PROBABILITIES:
        return outputs
    return [output for output in outputs if output.name != "probabilities"]


def warm_up(model: Model, folder: ModelFolder) -> None:
    """Predict the input example, if there is one; raises ModelNotLoaded where the model does not take its own."""
    body = folder.example()
    if body is None:
        return
    try:
        schema = Schema(folder.signature)
        batch = mlflow.decode_json(schema, body)
        model.predict(Rows(batch.rows, columns=batch.by_name(schema.fields)), PREDICTIONS | PROBABILITIES)
    except Exception as error:
        # Whatever it raises, a model that cannot predict its own example must not get traffic.
        raise ModelNotLoaded(f"the model does not predict its input example: {first_line(error)}") from error


def listen(path: Path) -> socket.socket:
    """Return a listening socket whose file appears at once and ready: bound beside its place, then renamed to it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    with socket_address(beside) as address:
        listener.bind(address)
    beside.chmod(0o600)
    listener.listen(128)
    listener.setblocking(False)
    beside.rename(path)
    return listener


def _tried(folder: ModelFolder, model: Model, load_s: float) -> None:
    told = {
        "event": "loaded",
        "flavor": model.flavor,
        "example": folder.example() is not None,
        "load_s": round(load_s, 3),
    }
    sys.stdout.write(json.dumps(told) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trimtab.serving.replica", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder with an MLmodel file")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--socket", type=Path, help="where to listen")
    task.add_argument("--try", action="store_true", help="load it, predict its example, and end")
    parser.add_argument("--allow-pickle", action="store_true", help="load formats that run code")
    parser.add_argument("--allow-network", action="store_true", help="leave the network to the model")
    parser.add_argument("--parent", type=int, help="process id of the starter: end when it ends")
    parser.add_argument("--pulse", type=Path, help="file that tells since when it has been predicting")
    arguments = parser.parse_args()
    place: Path | None = arguments.socket
    faulthandler.enable()  # where it crashed, or hung when it was told to abort, stands in its log
    no_new_privileges()
    isolation = isolate(allow_network=arguments.allow_network)
    if arguments.parent is not None:  # after leaving the network, which may forget it
        die_with_parent(parent=arguments.parent)
    if place is not None:
        write_atomically(isolation_file(place), msgspec.json.encode(isolation))
    started = time.monotonic()
    try:
        folder = ModelFolder(arguments.model)
        model = load(folder, allow_pickle=arguments.allow_pickle)
        warm_up(model, folder)
    except ModelNotLoaded as error:
        line = {
            "event": "load-failed",
            "model": str(arguments.model),
            "code": error.code,
            "message": error.message,
        }
        sys.stderr.write(json.dumps(line) + "\n")
        return EXIT_NOT_LOADED
    if place is None:
        _tried(folder, model, time.monotonic() - started)
        return 0
    listener = listen(place)
    try:
        Replica(model, listener, pulse=Pulse(arguments.pulse) if arguments.pulse else None).run()
    finally:
        place.unlink(missing_ok=True)
        isolation_file(place).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
