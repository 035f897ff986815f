"""Whatever is sent to a real gateway, at whichever address and of whatever type: it answers, and never with 5xx."""

import http.client
import io
import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.serving.conftest import Plane
from tests.serving.protocols.test_grpc_port import INFER, message
from trimtab.serving.addresses import ADDRESSES
from trimtab.serving.routes import Version

TABLE = pa.table({"a": [1.0, -1.0], "b": [2, 2], "c": [None, 0.5], "t": ["x", "y"]})


def _stream() -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return out.getvalue().to_pybytes()


def _parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(TABLE, out)
    return out.getvalue()


def _tensors() -> tuple[bytes, str]:
    inputs = [
        {"name": "x", "shape": [2, 3], "datatype": "FP32", "parameters": {"binary_data_size": 24}},
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    return head + np.ones((2, 3), "<f4").tobytes(), str(len(head))


ROWS = [{"a": 1.0, "b": 2, "c": None}]
TENSORS, HEAD = _tensors()
GOOD: list[tuple[bytes, dict[str, str]]] = [
    (json.dumps({"dataframe_records": ROWS}).encode(), {}),
    (json.dumps({"instances": ROWS, "inputs": 1}).encode(), {}),
    (json.dumps({"instances": [[1, 2, 3]]}).encode(), {"accept": "text/csv"}),
    (json.dumps({"inputs": {"a": [1], "b": [{"b64": "MQ=="}], "c": [1]}}).encode(), {}),
    (json.dumps({"input_data": {"columns": ["a", "b"], "data": [[1, 2]]}}).encode(), {}),
    (json.dumps({"inputs": [{"name": "a", "shape": [1], "datatype": "FP64", "data": [1.0]}]}).encode(), {}),
    (TENSORS, {"inference-header-content-length": HEAD}),
    (b"a,b,c\n1,2,3\n", {"content-type": "text/csv"}),
    (b'{"features": [1, 2, 3]}\n', {"content-type": "application/jsonlines"}),
    (_stream(), {"content-type": "application/vnd.apache.arrow.stream"}),
    (_stream(), {"content-type": "application/vnd.apache.arrow.file", "accept": "application/json"}),
    (_parquet(), {"content-type": "application/vnd.apache.parquet"}),
]
PATHS = [
    one.template.format(name="m", version="1", label="champion")
    for one in ADDRESSES
    if one.method == "POST" and one.action in ("infer", "feedback", "index")
]


@pytest.fixture(scope="module")
def calls(booster_socket: str) -> Iterator[Plane]:
    state = Path(tempfile.mkdtemp(prefix="tts-"))
    running = Plane(state, grpc_port=0)
    running.route(Version("1", "m/1", 100, "champion", [booster_socket]))
    running.wait_up()
    yield running
    running.close()
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def connection(calls: Plane) -> Iterator[http.client.HTTPConnection]:
    kept = http.client.HTTPConnection("127.0.0.1", calls.port, timeout=20)
    yield kept
    kept.close()


@pytest.fixture(scope="module")
def infer(calls: Plane) -> Iterator[Any]:
    with grpc.insecure_channel(f"127.0.0.1:{calls.control.state().grpc_port}") as channel:
        yield channel.unary_unary(INFER)


def broken(body: bytes, chance: random.Random) -> bytes:
    """Return a body with some bytes changed, taken out or doubled; now and then as it was."""
    content = bytearray(body)
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(content) + 1)
        change: Any = chance.choice((b"", chance.randbytes(1), b"\xff\xff\xff\x7f", b"0", b'"', b"[", b"-1"))
        content[at : at + chance.choice((0, 1, 4))] = change
    return bytes(content)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PATHS), st.sampled_from(GOOD), st.randoms(use_true_random=False))
def test_http(
    connection: http.client.HTTPConnection,
    path: str,
    one: tuple[bytes, dict[str, str]],
    chance: random.Random,
) -> None:
    body, headers = one
    connection.request("POST", path, broken(body, chance), {"content-type": "application/json", **headers})
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status in (200, 400, 413, 415), (answer.status, content)
    if answer.status != 200:
        told = json.loads(content)
        assert told.get("error") or told.get("message")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 300), st.randoms(use_true_random=False))
def test_grpc(infer: Any, rows: int, chance: random.Random) -> None:
    call = infer.future(broken(message(rows), chance), timeout=20)
    assert call.code() in (
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ), call.details()
