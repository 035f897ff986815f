"""Makes the records of an event file from what was logged to a run."""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping

from trimtab.moving.tensorboard import protobuf as wire
from trimtab.moving.tensorboard.events import EXACT_FIELD, shown_number

_VERSION = "brain.Event:2"
_STATUS = {"FINISHED": 1, "FAILED": 2, "KILLED": 2, "RUNNING": 3, "SCHEDULED": 3}
_DATA_CLASS_TENSOR = 2
_STRING = 7
# A tensor of floats and of no size: TensorBoard lists only what has one, though the plugin looks at its metadata alone.
_NO_TENSOR = wire.put_bytes(8, wire.count(1, 1) + wire.put_bytes(2, wire.put_bytes(2, b"")))


def version(at_us: int) -> bytes:
    """Return the record with which every event file begins."""
    return wire.put_double(1, at_us / 1e6) + wire.put_bytes(3, _VERSION)


def scalars(tag: str, points: Iterable[tuple[int, int, float]]) -> Iterator[bytes]:
    """Yield a record for each (step, time in microseconds, value).

    ``simple_value`` is what every reader knows and has 32 bits; where that is not the whole value, the double stands
    beside it in a field of our own.
    """
    name = wire.put_bytes(1, tag)
    plain, exact = _around(name, 5), _around(name, 5 + len(wire.put_double(EXACT_FIELD, 0.0)))
    for step, at_us, value in points:
        short = _single(value)
        head = wire.put_double(1, at_us / 1e6) + wire.count(2, step)
        if short == value or math.isnan(value):
            yield head + plain + wire.put_single(2, short)
        else:
            yield head + exact + wire.put_single(2, short) + wire.put_double(EXACT_FIELD, value)


def _around(name: bytes, size: int) -> bytes:
    """Return what stands before a value of so many bytes: the summary, its one value, the tag."""
    inner = len(name) + size
    value = wire.varint(1 << 3 | wire.BYTES) + wire.varint(inner) + name
    return wire.varint(5 << 3 | wire.BYTES) + wire.varint(len(value) + size) + value


def _single(value: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def session_start(params: Mapping[str, str], *, group: str, started_us: int) -> bytes:
    """Return the record by which the hparams plugin learns a run's parameters."""
    entries = [
        wire.put_bytes(1, wire.put_bytes(1, key) + wire.put_bytes(2, _parameter(text)))
        for key, text in sorted(params.items())
    ]
    info = b"".join(entries) + wire.put_bytes(4, group) + wire.put_double(5, started_us / 1e6)
    return _hparams("_hparams_/session_start_info", wire.put_bytes(3, info), started_us)


def session_end(status: str, *, ended_us: int) -> bytes:
    """Return the record by which the hparams plugin learns how a run ended."""
    info = wire.count(1, _STATUS.get(status, 0)) + wire.put_double(2, ended_us / 1e6)
    return _hparams("_hparams_/session_end_info", wire.put_bytes(4, info), ended_us)


def _parameter(text: str) -> bytes:
    """Return a parameter as a number where the number shows the same text, so that it can be plotted."""
    try:
        number = float(text)
    except ValueError:
        return wire.put_bytes(3, text)
    if not math.isfinite(number) or shown_number(number) != text:
        return wire.put_bytes(3, text)
    return wire.put_double(2, number)


def _hparams(tag: str, content: bytes, at_us: int) -> bytes:
    return _record(tag, at_us, 0, _NO_TENSOR + _metadata("hparams", content))


def text(tag: str, content: str, *, step: int, at_us: int) -> bytes:
    """Return the record of a text in Markdown."""
    tensor = wire.count(1, _STRING) + wire.put_bytes(2, wire.put_bytes(2, wire.count(1, 1)))
    body = wire.put_bytes(8, tensor + wire.put_bytes(8, content)) + _metadata("text", b"")
    return _record(tag, at_us, step, body)


def picture(tag: str, content: bytes, *, width: int, height: int, step: int, at_us: int) -> bytes:
    """Return the record of a picture; ``content`` is a PNG or JPEG file."""
    image = wire.count(1, height) + wire.count(2, width) + wire.count(3, 4) + wire.put_bytes(4, content)
    return _record(tag, at_us, step, wire.put_bytes(4, image))


def _metadata(plugin: str, content: bytes) -> bytes:
    data = wire.put_bytes(1, plugin) + (wire.put_bytes(2, content) if content else b"")
    return wire.put_bytes(9, wire.put_bytes(1, data) + wire.count(4, _DATA_CLASS_TENSOR))


def _record(tag: str, at_us: int, step: int, body: bytes) -> bytes:
    summary = wire.put_bytes(1, wire.put_bytes(1, tag) + body)
    return wire.put_double(1, at_us / 1e6) + wire.count(2, step) + wire.put_bytes(5, summary)


def png_size(content: bytes) -> tuple[int, int] | None:
    """Return (width, height) of a PNG file, or None for other bytes."""
    if len(content) < 24 or not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height
