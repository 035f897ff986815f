"""A proxy that stands before a server and writes down what a client says to it and what it answers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote

import httpx2

from tests.wire.differential.exchange import (
    ANSWER_HEADERS,
    REQUEST_HEADERS,
    Exchange,
    Recording,
    content_of,
    kept,
    scrub,
)

_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "host",
    "content-length",
}
_CREDENTIALS = {"authorization", "cookie"}


class Proxy(ThreadingHTTPServer):
    """Passes requests on one at a time, so that a recording has one order."""

    daemon_threads = True

    def __init__(self, upstream: str, recording: Recording) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.recording = recording
        self.turn = threading.Lock()
        self.client = httpx2.Client(base_url=upstream, timeout=300)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def _pass_on(self) -> None:
        raw = self._read()
        path, _, query = self.path.partition("?")
        headers = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP}
        with self.server.turn:
            answer = self.server.client.request(self.command, self.path, content=raw or None, headers=headers)
            self.server.recording.exchanges.append(self._exchange(path, query, raw, answer))
        self.send_response(answer.status_code)
        for key, value in answer.headers.items():
            if key.lower() not in _HOP_BY_HOP | {"content-encoding"}:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - the parent's names

    def _exchange(self, path: str, query: str, raw: bytes, answer: httpx2.Response) -> Exchange:
        return Exchange(
            self.command,
            unquote(path),
            answer.status_code,
            [(name, scrub(value)) for name, value in parse_qsl(query, keep_blank_values=True)],
            kept(self.headers.items(), REQUEST_HEADERS),
            content_of(raw, self.headers.get("content-type"), clean=scrub),
            kept(answer.headers.items(), ANSWER_HEADERS),
            content_of(answer.content, answer.headers.get("content-type"), clean=scrub),
        )

    def _read(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            pieces: list[bytes] = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the parent gave
        """Say nothing; the recording is the log."""


@contextmanager
def recording_of(upstream: str, name: str, *, unique: str) -> Iterator[tuple[str, Recording]]:
    """Run a proxy before a server and yield (its address, the recording that grows)."""
    with httpx2.Client(base_url=upstream) as client:
        server = f"MLflow {client.get('/version').text.strip()}"
    recording = Recording(name, server, unique, [])
    proxy = Proxy(upstream, recording)
    thread = threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy.url, recording
        time.sleep(0.2)  # the last answer is written down before it is sent, its neighbours' perhaps not
    finally:
        proxy.shutdown()
        proxy.server_close()
        proxy.client.close()
