"""Open Inference Protocol v2 over REST: typed tensors in, typed tensors out, and the model's description."""

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving.batch import Batch, Output, nest
from trimtab.serving.errors import UnsupportedMedia
from trimtab.serving.protocols import binary, tables, tensors
from trimtab.serving.protocols.answers import JSON_TYPES, NO_OTHER_TYPE, Encoded, media_type, preferred
from trimtab.serving.protocols.lenient import loads
from trimtab.serving.routes import Field
from trimtab.serving.schema import Schema
from trimtab.version import __version__

probabilities = True

EXTENSIONS = ("binary_tensor_data", "model_repository")
"""What is spoken beyond the protocol itself, under Triton's names."""

_NONE: Mapping[bytes, bytes] = {}
_encode = msgspec.json.Encoder().encode
_REAL = frozenset((float, int))
_INTEGERS = frozenset(("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"))
_FLOATS = frozenset(("FP16", "FP32", "FP64"))
_DATATYPES = _INTEGERS | _FLOATS | {"BOOL", "BYTES"}
_NUMBERS = _INTEGERS | _FLOATS
_TAKES: dict[str, frozenset[str]] = {
    "boolean": frozenset(("BOOL",)),
    "integer": _NUMBERS,
    "long": _NUMBERS,
    "float": _NUMBERS,
    "double": _NUMBERS,
    "string": frozenset(("BYTES",)),
    "binary": frozenset(("BYTES",)),
    "datetime": frozenset(("BYTES",)),
}
_DATATYPE_OF = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "binary": "BYTES",
    "datetime": "BYTES",
    "any": "BYTES",
}


