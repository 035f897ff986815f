"""Listening sockets whose connections send at once: TCP_NODELAY is set here and inherited on accept."""

import socket

from trimtab.kernel.errors import Unavailable

_BACKLOG = 2048
"""Who connects before anyone accepts waits a moment, and is not refused."""


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Bind and return a socket; raises Unavailable, naming the option, where the address cannot be had.

    Accepted sockets inherit TCP_NODELAY from it on Linux. asyncio sets the option by itself only where the protocol
    number is TCP's, so that a socket with protocol 0 costs every keep-alive request a delayed acknowledgement: 40 ms.
    """
    listener = _bound(host, port, option, backlog=_BACKLOG)
    listener.setblocking(False)
    return listener


def check_free(host: str, port: int, *, option: str) -> None:
    """Raise Unavailable, naming the option, where the address could not be had."""
    _bound(host, port, option).close()


def _bound(host: str, port: int, option: str, *, backlog: int | None = None) -> socket.socket:
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Unavailable(f"Cannot listen on {place}: {error.strerror}.", field="host") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        if backlog is not None:
            listener.listen(backlog)
    except OSError as error:
        listener.close()
        field = option.removeprefix("--").replace("-", "_")
        raise Unavailable(
            f"Cannot listen on {place}: {error.strerror}. Choose another with {option}.", field=field
        ) from error
    return listener
