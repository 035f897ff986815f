"""What the records of an event file say: the numbers, media and hyper-parameters of a summary, and back into records."""

import math
import struct
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from trimtab.kernel.protobuf import BadProtobuf
from trimtab.moving.tensorboard import protobuf as wire
from trimtab.moving.tensorboard.protobuf import Value
from trimtab.moving.tensorboard.tensors import Tensor, read_tensor

EXACT_FIELD = 1001
"""A field of our own beside ``simple_value``, which has 32 bits: the whole double. Other readers skip what they do not know."""

MediaKind = Literal["image", "audio", "text", "histogram", "graph"]
_MOST_US = 2**63 - 1
_MOST_REMEMBERED = 100_000
_MANY = 500
_FIRST = 1
_SCALAR_TAIL = 4
_EXACT_MARK = wire.varint(EXACT_FIELD << 3 | wire.FIXED64)
_EXACT_TAIL = _SCALAR_TAIL + len(_EXACT_MARK) + 8
_SINGLE = struct.Struct("<f")
_DOUBLE = struct.Struct("<d")


class Media(msgspec.Struct, frozen=True):
    """A picture, a sound, a text, a histogram or a graph at a step; ``content`` is a file's, ``suffix`` its ending."""

    kind: MediaKind
    tag: str
    step: int
    at_us: int
    content: bytes
    suffix: str
    number: int = 0


class Session(msgspec.Struct):
    """What the hparams plugin says of a run; times in microseconds."""

    params: dict[str, str] = {}
    group: str = ""
    started_us: int | None = None
    ended_us: int | None = None
    status: Literal["", "FINISHED", "FAILED", "RUNNING"] = ""


class Curves(msgspec.Struct):
    """The points of one tag, as they came."""

    steps: list[int] = []
    at_us: list[int] = []
    values: list[float] = []


class Batch(msgspec.Struct):
    """What some records said. ``left_out`` counts what has no place here, by the name of its plugin."""

    scalars: dict[str, Curves] = {}
    media: list[Media] = []
    session: Session = msgspec.field(default_factory=Session)
    left_out: dict[str, int] = {}
    malformed: int = 0
    first_us: int | None = None
    last_us: int | None = None

    def curves(self, tag: str) -> Curves:
        found = self.scalars.get(tag)
        if found is None:
            found = self.scalars[tag] = Curves()
        return found


