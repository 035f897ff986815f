"""Traces over HTTP: what the web UI reads, what OpenTelemetry sends, and what nobody should send."""

import gzip
import json

import pytest
from starlette.testclient import TestClient

from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.assessment_messages import (
    AssessmentMessage,
    ExpectationMessage,
    Serialized,
    assessed,
)

HEADERS = {"content-type": "application/json", "x-mlflow-experiment-id": "0"}


def _body(**span: object) -> bytes:
    values = {
        "traceId": f"{1:032x}",
        "spanId": f"{1:016x}",
        "name": "root",
        "startTimeUnixNano": "1795289572501000000",
        "endTimeUnixNano": "1795289573501000000",
        **span,
    }
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [values]}]}]}).encode()


def test_what_the_pages_show(http: TestClient) -> None:
    child = {"spanId": f"{2:016x}", "parentSpanId": f"{1:016x}", "name": "child", "status": {"code": 2}}
    attributes = [{"key": "mlflow.spanInputs", "value": {"stringValue": '{"q": 1}'}}]
    for body in (_body(**child), _body(attributes=attributes)):
        assert http.post("/v1/traces", content=body, headers=HEADERS).status_code == 200
    listed = http.get("/api/v1/traces", params={"experiment_id": "0"}).json()
    assert [(one["name"], one["state"], one["spans"]) for one in listed["items"]] == [("root", "OK", 2)]
    one = http.get(f"/api/v1/traces/tr-{1:032x}").json()
    assert [(span["name"], span["depth"], span["status"]) for span in one["spans"]] == [
        ("root", 0, "UNSET"),
        ("child", 1, "ERROR"),
    ]
    assert one["spans"][0]["inputs"] == {"q": 1}
    assert (one["spans"][1]["offset_us"], one["spans"][1]["duration_us"]) == (0, 1_000_000)
    assert http.delete(f"/api/v1/traces/tr-{1:032x}").status_code == 204
    assert http.get(f"/api/v1/traces/tr-{1:032x}").status_code == 404
    assert http.post(f"/api/v1/traces/tr-{1:032x}/restore").status_code == 204

    made = http.post("/api/3.0/mlflow/datasets/create", json={"name": "d", "experiment_ids": ["0"]}).json()
    where = f"/api/v1/evaluation-datasets/{made['dataset']['dataset_id']}"
    records = json.dumps([{"inputs": {"q": 1}, "outputs": "o"}])
    path = where.replace("/api/v1/evaluation-datasets", "/api/3.0/mlflow/datasets")
    assert http.post(f"{path}/records", json={"records": records}).json()["inserted_count"] == 1
    assert [one["records"] for one in http.get("/api/v1/evaluation-datasets").json()["items"]] == [1]
    assert http.get(f"{where}/records").json()["items"][0]["inputs"] == {"q": 1}
    assert http.delete(where).status_code == 204
    assert http.get(where).status_code == 404
    assert http.post(f"{where}/restore").json()["schema"]["inputs"] == {"q": "integer"}


def test_what_opentelemetry_sends(http: TestClient) -> None:
    def send(content: bytes, **more: str) -> int:
        return http.post("/v1/traces", content=content, headers={**HEADERS, **more}).status_code

    assert send(gzip.compress(_body()), **{"content-encoding": "gzip"}) == 200
    assert send(gzip.compress(bytes(65 << 20), 1), **{"content-encoding": "gzip"}) == 413
    for content, more, status in (
        (b"", {}, 400),
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b'{"resourceSpans": 1}', {}, 400),
        (_body(traceId="zz"), {}, 400),
        (_body(traceId=""), {}, 422),
        (_body(traceId="0" * 40), {}, 422),
        (_body(startTimeUnixNano=str(2**63)), {}, 422),
        (_body(startTimeUnixNano=str(2**70)), {}, 400),
        (_body(attributes=[{"key": 1}]), {}, 400),
        (_body(name="a\0b"), {}, 200),
        (_body(events=[{"name": "e", "timeUnixNano": "-5"}]), {}, 422),
        (b"\xff\xff", {"content-type": "application/x-protobuf"}, 400),
        (b"\x0a\x05\x12\x03\x12\x01\x00", {"content-type": "application/x-protobuf"}, 400),
        (_body(), {"content-type": "text/plain"}, 400),
        (_body(), {"content-encoding": "br"}, 400),
        (_body(traceId="f" * 32), {"x-mlflow-experiment-id": "98765"}, 404),
        (_body(traceId="f" * 32), {"x-mlflow-experiment-id": "abc"}, 400),
    ):
        assert send(content, **more) == status, (content[:80], more)
    assert (
        http.post("/v1/traces", content=_body(), headers={"content-type": "application/json"}).status_code
        == 422
    )


INFO = {
    "trace_id": "tr-x",
    "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
    "request_time": "2026-01-01T00:00:00Z",
    "state": "OK",
}


PATHS = (
    "traces",
    "traces/search",
    "traces/batchGetInfos",
    "traces/metrics",
    "traces/calculate-filter-correlation",
    "traces/tr-x/assessments",
    "datasets/create",
    "datasets/search",
    "datasets/d-x/records",
    "datasets/d-x/add-experiments",
)


def test_bad_bodies_are_refused(http: TestClient) -> None:
    bodies: list[object] = [
        {},
        [],
        "x",
        {"trace": 1},
        {"trace": {"trace_info": {**INFO, "request_time": "soon"}}},
    ]
    bodies += [
        {"trace": {"trace_info": {**INFO, key: value}}}
        for key, value in (
            ("execution_duration", "1h"),
            ("state", "FINE"),
            ("trace_location", {}),
            ("tags", {"k": 5}),
            ("trace_id", ""),
            ("request_time", "9999-99-99T00:00:00Z"),
            ("request_time", "2026-01-01Z"),
            ("assessments", [{"assessment_name": "n", "feedback": {"value": [10**400]}}]),
            ("execution_duration", "9" * 30 + "s"),
            ("assessments", [{}]),
        )
    ]
    bodies += [
        {"locations": 5},
        {"locations": [{"mlflow_experiment": {"experiment_id": "x"}}]},
        {"locations": [], "max_results": 10**30},
    ]
    bodies += [
        {
            "experiment_ids": ["0"],
            "view_type": "SPANS",
            "metric_name": "latency",
            "aggregations": [{"aggregation_type": 9}],
        }
    ]
    bodies += [
        {
            "experiment_ids": ["0"],
            "view_type": 1,
            "metric_name": "trace_count",
            "aggregations": [{"aggregation_type": 1}],
            "time_interval_seconds": -5,
            "start_time_ms": -(2**63),
            "end_time_ms": 2**63 - 1,
        }
    ]
    bodies += [
        {"name": "x" * 5000},
        {"name": "x", "tags": "[1]"},
        {"records": "[1]"},
        {"records": '[{"inputs": "\\u0000"}]'},
        {"filter_string": "'"},
    ]
    bodies += [
        {
            "assessment": {
                "assessment_name": "n",
                "expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "{"}},
            }
        },
        {"assessment": {"assessment_name": "n", "expectation": {"value": {"a": -(10**400)}}}},
    ]
    for path in PATHS:
        for body in bodies:
            assert http.post(f"/api/3.0/mlflow/{path}", json=body).status_code < 500, (path, body)


def test_an_expectation_that_no_answer_could_show_is_refused() -> None:
    said = ExpectationMessage(serialized_value=Serialized("JSON_FORMAT", "[1" + "0" * 400 + "]"))
    with pytest.raises(Invalid, match="larger than any"):
        assessed(AssessmentMessage(expectation=said))
