"""Open Inference Protocol v2 over gRPC: its messages between protobuf and the same tensors as over REST.

Numbers and names of fields are those of `open_inference_grpc.proto` (package ``inference``) and Triton's
`grpc_service.proto`. A request with raw contents is answered with raw contents, one with typed contents likewise.
"""

import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from trimtab.kernel import protobuf as wire
from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Batch, Output
from trimtab.serving.errors import ModelFailed
from trimtab.serving.protocols import binary, tensors, v2
from trimtab.serving.protocols.answers import Encoded
from trimtab.serving.protocols.tensors import Tensor
from trimtab.serving.schema import Schema

probabilities = True

_TYPE = b"application/grpc"
_VARINT_FIELDS = {1: "BOOL", 2: "INT32", 3: "INT64", 4: "UINT32", 5: "UINT64"}
_FIXED_FIELDS = {6: "FP32", 7: "FP64"}
_BYTES_FIELD = 8
_FIELD_OF = {
    "BOOL": 1,
    "INT8": 2,
    "INT16": 2,
    "INT32": 2,
    "INT64": 3,
    "UINT8": 4,
    "UINT16": 4,
    "UINT32": 4,
    "UINT64": 5,
    "FP32": 6,
    "FP64": 7,
    "BYTES": 8,
}


def address_of(message: bytes) -> tuple[str, str]:
    """Return the model's name and the version that a ModelInfer request is for; raises BadProtobuf."""
    name = version = ""
    for number, _, value in wire.fields(memoryview(message)):
        if number == 1:
            name = wire.text(value)
        elif number == 2:
            version = wire.text(value)
        elif number > 4:
            break  # writers keep to the order of numbers, and these two come first
    return name, version


def decode(schema: Schema, body: bytes, headers: Mapping[bytes, bytes]) -> Batch | Callable[[], Batch]:
    """Return the rows of a ModelInferRequest; raises Invalid naming the input that is wrong."""
    del headers  # all is in the message
    if not tensors.is_quick(len(body)):
        return partial(_decode, schema, body)
    return _decode(schema, body)


def _decode(schema: Schema, body: bytes) -> Batch:
    request = binary.Request(inputs=[])
    contents: list[_Contents] = []
    raw: list[memoryview] = []
    parameters: dict[str, Any] = {}
    outputs: list[binary.Wanted] = []
    for number, _, value in wire.fields(memoryview(body)):
        match number:
            case 3:
                request.id = wire.text(value) or None
            case 4:
                parameters.update((_parameter(_part(value)),))
            case 5:
                contents.append(_Contents(_part(value)))
            case 6:
                outputs.append(_wanted(_part(value)))
            case 7:
                raw.append(_part(value))
            case _:
                pass
    request.parameters = parameters or None
    request.outputs = outputs or None
    if raw and len(raw) != len(contents):
        raise Invalid(f"there are {len(contents)} inputs, but {len(raw)} raw_input_contents")
    given: list[Tensor | binary.Input] = []
    for at, one in enumerate(contents):
        if raw and one.is_filled:
            raise Invalid(f"input {one.name!r} has both contents and raw contents", field=one.name)
        given.append(Tensor(one.name, one.datatype, one.shape, raw[at] if raw else one.tensor_bytes()))
    batch = v2.from_tensors(schema, request, given)
    batch.answer = bool(raw)
    return batch


def _part(value: int | bytes) -> memoryview:
    if isinstance(value, int):
        raise wire.BadProtobuf("A number stands where a message should be.")
    return memoryview(value)


