"""What is wrong with a request is said in a 4xx answer that names it, and nothing is changed by it."""

import http.client
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from tests.processes import Server
from trimtab.sdk.client import Client

HUGE = 10**30
DEEP = b"[" * 100_000

POSTS = [
    "/api/v1/tokens",
    "/api/v1/experiments",
    "/api/v1/runs",
    "/api/v1/runs/{run_id}/log",
    "/api/v1/runs/{run_id}/inputs",
    "/api/v1/runs/{run_id}/outputs",
    "/api/v1/models",
    "/api/v1/models/churn/versions",
    "/api/v1/models/churn/versions/1/gates",
    "/api/v1/data/customers/versions",
    "/api/v1/blobs/missing",
    "/api/v1/pipelines",
    "/api/v1/pipeline-runs",
    "/api/v1/alerts",
    "/api/v1/alert-rules",
    "/api/v1/alert-channels",
    "/api/v1/monitors",
    "/api/v1/endpoints/churn/deploy",
    "/api/v1/endpoints/churn/traffic",
    "/api/v1/endpoints/churn/rollouts",
    "/api/v1/endpoints/churn/releases",
    "/api/v1/endpoints/churn/predict",
    "/api/v1/batch-predictions",
    "/api/v1/edge/bundles",
    "/api/v1/edge/bundles/churn/champion/predictions",
    "/api/v1/trash/restore",
    "/api/v1/trash/purge",
    "/api/v1/gc",
]
MLFLOW_POSTS = [
    "experiments/create",
    "runs/create",
    "runs/log-metric",
    "runs/log-parameter",
    "runs/set-tag",
    "runs/log-batch",
    "runs/update",
    "registered-models/create",
    "model-versions/create",
    "logged-models",
]