class Decoder:
    """Reads the records of one run in their order: what belongs to a tag is stated in its first record alone."""

    def __init__(self, plugins: dict[str, str] | None = None) -> None:
        self.plugins = dict(plugins or {})
        self._plain: dict[
            bytes, str
        ] = {}  # what stands before the value of a record that is one scalar, and its tag
        self._exact: dict[bytes, str] = {}

    def decode(self, data: bytes, starts: list[int], lengths: list[int], batch: Batch) -> None:
        """Add what the records say to a batch. A record that is no event is counted and left out."""
        if len(starts) < _MANY:
            self._each(data, starts, lengths, range(len(starts)), batch)
            return
        from trimtab.moving.tensorboard.columns import scalars

        def learn(index: int) -> None:
            self._each(data, starts, lengths, [index], batch)

        self._each(data, starts, lengths, range(_FIRST), batch)  # most tags are stated in the first records
        found, left = scalars(
            data,
            starts[_FIRST:],
            lengths[_FIRST:],
            known={False: self._plain, True: self._exact},
            learn=lambda at: learn(at + _FIRST),
            mark=_EXACT_MARK,
        )
        for one in found:
            curves = batch.curves(one.tag)
            curves.steps += one.steps
            curves.at_us += one.at_us
            curves.values += one.values
            batch.last_us = max(batch.last_us or 0, *one.at_us)
        self._each(data, starts, lengths, [index + _FIRST for index in left], batch)

    def _each(
        self, data: bytes, starts: list[int], lengths: list[int], which: Iterable[int], batch: Batch
    ) -> None:
        for index in which:
            start = starts[index]
            end = start + lengths[index]
            try:
                if not self._quick(data, start, end, batch):
                    self._whole(memoryview(data)[start:end], batch)
            except (BadProtobuf, OverflowError, struct.error):
                batch.malformed += 1

    def _quick(self, data: bytes, start: int, end: int, batch: Batch) -> bool:
        """Take a record that differs from an earlier one in its time, step and value alone; most are such."""
        if end - start < 16 or data[start] != 0x09:
            return False
        at = start + 9
        step = 0
        if data[at] == 0x10:
            step = data[at + 1]
            at += 2
            if step > 0x7F:
                step, at = wire.varint_at(data, at - 1)
                if step >= 1 << 63:
                    step -= 1 << 64
        tag = self._plain.get(data[at : end - _SCALAR_TAIL])
        if tag is not None:
            value = _SINGLE.unpack_from(data, end - _SCALAR_TAIL)[0]
        else:
            tag = self._exact.get(data[at : end - _EXACT_TAIL])
            if tag is None or data[end - _EXACT_TAIL + _SCALAR_TAIL : end - 8] != _EXACT_MARK:
                return False
            value = _DOUBLE.unpack_from(data, end - 8)[0]
        at_us = _microseconds(_DOUBLE.unpack_from(data, start + 1)[0])
        curves = batch.curves(tag)
        curves.steps.append(step)
        curves.at_us.append(at_us)
        curves.values.append(value)
        batch.last_us = max(batch.last_us or 0, at_us)
        return True

    def _whole(self, record: memoryview, batch: Batch) -> None:
        wall, step = 0.0, 0
        summary: memoryview | None = None
        graph: memoryview | None = None
        for number, _, value in wire.fields(record):
            match number:
                case 1:
                    wall = wire.double(value)
                case 2:
                    step = wire.signed(value)
                case 4:
                    graph = wire.delimited(value)
                case 5:
                    summary = wire.delimited(value)
                case _:
                    pass  # the version, log messages, the marks of sessions, profiles
        at_us = _microseconds(wall)
        if batch.first_us is None:
            batch.first_us = at_us
        batch.last_us = max(batch.last_us or 0, at_us)
        if graph is not None:
            batch.media.append(Media("graph", "graph", step, at_us, bytes(graph), "pb"))
        if summary is not None:
            values = [wire.delimited(value) for number, _, value in wire.fields(summary) if number == 1]
            for one in values:
                self._value(one, step, at_us, batch)
            if len(values) == 1:
                self._learn(record, values[0])

    def _learn(self, record: memoryview, value: memoryview) -> None:
        """Remember a record whose last bytes are one scalar, so that the next like it is read at a glance."""
        found = list(wire.fields(value))
        numbers = [number for number, _, _ in found]
        raw = bytes(record)
        if not numbers or numbers[0] != 1 or len(self._plain) + len(self._exact) > _MOST_REMEMBERED:
            return
        tag = wire.text(found[0][2])
        at = wire.varint_at(raw, 10)[1] if raw[9] == 0x10 else 9
        if raw[0] != 0x09 or not _ends_with(raw, at, value) or self.plugins.get(tag, "scalars") != "scalars":
            return
        if numbers == [1, 2] and found[1][1] == wire.FIXED32:
            self._plain[raw[at:-_SCALAR_TAIL]] = tag
        elif numbers == [1, 2, EXACT_FIELD] and raw[-8 - len(_EXACT_MARK) : -8] == _EXACT_MARK:
            self._exact[raw[at:-_EXACT_TAIL]] = tag
        elif numbers == [1, 8] and read_tensor(wire.delimited(found[1][2])).single_at_end:
            self._plain[raw[at:-_SCALAR_TAIL]] = tag

    def _value(self, value: memoryview, step: int, at_us: int, batch: Batch) -> None:
        tag, plugin, content = "", "", b""
        held: dict[int, Value] = {}
        for number, _, field in wire.fields(value):
            if number == 1:
                tag = wire.text(field)
            elif number == 9:
                plugin, content = _plugin(wire.delimited(field))
            else:
                held[number] = field
        if plugin and len(self.plugins) < _MOST_REMEMBERED:
            self.plugins[tag] = plugin
        plugin = plugin or self.plugins.get(tag, "")
        if plugin == "hparams":
            read_hparams(content, batch.session)
        elif 2 in held:
            exact = held.get(EXACT_FIELD)
            _add(batch, tag, step, at_us, wire.single(held[2]) if exact is None else wire.double(exact))
        elif 8 in held:
            _from_tensor(tag, plugin, step, at_us, read_tensor(wire.delimited(held[8])), batch)
        else:
            for number, read in _OLD.items():
                if number in held:
                    batch.media.append(read(tag, step, at_us, wire.delimited(held[number])))


def _ends_with(record: bytes, at: int, value: memoryview) -> bool:
    """Tell whether from a place on the record is a summary of this one value, and nothing after it."""
    if record[at : at + 1] != b"\x2a":
        return False
    summary, begin = wire.varint_at(record, at + 1)
    return begin + summary == len(record) and record.endswith(bytes(value))


def _add(batch: Batch, tag: str, step: int, at_us: int, value: float) -> None:
    curves = batch.curves(tag)
    curves.steps.append(step)
    curves.at_us.append(at_us)
    curves.values.append(value)


def _microseconds(seconds: float) -> int:
    if not math.isfinite(seconds):
        raise BadProtobuf("a time is not finite")
    found = round(seconds * 1e6)
    if not 0 <= found <= _MOST_US:
        raise BadProtobuf("a time is out of range")
    return found


def _plugin(metadata: memoryview) -> tuple[str, bytes]:
    for number, _, value in wire.fields(metadata):
        if number == 1:
            name, content = "", b""
            for inner, _, field in wire.fields(wire.delimited(value)):
                if inner == 1:
                    name = wire.text(field)
                elif inner == 2:
                    content = bytes(wire.delimited(field))
            return name, content
    return "", b""


