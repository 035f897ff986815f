"""Real server processes on free ports, which can be killed and started again."""

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TRIMTAB = str(Path(sys.executable).with_name("trimtab"))


def free_port() -> int:
    """Return a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """``trimtab up`` on a home and ports of its own, which it keeps when it is started again."""

    def __init__(self, home: Path, *flags: str, host: str = "127.0.0.1") -> None:
        self.home = home
        self.port, self.inference_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.inference_url = f"http://127.0.0.1:{self.inference_port}"
        self.log = home.with_suffix(".log")
        self._command = [TRIMTAB, "up", "--home", str(home), "--host", host, "--port", str(self.port)]
        self._command += ["--inference-port", str(self.inference_port), *flags]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def begin(self) -> None:
        """Start the process and return at once."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)

    def start(self) -> None:
        """Start the process and return once it answers."""
        self.begin()
        self.wait()

    def wait(self) -> None:
        """Return once the process answers."""
        assert self._process is not None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """End the process as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self, asked: signal.Signals = signal.SIGTERM) -> int:
        """End the process as an operator would and return its exit code."""
        assert self._process is not None
        self._process.send_signal(asked)
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL


@contextmanager
def running(home: Path, *flags: str, host: str = "127.0.0.1") -> Iterator[Server]:
    """Run a server and yield it once it answers."""
    server = Server(home, *flags, host=host)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def serving(home: Path, *flags: str) -> Iterator[str]:
    """Run a server and yield its address once it answers."""
    with running(home, *flags) as server:
        yield server.url