# method, path, body, the field that the answer names
WRONG: list[tuple[str, str, Any, str | None]] = [
    ("POST", "/api/v1/tokens", {"name": 5, "role": "viewer"}, "name"),
    ("POST", "/api/v1/tokens", {"name": "x", "role": "king"}, "role"),
    ("POST", "/api/v1/tokens", {"name": "x", "role": "viewer", "expires_us": HUGE}, "expires_us"),
    ("POST", "/api/v1/tokens", {"name": "", "role": "viewer"}, "name"),
    ("POST", "/api/v1/experiments", {"name": None}, "name"),
    ("POST", "/api/v1/experiments", {"name": "x", "colour": "red"}, "colour"),
    ("POST", "/api/v1/experiments", {"name": "x" * 5000}, "name"),
    ("POST", "/api/v1/runs", {"experiment_id": "0", "started_us": 2**63}, "started_us"),
    ("POST", "/api/v1/runs", {"experiment_id": "0", "tags": {"a": 1}}, "tags[...]"),
    ("POST", "/api/v1/runs", {"experiment_id": "../../etc"}, "experiment_id"),
    ("POST", "/api/v1/runs/{run_id}/log", {"metrics": [{"key": "a", "value": "high", "at_us": 1}]}, "metrics[0].value"),
    ("POST", "/api/v1/runs/{run_id}/log", {"metrics": [{"key": "a", "value": 1, "at_us": 1, "step": HUGE}]}, "metrics[0].step"),
    ("POST", "/api/v1/runs/{run_id}/log", {"metrics": [{"key": "../a", "value": 1, "at_us": 1}]}, None),
    ("POST", "/api/v1/models", {"name": "a/b"}, "name"),
    ("POST", "/api/v1/models", {"name": ".."}, "name"),
    ("POST", "/api/v1/models/churn/versions", {"source": "file:///etc/passwd"}, "source"),
    ("POST", "/api/v1/models/churn/versions", {"source": "models:/churn/99999999999999999999"}, None),
    ("PUT", "/api/v1/models/churn/aliases/champion", {"version": HUGE}, "version"),
    ("PUT", "/api/v1/models/churn/aliases/champion", {"version": 1.5}, "version"),
    ("POST", "/api/v1/data/customers/versions", {"files": [{"path": "../x", "size_bytes": 1, "blob": "b3:" + "0" * 64}]}, None),
    ("POST", "/api/v1/data/customers/versions", {"files": [{"path": "/etc/x", "size_bytes": 1, "blob": "b3:" + "0" * 64}]}, None),
    ("POST", "/api/v1/data/customers/versions", {"files": [{"path": "x", "size_bytes": -1, "blob": "b3:" + "0" * 64}]}, None),
    ("POST", "/api/v1/data/..%2Fx/versions", {"files": []}, None),
    ("POST", "/api/v1/pipeline-runs", {"pipeline": "nothing"}, None),
    ("POST", "/api/v1/pipeline-runs", {"pipeline": "counting", "params": {"mots": 3}}, None),
    ("POST", "/api/v1/pipeline-runs", {"pipeline": "counting", "params": {"most": "three"}}, None),
    ("PUT", "/api/v1/pipelines/counting/schedule", {"cron": "every day"}, "cron"),
    ("POST", "/api/v1/alerts", {"rule": "r", "severity": "loud", "title": "t", "subject": "s", "dedupe_key": "d"}, "severity"),
    ("POST", "/api/v1/alert-channels", {"name": "x", "url": "file:///etc/passwd"}, "url"),
    ("POST", "/api/v1/monitors", {"name": "m", "endpoint": "nothing", "reference": "data:customers@1"}, None),
    ("POST", "/api/v1/monitors", {"name": "m", "endpoint": "churn", "reference": "data:customers@99"}, None),
    ("POST", "/api/v1/monitors", {"name": "m", "endpoint": "churn", "reference": "data:customers@1", "features": ["agee"]}, "features"),
    ("POST", "/api/v1/endpoints/churn/deploy", {"model": "models:/churn/77"}, None),
    ("POST", "/api/v1/endpoints/churn/deploy", {"model": "models:/churn/1", "weight": 500}, "weight"),
    ("POST", "/api/v1/endpoints/a%00b/deploy", {"model": "models:/churn/1"}, None),
    ("POST", "/api/v1/endpoints/churn/traffic", {"traffic": {"1": 70}}, "traffic"),
    ("POST", "/api/v1/endpoints/churn/traffic", {"traffic": {"1": -10, "2": 110}}, "traffic"),
    ("POST", "/api/v1/endpoints/churn/traffic", {"traffic": {"9": 100}}, None),
    ("GET", "/api/v1/runs?limit=many", None, "limit"),
    ("GET", "/api/v1/runs?limit=-1", None, "limit"),
    ("GET", "/api/v1/runs?cursor=zzz", None, "cursor"),
    ("GET", "/api/v1/runs?limt=3", None, "limt"),
    ("GET", "/api/v1/runs?filter=metrics.a%20%3E", None, "filter"),
    ("GET", "/api/v1/lineage?ref=nonsense", None, "ref"),
    ("GET", "/api/v1/lineage?ref=model:churn/1&depth=100000", None, "depth"),
    ("GET", "/api/v1/audit?limit=99999999999999999999", None, "limit"),
    ("GET", "/api/v1/events/stream?after=-1", None, "after"),
    ("GET", "/api/v1/search?q=%00", None, "q"),
]  # fmt: skip

PATHS = [
    "..",
    "../..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "a%00b",
    "%2Fetc%2Fpasswd",
    "..%5c..",
    "a%0ab",
    "%ff%fe",
]


