"""Wire protocols of prediction: modules of pure functions between bytes and the columns of a `Batch`."""

import typing
from collections.abc import Callable, Mapping, Sequence

from trimtab.serving.batch import Batch, Output
from trimtab.serving.protocols.answers import Encoded
from trimtab.serving.schema import Schema


class Protocol(typing.Protocol):
    """What a protocol's module has."""

    probabilities: bool
    """Whether answers show class probabilities unless told not to; asking the model for them costs extra."""

    @staticmethod
    def decode(schema: Schema, body: bytes, headers: Mapping[bytes, bytes], /) -> Batch | Callable[[], Batch]:
        """Return the rows of a request, or what returns them and takes so long that it belongs beside the loop.

        Both raise Invalid naming the column, UnsupportedMedia for a foreign type.
        """
        ...

    @staticmethod
    def encode(
        outputs: Sequence[Output], *, endpoint: str, version: str, prediction_id: str, batch: Batch
    ) -> Encoded:
        """Return the answer; raises Invalid where it was asked for what is not there."""
        ...

    @staticmethod
    def encode_error(status: int, message: str, /) -> bytes:
        """Return an error in JSON."""
        ...
