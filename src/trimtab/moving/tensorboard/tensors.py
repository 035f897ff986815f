"""The tensors of summaries: numbers or texts with a shape."""

import math
import struct

import msgspec

from trimtab.kernel.protobuf import BadProtobuf
from trimtab.moving.tensorboard import protobuf as wire
from trimtab.moving.tensorboard.protobuf import Value

_STRING = 7
# The types of numbers by their number in TensorFlow: struct's letter.
_LETTERS = {
    1: "f",
    2: "d",
    3: "i",
    4: "B",
    5: "h",
    6: "b",
    9: "q",
    10: "?",
    17: "H",
    19: "e",
    22: "I",
    23: "Q",
}
_BFLOAT16 = 14
_FIXED = {5: "f", 6: "d"}  # the fields of packed values that have a fixed width
_WHOLE = (7, 10, 11, 16, 17)
_HALVES = 13
_MOST_REPEATED = 1_000_000


class Tensor(msgspec.Struct):
    """``single_at_end`` says that it is one 32-bit float in the last four bytes of its message."""

    shape: list[int] = []
    numbers: list[float] = []
    texts: list[bytes] = []
    single_at_end: bool = False


def read_tensor(message: memoryview) -> Tensor:
    """Return the values of a TensorProto in the order of their rows; raises BadProtobuf."""
    kind = 0
    tensor = Tensor()
    packed: list[tuple[int, int, Value]] = []
    content: memoryview | None = None
    last = 0
    for number, form, value in wire.fields(message):
        last = number
        if number == 1:
            kind = wire.signed(value)
        elif number == 2:
            tensor.shape = _shape(wire.delimited(value))
        elif number == 4:
            content = wire.delimited(value)
        elif number == 8:
            tensor.texts.append(bytes(wire.delimited(value)))
        else:
            packed.append((number, form, value))
    if kind == _STRING:
        return tensor
    if content is not None and len(content):
        tensor.numbers = _numbers(kind, content)
    else:
        tensor.numbers = [one for number, form, value in packed for one in _values(kind, number, form, value)]
    size = math.prod(tensor.shape)
    if len(tensor.numbers) == 1 < size <= _MOST_REPEATED:
        tensor.numbers *= size  # equal values are written once
    tensor.single_at_end = kind == 1 and len(tensor.numbers) == 1 and last in (4, 5)
    return tensor


def _shape(message: memoryview) -> list[int]:
    shape: list[int] = []
    for number, _, value in wire.fields(message):
        if number == 2:
            sizes = [
                wire.signed(field) for inner, _, field in wire.fields(wire.delimited(value)) if inner == 1
            ]
            shape.append(sizes[0] if sizes else 0)
    if any(size < 0 for size in shape):
        raise BadProtobuf("a tensor has a negative size")
    return shape


def _numbers(kind: int, content: memoryview) -> list[float]:
    if kind == _BFLOAT16:
        if len(content) % 2:
            raise BadProtobuf("a tensor ends amid a number")
        halves = struct.unpack(f"<{len(content) // 2}H", content)
        return list(
            struct.unpack(f"<{len(halves)}f", struct.pack(f"<{len(halves)}I", *[one << 16 for one in halves]))
        )
    letter = _LETTERS.get(kind)
    if letter is None:
        return []
    width = struct.calcsize(letter)
    if len(content) % width:
        raise BadProtobuf("a tensor ends amid a number")
    return [float(one) for one in struct.unpack(f"<{len(content) // width}{letter}", content)]


def _values(kind: int, number: int, form: int, value: Value) -> list[float]:
    if number in _FIXED:
        if isinstance(value, int):
            return [wire.double(value) if form == wire.FIXED64 else wire.single(value)]
        data = wire.delimited(value)
        width = struct.calcsize(_FIXED[number])
        if len(data) % width:
            raise BadProtobuf("a tensor ends amid a number")
        return list(struct.unpack(f"<{len(data) // width}{_FIXED[number]}", data))
    if number not in _WHOLE and number != _HALVES:
        return []
    found: list[int] = []
    if form == wire.VARINT:
        found.append(wire.signed(value))
    else:
        data, at = wire.delimited(value), 0
        while at < len(data):
            one, at = wire.varint_at(data, at)
            found.append(wire.signed(one))
    if number == _HALVES:
        raw = struct.pack(f"<{len(found)}H", *[one & 0xFFFF for one in found])
        return _numbers(_BFLOAT16 if kind == _BFLOAT16 else 19, memoryview(raw))
    return [float(one) for one in found]
