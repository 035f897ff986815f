"""Runs calls in processes of this machine, which are forked from a template and reused as long as the session lasts."""

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from trimtab.infra.executors.calls import Answer, Frames, Order, frame
from trimtab.infra.executors.port import Call, Outcome, State
from trimtab.kernel.errors import Unavailable
from trimtab.kernel.time import now_us

_LOG_KEPT = 1 << 19  # bytes kept of the beginning and of the end of a log
_LOG_MOST = 64 << 20  # a log that grows beyond this begins anew
_TAIL = 16_384
_PIECE = 1 << 20
_MOST_LOST = 3
_CODE = "from trimtab.infra.executors.template import main; main()"


class LocalExecutor:
    """Sessions of at most ``processes`` processes each; by default as many as there are CPUs for us."""

    def __init__(self, *, processes: int | None = None, preload: Sequence[str] = ()) -> None:
        self._places = processes or len(os.sched_getaffinity(0))
        self._preload = tuple(preload)

    def open(
        self, *, folder: Path, environment: Mapping[str, str], prepare: tuple[str, bytes] | None = None
    ) -> "LocalSession":
        return LocalSession(
            folder, environment=environment, prepare=prepare, places=self._places, preload=self._preload
        )


class _Process:
    """A step process as its session sees it."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        self.frames = Frames()
        self.preparing = False
        self.task: _Task | None = None
        self.condemned: tuple[State, str] | None = None  # why we are killing it

    @property
    def idle(self) -> bool:
        return self.task is None and not self.preparing and self.condemned is None


class _Task:
    """A call with what the session keeps about it."""

    def __init__(self, call: Call, *, log: Path, folder: Path) -> None:
        self.call = call
        self.log = log
        self.folder = folder
        self.started_us = 0
        self.deadline: float | None = None


class LocalSession:
    """The processes of one run. They grow in number only as calls wait for a place."""

    def __init__(
        self,
        folder: Path,
        *,
        environment: Mapping[str, str],
        prepare: tuple[str, bytes] | None,
        places: int,
        preload: Sequence[str],
    ) -> None:
        self.places = places
        self._folder = folder
        self._environment = dict(environment)
        self._prepare = prepare
        self._preload = preload
        self._selector = selectors.DefaultSelector()
        self._processes: dict[int, _Process] = {}
        self._queue: deque[_Task] = deque()
        self._ended: list[Outcome] = []
        self._count = 0
        self._lost = 0  # templates that died since a process last answered
        self._template: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self._start_template()
        self._spawn()

    def start(self, call: Call, /) -> None:
        self._count += 1
        name = f"{self._count:06}"
        self._queue.append(
            _Task(call, log=self._folder / "logs" / name, folder=self._folder / "calls" / name)
        )
        self._dispatch()

    def running(self) -> dict[str, int]:
        return {task.call.id: task.started_us for task in self._tasks()}

    def poll(self, timeout_s: float, /) -> list[Outcome]:
        until = time.monotonic() + timeout_s
        while not self._ended:
            self._end_overdue()
            wait = self._wait_s(until)
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    self._hear_template()
                else:
                    self._hear(key.data)
            self._dispatch()
            if time.monotonic() >= until:
                break
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, call_id: str, /) -> None:
        for task in self._queue:
            if task.call.id == call_id:
                self._queue.remove(task)
                now = now_us()
                self._ended.append(Outcome(call_id, "cancelled", now, now, error="cancelled before it began"))
                return
        for process in self._processes.values():
            if process.task is not None and process.task.call.id == call_id:
                self._condemn(process, "cancelled", "cancelled")

    def log(self, call_id: str, /) -> str:
        for task in self._tasks():
            if task.call.id == call_id:
                if _size(task.log) > _LOG_MOST:
                    os.truncate(task.log, 0)
                return _tail(task.log)
        return ""

    def close(self) -> None:
        if self._control is not None:
            self._control.close()
        for process in self._processes.values():
            process.sock.close()
        self._processes.clear()
        self._queue.clear()
        self._selector.close()
        if self._template is not None:
            try:
                self._template.wait(10.0)
            except subprocess.TimeoutExpired:
                self._template.kill()
                self._template.wait()
        shutil.rmtree(self._folder / "logs", ignore_errors=True)
        shutil.rmtree(self._folder / "calls", ignore_errors=True)

    # processes

    def _start_template(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", "-c", _CODE, str(theirs.fileno()), *self._preload]
        self._template = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            process_group=0,
        )
        theirs.close()
        self._control = ours
        self._selector.register(ours, selectors.EVENT_READ, None)

    def _spawn(self) -> None:
        assert self._control is not None
        self._count += 1
        ours, theirs = socket.socketpair()
        process = _Process(self._count, ours)
        self._processes[process.number] = process
        self._selector.register(ours, selectors.EVENT_READ, process)
        try:
            socket.send_fds(self._control, [f"spawn {process.number}".encode()], [theirs.fileno()])
        except OSError:
            return  # the template is gone, which its socket is about to say
        finally:
            theirs.close()
        if self._prepare is not None:
            target, payload = self._prepare
            name = f"prepare-{process.number}"
            process.preparing = True
            self._send(
                process,
                target,
                payload,
                log=self._folder / "logs" / name,
                folder=self._folder / "calls" / name,
            )

    def _send(self, process: _Process, target: str, payload: bytes, *, log: Path, folder: Path) -> None:
        order = Order(target, payload, str(log), str(folder))
        try:
            process.sock.sendall(frame(msgspec.msgpack.encode(order)))
        except OSError:
            return  # the process is gone, which the template is about to say

    def _dispatch(self) -> None:
        while self._queue:
            task = self._queue[0]
            busy = sum(other.call.cpus for other in self._tasks())
            if busy and busy + task.call.cpus > self.places:
                return
            process = next((process for process in self._processes.values() if process.idle), None)
            if process is None:
                coming = sum(process.preparing for process in self._processes.values())
                if len(self._processes) < self.places and coming < len(self._queue):
                    self._spawn()
                    continue
                return
            self._queue.popleft()
            call = task.call
            task.started_us = now_us()
            task.deadline = None if call.timeout_s is None else time.monotonic() + call.timeout_s
            process.task = task
            self._send(process, call.target, call.payload, log=task.log, folder=task.folder)

    def _tasks(self) -> list[_Task]:
        return [process.task for process in self._processes.values() if process.task is not None]

    def _condemn(self, process: _Process, state: State, error: str) -> None:
        if process.condemned is None:
            process.condemned = (state, error)
            assert self._control is not None
            try:
                self._control.send(f"kill {process.number}".encode())
            except OSError:
                return  # the template is gone, and its processes with it

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for process in self._processes.values():
            task = process.task
            if task is not None and task.deadline is not None and now >= task.deadline:
                self._condemn(process, "timed-out", f"took longer than {task.call.timeout_s:g} s")

    def _wait_s(self, until: float) -> float:
        deadlines = [task.deadline for task in self._tasks() if task.deadline is not None]
        return max(0.0, min([until, *deadlines]) - time.monotonic())

    # what they say

    def _hear(self, process: _Process) -> None:
        if process.number not in self._processes:
            return  # the template has just told of its end
        try:
            piece = process.sock.recv(_PIECE)
        except ConnectionError:
            piece = b""
        if not piece:  # the process ends; how is for the template to say
            self._selector.unregister(process.sock)
            return
        process.frames.add(piece)
        message = process.frames.take()
        if message is None:
            return
        self._lost = 0
        if process.preparing:
            process.preparing = False
            return
        if process.condemned is None:
            answer = msgspec.msgpack.decode(message, type=Answer)
            self._end(process, "done" if answer.ok else "failed", result=answer.result, error=answer.error)

    def _hear_template(self) -> None:
        assert self._control is not None
        try:
            message = self._control.recv(64)
        except ConnectionError:
            message = b""
        if not message:
            self._replace_template()
            return
        _, number, status = message.decode().split(" ")
        process = self._processes.get(int(number))
        if process is not None:
            self._bury(process, int(status))

    def _bury(self, process: _Process, status: int) -> None:
        self._drain(process)
        if process.task is not None:
            state, error = process.condemned or ("crashed", _obituary(status))
            self._end(process, state, error=error)
        if process.sock in self._selector.get_map():
            self._selector.unregister(process.sock)
        process.sock.close()
        self._processes.pop(process.number)

    def _drain(self, process: _Process) -> None:
        """Hear what a process that has just died had said before."""
        process.sock.setblocking(False)
        while process.task is not None and process.sock in self._selector.get_map():
            try:
                self._hear(process)
            except BlockingIOError:
                return

    def _replace_template(self) -> None:
        """The template was killed from outside: its processes died with it; begin again with a new one."""
        assert self._control is not None
        assert self._template is not None
        self._selector.unregister(self._control)
        self._control.close()
        self._template.wait()
        for process in list(self._processes.values()):
            process.condemned = process.condemned or (
                "crashed",
                "the template of the step processes was ended",
            )
            self._bury(process, -signal.SIGKILL)
        self._lost += 1
        if self._lost > _MOST_LOST:
            raise Unavailable("Step processes do not start; the log of the server says why.")
        self._start_template()

    def _end(self, process: _Process, state: State, *, result: bytes = b"", error: str = "") -> None:
        task = process.task
        assert task is not None
        process.task = None
        log = _take_log(task.log)
        self._ended.append(Outcome(task.call.id, state, task.started_us, now_us(), result, error, log))
        if state not in ("done", "failed"):
            shutil.rmtree(task.folder, ignore_errors=True)


def _obituary(status: int) -> str:
    if status >= 0:
        return f"the process ended by itself with code {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hint = "; out of memory?" if name == "SIGKILL" else ""
    return f"the process was ended by {name}{hint}"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _tail(file: Path) -> str:
    size = _size(file)
    if size == 0:
        return ""
    with file.open("rb") as stream:
        stream.seek(max(0, size - _TAIL))
        return stream.read(_TAIL).decode("utf-8", "replace")


def _take_log(file: Path) -> str:
    """Return what a call has written, without the middle where that is long, and remove the file."""
    size = _size(file)
    if size == 0:
        file.unlink(missing_ok=True)
        return ""
    with file.open("rb") as stream:
        content = stream.read(_LOG_KEPT) if size > 2 * _LOG_KEPT else stream.read()
        if size > 2 * _LOG_KEPT:
            stream.seek(size - _LOG_KEPT)
            content += f"\n[... {size - 2 * _LOG_KEPT} bytes left out ...]\n".encode() + stream.read()
    file.unlink()
    return content.decode("utf-8", "replace")