def _from_tensor(tag: str, plugin: str, step: int, at_us: int, tensor: Tensor, batch: Batch) -> None:
    match plugin:
        case "" | "scalars" if tensor.numbers and len(tensor.numbers) == 1:
            _add(batch, tag, step, at_us, tensor.numbers[0])
        case "images":
            for index, picture in enumerate(tensor.texts[2:]):  # width and height come first
                batch.media.append(Media("image", tag, step, at_us, picture, picture_suffix(picture), index))
        case "audio":
            sounds = (
                tensor.texts[::2] if len(tensor.shape) == 2 else tensor.texts
            )  # each with a label beside it
            for index, sound in enumerate(sounds):
                batch.media.append(Media("audio", tag, step, at_us, sound, "wav", index))
        case "text":
            content = b"\n\n".join(tensor.texts)
            batch.media.append(Media("text", tag, step, at_us, content, "md"))
        case "histograms" if len(tensor.shape) == 2 and tensor.shape[1] == 3:
            rows = list(zip(*[iter(tensor.numbers)] * 3, strict=False))
            content = _histogram(
                [*(row[0] for row in rows), *(row[1] for row in rows[-1:])], [row[2] for row in rows]
            )
            batch.media.append(Media("histogram", tag, step, at_us, content, "json"))
        case _:
            name = plugin or "no plugin"
            batch.left_out[name] = batch.left_out.get(name, 0) + 1


def picture_suffix(picture: bytes) -> str:
    """Return the ending of a picture's file by its first bytes."""
    if picture.startswith(b"\x89PNG"):
        return "png"
    if picture.startswith(b"\xff\xd8"):
        return "jpg"
    if picture.startswith(b"GIF8"):
        return "gif"
    return "bin"


def _image(tag: str, step: int, at_us: int, image: memoryview) -> Media:
    content = b""
    for number, _, value in wire.fields(image):
        if number == 4:
            content = bytes(wire.delimited(value))
    return Media("image", tag, step, at_us, content, picture_suffix(content))


def _sound(tag: str, step: int, at_us: int, audio: memoryview) -> Media:
    content, suffix = b"", "wav"
    for number, _, value in wire.fields(audio):
        if number == 4:
            content = bytes(wire.delimited(value))
        elif number == 5 and wire.text(value) not in ("audio/wav", "audio/x-wav", ""):
            suffix = "bin"
    return Media("audio", tag, step, at_us, content, suffix)


def _old_histogram(tag: str, step: int, at_us: int, histogram: memoryview) -> Media:
    least = 0.0
    limits: list[float] = []
    counts: list[float] = []
    for number, _, value in wire.fields(histogram):
        if number == 1:
            least = wire.double(value)
        elif number == 6:
            limits += wire.doubles(value)
        elif number == 7:
            counts += wire.doubles(value)
    edges = [least, *limits] if limits else []
    if len(edges) > 1 and edges[0] > edges[1]:
        edges[0] = edges[1]
    return Media("histogram", tag, step, at_us, _histogram(edges, counts), "json")


_OLD = {4: _image, 5: _old_histogram, 6: _sound}
"""What summaries held before there were tensors, by the number of their field."""


def _histogram(edges: list[float], counts: list[float]) -> bytes:
    return msgspec.json.encode({"edges": edges, "counts": counts})


def read_hparams(content: bytes, session: Session) -> None:
    """Take over what a record of the hparams plugin says; raises BadProtobuf."""
    for number, _, value in wire.fields(memoryview(content)):
        if number == 3:
            _start(wire.delimited(value), session)
        elif number == 4:
            _end(wire.delimited(value), session)


def _start(info: memoryview, session: Session) -> None:
    for number, _, value in wire.fields(info):
        if number == 1:
            key, held = "", memoryview(b"")
            for inner, _, field in wire.fields(wire.delimited(value)):
                if inner == 1:
                    key = wire.text(field)
                elif inner == 2:
                    held = wire.delimited(field)
            if key:
                session.params[key] = _shown(held)
        elif number == 4:
            session.group = wire.text(value)
        elif number == 5:
            session.started_us = _microseconds(wire.double(value))


def _end(info: memoryview, session: Session) -> None:
    statuses: dict[int, Any] = {1: "FINISHED", 2: "FAILED", 3: "RUNNING"}
    for number, _, value in wire.fields(info):
        if number == 1:
            session.status = statuses.get(wire.signed(value), "")
        elif number == 2:
            session.ended_us = _microseconds(wire.double(value))


def _shown(value: memoryview) -> str:
    """Return a ``google.protobuf.Value`` as the text of a parameter."""
    for number, _, field in wire.fields(value):
        if number == 2:
            return shown_number(wire.double(field))
        if number == 3:
            return wire.text(field)
        if number == 4:
            return "True" if wire.signed(field) else "False"
    return "None"


def shown_number(number: float) -> str:
    """Return a number as a parameter shows it: whole ones without a point.

    >>> shown_number(100.0), shown_number(0.001)
    ('100', '0.001')
    """
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
