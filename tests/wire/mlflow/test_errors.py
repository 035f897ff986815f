"""Requests that are wrong: each gets the status and code on which clients branch, and none changes anything."""

import os
from http.client import HTTPConnection
from typing import Any

import httpx2
import msgspec
import pytest

RUN = "0" * 32
BASE = "/api/2.0/mlflow"


@pytest.fixture(scope="module")
def http(sqlite_server: str) -> httpx2.Client:
    return httpx2.Client(base_url=sqlite_server)


@pytest.fixture
def run_id(http: httpx2.Client) -> str:
    return http.post(f"{BASE}/runs/create", json={"experiment_id": "0", "start_time": 5}).json()["run"][
        "info"
    ]["run_id"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "says"),
    [
        ("GET", "/nothing/here", None, 404, "ENDPOINT_NOT_FOUND", ""),
        ("POST", "/runs/get", {}, 404, "ENDPOINT_NOT_FOUND", ""),
        ("POST", "/../../3.0/mlflow/issues", {}, 404, "ENDPOINT_NOT_FOUND", ""),
        ("GET", "/runs/get", None, 400, "INVALID_PARAMETER_VALUE", "Missing value for required parameter 'run_id'"),
        ("GET", f"/runs/get?run_id={RUN}", None, 404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={RUN} not found"),
        ("GET", "/experiments/get?experiment_id=99999", None, 404, "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=99999"),
        ("GET", "/experiments/get?experiment_id=abc", None, 400, "INVALID_PARAMETER_VALUE", "must be a valid integer"),
        ("GET", "/experiments/get-by-name?experiment_name=no", None, 404, "RESOURCE_DOES_NOT_EXIST", "Could not find"),
        ("POST", "/experiments/create", {}, 400, "INVALID_PARAMETER_VALUE", "'name'"),
        ("POST", "/experiments/create", {"name": "Default"}, 400, "RESOURCE_ALREADY_EXISTS", "already exists"),
        ("POST", "/experiments/create", {"name": 5}, 400, "INVALID_PARAMETER_VALUE", "Hint: Value was of type 'int'"),
        ("POST", "/experiments/create", {"name": "x" * 501}, 400, "INVALID_PARAMETER_VALUE", "maximum length of 500"),
        ("POST", "/experiments/create", {"name": "x", "artifact_location": "runs:/a/b"}, 400, "INVALID_PARAMETER_VALUE", "runs:/"),
        ("POST", "/experiments/search", {"max_results": 0}, 400, "INVALID_PARAMETER_VALUE", "positive integer"),
        ("POST", "/experiments/search", {"max_results": 60000}, 400, "INVALID_PARAMETER_VALUE", "at most 50000"),
        ("POST", "/experiments/search", {}, 400, "INVALID_PARAMETER_VALUE", "positive integer"),
        ("POST", "/experiments/search", {"max_results": 5, "filter": "nope = 1"}, 400, "INVALID_PARAMETER_VALUE", "Invalid attribute key"),
        ("POST", "/runs/create", {"experiment_id": "99999"}, 404, "RESOURCE_DOES_NOT_EXIST", "No Experiment"),
        ("POST", "/runs/create", {"experiment_id": "0", "tags": [{"value": "x"}]}, 400, "INVALID_PARAMETER_VALUE", "tags[0].key"),
        ("POST", "/runs/create", {"experiment_id": "0", "start_time": "soon"}, 400, "INVALID_PARAMETER_VALUE", "'start_time'"),
        ("POST", "/runs/create", {"experiment_id": "0", "start_time": 2**63}, 400, "INVALID_PARAMETER_VALUE", "'start_time'"),
        ("POST", "/runs/search", {"experiment_ids": ["0"], "filter": "metrics.a >"}, 400, "INVALID_PARAMETER_VALUE", "character 11"),
        ("POST", "/runs/search", {"experiment_ids": ["0"], "order_by": ["a b c"]}, 400, "INVALID_PARAMETER_VALUE", "order_by"),
        ("POST", "/runs/search", {"experiment_ids": ["0"], "page_token": "zzz"}, 400, "INVALID_PARAMETER_VALUE", ""),
        ("POST", "/runs/search", {"experiment_ids": "0"}, 400, "INVALID_PARAMETER_VALUE", "'experiment_ids'"),
        ("POST", "/runs/log-metric", {"run_id": RUN, "key": "k"}, 400, "INVALID_PARAMETER_VALUE", "'value'"),
        ("POST", "/runs/log-metric", {"run_id": RUN, "key": "k", "value": 1}, 400, "INVALID_PARAMETER_VALUE", "'timestamp'"),
        ("POST", "/runs/log-metric", {"run_id": RUN, "key": "k", "value": 1, "timestamp": 1}, 404, "RESOURCE_DOES_NOT_EXIST", RUN),
        ("POST", "/runs/log-batch", {"run_id": "../x"}, 400, "INVALID_PARAMETER_VALUE", "'run_id'"),
        ("POST", "/runs/update", {"run_id": RUN, "status": "DONE"}, 404, "RESOURCE_DOES_NOT_EXIST", RUN),
        ("GET", "/metrics/get-history?run_id=x", None, 400, "INVALID_PARAMETER_VALUE", "'metric_key'"),
        ("GET", "/metrics/get-history?run_id=x&metric_key=m&max_results=0", None, 400, "INVALID_PARAMETER_VALUE", "positive"),
        ("GET", "/registered-models/get?name=nothing", None, 404, "RESOURCE_DOES_NOT_EXIST", "nothing"),
        ("POST", "/registered-models/create", {"name": "a/b"}, 400, "INVALID_PARAMETER_VALUE", "/"),
        ("GET", "/model-versions/get?name=nothing&version=x", None, 400, "INVALID_PARAMETER_VALUE", "must be an integer"),
        ("GET", "/model-versions/get?name=nothing&version=1", None, 404, "RESOURCE_DOES_NOT_EXIST", ""),
        ("GET", "/logged-models/m-none", None, 404, "RESOURCE_DOES_NOT_EXIST", "m-none"),
        ("POST", "/logged-models", {"experiment_id": "0", "name": "a/b"}, 400, "INVALID_PARAMETER_VALUE", "cannot contain"),
        ("POST", "/logged-models/search", {}, 400, "INVALID_PARAMETER_VALUE", "'experiment_ids'"),
    ],
)  # fmt: skip
def test_wrong_requests(
    http: httpx2.Client, method: str, path: str, body: Any, status: int, code: str, says: str
) -> None:
    answer = (
        http.request(method, BASE + path, json=body)
        if body is not None
        else http.request(method, BASE + path)
    )
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    assert says in answer.json()["message"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b"\xff\xfe", "application/json"),
        (b'{"run_id": "a\\u0000"}', "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"run_id": "x"}', "text/plain"),
        (b'{"run_id": "x"}', None),
    ],
)
def test_bodies_that_are_no_message(http: httpx2.Client, content: bytes, kind: str | None) -> None:
    headers = {"content-type": kind} if kind else {}
    for path in ("/runs/log-batch", "/runs/log-metric", "/experiments/create", "/model-versions/create"):
        answer = http.post(BASE + path, content=content, headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_old_and_lenient_bodies_are_read(http: httpx2.Client, run_id: str) -> None:
    as_json = {"content-type": "application/json; charset=utf-8"}
    twice = msgspec.json.encode(f'{{"run_uuid": "{run_id}", "key": "p", "value": "1"}}')
    assert http.post(f"{BASE}/runs/log-parameter", content=twice, headers=as_json).status_code == 200
    bare = f'{{"run_id": "{run_id}", "key": "m", "value": NaN, "timestamp": "7", "step": 1.0, "newer": 1}}'
    assert http.post(f"{BASE}/runs/log-metric", content=bare, headers=as_json).status_code == 200
    data = http.get(f"{BASE}/runs/get", params={"run_uuid": run_id}).json()["run"]["data"]
    assert data["params"] == [{"key": "p", "value": "1"}]
    assert data["metrics"] == [{"key": "m", "value": "NaN", "timestamp": 7, "step": 1}]


def test_the_limits_of_a_batch(http: httpx2.Client, run_id: str) -> None:
    def batch(metrics: int = 0, params: int = 0, tags: int = 0) -> httpx2.Response:
        return http.post(
            f"{BASE}/runs/log-batch",
            json={
                "run_id": run_id,
                "metrics": [{"key": "m", "value": n, "timestamp": n, "step": n} for n in range(metrics)],
                "params": [{"key": f"p{n}", "value": "1"} for n in range(params)],
                "tags": [{"key": f"t{n}", "value": "1"} for n in range(tags)],
            },
        )

    for sizes, says in [
        ({"metrics": 1001}, "at most 1000 metrics. Got 1001"),
        ({"params": 101}, "at most 100 params"),
        ({"tags": 101}, "at most 100 tags"),
        ({"metrics": 950, "params": 30, "tags": 30}, "at most 1000 metrics, params, and tags. Got 1010"),
    ]:
        answer = batch(**sizes)
        assert answer.status_code == 400
        assert says in answer.json()["message"]
    assert http.get(f"{BASE}/runs/get", params={"run_id": run_id}).json()["run"]["data"].keys() == {"tags"}
    assert batch(metrics=800, params=100, tags=100).status_code == 200
    repeated = {"run_id": run_id, "params": [{"key": "q", "value": "1"}, {"key": "q", "value": "1"}]}
    assert "Duplicate parameter keys" in http.post(f"{BASE}/runs/log-batch", json=repeated).json()["message"]
    changed = {"run_id": run_id, "key": "p0", "value": "2"}
    answer = http.post(f"{BASE}/runs/log-parameter", json=changed)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "Changing param values is not allowed. Param with key='p0'" in answer.json()["message"]


def test_text_that_is_no_text(http: httpx2.Client, run_id: str) -> None:
    body = b'{"run_id": "%s", "key": "k", "value": "\\ud800"}' % run_id.encode()
    answer = http.post(f"{BASE}/runs/set-tag", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


def test_the_browser_path_is_the_same(http: httpx2.Client) -> None:
    for version, path in (("2.0", "experiments/get?experiment_id=0"), ("3.0", "server-info")):
        answers = [http.get(f"/{prefix}/{version}/mlflow/{path}") for prefix in ("api", "ajax-api")]
        assert answers[0].status_code == 200
        assert answers[0].content == answers[1].content
    assert http.get("/ajax-api/2.0/mlflow/nothing").json()["error_code"] == "ENDPOINT_NOT_FOUND"


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "a/../b",
        "%2e%2e/x",
        "a/%252e%252e/x",
        "a//b",
        "a/./b",
        "C:%5Cx",
        "a%00b",
        "a%0Ab",
        "x" * 300,
        "/etc/passwd",
    ],
)
def test_paths_that_lead_elsewhere(http: httpx2.Client, path: str) -> None:
    raw = HTTPConnection(http.base_url.host, http.base_url.port or 80)  # sends the path just as it is
    raw.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{path}", body=b"x")
    answer = raw.getresponse()
    code = msgspec.json.decode(answer.read())["error_code"]
    assert (answer.status, code) in [(400, "INVALID_PARAMETER_VALUE"), (404, "ENDPOINT_NOT_FOUND")]
    listing = http.get("/api/2.0/mlflow-artifacts/artifacts", params={"path": f"0/{path}"})
    assert listing.status_code == 400 or listing.json() == {}