class _Contents:
    """An InferInputTensor: its description and the parts of its typed contents."""

    def __init__(self, message: memoryview) -> None:
        self.name = self.datatype = ""
        self.shape: list[int] = []
        self._filled: dict[int, list[memoryview | int]] = {}
        for number, kind, value in wire.fields(message):
            match number:
                case 1:
                    self.name = wire.text(value)
                case 2:
                    self.datatype = wire.text(value)
                case 3:
                    sizes = [value] if kind == wire.VARINT else wire.varints(_part(value))
                    self.shape += [wire.signed(size) for size in sizes if isinstance(size, int)]
                case 5:
                    for field, _, content in wire.fields(_part(value)):
                        part = content if isinstance(content, int) else memoryview(content)
                        self._filled.setdefault(field, []).append(part)
                case _:
                    pass

    @property
    def is_filled(self) -> bool:
        return bool(self._filled)

    def tensor_bytes(self) -> memoryview:
        """Return typed contents as they would be raw; raises Invalid naming the input."""
        tensors.values_in(self.name, self.shape)
        field = _FIELD_OF.get(self.datatype)
        if field is None:
            if self.datatype in tensors.DTYPES:
                raise Invalid(
                    f"input {self.name!r} is {self.datatype}, which travels in raw_input_contents only",
                    field=self.name,
                )
            return memoryview(b"")  # `Tensor.check` says what datatypes there are
        if set(self._filled) - {field}:
            raise Invalid(
                f"input {self.name!r} is {self.datatype}, but its values are in the contents of another type",
                field=self.name,
            )
        parts = self._filled.get(field, [])
        try:
            if field == _BYTES_FIELD:
                return memoryview(
                    b"".join(len(_part(one)).to_bytes(4, "little") + bytes(_part(one)) for one in parts)  # type: ignore[arg-type]
                )
            if field in _FIXED_FIELDS:
                size = 4 if field == 6 else 8
                pieces = [one.to_bytes(size, "little") if isinstance(one, int) else one for one in parts]
                return memoryview(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            return self._whole(parts)
        except OverflowError:
            raise Invalid(
                f"input {self.name!r} has a value outside the range of {self.datatype}", field=self.name
            ) from None

    def _whole(self, parts: list[memoryview | int]) -> memoryview:
        values: array[int] = array(tensors.CODES[self.datatype])
        signed = self.datatype.startswith("INT")
        for one in parts:
            for value in [one] if isinstance(one, int) else wire.varints(one):
                values.append(wire.signed(value) if signed else value)
        if self.datatype == "BOOL" and any(value > 1 for value in values):
            raise OverflowError
        if sys.byteorder == "big":
            values.byteswap()
        return memoryview(values).cast("B")


def _parameter(entry: memoryview) -> tuple[str, Any]:
    """Return one entry of a map of InferParameter."""
    key, found = "", None
    for number, _, value in wire.fields(entry):
        if number == 1:
            key = wire.text(value)
            continue
        for choice, _, chosen in wire.fields(_part(value)):
            match choice, chosen:
                case 1, int():
                    found = bool(chosen)
                case 2, int():
                    found = wire.signed(chosen)
                case 4, int():
                    found = wire.double(chosen)
                case 5, int():
                    found = chosen
                case _:
                    found = wire.text(chosen)
    return key, found


def _wanted(message: memoryview) -> binary.Wanted:
    name = ""
    parameters: dict[str, Any] = {}
    for number, _, value in wire.fields(message):
        if number == 1:
            name = wire.text(value)
        elif number == 2:
            parameters.update((_parameter(_part(value)),))
    return binary.Wanted(name, parameters or None)


def encode(
    outputs: Sequence[Output], *, endpoint: str, version: str, prediction_id: str, batch: Batch
) -> Encoded:
    """Return a ModelInferResponse with the outputs that were asked for, all of them where none was named."""
    chosen = v2.chosen_outputs(outputs, batch) if batch.outputs else outputs
    raw = batch.answer is True or any(output.datatype not in _FIELD_OF for output in chosen)
    parts = [
        wire.block(1, endpoint.encode()),
        wire.block(2, version.encode()),
        wire.block(3, str(prediction_id if batch.id is None else batch.id).encode()),
    ]
    contents: list[bytes] = []
    for output in chosen:
        content = tensors.raw(output)
        if content is None:
            raise ModelFailed(f"output {output.name!r} has values that are no {output.datatype}")
        described = [
            wire.block(1, output.name.encode()),
            wire.block(2, output.datatype.encode()),
            wire.packed(3, output.shape),
        ]
        if raw:
            contents.append(wire.block(6, content))
        else:
            described.append(wire.block(5, _typed(output, content)))
        parts.append(wire.block(5, b"".join(described)))
    return Encoded(b"".join((*parts, *contents)), _TYPE)


def _typed(output: Output, content: bytes) -> bytes:
    """Return an output's InferTensorContents; fixed-size numbers are packed as they are raw."""
    field = _FIELD_OF[output.datatype]
    if field in _FIXED_FIELDS:
        return wire.block(field, content)
    if field in _VARINT_FIELDS:
        return wire.packed(field, output.data)
    return b"".join(wire.block(field, element) for element in tensors.elements(content))


def encode_error(status: int, message: str) -> bytes:
    """Return the text of a status; its code is made of the HTTP status."""
    del status
    return message.encode("utf-8", "replace")
