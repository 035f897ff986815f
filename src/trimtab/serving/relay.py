"""Serves a model to gateways on other hosts: runs its replica, and passes calls on that come by mutual TLS.

    python -m trimtab.serving.relay --model DIR --listen HOST:PORT --secret FILE [--allow-pickle]
    python -m trimtab.serving.relay --make-secret FILE

The replica itself stays in a process without a network. One that ends is started again; while it is away, gateways are
cut off, so that they ask others. Prints one JSON line when it answers; SIGTERM ends it. Exits with 3 where the model
cannot be loaded, 5 where the address is taken and 6 where the secret cannot be used.
"""

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import uvloop

from trimtab.kernel.errors import Invalid
from trimtab.serving import tunnel
from trimtab.serving.frames import socket_address
from trimtab.serving.processes import EXIT_BAD_CERTIFICATE, replica_command, replica_environment

EXIT_NOT_LOADED = 3
EXIT_PORT_TAKEN = 5

_PIECE_BYTES = 1 << 18
_FIRST_PAUSE_S = 0.2
_LAST_PAUSE_S = 30.0
_STEADY_S = 60.0


class Relay:
    """Passes bytes between gateways and one replica."""

    def __init__(self, replica: Path) -> None:
        self._replica = replica

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one gateway's calls on until either side ends."""
        inner_writer: asyncio.StreamWriter | None = None
        try:
            inner = socket.socket(
                socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            )
            with socket_address(self._replica) as address:
                inner.connect(address)
            inner_reader, inner_writer = await asyncio.open_unix_connection(sock=inner)
            directions = [
                asyncio.create_task(_copy(reader, inner_writer)),
                asyncio.create_task(_copy(inner_reader, writer)),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            for one in directions:
                one.cancel()
        except OSError:
            pass  # the replica is away: the gateway sees it by the end of its connection, and looks again later
        finally:
            for end in (writer, inner_writer):
                if end is not None:
                    with suppress(OSError):
                        end.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_PIECE_BYTES):
            writer.write(data)
            await writer.drain()


async def _keep(command: list[str]) -> int:
    """Run the replica, again whenever it ends; return only where its model cannot be loaded."""
    loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE_S
    while True:
        began = loop.time()
        process = await asyncio.create_subprocess_exec(*command, env=replica_environment(os.environ))
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        if code == EXIT_NOT_LOADED:
            return code
        pause = _FIRST_PAUSE_S if loop.time() - began > _STEADY_S else min(pause * 2, _LAST_PAUSE_S)
        await asyncio.sleep(pause)


async def _serve(model: Path, *, place: tuple[str, int], secret: Path, allow_pickle: bool) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        context = tunnel.answerer(secret)
    except OSError as error:  # ssl.SSLError is one
        return _fail(EXIT_BAD_CERTIFICATE, f"cannot use {secret}: {error}")
    with tempfile.TemporaryDirectory(prefix="trimtab-") as folder:
        path = Path(folder) / "replica.sock"
        keeper = loop.create_task(_keep(replica_command(model, path, allow_pickle=allow_pickle)))
        stopping = loop.create_task(stop.wait())
        try:
            while not path.exists() and not keeper.done() and not stop.is_set():  # noqa: ASYNC110 (a file is no event)
                await asyncio.sleep(0.02)
            if keeper.done():
                return keeper.result()
            try:
                server = await asyncio.start_server(Relay(path).pass_on, *place, ssl=context)
            except OSError as error:
                return _fail(EXIT_PORT_TAKEN, f"cannot listen on {place[0]}:{place[1]}: {error}")
            host, port = server.sockets[0].getsockname()[:2]
            sys.stdout.write(
                json.dumps({"event": "ready", "host": host, "port": port, "pid": os.getpid()}) + "\n"
            )
            sys.stdout.flush()
            await asyncio.wait((keeper, stopping), return_when=asyncio.FIRST_COMPLETED)
            server.close()
            return keeper.result() if keeper.done() else 0
        finally:
            stopping.cancel()
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trimtab.serving.relay", description=__doc__)
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--model", type=Path, help="folder with an MLmodel file")
    task.add_argument("--make-secret", type=Path, metavar="FILE", help="write a new secret, and end")
    parser.add_argument("--listen", default="127.0.0.1:7001", help="HOST:PORT; port 0 takes a free one")
    parser.add_argument("--secret", type=Path, help="the file that gateways and replicas share")
    parser.add_argument("--allow-pickle", action="store_true", help="load formats that run code")
    arguments = parser.parse_args()
    if arguments.make_secret is not None:
        try:
            tunnel.make_secret(arguments.make_secret)
        except OSError as error:
            return _fail(2, f"cannot write {arguments.make_secret}: {error}")
        return 0
    if arguments.secret is None:
        parser.error("--secret says by what gateways and replicas know each other; --make-secret makes one")
    try:
        place = tunnel.address_of(f"{tunnel.SCHEME}{arguments.listen}", free=True)
    except Invalid as error:
        parser.error(error.message)
    return uvloop.run(
        _serve(arguments.model, place=place, secret=arguments.secret, allow_pickle=arguments.allow_pickle)
    )


def _fail(code: int, message: str) -> int:
    sys.stderr.write(json.dumps({"event": "failed", "message": message}) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