def test_artifacts_by_hand(http: httpx2.Client, run_id: str) -> None:
    root = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts"
    content = os.urandom(300_000)

    def pieces() -> Any:
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    assert http.put(f"{root}/a b/ü.bin", content=pieces()).content == b""
    assert http.put(f"{root}/page.html", content=b"<script>").status_code == 200
    answer = http.get(f"{root}/a b/ü.bin")
    assert answer.content == content
    assert answer.headers["content-disposition"].startswith("attachment")
    part = http.get(f"{root}/a b/ü.bin", headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, content[1000:2000])
    assert http.get(f"{root}/page.html").headers["x-content-type-options"] == "nosniff"
    listing = http.get("/api/2.0/mlflow-artifacts/artifacts", params={"path": f"0/{run_id}/artifacts"}).json()
    assert listing == {
        "files": [{"path": "a b", "is_dir": True}, {"path": "page.html", "is_dir": False, "file_size": 8}]
    }
    of_run = http.get(f"{BASE}/artifacts/list", params={"run_id": run_id, "path": "a b"}).json()
    assert of_run == {
        "files": [{"path": "a b/ü.bin", "is_dir": False, "file_size": 300_000}],
        "root_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
    }
    for bad in (f"{root}/page.html/below", f"{root}/a b"):
        assert http.put(bad, content=b"x").json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert http.delete(f"{root}/a b").json() == {}
    missing = http.get(f"{root}/a b/ü.bin")
    assert (missing.status_code, missing.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
