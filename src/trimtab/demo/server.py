"""The demonstration's own server: a real ``trimtab up`` in a process of its own on free ports."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from trimtab.kernel.errors import TrimtabError, Unavailable
from trimtab.sdk.client import Client

_START_S = 30.0


class Server:
    """A running server; ``url`` is its address."""

    def __init__(self, home: Path, *, port: int | None = None, database: str | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.log = home / "server.log"
        main, inference = (port, port + 1) if port else _free_ports()
        command = [sys.executable, "-m", "trimtab", "up", "--home", str(home), "--port", str(main)]
        command += ["--inference-port", str(inference), "--log-level", "warning"]
        if database:
            command += ["--database", database]
        started = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{main}"
        self.inference_url = f"http://127.0.0.1:{inference}"
        self.client = Client(self.url)
        self._wait()
        self.start_s = time.monotonic() - started
        os.environ["TRIMTAB_URL"] = self.url

    def memory_mb(self) -> float:
        """Return the proportional memory of the server and everything it started, in MB."""
        total = 0
        for pid in _descendants(self._process.pid):
            with suppress(OSError):
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
                total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return total / 1000

    def follow(self) -> None:
        """Return when the server ends, or stop it at an interrupt."""
        try:
            self._process.wait()
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Have the server end in order."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            with suppress(TrimtabError):
                self.client.get("/me")
                return
            time.sleep(0.02)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise Unavailable(f"The server did not start. Its log ({self.log}) ends with:\n{tail}")


def _free_ports() -> tuple[int, int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return probes[0].getsockname()[1], probes[1].getsockname()[1]


def _descendants(pid: int) -> list[int]:
    found = [pid]
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text("ascii").split():
                found += _descendants(int(child))
    return found
