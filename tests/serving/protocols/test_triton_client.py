"""NVIDIA's own client, over HTTP and gRPC, against a real gateway."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException

from tests.serving.conftest import Plane
from trimtab.serving.routes import Auth, Version

A, B, C = np.array([1.0, -1.0]), np.array([1, 2], "i8"), np.array([np.nan, 1.0], "f4")


@pytest.fixture(scope="module")
def calls(booster_socket: str) -> Iterator[Plane]:
    """A gateway that speaks gRPC too, with the booster as endpoint ``m``."""
    state = Path(tempfile.mkdtemp(prefix="tts-"))
    running = Plane(state, grpc_port=0)
    running.route(Version("1", "m/1", 100, "champion", [booster_socket]))
    running.wait_up()
    yield running
    running.close()
    shutil.rmtree(state, ignore_errors=True)


@pytest.fixture
def http(calls: Plane) -> Iterator[Any]:
    with triton_http.InferenceServerClient(f"127.0.0.1:{calls.port}") as client:
        yield client


@pytest.fixture
def grpc(calls: Plane) -> Iterator[Any]:
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{calls.control.state().grpc_port}") as client:
        yield client


def columns(module: Any, *, binary: bool | None = None) -> list[Any]:
    inputs = []
    for name, values, kind in (("a", A, "FP64"), ("b", B, "INT64"), ("c", C, "FP32")):
        one = module.InferInput(name, [len(values)], kind)
        if binary is None:
            one.set_data_from_numpy(values)
        else:
            one.set_data_from_numpy(np.nan_to_num(values), binary_data=binary)
        inputs.append(one)
    return inputs


@pytest.mark.parametrize("binary", [True, False])
def test_http_infers(http: Any, *, binary: bool) -> None:
    result = http.infer("m", columns(triton_http, binary=binary), request_id="mine")
    assert result.as_numpy("predictions").tolist() == [1, 0]
    assert result.as_numpy("probabilities").shape == (2, 2)
    assert result.get_response()["id"] == "mine"
    told = result.get_response()["outputs"][0]
    assert told["parameters"]["binary_data_size"] == 16


def test_http_answers_as_each_output_was_asked_for(http: Any) -> None:
    outputs = [
        triton_http.InferRequestedOutput("probabilities", binary_data=False),
        triton_http.InferRequestedOutput("predictions", binary_data=True),
    ]
    result = http.infer("m", columns(triton_http), outputs=outputs, model_version="1")
    probabilities, predictions = result.get_response()["outputs"]
    assert "data" in probabilities
    assert "data" not in predictions
    assert result.as_numpy("predictions").tolist() == [1, 0]
    assert result.as_numpy("probabilities")[0, 1] > 0.5


def test_http_takes_one_matrix(http: Any) -> None:
    matrix = triton_http.InferInput("x", [1000, 3], "FP32")
    matrix.set_data_from_numpy(np.tile(np.array([[1, 2, 3], [-1, 2, 3]], "f4"), (500, 1)))
    result = http.infer("m", [matrix])
    assert result.as_numpy("predictions").tolist() == [1, 0] * 500


def test_http_describes(http: Any) -> None:
    assert http.is_server_live()
    assert http.is_server_ready()
    assert http.is_model_ready("m")
    assert not http.is_model_ready("n")
    assert http.get_server_metadata()["extensions"] == ["binary_tensor_data", "model_repository"]
    assert http.get_model_metadata("m")["inputs"][1] == {"name": "b", "datatype": "INT64", "shape": [-1]}
    assert http.get_model_repository_index() == [
        {"name": "m", "version": "1", "state": "READY", "reason": ""}
    ]


def test_http_says_which_input_is_wrong(http: Any) -> None:
    bad = columns(triton_http)
    bad[0].set_data_from_numpy(np.array([1.0, np.inf]))
    with pytest.raises(InferenceServerException, match="column 'a', row 1: infinity"):
        http.infer("m", bad)
    with pytest.raises(InferenceServerException, match="column 'b' is missing"):
        http.infer("m", columns(triton_http)[:1])


def test_grpc_infers(grpc: Any) -> None:
    result = grpc.infer("m", columns(triton_grpc), request_id="mine")
    assert result.as_numpy("predictions").tolist() == [1, 0]
    assert result.as_numpy("probabilities").shape == (2, 2)
    assert result.get_response().id == "mine"
    assert result.get_response().model_version == "1"
    outputs = [triton_grpc.InferRequestedOutput("predictions")]
    chosen = grpc.infer("m", columns(triton_grpc), outputs=outputs, model_version="1")
    assert [output.name for output in chosen.get_response().outputs] == ["predictions"]


def test_grpc_takes_typed_contents(calls: Plane) -> None:
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    request = service_pb2.ModelInferRequest(model_name="m")
    request.parameters["note"].string_param = "kept"
    for name, kind in (("a", "FP64"), ("b", "INT32"), ("c", "FP32")):
        request.inputs.add(name=name, datatype=kind, shape=[2])
    request.inputs[0].contents.fp64_contents.extend([1.0, -1.0])
    request.inputs[1].contents.int_contents.extend([-3, 4])
    request.inputs[2].contents.fp32_contents.extend([0.5, float("nan")])
    with triton_grpc.grpc.insecure_channel(f"127.0.0.1:{calls.control.state().grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answer, call = stub.ModelInfer.with_call(request)
    assert list(answer.outputs[0].contents.int64_contents) == [1, 0]
    assert len(answer.outputs[1].contents.fp32_contents) == 4
    assert list(answer.outputs[1].shape) == [2, 2]
    assert not answer.raw_output_contents
    assert dict(call.trailing_metadata())["x-prediction-id"] == answer.id


def test_grpc_streams(grpc: Any) -> None:
    answers: list[tuple[Any, Any]] = []
    grpc.start_stream(lambda result, error: answers.append((result, error)))
    grpc.async_stream_infer("m", columns(triton_grpc), request_id="1")
    grpc.async_stream_infer("m", columns(triton_grpc)[:1], request_id="2")
    grpc.async_stream_infer("m", columns(triton_grpc), request_id="3")
    grpc.stop_stream()
    assert [result.get_response().id if result else None for result, _ in answers] == ["1", None, "3"]
    assert "column 'b' is missing" in str(answers[1][1])


def test_grpc_describes(grpc: Any) -> None:
    assert grpc.is_server_live()
    assert grpc.is_server_ready()
    assert grpc.is_model_ready("m")
    assert grpc.is_model_ready("m", "1")
    assert "binary_tensor_data" in grpc.get_server_metadata().extensions
    described = grpc.get_model_metadata("m", as_json=True)
    assert described["inputs"][1] == {"name": "b", "datatype": "INT64", "shape": ["-1"]}
    assert [one.state for one in grpc.get_model_repository_index().models] == ["READY"]


@pytest.mark.parametrize(
    ("model", "version", "count", "code", "message"),
    [
        ("n", "", 3, "NOT_FOUND", "there is no endpoint 'n'"),
        ("m", "7", 3, "NOT_FOUND", "endpoint 'm' has no version '7'"),
        ("m", "", 1, "INVALID_ARGUMENT", "column 'b' is missing"),
    ],
)
def test_grpc_maps_errors(grpc: Any, model: str, version: str, count: int, code: str, message: str) -> None:
    with pytest.raises(InferenceServerException, match=message) as caught:
        grpc.infer(model, columns(triton_grpc)[:count], model_version=version)
    assert caught.value.status() == f"StatusCode.{code}"


def test_grpc_asks_for_a_key(calls: Plane, grpc: Any, booster_socket: str) -> None:
    import hashlib

    from trimtab.serving.routes import Token

    digest = hashlib.sha256(b"key").hexdigest()
    route = Version("1", "m/1", 100, "champion", [booster_socket])
    calls.route(route, auth=Auth(open=False, tokens={digest: Token("ada", "viewer")}))
    try:
        with pytest.raises(InferenceServerException, match="send a valid token") as caught:
            grpc.infer("m", columns(triton_grpc))
        assert caught.value.status() == "StatusCode.UNAUTHENTICATED"
        result = grpc.infer("m", columns(triton_grpc), headers={"authorization": "Bearer key"})
        assert result.as_numpy("predictions").tolist() == [1, 0]
    finally:
        calls.route(route)


def test_grpc_health(calls: Plane) -> None:
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{calls.control.state().grpc_port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"") == b"\x08\x01"
        assert check(b"\x0a\x01m") == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as caught:
            check(b"\x0a\x01n")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert next(watch) == b"\x08\x01"
