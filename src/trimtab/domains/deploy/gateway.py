"""The gateway's process: started with what is set for it, again when it ended, and told to drain.

It is the first thing that a server starts, before most of the server is imported: this module imports next to nothing.
"""

import fcntl
import logging
import os
import subprocess
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from trimtab.kernel.errors import Unavailable
from trimtab.kernel.sockets import check_free
from trimtab.serving.files import write_atomically
from trimtab.serving.processes import (
    EXIT_BAD_CERTIFICATE,
    EXIT_NO_GRPC,
    EXIT_PORT_TAKEN,
    GATEWAY_LOCK,
    Tls,
    gateway_command,
)

if TYPE_CHECKING:
    from trimtab.serving.control import GatewayControl
    from trimtab.serving.routes import Applied, RouteTable

log = logging.getLogger(__name__)

_START_S = 10.0
_DRAIN_S = 35.0


class Gateway:
    """One gateway and its control socket. One thread calls `keep` and `end`, and must outlive it."""

    def __init__(
        self,
        folder: Path,
        *,
        host: str,
        port: int,
        grpc_port: int | None = None,
        tls: Tls | None = None,
        hash_key: bytes = b"",
        replica_secret: Path | None = None,
        sign_in: bool | None = None,
    ) -> None:
        """``hash_key`` is by what columns are hashed before they are written down; else the gateway makes one."""
        self._folder = folder
        self._host = host
        self._port = port
        self._grpc_port = grpc_port
        self._tls = tls
        self._hash_key = hash_key
        self._replica_secret = replica_secret
        self._sign_in = sign_in
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = False
        self._answered = False
        self.is_current = False
        """Whether the routes on disk are those that hold, so that a gateway may serve them before it is told any."""

    @property
    def has_served(self) -> bool:
        """Whether anything was served when it last ran."""
        try:
            return b'"endpoints":{}' not in (self._folder / "routes.json").read_bytes()
        except OSError:
            return False

    @cached_property
    def control(self) -> "GatewayControl":
        from trimtab.serving.control import GatewayControl  # needed when the process runs, not to start it

        return GatewayControl(self._folder)

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was started"
        return self._process.pid

    def check_ports(self) -> None:
        """Raise Unavailable where somebody else has a port that it needs."""
        with (self._folder / GATEWAY_LOCK).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # one that a crashed server left is still finishing what it has
            check_free(self._host, self._port, option="--inference-port")
            if self._grpc_port:
                check_free(self._host, self._grpc_port, option="--grpc-port")

    def begin(self, *, resume: bool) -> None:
        """Start it before anyone keeps it running.

        With ``resume`` it serves what was served last, which must still hold; else it answers nobody until it is told.
        """
        self._process = self._start(await_routes=not resume)
        self._begun = True

    def keep(self) -> bool:
        """Have it run; returns whether it is a new one, which knows nothing yet and does not answer at once."""
        if self._process is not None:
            if self._process.poll() is None:
                begun, self._begun = self._begun, False
                return begun
            log.warning("gateway ended", extra={"exit_code": self._process.returncode})
        self._begun = False
        self._process = self._start(await_routes=not self.is_current)
        self._answered = False
        return True

    def publish(self, table: "RouteTable") -> "Applied":
        """Have it serve a table; until that has worked, none that starts anew serves what was served before."""
        self.is_current = False
        applied = self.control.put_routes(table)
        self.is_current = not applied.problem
        return applied

    def wait_ready(self) -> None:
        """Wait until it answers. Raises Unavailable saying why it does not."""
        if self._answered:
            return
        assert self._process is not None, "it was started"
        deadline = time.monotonic() + _START_S
        while True:
            try:
                if self.control.state().pid == self._process.pid:  # not one that a crashed server left
                    break
            except Unavailable:
                if time.monotonic() >= deadline:
                    raise
            self._check_running()
            time.sleep(0.01)
        self._answered = True

    def _start(self, *, await_routes: bool) -> "subprocess.Popen[bytes]":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write_hash_key()
        command = gateway_command(
            self._folder,
            host=self._host,
            port=self._port,
            tls=self._tls,
            grpc_port=self._grpc_port,
            replica_secret=self._replica_secret,
            await_routes=await_routes,
            sign_in=self._sign_in,
        )
        with (self._folder / "gateway.log").open("ab") as out:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=_environment(),
                start_new_session=True,
            )

    def _write_hash_key(self) -> None:
        file = self._folder / "hash.key"
        if self._hash_key and not (file.exists() and file.read_bytes() == self._hash_key):
            write_atomically(file, self._hash_key)

    def end(self) -> None:
        """Let it finish what it has."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_DRAIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _check_running(self) -> None:
        """Raise Unavailable in words where it ended at once."""
        assert self._process is not None, "it was started"
        exit_code = self._process.poll()
        if exit_code == EXIT_BAD_CERTIFICATE:
            raise Unavailable(
                f"The inference front cannot use its certificate; {self._folder / 'gateway.log'} says why."
            ) from None
        if exit_code == EXIT_NO_GRPC:
            raise Unavailable('Inference by gRPC needs grpcio: pip install "trimtab[grpc]".') from None
        if exit_code == EXIT_PORT_TAKEN:
            ports = f"{self._host}:{self._port}" + (f" or :{self._grpc_port}" if self._grpc_port else "")
            raise Unavailable(
                f"The inference front cannot listen on {ports}. Choose --inference-port.",
                field="inference_port",
            ) from None
        if exit_code is not None:
            raise Unavailable(
                f"The inference front ended with {exit_code}; {self._folder / 'gateway.log'} says why."
            ) from None


def _environment() -> dict[str, str]:
    """Return what the gateway needs of the environment: nothing of ours, so that no secret gets there."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TRIMTAB_")}
