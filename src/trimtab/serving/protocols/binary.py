"""The binary tensor extension of Open Inference: JSON first, then the bytes of tensors, each as long as the JSON says.

See Triton's `extension_binary_data.md`: ``Inference-Header-Content-Length`` is the length of the JSON,
``binary_data_size`` that of a tensor, ``binary_data`` and ``binary_data_output`` ask for binary outputs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Output
from trimtab.serving.http import JSON
from trimtab.serving.protocols import tensors
from trimtab.serving.protocols.answers import Encoded
from trimtab.serving.protocols.tensors import Tensor

HEADER = b"inference-header-content-length"

_TYPE = b"application/octet-stream"
_encode = msgspec.json.Encoder().encode


class Input(msgspec.Struct):
    """An input of which either ``data`` is in the JSON or ``binary_data_size`` bytes come behind it."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, Any] | None = None


class Wanted(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class Request(msgspec.Struct):
    """The JSON part of a request."""

    inputs: list[Input]
    id: str | int | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[Wanted] | None = None


_decode = msgspec.json.Decoder(Request).decode


def split(body: bytes, headers: Mapping[bytes, bytes]) -> tuple[Request, list[Tensor | Input]]:
    """Return the JSON part and each input with its bytes or its data; raises Invalid where a length cannot be true."""
    given = headers[HEADER]
    length = int(given) if given.isdigit() and len(given) < 12 else -1
    if not 0 < length <= len(body):
        raise Invalid(
            f"Inference-Header-Content-Length is the length of the JSON, from 1 to the body's {len(body)} bytes",
            field="Inference-Header-Content-Length",
        )
    view = memoryview(body)
    try:
        request = _decode(view[:length])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"not an inference request: {error}") from None
    place = length
    found: list[Tensor | Input] = []
    for one in request.inputs:
        size = (one.parameters or {}).get("binary_data_size")
        if size is None:
            if one.data is msgspec.UNSET:
                raise Invalid(f"input {one.name!r} has neither data nor binary_data_size", field=one.name)
            found.append(one)
            continue
        if one.data is not msgspec.UNSET:
            raise Invalid(f"input {one.name!r} has both data and binary_data_size", field=one.name)
        if type(size) is not int or not 0 <= size <= len(body) - place:
            raise Invalid(
                f"input {one.name!r}: binary_data_size is {size!r:.40}, and {len(body) - place} bytes are left",
                field=one.name,
            )
        found.append(Tensor(one.name, one.datatype, one.shape, view[place : place + size]))
        place += size
    if place != len(body):
        raise Invalid(f"{len(body) - place} bytes are left over behind the last input")
    return request, found


def wanted(
    outputs: Sequence[Wanted] | None, parameters: Mapping[str, Any] | None
) -> frozenset[str] | bool | None:
    """Return the names of the outputs to answer in binary, True for all of them, or None for none."""
    every = bool(parameters) and parameters.get("binary_data_output") is True
    if not outputs:
        return True if every else None
    names: set[str] = set()
    for output in outputs:
        told = output.parameters or {}
        if "classification" in told:
            raise Invalid(
                f"output {output.name!r}: the classification extension is not spoken here", field=output.name
            )
        if told.get("binary_data", every) is True:
            names.add(output.name)
    return frozenset(names) or None


def encode(response: dict[str, Any], outputs: Sequence[Output], *, binary: frozenset[str] | bool) -> Encoded:
    """Return a response with these outputs, those in ``binary`` behind the JSON where they have such a form."""
    parts: list[bytes] = []
    described: list[dict[str, Any]] = []
    for output in outputs:
        entry: dict[str, Any] = {
            "name": output.name,
            "shape": output.shape,
            "datatype": output.datatype,
        }
        content = tensors.raw(output) if binary is True or (binary and output.name in binary) else None
        if content is None:
            entry["data"] = output.data
        else:
            entry["parameters"] = {"binary_data_size": len(content)}
            parts.append(content)
        described.append(entry)
    head = _encode({**response, "outputs": described})
    if not parts:
        return Encoded(head, JSON)
    return Encoded(b"".join((head, *parts)), _TYPE, ((HEADER, b"%d" % len(head)),))
