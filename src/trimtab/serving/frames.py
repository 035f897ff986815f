"""The protocol between gateway and replica over a Unix socket: a u32 length (little endian), then MessagePack.

A replica greets each connection with a Hello; then Calls go one way and Answers, in any order, the other.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from trimtab.serving.batch import Output

PROTOCOL = 1
MAX_FRAME_BYTES = 1 << 30
_HEADER_BYTES = 4
_MAX_SOCKET_PATH_BYTES = 107

PREDICTIONS = 1
"""Bit of Call.want: what the model predicts, the output named ``predictions``."""
PROBABILITIES = 2
"""Bit of Call.want: class probabilities where the model has them, the output named ``probabilities``."""


EXPLANATIONS = 4
"""Bit of Call.want: what each column added to the score, the outputs named ``contributions`` and ``base``."""


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """What a replica serves: the columns in the order of a packed call, and whether it takes packed calls."""

    protocol: int
    names: tuple[str, ...]
    packed: bool
    flavor: str
    pid: int


class Call(msgspec.Struct, array_like=True, frozen=True):
    """Rows to predict. ``packed`` holds float64, column after column; ``columns`` MessagePack of names to values."""

    call: int
    rows: int
    want: int
    packed: bytes | None = None
    columns: bytes | None = None


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """Outputs, or why there are none: ``fault`` says whether the input or the model was at fault."""

    call: int
    outputs: list[Output] = []
    fault: Literal["input", "model"] | None = None
    message: str = ""


_encoder = msgspec.msgpack.Encoder()
decode_call = msgspec.msgpack.Decoder(Call).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
decode_hello = msgspec.msgpack.Decoder(Hello).decode
decode_columns = msgspec.msgpack.Decoder(dict[str, list[Any]]).decode


def encode(message: Hello | Call | Answer) -> bytes:
    """Return the message without its length, for those who send it whole by other means."""
    return _encoder.encode(message)


def frame(message: Hello | Call | Answer) -> bytes:
    """Return the message as one frame."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_HEADER_BYTES, "little") + body


class FrameReader:
    """Cuts a byte stream into frames. Raises ValueError where a length cannot be right."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that are complete after these bytes."""
        if not self._rest:
            frames, used = _cut(data)
            if used < len(data):
                self._rest += data[used:] if used else data
            return frames
        self._rest += data
        if len(self._rest) >= _HEADER_BYTES:
            wanted = int.from_bytes(self._rest[:_HEADER_BYTES], "little")
            if len(self._rest) < wanted + _HEADER_BYTES and wanted <= MAX_FRAME_BYTES:
                return []
        frames, used = _cut(bytes(self._rest))
        del self._rest[:used]
        return frames


def _cut(data: bytes) -> tuple[list[bytes], int]:
    frames: list[bytes] = []
    at, end = 0, len(data)
    while end - at >= _HEADER_BYTES:
        size = int.from_bytes(data[at : at + _HEADER_BYTES], "little")
        if size > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {size} bytes is more than {MAX_FRAME_BYTES}")
        if end - at - _HEADER_BYTES < size:
            break
        at += _HEADER_BYTES
        frames.append(data[at : at + size])
        at += size
    return frames, at


@contextmanager
def socket_address(path: str | Path) -> Generator[str]:
    """Yield an address for binding or connecting to a Unix socket, however long its path is.

    The kernel takes 107 bytes; longer ones are reached through the folder's descriptor, which this block holds.
    """
    text = str(path)
    if len(os.fsencode(text)) <= _MAX_SOCKET_PATH_BYTES:
        yield text
        return
    folder, name = os.path.split(text)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)
