"""KServe's ``:explain``: a prediction by its first protocol with what each column added to the score."""

from collections.abc import Mapping, Sequence

from trimtab.serving.batch import Batch, Output
from trimtab.serving.protocols import v1
from trimtab.serving.protocols.answers import Encoded
from trimtab.serving.schema import Schema

probabilities = False

_NONE: Mapping[bytes, bytes] = {}
encode_error = v1.encode_error


def decode(schema: Schema, body: bytes, headers: Mapping[bytes, bytes] = _NONE) -> Batch:
    """Return the rows of a body; raises Invalid naming the column."""
    batch = v1.decode(schema, body, headers)
    batch.parameters = {**(batch.parameters or {}), "explain": True}
    return batch


def encode(
    outputs: Sequence[Output], *, endpoint: str, version: str, prediction_id: str, batch: Batch
) -> Encoded:
    """Return ``{"predictions": ..., "explanations": ...}``."""
    return v1.encode(outputs, endpoint=endpoint, version=version, prediction_id=prediction_id, batch=batch)
