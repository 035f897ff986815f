"""The protocols of other servers and platforms against a real gateway, and MLflow's own deployments client."""

import csv
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.serving.conftest import Plane

ROWS = [{"a": 1.0, "b": 2}, {"a": -1.0, "b": 2, "c": 0.5}]
TABLE = pa.table({"b": [2, 2], "a": [1.0, -1.0], "c": [None, 0.5], "other": ["x", "y"]})
STREAM = "application/vnd.apache.arrow.stream"
FILE = "application/vnd.apache.arrow.file"


def stream(table: pa.Table, **options: Any) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return out.getvalue().to_pybytes()


def file(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue().to_pybytes()


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="snappy")
    return out.getvalue()


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("/v1/models/m:predict", {"instances": ROWS}, {"predictions": [1, 0]}),
        ("/v1/models/m:predict", {"instances": [[1, 2, None]], "parameters": {"k": 1}}, {"predictions": [1]}),
        (
            "/v1/models/m:predict",
            {"inputs": {"a": [1, -1], "b": [2, 2], "c": [0, 0]}},
            {"outputs": [1, 0]},
        ),
        ("/v1/models/m/versions/1:predict", {"instances": ROWS}, {"predictions": [1, 0]}),
        ("/v1/models/m/labels/champion:predict", {"instances": ROWS}, {"predictions": [1, 0]}),
        ("/v1/models/m/labels/stable:predict", {"instances": ROWS}, {"predictions": [1, 0]}),
        ("/predict", {"instances": ROWS, "parameters": {}}, {"predictions": [1, 0]}),
        ("/invocations", {"dataframe_records": ROWS}, {"predictions": [1, 0]}),
        ("/models/m/invoke", {"instances": ROWS}, {"predictions": [1, 0]}),
        ("/score", {"input_data": {"columns": ["a", "b"], "index": [0], "data": [[1, 2]]}}, [1]),
        ("/score", {"input_data": ROWS}, [1, 0]),
        (
            "/score",
            {"Inputs": {"data": ROWS}, "GlobalParameters": {"method": "predict"}},
            {"Results": [1, 0]},
        ),
        ("/score", {"data": [[1, 2, 3]]}, [1]),
        ("/score", {"dataframe_records": ROWS}, {"predictions": [1, 0]}),
    ],
)
def test_predictions(served: Plane, path: str, body: Any, answer: Any) -> None:
    status, told, headers = served.request("POST", path, body)
    assert (status, told) == (200, answer)
    assert headers["x-model-version"] == "1"
    assert headers["x-prediction-id"]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/models/m:predict", {}, "either instances (rows) or inputs (columns)"),
        ("/v1/models/m:predict", {"instance": []}, "Did you mean 'instances'?"),
        ("/v1/models/m:predict", {"instances": [], "inputs": {}}, "one of them"),
        ("/v1/models/m:predict", {"instances": [{"a": 1}]}, "column 'b' is missing in row 0"),
        ("/v1/models/m:predict", {"instances": [{"a": {"b64": "?"}, "b": 1}]}, "column 'a': b64 is text"),
        ("/v1/models/m:predict", {"instances": ROWS, "parameters": 1}, "parameters is an object"),
        ("/predict", {"instances": [{"a": "x", "b": 1}]}, "column 'a', row 0: expected a number"),
        ("/score", {"input_data": {"columns": ["a"], "data": [[1]]}}, "column 'b' is missing"),
        ("/score", {"Inputs": {}}, "column"),
        ("/score", {"input_data": 7}, "input_data is an object of columns or a list of rows"),
        ("/score", [1], "the body is a JSON object with input_data"),
        ("/invocations", {"instances": [[1, 2]]}, "row 0 has 2 values, but there are 3 columns"),
    ],
)
def test_refusals(served: Plane, path: str, body: Any, message: str) -> None:
    status, told, _ = served.request("POST", path, body)
    assert status == 400
    assert message in (told.get("error") or told["message"])


@pytest.mark.parametrize("path", ["/endpoints/m/invocations", "/v2/models/m/infer", "/invocations"])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (STREAM, stream(TABLE)),
        (STREAM, stream(TABLE, compression="zstd")),
        (FILE, file(TABLE)),
        ("application/vnd.apache.parquet", parquet(TABLE)),
    ],
    ids=["stream", "compressed stream", "file", "parquet"],
)
def test_tables(served: Plane, path: str, kind: str, body: bytes) -> None:
    connection = served.raw("POST", path, body, {"content-type": kind, "accept": STREAM})
    assert connection.headers["content-type"] == STREAM
    table = pa.ipc.open_stream(connection.content).read_all()
    table.validate(full=True)
    assert table.column("predictions").to_pylist() == [1, 0]
    assert ("probabilities" in table.column_names) == path.startswith("/v2")