def send(server: Server, method: str, path: str, body: bytes | None, **headers: str) -> tuple[int, Any]:
    """Return status and decoded answer of a request whose path goes out as it is written here."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        sent = {"content-type": "application/json"} if body is not None else {}
        connection.request(method, path, body, sent | headers)
        answer = connection.getresponse()
        content = answer.read()
        is_json = "json" in (answer.headers["content-type"] or "")
        return answer.status, msgspec.json.decode(content) if is_json else content
    finally:
        connection.close()


@pytest.fixture
def unchanged(client: Client, known: Mapping[str, str]) -> Iterator[None]:
    """Compare what is on the server before and after a test."""

    def everything() -> Any:
        nouns = ["tokens", "experiments", "runs", "models", "data", "pipelines", "pipeline-runs", "alerts"]
        nouns += ["alert-rules", "alert-channels", "monitors", "endpoints", "loops"]
        found = {noun: client.get(f"/{noun}")["items"] for noun in nouns}
        found["logged-models"] = client.get("/logged-models", experiment_id=known["experiment_id"])["items"]
        for endpoint in found["endpoints"]:
            endpoint.clear()  # it may become ready meanwhile; its versions are in the audit trail
        for monitor in found["monitors"]:
            monitor.clear()
        trail = client.get("/audit", limit=20)["items"]
        return found, [one for one in trail if not one["actor"].startswith("system:")][:1]

    before = everything()
    yield
    assert everything() == before


def refused(status: int, answer: Any) -> None:
    assert 400 <= status < 500, (status, answer)
    assert answer.get("detail") or answer.get("message"), answer


@pytest.mark.usefixtures("unchanged")
def test_what_is_wrong_is_named(server: Server, known: Mapping[str, str]) -> None:
    wrong: list[str] = []
    for method, path, body, field in WRONG:
        content = None if body is None else msgspec.json.encode(body) if not _has_huge(body) else _plain(body)
        status, answer = send(server, method, path.replace("{run_id}", known["run_id"]), content)
        named = isinstance(answer, dict) and (field is None or answer.get("field") == field)
        if not (400 <= status < 500 and named):
            wrong.append(f"{method} {path} {str(body)[:100]}: {status} {str(answer)[:250]}")
    assert not wrong, "\n".join(wrong)


def _has_huge(body: Any) -> bool:
    return str(HUGE) in str(body)


def _plain(body: Any) -> bytes:
    import json  # which knows no largest number

    return json.dumps(body).encode()


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"text"', b"17", b"\xff\xfe", b"{'a': 1}", b'{"a": NaN}', DEEP, b'{"name": "a\\u0000b"}',
     b'{"nobody_has_this_field": 1}'],
    ids=["empty", "cut", "null", "list", "text", "number", "bytes", "quotes", "nan", "deep", "null-character", "unknown"],
)  # fmt: skip
def test_what_is_no_object_is_refused(server: Server, known: Mapping[str, str], body: bytes) -> None:
    for path in POSTS:
        refused(*send(server, "POST", path.replace("{run_id}", known["run_id"]), body))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"17", b"\xff\xfe", DEEP, b'{"experiment_id": {"a": 1}, "name": 5}']
)
def test_mlflow_routes_refuse_nonsense(server: Server, body: bytes) -> None:
    for path in MLFLOW_POSTS:
        status, answer = send(server, "POST", f"/api/2.0/mlflow/{path}", body)
        assert 400 <= status < 500, (path, status, answer)
        assert answer["error_code"] in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST"), (path, answer)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", PATHS)
def test_paths_lead_nowhere_else(server: Server, known: Mapping[str, str], name: str) -> None:
    run = known["run_id"]
    outside = [
        f"/api/v1/runs/{run}/artifacts/{name}",
        f"/api/v1/data/customers/versions/1/files/{name}",
        f"/api/v1/models/churn/versions/1/files/{name}",
        f"/api/2.0/mlflow-artifacts/artifacts/{name}",
        f"/get-artifact?run_id={run}&path={name}",
        f"/api/v1/models/{name}",
        f"/api/v1/endpoints/{name}",
        f"/api/v1/data/{name}",
        f"/api/v1/blobs/{name}",
    ]
    for path in outside:
        status, answer = send(server, "GET", path, None)
        assert 400 <= status < 500 or path.startswith("/get-artifact"), (path, status, answer)
        assert b"root:" not in msgspec.json.encode(answer)
    for path in (outside[0], outside[3]):
        refused(*send(server, "PUT", path, b"stolen"))
    assert not [*server.home.parent.rglob("*stolen*")]


@pytest.mark.usefixtures("unchanged")
def test_bodies_have_a_limit(server: Server) -> None:
    most = 64 << 20
    for path in ("/api/v1/experiments", "/api/2.0/mlflow/runs/log-batch"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.putrequest("POST", path)
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(most + 1))
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == 413
        assert str(most).encode() in answer.read()
        connection.close()


@pytest.mark.usefixtures("unchanged")
def test_the_inference_front_refuses_nonsense(server: Server) -> None:
    bodies: list[Any] = [
        b"{",
        b"[]",
        b'{"dataframe_records": [{"age": NaN, "visits": 1}]}',
        b'{"dataframe_records": [{"age": "old", "visits": 1}]}',
        b'{"dataframe_records": [{"visits": 1}]}',
        b'{"inputs": {"age": [1e400], "visits": [1]}}',
    ]
    for body in bodies:
        for path in ("/endpoints/churn/invocations", f"/endpoints/{quote('../x', safe='')}/invocations"):
            connection = http.client.HTTPConnection("127.0.0.1", server.inference_port, timeout=30)
            connection.request("POST", path, body, {"content-type": "application/json"})
            status = connection.getresponse().status
            assert 400 <= status < 500 or status == 503, (path, body, status)
            connection.close()
