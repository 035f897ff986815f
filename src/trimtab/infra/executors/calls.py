"""What a step process does all its life: takes a call from its socket, runs it with a log of its own, answers."""

import contextlib
import faulthandler
import os
import shutil
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import msgspec

_LENGTH = struct.Struct(">I")
_PIECE = 1 << 20


class Order(msgspec.Struct, array_like=True):
    """A call as it travels to a process; ``log`` and ``folder`` are paths that the process makes."""

    target: str
    payload: bytes
    log: str
    folder: str


class Answer(msgspec.Struct, array_like=True):
    """What a process answers: the result, or one line about the exception."""

    ok: bool
    result: bytes
    error: str


def frame(message: bytes) -> bytes:
    """Return a message behind its length, as it goes through a stream."""
    return _LENGTH.pack(len(message)) + message


class Frames:
    """Collects the bytes of a stream and gives back whole messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def add(self, piece: bytes) -> None:
        self._buffer += piece

    def take(self) -> bytes | None:
        """Return the next message when all of it has come."""
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        if len(self._buffer) < end:
            return None
        message = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return message


def serve(sock: socket.socket) -> None:
    """Answer calls until the other end is closed."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    os.dup2(quiet, 0)
    _direct_output(quiet)
    faulthandler.enable()
    frames = Frames()
    decoder = msgspec.msgpack.Decoder(Order)
    while True:
        while (message := frames.take()) is None:
            piece = sock.recv(_PIECE)
            if not piece:
                return
            frames.add(piece)
        answer = _run(decoder.decode(message), quiet)
        sock.sendall(frame(msgspec.msgpack.encode(answer)))


def _run(order: Order, quiet: int) -> Answer:
    log = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    folder = Path(order.folder)
    folder.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    os.chdir(folder)
    _direct_output(log)
    try:
        return Answer(ok=True, result=resolve(order.target)(order.payload), error="")
    except BaseException as error:  # noqa: BLE001 - whatever the target raises is its caller's business, an exit too
        traceback.print_exc()
        return Answer(ok=False, result=b"", error=one_line(error))
    finally:
        _direct_output(quiet)
        os.close(log)
        os.chdir("/")
        shutil.rmtree(folder, ignore_errors=True)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)


def resolve(target: str) -> Callable[[bytes], bytes]:
    """Return the function that ``module:function`` names."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def one_line(error: BaseException) -> str:
    """Return the kind and the first words of an exception."""
    words = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {words}"[:2000] if words else name


def _direct_output(target: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError, OSError):  # user code may have closed its streams
            stream.flush()
    os.dup2(target, 1)
    os.dup2(target, 2)
