"""A model's process on a node of a Ray cluster: what the cluster makes there starts it, and hands orders and answers on."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from trimtab.serving.bulk import messages
from trimtab.serving.processes import Interpreter, replica_environment

MODEL = "trimtab_model"
"""The folder that is sent along with the code, and is the model's."""

_TAIL_BYTES = 4000
_ENDING_S = 10.0


class Gone(msgspec.Struct, frozen=True):
    """There is no answer: the process ended with a code and said this last, or it was ``late``."""

    code: int | None = None
    said: Sequence[str] = ()
    late: bool = False


class Node:
    """One process that predicts, started with the words of `trimtab.serving.bulk.process` on how the model is loaded.

    It has nothing on its path but this package: what lies in the model's folder is data. It ends with the process that
    this object lives in, which is Ray's.
    """

    def __init__(self, options: Sequence[str]) -> None:
        """Start it."""
        source = Path(__file__).parents[3]  # which has this package alone, where Ray brought it
        # Safe paths (-P): Ray's working directory is not the model's to import from.
        command = [
            sys.executable,
            "-P",
            "-m",
            "trimtab.serving.bulk.process",
            "--model",
            str(_model_folder()),
        ]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process is
        self._sock, theirs = socket.socketpair()
        with theirs:
            command += [*options, "--channel", str(theirs.fileno()), "--parent", str(os.getpid())]
            self._popen = subprocess.Popen(
                command,
                env=replica_environment(os.environ, interpreter=Interpreter(source=str(source))),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=(theirs.fileno(),),
            )

    def greet(self, longest_s: float) -> bytes | Gone:
        """Return the process' greeting, once it has loaded the model."""
        return self._receive(longest_s)

    def ask(self, order: bytes, longest_s: float) -> bytes | Gone:
        """Return the reply to an order, both as they go over the socket."""
        try:
            self._sock.settimeout(longest_s)
            messages.send_encoded(self._sock, order)
        except TimeoutError:
            return Gone(late=True)
        except OSError:
            return self._gone()
        return self._receive(longest_s)

    def _receive(self, longest_s: float) -> bytes | Gone:
        self._sock.settimeout(longest_s)
        try:
            body = messages.receive(self._sock)
        except TimeoutError:
            return Gone(late=True)
        except (OSError, EOFError):
            body = None
        return self._gone() if body is None else bytes(body)

    def _gone(self) -> Gone:
        try:
            code = self._popen.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            return Gone()
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - _TAIL_BYTES))
        text = self._log.read().decode("utf-8", "replace")
        return Gone(code, [line for line in text.splitlines() if line.strip()])


def _model_folder() -> Path:
    spec = find_spec(MODEL)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"Ray has not brought {MODEL} here")
    return Path(next(iter(spec.submodule_search_locations)))
