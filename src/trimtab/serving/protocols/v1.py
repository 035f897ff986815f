"""KServe's first protocol, TensorFlow Serving's REST API and Vertex AI's: ``instances`` in rows, or ``inputs`` in columns.

Rows are answered with ``predictions``, columns with ``outputs``, as TensorFlow Serving has it; ``{"b64": ...}`` holds bytes.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving.batch import Batch, Output, explanations, predictions
from trimtab.serving.errors import UnsupportedMedia
from trimtab.serving.protocols import mlflow
from trimtab.serving.protocols.answers import JSON_TYPES, Encoded, media_type
from trimtab.serving.protocols.lenient import loads
from trimtab.serving.schema import Schema

probabilities = False

_NONE: Mapping[bytes, bytes] = {}
_KEYS = ("instances", "inputs")
_encode = msgspec.json.Encoder().encode


def decode(schema: Schema, body: bytes, headers: Mapping[bytes, bytes] = _NONE) -> Batch:
    """Return the rows of a body; raises Invalid naming the column."""
    kind = media_type(headers)
    if kind not in JSON_TYPES:
        raise UnsupportedMedia(
            f"content type {kind.decode('latin-1')!r} is not read here; send application/json"
        )
    if b'"b64"' not in body and b'"inputs"' not in body and b'"param' not in body:
        batch = mlflow.typed(schema, body)  # rows alone: decoded by the signature's own types
        if batch is not None:
            return batch
    payload, loose = loads(body)
    if not isinstance(payload, dict):
        raise Invalid("the body is a JSON object with instances (rows) or inputs (columns)")
    given = [key for key in _KEYS if key in payload]
    if len(given) != 1:
        hint = "".join(did_you_mean(str(key), _KEYS) for key in payload if key not in _KEYS)[:120]
        raise Invalid(f"the body holds either instances (rows) or inputs (columns), one of them.{hint}")
    parameters = payload.get("parameters", payload.get("params"))
    if parameters is not None and not isinstance(parameters, dict):
        raise Invalid("parameters is an object", field="parameters")
    key = given[0]
    value = payload[key]
    if b'"b64"' in body:
        binary = {field.name for field in schema.fields if field.type == "binary"}
        value = _without_wrappers(value, binary, None, 0)
    columns = mlflow.columns_of(schema, key, value, finite=not loose)
    rows = len(next(iter(columns.values())))
    return Batch(columns, rows, parameters=parameters, answer="outputs" if key == "inputs" else None)


def _without_wrappers(value: Any, binary: set[str], name: str | None, depth: int) -> Any:
    """Return values with each ``{"b64": ...}`` as what a column takes: base 64 where it is binary, else its text."""
    if depth > 64:
        raise Invalid("the values are nested too deeply")
    if isinstance(value, list):
        return [_without_wrappers(item, binary, name, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) != {"b64"}:
        return {key: _without_wrappers(item, binary, key, depth + 1) for key, item in value.items()}
    try:
        content = base64.b64decode(value["b64"], validate=True)
        return value["b64"] if name in binary else content.decode()
    except (TypeError, ValueError, binascii.Error, UnicodeDecodeError):
        where = f"column {name!r}" if name else "a value"
        raise Invalid(
            f"{where}: b64 is text in base 64, of UTF-8 unless the column is binary", field=name
        ) from None


def encode(
    outputs: Sequence[Output], *, endpoint: str, version: str, prediction_id: str, batch: Batch
) -> Encoded:
    """Return ``{"predictions": ...}`` for rows; for columns ``{"outputs": ...}``, by name where there are several."""
    del endpoint, version, prediction_id  # they are in the headers
    explained = explanations(outputs)
    if explained is not None:
        return Encoded(_encode({"predictions": predictions(outputs), "explanations": explained}))
    if batch.answer is None:
        return Encoded(_encode({"predictions": predictions(outputs)}))
    if len(outputs) == 1:
        return Encoded(_encode({"outputs": outputs[0].by_row()}))
    return Encoded(_encode({"outputs": {output.name: output.by_row() for output in outputs}}))


def encode_error(status: int, message: str) -> bytes:
    """Return TensorFlow Serving's and KServe's error object."""
    del status  # the same shape for every status
    return _encode({"error": message})


_TENSORFLOW = {
    "boolean": "DT_BOOL",
    "integer": "DT_INT32",
    "long": "DT_INT64",
    "float": "DT_FLOAT",
    "double": "DT_DOUBLE",
}


def status(endpoint: str, versions: Mapping[str, bool]) -> dict[str, Any]:
    """Return an endpoint's state in the words of both: KServe's name and ready, TensorFlow's list of versions."""
    return {
        "name": endpoint,
        "ready": any(versions.values()),
        "model_version_status": [
            {
                "version": version,
                "state": "AVAILABLE" if ready else "LOADING",
                "status": {"error_code": "OK", "error_message": ""},
            }
            for version, ready in versions.items()
        ],
    }


def metadata(endpoint: str, version: str, schema: Schema) -> dict[str, Any]:
    """Return an endpoint's signature as TensorFlow Serving's ``/metadata`` words it."""
    outputs = schema.signature.outputs if schema.signature is not None else []

    def tensors(fields: Sequence[Any]) -> dict[str, Any]:
        return {
            field.name: {
                "name": field.name,
                "dtype": _TENSORFLOW.get(field.type, "DT_STRING"),
                "tensor_shape": {
                    "dim": [{"size": str(size), "name": ""} for size in (-1, *(field.shape or ()))],
                    "unknown_rank": False,
                },
            }
            for field in fields
        }

    definition = {
        "inputs": tensors(schema.fields),
        "outputs": tensors(outputs),
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": endpoint, "signature_name": "", "version": version},
        "metadata": {"signature_def": {"signature_def": {"serving_default": definition}}},
    }