class _Input(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str | int | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[binary.Wanted] | None = None


_decode = msgspec.json.Decoder(_Request).decode


def decode(
    schema: Schema, body: bytes, headers: Mapping[bytes, bytes] = _NONE
) -> Batch | Callable[[], Batch]:
    """Return the rows in an inference request; raises Invalid naming the input that is wrong."""
    if binary.HEADER in headers:
        if not tensors.is_quick(len(body)):
            return partial(_decode_binary, schema, body, headers)
        return _decode_binary(schema, body, headers)
    kind = media_type(headers)
    if kind not in JSON_TYPES:
        return _decode_table(schema, body, headers, kind)
    batch = _decode_json(schema, body)
    accept = headers.get(b"accept")
    if accept is not None and accept not in NO_OTHER_TYPE:
        batch.answer = preferred(accept, tables.ANSWERS) or batch.answer
    return batch


def _decode_json(schema: Schema, body: bytes) -> Batch:
    try:
        request, finite = _decode(body), True
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        payload, loose = loads(body)
        finite = not loose
        try:
            request = msgspec.convert(payload, _Request)
        except msgspec.ValidationError as error:
            raise Invalid(f"not an inference request: {error}") from None
    if finite and len(request.inputs) == 1 and schema.floats:
        packed = _packed(schema, request.inputs[0])
        if packed is not None:
            return _batch(request, {}, request.inputs[0].shape[0], packed)
    columns = _typed(schema, request.inputs) if finite else None
    if isinstance(columns, bytes):
        if request.outputs or request.parameters:
            return _batch(request, {}, 1, columns)
        return Batch({}, 1, request.id, packed=columns)
    if columns is not None:
        rows = request.inputs[0].shape[0]
    else:
        columns, rows = _columns(schema, request.inputs, finite=finite)
    if request.outputs or request.parameters:
        return _batch(request, columns, rows, None)
    return Batch(columns, rows, request.id)


def _decode_table(
    schema: Schema, body: bytes, headers: Mapping[bytes, bytes], kind: bytes
) -> Batch | Callable[[], Batch]:
    """Return the rows of a table, which is answered with one of the same kind unless another type is asked for."""
    if kind not in tables.TYPES:
        raise UnsupportedMedia(
            f"content type {kind.decode('latin-1')!r} is not read here; send application/json, binary tensors, "
            "or a table as Arrow or Parquet"
        )
    accept = headers.get(b"accept", b"*/*")
    if accept == b"*/*":
        answer = kind if kind in tables.ANSWERS else None
    else:
        answer = preferred(accept, tables.ANSWERS)
    return tables.decode(schema, body, kind, answer=answer)


def _decode_binary(schema: Schema, body: bytes, headers: Mapping[bytes, bytes]) -> Batch:
    request, given = binary.split(body, headers)
    return from_tensors(schema, request, given)


def from_tensors(schema: Schema, request: Any, given: Sequence[tensors.Tensor | binary.Input]) -> Batch:
    """Return the rows of a request whose tensors came as bytes, or some of them; raises Invalid naming the input."""
    if not given:
        raise Invalid("the request has no inputs", field="inputs")
    raw = [tensor for tensor in given if isinstance(tensor, tensors.Tensor)]
    for tensor in raw:
        tensor.check()
    if len(raw) == len(given) and sum(len(tensor.raw) for tensor in raw) > tensors.FEW_BYTES:
        first = raw[0]
        matrix = len(raw) == 1 and len(first.shape) == 2 and _is_matrix(schema, first)
        packed = tensors.packed(schema, raw, matrix=matrix)
        if packed is not None:
            return _batch(request, {}, first.shape[0], packed)
    fields = {field.name: field for field in schema.fields}
    inputs = [
        _Input(
            one.name,
            one.shape,
            one.datatype if one.datatype != "BF16" else "FP32",
            one.flat(fields.get(one.name)) if isinstance(one, tensors.Tensor) else list(one.data or ()),
        )
        for one in given
    ]
    columns, rows = _columns(schema, inputs, finite=False)
    return _batch(request, columns, rows, None)


def _batch(request: Any, columns: dict[str, list[Any]], rows: int, packed: bytes | None) -> Batch:
    wanted = tuple(output.name for output in request.outputs) if request.outputs else None
    answer = binary.wanted(request.outputs, request.parameters)
    return Batch(columns, rows, request.id, request.parameters, wanted, packed, answer)


def _packed(schema: Schema, given: _Input) -> bytes | None:
    """Return the columns of one flat tensor of numbers, or None where only `_columns` can say."""
    shape, width = given.shape, len(schema.fields)
    if len(shape) != 2 or shape[0] < 1 or shape[1] != width or len(given.data) != shape[0] * width:
        return None
    if given.datatype not in _NUMBERS or not _is_matrix(schema, given):
        return None
    try:
        values = msgspec.convert(given.data, list[float])
    except msgspec.ValidationError:
        return None
    if shape[0] == 1:
        return schema.pack_row(values)
    column = f"<{shape[0]}d"  # which takes a third of the time of an array
    return b"".join([struct.pack(column, *values[at::width]) for at in range(width)])


def _typed(schema: Schema, inputs: list[_Input]) -> dict[str, list[Any]] | bytes | None:
    """Return the columns of one-dimensional inputs that keep the signature, or None where only `_columns` can say.

    One row of floats, which most requests are, is packed right away.
    """
    takes = schema.compiled.get("v2")
    if takes is None:
        takes = schema.compiled["v2"] = {
            field.name: _TAKES[field.type] for field in schema.fields if schema.typed
        }
    if not takes or len(inputs) != len(takes):
        return None
    shape = inputs[0].shape
    if len(shape) != 1 or shape[0] < 1:
        return None
    given: dict[str, list[Any]] = {}
    for tensor in inputs:
        if (
            tensor.shape != shape
            or len(tensor.data) != shape[0]
            or tensor.datatype not in takes.get(tensor.name, ())
        ):
            return None
        given[tensor.name] = tensor.data
    if shape[0] == 1 and schema.floats and len(given) == len(takes):
        row = [given[name][0] for name in schema.names]
        if all([type(value) in _REAL for value in row]):  # noqa: C419 - a list is faster than a generator
            return schema.pack_row(row)
    return schema.convert(given)


def _columns(schema: Schema, inputs: list[_Input], *, finite: bool) -> tuple[dict[str, list[Any]], int]:
    if not inputs:
        raise Invalid("the request has no inputs", field="inputs")
    for given in inputs:
        if given.datatype not in _DATATYPES:
            hint = did_you_mean(given.datatype, sorted(_DATATYPES))
            raise Invalid(
                f"input {given.name!r} has the unknown datatype {given.datatype!r}.{hint}", field=given.name
            )
    rows = inputs[0].shape[0] if inputs[0].shape else 0
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and _is_matrix(schema, inputs[0]):
        given = inputs[0]
        columns = schema.from_positions(_rows(given), finite=finite)
        return columns, rows
    fields = {field.name: field for field in schema.fields}
    found: dict[str, list[Any]] = {}
    for given in inputs:
        field = fields.get(given.name)
        if given.name in found:
            raise Invalid(f"input {given.name!r} is given twice", field=given.name)
        if field is not None and given.datatype not in _TAKES.get(field.type, _DATATYPES):
            raise Invalid(
                f"input {given.name!r} is {given.datatype}, but the model takes {_DATATYPE_OF[field.type]}",
                field=given.name,
            )
        found[given.name] = _rows(given)
        if len(found[given.name]) != rows:
            raise Invalid(
                f"input {given.name!r} has {len(found[given.name])} rows, but {inputs[0].name!r} has {rows}",
                field=given.name,
            )
    return schema.columns(found, finite=finite), rows


def _is_matrix(schema: Schema, given: _Input | tensors.Tensor) -> bool:
    """Say whether one 2-D input stands for all columns: always for an array model, else where no column has its name."""
    if schema.tensor:
        return True
    return given.name not in schema.names and (
        not schema.fields or given.shape[1] > 1 or len(schema.fields) == 1
    )


def _rows(given: _Input) -> list[Any]:
    """Return one value, or nested lists, for each row of an input whose data may be flat or nested."""
    shape, data = given.shape, given.data
    if len(shape) != 1 or shape[0] < 0:
        tensors.values_in(given.name, shape)
    if len(shape) == 1:
        if len(data) == shape[0]:
            return data
        raise Invalid(f"input {given.name!r} has {len(data)} values, but shape {shape}", field=given.name)
    flat: list[Any] = data
    for _ in shape[1:]:
        if not any(isinstance(item, list) for item in flat):
            break
        if not all(isinstance(item, list) for item in flat):
            raise Invalid(f"input {given.name!r} is neither flat nor nested as {shape}", field=given.name)
        flat = [value for item in flat for value in item]
    count = 1
    for size in shape:
        count *= size
    if len(flat) != count:
        raise Invalid(f"input {given.name!r} has {len(flat)} values, but shape {shape}", field=given.name)
    if count == shape[0]:
        return flat
    return nest(flat, shape)


def encode(
    outputs: Sequence[Output],
    *,
    endpoint: str,
    version: str,
    prediction_id: str,
    batch: Batch,
) -> Encoded:
    """Return an inference response with the outputs that were asked for, all of them where none was named."""
    chosen = chosen_outputs(outputs, batch) if batch.outputs else outputs
    if isinstance(batch.answer, bytes):
        return tables.encode(batch.answer, chosen)
    if batch.answer is not None:
        response = {
            "model_name": endpoint,
            "model_version": version,
            "id": prediction_id if batch.id is None else batch.id,
        }
        return binary.encode(response, chosen, binary=batch.answer)
    content = _encode(
        {
            "model_name": endpoint,
            "model_version": version,
            "id": prediction_id if batch.id is None else batch.id,
            "outputs": [
                {"name": o.name, "shape": o.shape, "datatype": o.datatype, "data": o.data}
                if not o.labels
                else {
                    "name": o.name,
                    "shape": o.shape,
                    "datatype": o.datatype,
                    "parameters": {"labels": o.labels},
                    "data": o.data,
                }
                for o in chosen
            ],
        }
    )
    return Encoded(content)


def chosen_outputs(outputs: Sequence[Output], batch: Batch) -> list[Output]:
    """Return the outputs that a request names; raises Invalid where the model has none of that name."""
    assert batch.outputs is not None
    by_name = {output.name: output for output in outputs}
    for name in batch.outputs:
        if name not in by_name:
            raise Invalid(f"the model has no output {name!r}; it has {', '.join(by_name)}", field=name)
    return [by_name[name] for name in batch.outputs]


def encode_error(status: int, message: str) -> bytes:
    """Return the protocol's error object."""
    del status  # the same shape for every status
    return _encode({"error": message})


def server_metadata() -> dict[str, Any]:
    """Return what the server says of itself."""
    return {"name": "trimtab", "version": __version__, "extensions": EXTENSIONS}


def index(endpoints: Mapping[str, Mapping[str, bool]], *, ready_only: bool = False) -> list[dict[str, Any]]:
    """Return the repository's index: each version of each endpoint, and whether it answers."""
    return [
        {
            "name": name,
            "version": version,
            "state": "READY" if ready else "UNAVAILABLE",
            "reason": "" if ready else "no replica of this version is up",
        }
        for name, versions in endpoints.items()
        for version, ready in versions.items()
        if ready or not ready_only
    ]


def wants_ready(body: bytes) -> bool:
    """Return whether a question for the index is for what answers only; raises Invalid."""
    payload, _ = loads(body or b"{}")
    ready = payload.get("ready", False) if isinstance(payload, dict) else None
    if type(ready) is not bool:
        raise Invalid("the body is an object with ready, which is true or false", field="ready")
    return ready


def describe(endpoint: str, versions: Sequence[str], schema: Schema) -> dict[str, Any]:
    """Return an endpoint's metadata: its versions, inputs and outputs."""
    signature = schema.signature
    if signature is not None and signature.tensor:
        kind = _DATATYPE_OF[schema.fields[0].type]
        inputs = [{"name": "input", "datatype": kind, "shape": [-1, len(schema.fields)]}]
    else:
        inputs = [_tensor(field) for field in schema.fields]
    outputs = [_tensor(field) for field in signature.outputs] if signature else []
    if len(outputs) == 1:
        outputs[0]["name"] = "predictions"  # the name that answers carry, whatever the signature calls it
    return {
        "name": endpoint,
        "versions": list(versions),
        "platform": "trimtab",
        "inputs": inputs,
        "outputs": outputs,
    }


def _tensor(field: Field) -> dict[str, Any]:
    return {"name": field.name, "datatype": _DATATYPE_OF[field.type], "shape": [-1, *(field.shape or [])]}
