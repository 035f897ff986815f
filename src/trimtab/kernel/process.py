"""What a process does to its own fate: it ends when its parent ends, gains no privileges, and collects less garbage."""

import ctypes
import gc
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def die_with_parent(sent: signal.Signals = signal.SIGTERM, *, parent: int | None = None) -> None:
    """Have the kernel send a signal to this process when the thread that started it is gone (Linux).

    ``parent`` is the process id that it is known to have, which in a container may well be 1.
    """
    _prctl(_PR_SET_PDEATHSIG, sent)
    present = os.getppid()
    if present != parent if parent is not None else present == 1:  # the parent was gone before we asked
        os.kill(os.getpid(), sent)


def no_new_privileges() -> None:
    """Give up gaining privileges through set-uid programs, for this process and all its children (Linux)."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def hasten_start() -> None:
    """Collect nothing until the heap is settled: looking for garbage takes a tenth of a server's start, and finds none."""
    gc.disable()


def settle_heap() -> None:
    """Leave what start-up made out of every later collection, and collect seldom: for a server that has just started.

    What a start makes lives for ever, and looking through it stops every request for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    gc.enable()


def _prctl(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
