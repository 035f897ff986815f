"""The gateway process: the public inference port and the control socket on one event loop.

    python -m trimtab.serving.gateway --state DIR --host H --port P

`DIR` holds `control.sock`, `routes.json` (the table served last) and `log/` (the prediction log). The process prints
one JSON line when it answers, drains on SIGTERM, and exits with 0 then, 4 where another gateway has the folder and 5
where the port is taken.
"""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, TextIO

import uvloop
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server, ServerState

from trimtab.kernel.process import die_with_parent, settle_heap
from trimtab.kernel.time import now_us
from trimtab.serving import segments
from trimtab.serving.admin import Admin
from trimtab.serving.frames import socket_address
from trimtab.serving.front import Front
from trimtab.serving.links import Replicas
from trimtab.serving.table import LiveTable

EXIT_FOLDER_TAKEN = 4
EXIT_PORT_TAKEN = 5

_BACKLOG = 2048
_KEEP_ALIVE_S = 75
_DRAIN_S = 30


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a bound TCP socket whose connections send at once.

    Accepted sockets inherit TCP_NODELAY from it on Linux. asyncio sets the option by itself only where the protocol
    number is TCP's, so that a socket with protocol 0 costs every keep-alive request a delayed acknowledgement: 40 ms.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(address)
    listener.listen(_BACKLOG)  # who connects before the loop runs waits a moment, and is not refused
    listener.setblocking(False)
    return listener


def control_socket(path: Path) -> socket.socket:
    """Return a bound Unix socket that only this user can open, in place of one that a dead gateway left."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket_address(path) as address:
        listener.bind(address)
    path.chmod(0o600)
    listener.setblocking(False)
    return listener


def _config(application: Any) -> Config:
    return Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )


class _Server(Server):
    """uvicorn's server, which tells the front when it starts to drain."""

    def __init__(self, config: Config, front: Front) -> None:
        super().__init__(config)
        self._front = front

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._front.draining = True
        super().handle_exit(sig, frame)


async def _control_server(listener: socket.socket, admin: Admin) -> asyncio.Server:
    config = _config(admin)
    config.load()
    state = ServerState()
    return await asyncio.get_running_loop().create_unix_server(
        lambda: HttpToolsProtocol(config=config, server_state=state, app_state={}), sock=listener
    )


async def _serve(folder: Path, listener: socket.socket, control_listener: socket.socket) -> None:
    segments.adopt(folder / "log")
    log = segments.SegmentWriter(folder / "log")
    replicas = Replicas()
    table = LiveTable(replicas, folder)
    table.load()
    front = Front(table, log)
    address: tuple[str, int] = listener.getsockname()[:2]
    admin = Admin(table, front, log, address=address, pid=os.getpid(), started_us=now_us())
    control = await _control_server(control_listener, admin)
    settle_heap()
    server = _Server(_config(front), front)
    _say(sys.stdout, event="ready", host=address[0], port=address[1], pid=os.getpid())
    await server.serve(sockets=[listener])
    await front.finish()
    log.close()
    replicas.close()
    control.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trimtab.serving.gateway", description=__doc__)
    parser.add_argument(
        "--state", type=Path, required=True, help="folder of the socket, the routes and the log"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5001, help="0 takes a free one")
    parser.add_argument("--parent", type=int, help="process id of the starter: drain when it ends")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with_parent(parent=arguments.parent)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    folder: Path = arguments.state
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _fail(EXIT_FOLDER_TAKEN, f"another gateway runs in {folder}")
    try:
        listener = listening_socket(arguments.host, arguments.port)
    except OSError as error:
        return _fail(EXIT_PORT_TAKEN, f"cannot listen on {arguments.host}:{arguments.port}: {error}")
    # uvicorn raises the signal again when it has drained; the log is still to be closed then.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _already_drained)
    control = folder / "control.sock"
    uvloop.run(_serve(folder, listener, control_socket(control)))
    control.unlink(missing_ok=True)
    return 0


def _already_drained(_number: int, _frame: Any) -> None:
    """Do nothing more for a signal that has been obeyed."""


def _fail(code: int, message: str) -> int:
    _say(sys.stderr, event="failed", message=message)
    return code


def _say(stream: TextIO, **line: Any) -> None:
    stream.write(json.dumps(line) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
