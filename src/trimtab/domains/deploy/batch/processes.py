"""A model in a process of its own, as batch predictions use it: in this Python, or in the one of its environment.

Both kinds have no secrets, no network and no more privileges, hold no more memory than replicas may, and end when the
one that started them is gone.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from trimtab.domains.deploy.batch.errors import ModelProcessFailed
from trimtab.domains.deploy.targets.limits import Limits
from trimtab.serving import frames
from trimtab.serving.batch import Output
from trimtab.serving.bulk import messages
from trimtab.serving.bulk.messages import EXIT_NOT_LOADED, Greeting, Order, Reply
from trimtab.serving.bulk.process import Bulk
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.processes import OWN, Interpreter, replica_command, replica_environment
from trimtab.serving.schema import encode_columns

LONGEST_LOAD_S = 300.0
LONGEST_BATCH_S = 1800.0
_TAIL_BYTES = 4000
_PIECE = 1 << 20


class Loading(msgspec.Struct, frozen=True):
    """Which model is loaded, and how. ``compiled`` is the folder of its compiled form, which needs no environment."""

    model: Path
    allow_pickle: bool = False
    probabilities: bool = False
    inputs: Sequence[str] = ()
    compiled: Path | None = None
    interpreter: Interpreter = OWN
    nice: int = 0


class Process(Protocol):
    """One loaded model. One thread asks, another may end it."""

    def greeting(self) -> Greeting:
        """Return what it serves, once it has loaded; raises ModelNotLoaded or ModelProcessFailed."""
        ...

    def ask(self, order: Order) -> Reply:
        """Return the answer to an order; raises ModelProcessFailed."""
        ...

    def end(self) -> None:
        """End it by force; whoever waits for its answer gets none."""
        ...


Start = Callable[[Loading, Path], Process]
"""Starts a process that loads a model; what it says goes to the log."""


def start(loading: Loading, log: Path) -> Process:
    """Start a process that loads a model; what it says goes to the log."""
    if loading.interpreter.own or loading.compiled is not None:
        return _ArrowProcess(loading, log)
    return _ReplicaProcess(loading, log)


class _ArrowProcess:
    """A process in this Python, which takes and gives Arrow."""

    def __init__(self, loading: Loading, log: Path) -> None:
        ours, theirs = socket.socketpair()
        command = [OWN.python, "-m", "trimtab.serving.bulk.process", "--model", str(loading.model)]
        command += bulk_options(loading)
        command += ["--compiled", str(loading.compiled)] if loading.compiled else []
        self._log = log
        self._sock = ours
        with theirs:
            command += ["--channel", str(theirs.fileno()), "--parent", str(os.getpid())]
            self._popen = _popen(command, replica_environment(os.environ), log, (theirs.fileno(),))

    def greeting(self) -> Greeting:
        body = self._receive(LONGEST_LOAD_S)
        if body is None:
            raise _ended(self._popen, self._log, "while it loaded")
        return messages.decode_greeting(body)

    def ask(self, order: Order) -> Reply:
        try:
            self._sock.settimeout(LONGEST_BATCH_S)
            messages.send(self._sock, order)
        except TimeoutError as error:
            raise too_long(LONGEST_BATCH_S) from error
        except OSError as error:
            raise _ended(self._popen, self._log, f"at row {order.first_row}") from error
        body = self._receive(LONGEST_BATCH_S)
        if body is None:
            raise _ended(self._popen, self._log, f"at row {order.first_row} or after it")
        return messages.decode_reply(body)

    def end(self) -> None:
        _end(self._popen, self._sock)

    def _receive(self, longest_s: float) -> bytearray | None:
        self._sock.settimeout(longest_s)
        try:
            return messages.receive(self._sock)
        except TimeoutError as error:
            raise too_long(longest_s) from error
        except (OSError, EOFError):
            return None


class _ReplicaProcess:
    """A replica in the Python of the model's environment, which has no Arrow: rows are made here, and sent as to any."""

    def __init__(self, loading: Loading, log: Path) -> None:
        self._loading = loading
        self._log = log
        self._folder = Path(tempfile.mkdtemp(prefix="trimtab-batch-"))
        self._path = self._folder / "s"
        self._bulk: Bulk | None = None
        self._remote: _Remote | None = None
        interpreter = loading.interpreter
        command = replica_command(
            loading.model, self._path, allow_pickle=loading.allow_pickle, interpreter=interpreter
        )
        environment = replica_environment(os.environ, interpreter=interpreter)
        self._popen = _popen(command, environment, log)
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, self._popen.pid, loading.nice)

    def greeting(self) -> Greeting:
        deadline = time.monotonic() + LONGEST_LOAD_S
        while not self._path.exists():
            if self._popen.poll() is not None:
                raise _ended(self._popen, self._log, "while it loaded")
            if time.monotonic() > deadline:
                raise too_long(LONGEST_LOAD_S)
            time.sleep(0.02)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(LONGEST_BATCH_S)
            with frames.socket_address(self._path) as address:
                sock.connect(address)
            self._remote = _Remote(sock)
        except (_Gone, OSError) as error:
            sock.close()
            raise _ended(self._popen, self._log, "when it was greeted") from error
        loading = self._loading
        self._bulk = Bulk(
            self._remote,
            ModelFolder(loading.model).signature,
            inputs=loading.inputs,
            probabilities=loading.probabilities,
        )
        return Greeting(self._remote.names, self._remote.flavor, self._popen.pid)

    def ask(self, order: Order) -> Reply:
        if self._bulk is None:
            raise _ended(self._popen, self._log, "before it was asked")
        try:
            return self._bulk.answer(order)
        except _Gone as error:
            if isinstance(error.__cause__, TimeoutError):
                raise too_long(LONGEST_BATCH_S) from error
            raise _ended(self._popen, self._log, f"at row {order.first_row} or after it") from error

    def end(self) -> None:
        _end(self._popen, self._remote.sock if self._remote else None)
        shutil.rmtree(self._folder, ignore_errors=True)