def test_tables_are_answered_in_kind_unless_json_is_asked_for(served: Plane) -> None:
    path = "/endpoints/m/invocations"
    answer = served.raw("POST", path, file(TABLE), {"content-type": FILE})
    assert pa.ipc.open_file(answer.content).read_all().column("predictions").to_pylist() == [1, 0]
    asked = {"content-type": FILE, "accept": "application/json"}
    assert served.request("POST", path, file(TABLE), asked)[1] == {"predictions": [1, 0]}
    asked = {"content-type": "application/vnd.apache.parquet"}
    assert served.request("POST", path, parquet(TABLE), asked)[1] == {"predictions": [1, 0]}
    tensors = b'{"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]}'
    answer = served.raw("POST", "/v2/models/m/infer", tensors, {"accept": STREAM})
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.column("predictions").to_pylist() == [1]
    assert table.column("probabilities").type == pa.list_(pa.float32(), 2)
    asked = {"accept": f"{STREAM}, application/json;q=0.5"}
    answer = served.raw("POST", path, b'{"dataframe_records": [{"a": 1, "b": 1}]}', asked)
    assert pa.ipc.open_stream(answer.content).read_all().to_pylist() == [{"predictions": 1}]


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (STREAM, b"", "the body has no Arrow table"),
        (STREAM, b"nothing at all", "the body is not an Arrow stream or file"),
        (STREAM, stream(TABLE)[:-300], "cut off"),
        (STREAM, stream(TABLE.drop_columns(["b"])), "column 'b' is missing"),
        (STREAM, stream(TABLE.slice(0, 0)), "the table has no rows"),
        (STREAM, stream(pa.table({"a": ["x"], "b": [1]})), "column 'a', row 0: expected a number"),
        (STREAM, stream(pa.table({"a": [None], "b": [1]})), "column 'a', row 0 is null"),
        (STREAM, stream(pa.table({"a": [[1.0]], "b": [1]})), "column 'a' is nested"),
        (STREAM, stream(pa.table({"x": [1.0]})), "column 'a' is missing"),
        ("application/vnd.apache.parquet", b"PAR1 not really PAR1", "the table cannot be read"),
        ("application/vnd.apache.parquet", parquet(TABLE)[:-20], "the table cannot be read"),
        ("application/x-parquet", parquet(TABLE.drop_columns(["a"])), "column 'a' is missing"),
    ],
)
def test_bad_tables(served: Plane, kind: str, body: bytes, message: str) -> None:
    for path, key in (("/endpoints/m/invocations", "message"), ("/v2/models/m/infer", "error")):
        status, told, _ = served.request("POST", path, body, {"content-type": kind})
        assert status == 400
        assert message in told[key]


def test_lines_and_csv(served: Plane) -> None:
    path = "/invocations"
    lines = b'{"features": [1, 2, 3]}\n{"a": -1, "b": 2}\n[1, 2, null]\n'
    asked = {"content-type": "application/jsonlines", "accept": "application/jsonlines"}
    answer = served.raw("POST", path, lines, asked)
    assert answer.content == b'{"prediction":1}\n{"prediction":0}\n{"prediction":1}\n'
    asked = {"content-type": "text/csv", "accept": "text/csv"}
    answer = served.raw("POST", path, b"1,2,3\n-1,2,\n", asked)
    assert list(csv.reader(io.StringIO(answer.content.decode()))) == [["1"], ["0"]]
    bad = served.request("POST", path, b'{"a": 1}\n', {"content-type": "application/jsonlines"})
    assert bad[0] == 400
    assert "column 'b' is missing" in bad[1]["message"]
    bad = served.request("POST", path, b"x,y,z\n1,2,3\n", {"content-type": "text/csv"})
    assert "column 'a' is missing" in bad[1]["message"]


def test_descriptions_of_other_protocols(served: Plane) -> None:
    def get(path: str) -> Any:
        status, told, _ = served.request("GET", path)
        assert status == 200, path
        return told

    assert get("/ping") == "\n"
    assert get("/") == "OK"
    assert get("/version")
    assert get("/v1/models") == {"models": ["m"]}
    state = get("/v1/models/m")
    assert (state["name"], state["ready"]) == ("m", True)
    assert state["model_version_status"][0]["state"] == "AVAILABLE"
    assert get("/v1/models/m/versions/1")["model_version_status"][0]["version"] == "1"
    inputs = get("/v1/models/m/metadata")["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert inputs["inputs"]["b"]["dtype"] == "DT_INT64"
    assert get("/models") == {"models": [{"modelName": "m", "modelUrl": "/models/m"}]}
    assert get("/models/m")["modelName"] == "m"
    assert get("/execution-parameters")["BatchStrategy"] == "MULTI_RECORD"
    assert served.request("GET", "/v1/models/m/labels/canary")[0] == 404
    assert served.request("GET", "/v1/models/x/versions/1")[1] == {"error": "there is no endpoint 'x'."}
    index = served.request("POST", "/v2/repository/index", {"ready": True})
    assert index[1] == [{"name": "m", "version": "1", "state": "READY", "reason": ""}]
    assert served.request("POST", "/v2/repository/index", {"ready": 1})[0] == 400


def test_openapi_describes_what_answers(served: Plane) -> None:
    from openapi_spec_validator import validate

    document = served.request("GET", "/endpoints/m/openapi.json")[1]
    validate(document)
    assert document["components"]["schemas"]["Row"]["required"] == ["a", "b"]
    examples = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            if "example" in body and not path.endswith(":explain"):
                where = path.replace("{version}", "1").replace("{label}", "champion")
                status, told, _ = served.request(method.upper(), where, body["example"])
                assert status == 200, (where, told)
                examples += 1
    assert examples == 7


def test_mlflow_deployments_client(served: Plane) -> None:
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client(f"http://127.0.0.1:{served.port}")
    assert client.predict(endpoint="m", inputs={"dataframe_records": ROWS}) == {"predictions": [1, 0]}
    assert client.get_endpoint("m").endpoint_url.endswith("/endpoints/m/invocations")
    assert [one.name for one in client.list_endpoints()] == ["m"]
