"""Runs one numeric computation in a process that ends with it, for requests whose answer a person is waiting for."""

import os
import subprocess
import sys
import threading

from blake3 import blake3

from trimtab.kernel.errors import Unavailable

_AT_ONCE = threading.BoundedSemaphore(2)
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_PATIENCE_S = 30.0


def compute(module: str, asked: bytes, *, seconds: float = _PATIENCE_S) -> bytes:
    """Run ``python -m module``, give it ``asked`` on standard input and return what it wrote to standard output.

    At most two run at once. Raises Unavailable where it takes longer than ``seconds`` or fails.
    """
    if not _AT_ONCE.acquire(timeout=seconds):
        raise Unavailable("Other computations are still running; try again in a moment.")
    try:
        done = subprocess.run(
            [sys.executable, "-m", module],
            input=asked,
            capture_output=True,
            timeout=seconds,
            check=False,
            env={**os.environ, **_ONE_THREAD},
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"The computation took longer than {seconds:.0f} s; ask for fewer rows.") from error
    finally:
        _AT_ONCE.release()
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"The computation failed: {last[0][:300] if last else 'it was ended'}")
    return done.stdout


def digest(asked: bytes) -> bytes:
    """Return what identifies an input, to remember its answer under."""
    return blake3(asked).digest()
