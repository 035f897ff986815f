"""What the processes of the data plane ask of the kernel, and how they are started."""

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

_PASSED = frozenset(
    ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
)
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def die_with_parent(parent: int) -> None:
    """Have the kernel send SIGTERM when the parent, of this process id, ends; end at once where it already has.

    Linux ties this to the *thread* that started the process: start data plane processes from one that lives on.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit("the process that started this one is gone")


def forbid_new_privileges() -> None:
    """Have the kernel refuse this process and its children every gain of privileges through exec."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def gateway_command(state: Path, *, host: str, port: int) -> list[str]:
    """Return the command line of a gateway that ends with this process; port 0 takes a free one (see its state)."""
    command = [sys.executable, "-m", "trimtab.serving.gateway", "--state", str(state)]
    return [*command, "--host", host, "--port", str(port), "--parent", str(os.getpid())]


def replica_command(
    model: Path, socket: Path, *, allow_pickle: bool = False, python: str = sys.executable
) -> list[str]:
    """Return the command line of a replica that ends with this process; ``python`` is of the model's environment."""
    command = [python, "-m", "trimtab.serving.replica", "--model", str(model), "--socket", str(socket)]
    command += ["--parent", str(os.getpid())]
    return [*command, "--allow-pickle"] if allow_pickle else command


def replica_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a replica may see of its parent's environment: no secrets, and one thread for numeric libraries.

    Replicas, not threads, are what scales; threads of several replicas on the same cores only slow each other down.
    """
    passed = {name: value for name, value in environment.items() if name in _PASSED}
    return {**dict.fromkeys(_ONE_THREAD, "1"), "PYTHONDONTWRITEBYTECODE": "1", **passed}
