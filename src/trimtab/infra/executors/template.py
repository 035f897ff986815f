"""The template process: one thread, everything imported, nothing done; it forks step processes and buries them.

Forking is safe only while there is one thread, so this process never runs user code and never imports its libraries.
It ends, and takes every process it has started with it, when the other end of its control socket is gone.
"""

import contextlib
import ctypes
import gc
import os
import selectors
import signal
import socket
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from trimtab.infra.executors.calls import serve
from trimtab.kernel.process import die_with_parent

_PR_SET_CHILD_SUBREAPER = 36
_MESSAGE = 64


def main() -> None:
    """Serve the control socket whose descriptor is the first argument; the others name modules to import."""
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of step processes come to us
    for module in sys.argv[2:]:
        import_module(module)
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        raise RuntimeError(
            "the template process has more than one thread: a preloaded module must not start any"
        )
    gc.freeze()
    Template(control).run()


class Template:
    """Takes ``spawn N`` (with a socket) and ``kill N``; reports ``exited N STATUS``."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._numbers: dict[int, int] = {}  # process id -> the number that the other end gave it
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not self._control:
                        self._bury()
                    elif not self._obey():
                        self._end_all()
                        return

    def _obey(self) -> bool:
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE, 1)
        except ConnectionError:
            return False
        if not message:
            return False
        verb, _, number = message.decode().partition(" ")
        if verb == "spawn":
            self._spawn(int(number), descriptors[0])
        else:
            for pid, its_number in self._numbers.items():
                if its_number == int(number):
                    _kill_group(pid)
        return True

    def _spawn(self, number: int, descriptor: int) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_step_process(descriptor, parent)
        os.close(descriptor)
        with contextlib.suppress(OSError):  # the child does the same; whoever is first
            os.setpgid(pid, pid)
        self._numbers[pid] = number

    def _become_step_process(self, descriptor: int, parent: int) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            with contextlib.suppress(OSError):
                os.setpgid(0, 0)
            die_with_parent(signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)
            self._control.close()
            os.close(self._wake)
            os.close(self._waker)
            os.set_inheritable(descriptor, False)
            serve(socket.socket(fileno=descriptor))
            code = 0
        except BaseException:  # noqa: BLE001 - nothing stands above that could report it
            traceback.print_exc()
        finally:
            os._exit(code)  # never back into the template's own loop

    def _bury(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake, 512):
                pass
        while True:
            try:
                dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if dead is None:
                return
            number = self._numbers.pop(dead.si_pid, None)
            if number is not None:
                _kill_group(dead.si_pid)  # its own children, while the number of the group is still taken
            _, status = os.waitpid(dead.si_pid, 0)
            if number is not None:
                with contextlib.suppress(ConnectionError):
                    self._control.send(f"exited {number} {os.waitstatus_to_exitcode(status)}".encode())

    def _end_all(self) -> None:
        """Kill the step processes' groups, then whatever escaped them and came to us, until nobody is left."""
        for pid in self._numbers:
            _kill_group(pid)
        while True:
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # where the child has not got as far as its own group
        os.kill(pid, signal.SIGKILL)
