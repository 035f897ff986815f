"""The gateway process: the public inference port and the control socket on one event loop.

    python -m trimtab.serving.gateway --state DIR --host H --port P

`DIR` holds `control.sock`, `routes.json` (the table served last) and `log/` (the prediction log). The process prints
one JSON line when it answers, drains on SIGTERM, and exits with 0 then, 4 where another gateway has the folder, 5
where a port is taken, 6 where the certificate cannot be used and 7 where gRPC is asked for without its library.
"""

import argparse
import asyncio
import fcntl
import json
import os
import signal
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import uvloop

from trimtab.kernel.errors import Unavailable
from trimtab.kernel.process import die_with_parent, settle_heap
from trimtab.kernel.sockets import listen
from trimtab.kernel.time import now_us
from trimtab.serving import compiled, segments
from trimtab.serving.admin import Admin
from trimtab.serving.connections import HttpServer
from trimtab.serving.errors import GrpcPortTaken
from trimtab.serving.frames import socket_address
from trimtab.serving.front import Front
from trimtab.serving.links import Replicas
from trimtab.serving.processes import (
    CONTROL_SOCKET,
    EXIT_BAD_CERTIFICATE,
    EXIT_FOLDER_TAKEN,
    EXIT_NO_GRPC,
    EXIT_PORT_TAKEN,
    GATEWAY_LOCK,
)
from trimtab.serving.table import LiveTable
from trimtab.serving.tls import Certificate
from trimtab.serving.tunnel import caller

_DRAIN_S = 30
_KEEP_S = 1.0
_MODEL_THREADS = 2
"""Threads for batches that are too long for the event loop; the model's library leaves Python meanwhile."""


def control_socket(path: Path) -> socket.socket:
    """Return a bound Unix socket that only this user can open, in place of one that a dead gateway left."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket_address(path) as address:
        listener.bind(address)
    path.chmod(0o600)
    listener.setblocking(False)
    return listener


async def _serve(
    folder: Path,
    listener: socket.socket,
    control_listener: socket.socket,
    *,
    certificate: Certificate | None,
    request_s: float,
    tunnel: ssl.SSLContext | None = None,
    grpc: "_Grpc | None" = None,
    await_routes: bool = False,
    is_open: bool | None = None,
) -> None:
    loop = asyncio.get_running_loop()
    segments.adopt(folder / "log")
    log = segments.SegmentWriter(folder / "log")
    replicas = Replicas(tunnel=tunnel)
    threads = ThreadPoolExecutor(_MODEL_THREADS, "model")
    table = LiveTable(replicas, folder, load=compiled.loader(threads))
    if not await_routes:
        await table.load(is_open=is_open)
    front = Front(table, log)
    address: tuple[str, int] = listener.getsockname()[:2]
    admin = Admin(table, front, log, address=address, pid=os.getpid(), started_us=now_us())
    public, control = HttpServer(front, request_s=request_s, before_sending=log.flush), HttpServer(admin)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await control.listen(control_listener)
    settle_heap()
    if await_routes:  # who connects meanwhile waits: an answer would be a wrong one
        await _first(table.told, stop)
    if not stop.is_set():
        await public.listen(listener, tls=certificate.context if certificate is not None else None)
    calls = None
    if grpc is not None and not stop.is_set():
        from trimtab.serving.grpc_port import GrpcPort

        calls = GrpcPort(front)
        admin.grpc_port = await calls.listen(address[0], grpc.port, credentials=grpc.credentials)
    keeping = [loop.create_task(_keep_quotas(table))]
    if certificate is not None:
        keeping.append(loop.create_task(certificate.follow()))
        loop.add_signal_handler(signal.SIGHUP, certificate.reload)
    _say(sys.stdout, event="ready", host=address[0], port=address[1], pid=os.getpid())
    await stop.wait()
    front.draining = True
    await asyncio.gather(public.drain(_DRAIN_S), calls.drain(_DRAIN_S) if calls is not None else _nothing())
    await front.finish()
    for task in keeping:
        task.cancel()
    table.ledger.save(now_us())
    log.close()
    replicas.close()
    await control.drain(1.0)


async def _first(*events: asyncio.Event) -> None:
    """Wait for one of several events."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for one in waiting:
        one.cancel()


