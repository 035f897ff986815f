"""Scores rows with a registered model, in a replica of its own: no model is ever loaded into a process of ours."""

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from trimtab.domains.registry import RegistryService
from trimtab.kernel.errors import Unavailable
from trimtab.kernel.who import Principal
from trimtab.serving import frames
from trimtab.serving.processes import OWN, Interpreter, replica_command, replica_environment

_START_S = 180.0
_ROWS_A_CALL = 2000


class Scorer:
    """A running replica of one model version; use it as a context manager."""

    def __init__(
        self,
        registry: RegistryService,
        *,
        who: Principal,
        name: str,
        version: int,
        interpreter: Interpreter = OWN,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="trimtab-score-")
        folder = Path(self._temporary.name)
        registry.materialize(who, name, version, folder / "model")
        self._socket = folder / "replica.sock"
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                replica_command(folder / "model", self._socket, interpreter=interpreter),
                env=replica_environment(os.environ, interpreter=interpreter),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._log = folder / "log"
        self._name = f"{name} version {version}"

    def __enter__(self) -> Self:
        deadline = time.monotonic() + _START_S
        while not self._socket.exists():
            if self._process.poll() is not None:
                said = self._log.read_text(errors="replace").strip().splitlines()[-1:]
                self.close()
                raise Unavailable(f"{self._name} cannot be loaded: {''.join(said)}")
            if time.monotonic() > deadline:
                self.close()
                raise Unavailable(f"{self._name} was not loaded within {_START_S:g} s")
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the replica and remove its files."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(10.0)
        self._process.kill()
        self._process.wait()
        self._temporary.cleanup()

    def scores(self, columns: Mapping[str, Sequence[Any]], rows: int) -> list[Any]:
        """Return one prediction a row for columns of equal length; raises Unavailable when the model fails."""
        found: list[Any] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            with frames.socket_address(self._socket) as address:
                sock.connect(address)
            reader = frames.FrameReader()
            hello = frames.decode_hello(_next(sock, reader))
            wanted = hello.names or tuple(columns)
            missing = [name for name in wanted if name not in columns]
            if missing:
                raise Unavailable(f"{self._name} needs columns that the rows lack: {', '.join(missing)}")
            for start in range(0, rows, _ROWS_A_CALL):
                size = min(_ROWS_A_CALL, rows - start)
                part = {name: list(columns[name][start : start + size]) for name in wanted}
                packed = msgspec.msgpack.encode(part)
                sock.sendall(frames.frame(frames.Call(start, size, frames.PREDICTIONS, columns=packed)))
                answer = frames.decode_answer(_next(sock, reader))
                if answer.fault is not None:
                    raise Unavailable(f"{self._name} failed on the rows: {answer.message}")
                outputs = next(output for output in answer.outputs if output.name == "predictions")
                found += outputs.by_row()
        return found


def _next(sock: socket.socket, reader: frames.FrameReader) -> bytes:
    while True:
        data = sock.recv(1 << 18)
        if not data:
            raise Unavailable("the model's process ended while it scored")
        if complete := reader.feed(data):
            return complete[0]
