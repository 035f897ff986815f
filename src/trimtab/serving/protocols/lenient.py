"""JSON as people send it: strict where it is right, with Python's NaN and Infinity understood where it is not."""

import json
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid

_decode = msgspec.json.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode


def loads(body: bytes) -> tuple[Any, bool]:
    """Return the value and whether it may hold NaN or infinities; raises Invalid where it is no JSON at all."""
    try:
        return _decode(body), False
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if b"NaN" not in body and b"Infinity" not in body:
            raise Invalid(f"the body is not JSON: {_reason(error)}") from None
    try:
        value = json.loads(body)
        _encode(value)  # refuses lone surrogates and endless integers, which JSON's reader lets through
    except (ValueError, RecursionError, OverflowError) as error:
        raise Invalid(f"the body is not JSON: {_reason(error)}") from None
    return value, True


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return "it is not valid UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error).removeprefix("JSON is malformed: ")[:200]