async def _nothing() -> None:
    return


class _Grpc(NamedTuple):
    """Where gRPC is spoken, and with which certificate."""

    port: int
    credentials: Any


def _grpc(arguments: argparse.Namespace) -> _Grpc:
    """Return what was asked of gRPC; raises ImportError without grpcio, OSError where the certificate cannot be read."""
    from trimtab.serving import grpc_port

    credentials = None
    if arguments.tls_cert is not None:
        key = arguments.tls_key or arguments.tls_cert
        credentials = grpc_port.credentials(arguments.tls_cert, key, client_authority=arguments.tls_client_ca)
    return _Grpc(arguments.grpc_port, credentials)


async def _keep_quotas(table: LiveTable) -> None:
    """Write down what is used of quotas, so that a restart does not give it back."""
    while True:
        await asyncio.sleep(_KEEP_S)
        await asyncio.to_thread(table.ledger.save, now_us())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trimtab.serving.gateway", description=__doc__)
    parser.add_argument(
        "--state", type=Path, required=True, help="folder of the socket, the routes and the log"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5001, help="0 takes a free one")
    parser.add_argument("--tls-cert", type=Path, help="certificate chain in PEM: the port speaks TLS then")
    parser.add_argument("--tls-key", type=Path, help="the certificate's key in PEM")
    parser.add_argument(
        "--tls-client-ca", type=Path, help="let in only clients with a certificate of this one"
    )
    parser.add_argument("--grpc-port", type=int, help="speak gRPC there too; 0 takes a free one")
    parser.add_argument("--replica-secret", type=Path, help="file shared with replicas on other hosts")
    parser.add_argument(
        "--await-routes", action="store_true", help="answer nobody before the control socket brought routes"
    )
    parser.add_argument(
        "--callers", choices=("all", "tokens"), help="who may call, whatever the routes in the folder say"
    )
    parser.add_argument("--request-s", type=float, default=60.0, help="how long a request may take to arrive")
    parser.add_argument("--parent", type=int, help="process id of the starter: drain when it ends")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with_parent(parent=arguments.parent)
    folder: Path = arguments.state
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / GATEWAY_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _fail(EXIT_FOLDER_TAKEN, f"another gateway runs in {folder}")
    try:
        listener = listen(arguments.host, arguments.port)
    except Unavailable as error:
        return _fail(EXIT_PORT_TAKEN, error.message)
    certificate, tunnel = None, None
    if arguments.replica_secret is not None:
        try:
            tunnel = caller(arguments.replica_secret)
        except OSError as error:
            return _fail(EXIT_BAD_CERTIFICATE, f"cannot use {arguments.replica_secret}: {error}")
    if arguments.tls_cert is not None:
        try:
            certificate = Certificate(
                arguments.tls_cert,
                arguments.tls_key or arguments.tls_cert,
                client_authority=arguments.tls_client_ca,
            )
        except OSError as error:  # ssl.SSLError is one
            return _fail(EXIT_BAD_CERTIFICATE, f"cannot use the certificate {arguments.tls_cert}: {error}")
    grpc = None
    if arguments.grpc_port is not None:
        try:
            grpc = _grpc(arguments)
        except ImportError:
            return _fail(EXIT_NO_GRPC, 'gRPC needs grpcio: pip install "trimtab[grpc]"')
    control = folder / CONTROL_SOCKET
    try:
        uvloop.run(
            _serve(
                folder,
                listener,
                control_socket(control),
                certificate=certificate,
                request_s=arguments.request_s,
                tunnel=tunnel,
                grpc=grpc,
                await_routes=arguments.await_routes,
                is_open=arguments.callers == "all" if arguments.callers else None,
            )
        )
    except GrpcPortTaken as error:
        return _fail(EXIT_PORT_TAKEN, error.message)
    control.unlink(missing_ok=True)
    return 0


def _fail(code: int, message: str) -> int:
    _say(sys.stderr, event="failed", message=message)
    return code


def _say(stream: TextIO, **line: Any) -> None:
    stream.write(json.dumps(line) + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
