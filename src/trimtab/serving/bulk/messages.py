"""What goes between the one who has many rows and a model's process: a u64 length (little endian), then MessagePack."""

import socket
from typing import Literal

import msgspec

EXIT_NOT_LOADED = 3
"""How a model's process ends whose model cannot be loaded."""

MAX_MESSAGE_BYTES = 1 << 36
_LENGTH_BYTES = 8
_PIECE = 1 << 20


class Greeting(msgspec.Struct, array_like=True, frozen=True):
    """What the process serves, sent once when the model is loaded and has predicted its input example."""

    names: tuple[str, ...]
    flavor: str
    pid: int


class Order(msgspec.Struct, array_like=True, frozen=True):
    """Rows to predict: an Arrow stream of one batch, whose first row has this place in the whole.

    ``skip`` permits to leave rows out that cannot be predicted; else the first of them is a fault.
    """

    first_row: int
    batch: bytes
    skip: bool


class Refusal(msgspec.Struct, array_like=True, frozen=True):
    """A row that was left out: its place in the batch, the column that was at fault where one was, and why."""

    row: int
    column: str
    reason: str


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """Predictions as an Arrow stream of one batch, without the refused rows; or why there are none.

    ``fault`` says whether the input or the model was at fault, ``column`` which column where one was.
    """

    predictions: bytes
    refusals: list[Refusal] = []
    fault: Literal["input", "model"] | None = None
    column: str = ""
    message: str = ""


encode = msgspec.msgpack.Encoder().encode
decode_greeting = msgspec.msgpack.Decoder(Greeting).decode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


def send(sock: socket.socket, message: Greeting | Order | Reply) -> None:
    """Send a message; blocks until all of it is on its way."""
    send_encoded(sock, encode(message))


def send_encoded(sock: socket.socket, body: bytes) -> None:
    """Send the bytes of a message; blocks until all of it is on its way."""
    sock.sendall(len(body).to_bytes(_LENGTH_BYTES, "little"))
    sock.sendall(body)


def receive(sock: socket.socket) -> bytearray | None:
    """Return the next message's bytes, or None where the other end is closed; raises EOFError within a message."""
    head = _exactly(sock, _LENGTH_BYTES)
    if head is None:
        return None
    size = int.from_bytes(head, "little")
    if size > MAX_MESSAGE_BYTES:
        raise EOFError(f"a message of {size} bytes is more than {MAX_MESSAGE_BYTES}")
    body = _exactly(sock, size)
    if body is None:
        raise EOFError("the other end closed within a message")
    return body


def _exactly(sock: socket.socket, size: int) -> bytearray | None:
    buffer = bytearray(size)
    view = memoryview(buffer)
    done = 0
    while done < size:
        count = sock.recv_into(view[done : done + _PIECE])
        if count == 0:
            if done == 0:
                return None
            raise EOFError("the other end closed within a message")
        done += count
    return buffer
