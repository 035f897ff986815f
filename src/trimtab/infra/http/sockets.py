"""Listening sockets whose connections send at once: TCP_NODELAY is set here and inherited on accept."""

import socket

from trimtab.kernel.errors import Unavailable


def listen(host: str, port: int, *, backlog: int = 2048) -> socket.socket:
    """Bind and return a socket; raises Unavailable when the address is taken.

    The socket is made with the protocol TCP and not 0, because asyncio sets TCP_NODELAY only on those; without it
    every keep-alive answer in two writes waits 40 ms for a delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise Unavailable(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port.", field="port"
        ) from error
    sock.listen(backlog)
    sock.set_inheritable(False)
    return sock
