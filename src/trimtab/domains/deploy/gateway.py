"""The gateway's process: started with what is set for it, again when it ended, and told to drain."""

import logging
import os
import subprocess
from pathlib import Path

from trimtab.kernel.errors import Unavailable
from trimtab.serving.control import GatewayControl
from trimtab.serving.files import write_atomically
from trimtab.serving.processes import EXIT_BAD_CERTIFICATE, EXIT_NO_GRPC, Tls, gateway_command

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
    ) -> None:
        """``hash_key`` is by what columns are hashed before they are written down; else the gateway makes one."""
        self.control = GatewayControl(folder)
        self._folder = folder
        self._host = host
        self._port = port
        self._grpc_port = grpc_port
        self._tls = tls
        self._hash_key = hash_key
        self._replica_secret = replica_secret
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = False

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was started"
        return self._process.pid

    def keep(self) -> bool:
        """Have it run; returns whether it is a new one, which knows nothing yet and does not answer at once."""
        if self._process is not None:
            if self._process.poll() is None:
                return False
            log.warning("gateway ended", extra={"exit_code": self._process.returncode})
        self._process = self._start()
        self._answered = False
        return True

    def wait_ready(self) -> None:
        """Wait until it answers. Raises Unavailable saying why it does not."""
        if self._answered:
            return
        assert self._process is not None, "it was started"
        try:
            self.control.wait_ready(_START_S)
        except Unavailable:
            self._tell_why(self._process.poll())
            raise
        self._answered = True

    def _start(self) -> "subprocess.Popen[bytes]":
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._hash_key:
            write_atomically(self._folder / "hash.key", self._hash_key)
        command = gateway_command(
            self._folder,
            host=self._host,
            port=self._port,
            tls=self._tls,
            grpc_port=self._grpc_port,
            replica_secret=self._replica_secret,
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

    def _tell_why(self, exit_code: int | None) -> None:
        """Raise Unavailable in words for a gateway that ended at once."""
        if exit_code == EXIT_BAD_CERTIFICATE:
            raise Unavailable(
                f"The inference front cannot use its certificate; {self._folder / 'gateway.log'} says why."
            ) from None
        if exit_code == EXIT_NO_GRPC:
            raise Unavailable('Inference by gRPC needs grpcio: pip install "trimtab[grpc]".') from None
        if exit_code is not None:
            ports = f"{self._host}:{self._port}" + (f" or :{self._grpc_port}" if self._grpc_port else "")
            raise Unavailable(
                f"The inference front cannot listen on {ports}. Choose --inference-port."
            ) from None


def _environment() -> dict[str, str]:
    """Return what the gateway needs of the environment: nothing of ours, so that no secret gets there."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TRIMTAB_")}
