"""The least that answers with a model in Python: granian's own interface, msgspec and an ONNX graph."""

import msgspec
import numpy as np
from granian import Granian
from granian.constants import Interfaces
from loading import PORT, load_onnx

HEADERS = [("content-type", "application/json")]


class Rows(msgspec.Struct):
    rows: list[list[float]]


class _Lazy:
    """The model of the process that answers; granian forks it off."""

    predict = None


decode = msgspec.json.Decoder(Rows).decode
encode = msgspec.json.Encoder().encode


def make_ready(_loop) -> None:
    _Lazy.predict = load_onnx()


async def app(_scope, protocol) -> None:
    body = decode(await protocol())
    chances = _Lazy.predict(np.array(body.rows))
    protocol.response_bytes(200, HEADERS, encode({"predictions": chances.tolist()}))


app.__rsgi_init__ = make_ready

if __name__ == "__main__":
    Granian(
        "granian_app:app",
        port=PORT,
        interface=Interfaces.RSGI,
        workers=1,
        log_access=False,
        log_level="warning",
    ).serve()
