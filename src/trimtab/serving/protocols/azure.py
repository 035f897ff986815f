"""Azure Machine Learning's scoring bodies: ``input_data`` of its MLflow deployments, ``Inputs`` of AutoML, plain ``data``."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Batch, Output, predictions
from trimtab.serving.protocols import mlflow
from trimtab.serving.protocols.answers import Encoded, media_type
from trimtab.serving.protocols.lenient import loads
from trimtab.serving.schema import Schema

probabilities = False

_NONE: Mapping[bytes, bytes] = {}
_encode = msgspec.json.Encoder().encode


def decode(
    schema: Schema, body: bytes, headers: Mapping[bytes, bytes] = _NONE
) -> Batch | Callable[[], Batch]:
    """Return the rows of a body; what is in none of Azure's layouts is read as MLflow's. Raises Invalid."""
    if media_type(headers) not in (b"application/json", b""):
        return mlflow.decode(schema, body, headers)
    payload, loose = loads(body)
    if not isinstance(payload, dict):
        raise Invalid("the body is a JSON object with input_data, or with Inputs")
    given = [key for key in ("input_data", "Inputs", "data") if key in payload]
    if not given:
        return mlflow.decode(schema, body, headers)
    key = given[0]
    value = payload[key]
    parameters = payload.get("params", payload.get("GlobalParameters"))
    if key == "Inputs":
        value = value.get("data") if isinstance(value, dict) else None
    if parameters is not None and not isinstance(parameters, dict):
        parameters = {"value": parameters}
    if isinstance(value, dict) and "data" in value and key == "input_data":
        layout = "dataframe_split"
    else:
        layout = "instances" if isinstance(value, list) else "inputs"
    try:
        columns = mlflow.columns_of(schema, layout, value, finite=not loose)
    except Invalid as error:
        if error.field in mlflow.LAYOUTS:  # the caller wrote another word
            raise Invalid(error.message.replace(layout, key), field=key) from None
        raise
    return Batch(columns, len(next(iter(columns.values()))), parameters=parameters, answer=key)


def encode(
    outputs: Sequence[Output], *, endpoint: str, version: str, prediction_id: str, batch: Batch
) -> Encoded:
    """Return the bare list that Azure's clients expect, ``{"Results": ...}`` for AutoML's, else MLflow's answer."""
    if batch.answer == "Inputs":
        return Encoded(_encode({"Results": predictions(outputs)}))
    if batch.answer in ("input_data", "data"):
        return Encoded(_encode(predictions(outputs)))
    return mlflow.encode(
        outputs, endpoint=endpoint, version=version, prediction_id=prediction_id, batch=batch
    )


encode_error = mlflow.encode_error
