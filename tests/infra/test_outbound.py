"""Messages to configured addresses, and receivers that keep the sender waiting."""

import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import pytest

from trimtab.infra.outbound import Outbound


@contextmanager
def receiving(answer: Callable[[socket.socket, threading.Event], None]) -> Generator[str]:
    """Run a receiver that answers one connection."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                answer(connection, over)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            over.set()
            thread.join()


def drip(connection: socket.socket, over: threading.Event, begin: bytes) -> None:
    """Send a letter now and then, so that no single wait is long."""
    connection.sendall(begin)
    while not over.wait(0.02):
        connection.sendall(b"x")


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (b"HTTP/1.1 2", None),
        (b"HTTP/1.1 200 OK\r\nx-more: ", 200),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n", 200),
    ],
)
def test_a_receiver_that_never_ends_its_answer_is_left(begin: bytes, status: int | None) -> None:
    with receiving(lambda connection, over: drip(connection, over, begin)) as url:
        answer = Outbound(private=True).post(url, b"{}", {}, timeout_s=0.3)
    assert (answer.status_code, answer.error is None) == (status, status is not None)


def test_an_answer_in_time_is_taken() -> None:
    content = b"HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\nok"
    with receiving(lambda connection, _: connection.sendall(content)) as url:
        answer = Outbound(private=True).post(url, b"{}", {}, timeout_s=30.0)
    assert (answer.status_code, answer.body, answer.error) == (202, "ok", None)