class _Gone(BaseException):
    """The replica does not answer any more. No Exception: what is one, the model is held to have raised."""


class _BadRows(ValueError):
    """The model does not take these rows."""


class _ModelFailed(Exception):
    """The model raised on rows that keep the signature."""


class _Remote:
    """A replica's model as if it were loaded here."""

    row_wise = True
    input_errors: tuple[type[Exception], ...] = (_BadRows,)

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._reader = frames.FrameReader()
        self._calls = 0
        hello = frames.decode_hello(self._next())
        self.names = hello.names
        self.packed = hello.packed
        self.flavor = hello.flavor

    def predict(self, rows: Rows, want: int) -> list[Output]:
        self._calls += 1
        packed = columns = None
        if rows.matrix is not None:
            packed = np.ascontiguousarray(rows.matrix.T, dtype=np.float64).tobytes()
        else:
            columns = encode_columns(rows.columns or {})
        try:
            self.sock.sendall(frames.frame(frames.Call(self._calls, rows.count, want, packed, columns)))
        except OSError as error:
            raise _Gone from error
        answer = frames.decode_answer(self._next())
        if answer.fault == "input":
            raise _BadRows(answer.message)
        if answer.fault is not None:
            raise _ModelFailed(answer.message)
        return answer.outputs

    def _next(self) -> bytes:
        while True:
            try:
                data = self.sock.recv(_PIECE)
            except OSError as error:
                raise _Gone from error
            if not data:
                raise _Gone
            for body in self._reader.feed(data):
                return body


def bulk_options(loading: Loading) -> list[str]:
    """Return how a model is loaded, in the words of `trimtab.serving.bulk.process`; without what lies on this machine."""
    options = ["--inputs", json.dumps([*loading.inputs]), "--nice", str(loading.nice)]
    options += ["--allow-pickle"] if loading.allow_pickle else []
    return [*options, *(["--probabilities"] if loading.probabilities else [])]


def _popen(
    command: Sequence[str], environment: dict[str, str], log: Path, passed: tuple[int, ...] = ()
) -> "subprocess.Popen[bytes]":
    with log.open("ab") as out:
        started = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=passed,
            start_new_session=True,
        )
    Limits.of_machine().impose(started.pid)
    return started


def _end(popen: "subprocess.Popen[bytes]", sock: socket.socket | None) -> None:
    popen.kill()
    popen.wait()
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # closed with its object: another thread may still read from it


def too_long(longest_s: float) -> ModelProcessFailed:
    return ModelProcessFailed(f"The model's process did not answer within {longest_s:g} s.")


def _ended(popen: "subprocess.Popen[bytes]", log: Path, when: str) -> ModelProcessFailed | ModelNotLoaded:
    """Return why a process is gone, by its exit code and its last words."""
    try:
        code = popen.wait(10.0)
    except subprocess.TimeoutExpired:
        code = None
    return ended(code, _tail(log), when)


def ended(code: int | None, tail: Sequence[str], when: str) -> ModelProcessFailed | ModelNotLoaded:
    """Return why a process is gone, by its exit code, None where it runs on, and the last lines that it said."""
    if code is None:
        return ModelProcessFailed(f"The model's process closed its connection {when}.")
    if code == EXIT_NOT_LOADED:
        for line in reversed(tail):
            if line.startswith("{") and '"load-failed"' in line:
                return ModelNotLoaded(str(_decoded(line).get("message", line)))
    how = f"with code {code}"
    if code < 0:
        how = f"by {signal.Signals(-code).name}"
        if -code == signal.SIGKILL:
            how += ", perhaps for lack of memory"
    said = f" It said last: {tail[-1][:500]}" if tail else ""
    return ModelProcessFailed(f"The model's process ended {how} {when}.{said}")


def _tail(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    return [line for line in text.splitlines() if line.strip()]


def _decoded(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {}
