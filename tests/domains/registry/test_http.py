"""The registry over HTTP: what the UI, the SDK and commands call."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.domains.registry.conftest import SAFE, Tracked


def _ok(response: Any, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json() if response.content else None


def test_a_model_lives_over_http(http: TestClient, tracked: Tracked) -> None:
    run = tracked.run(auc=0.7)
    source = f"models:/{tracked.model(SAFE, run)}"
    _ok(http.post("/api/v1/models", json={"name": "my model", "description": "d", "tags": {"a": "b"}}), 201)
    made = _ok(http.post("/api/v1/models/my model/versions", json={"source": source}), 201)
    assert (made["version"], made["format"], made["safe"], made["metrics"]) == (
        1,
        "skops",
        True,
        {"auc": 0.7},
    )
    other = _ok(
        http.post("/api/v1/models/other/versions", json={"source": source, "create_model": True}), 201
    )
    assert other["version"] == 1
    moved = _ok(
        http.put(
            "/api/v1/models/my model/aliases/champion", json={"version": 1, "reason": "best", "evidence": [1]}
        )
    )
    assert moved["aliases"] == ["champion"]
    listed = _ok(http.get("/api/v1/models"))
    assert [(one["name"], one["latest_version"], one["aliases"]) for one in listed["items"]] == [
        ("my model", 1, {"champion": 1}),
        ("other", 1, {}),
    ]
    assert listed["next_cursor"] is None
    history = _ok(http.get("/api/v1/models/my model/aliases/history"))["items"]
    assert {key: history[0][key] for key in ("alias", "version", "previous", "reason", "actor", "evidence")} == {
        "alias": "champion", "version": 1, "previous": None, "reason": "best", "actor": "owner", "evidence": [1],
    }  # fmt: skip
    assert _ok(http.get("/api/v1/models/my model/aliases/latest"))["version"] == 1
    _ok(http.put("/api/v1/models/my model/versions/1/tags/a/b", json={"value": "c"}), 204)
    _ok(http.put("/api/v1/models/my model/tags/team", json={"value": "ops"}), 204)
    _ok(http.patch("/api/v1/models/my model/versions/1", json={"description": "first"}))
    version = _ok(http.get("/api/v1/models/my model/versions/1"))
    assert (version["tags"], version["description"]) == ({"a/b": "c"}, "first")
    _ok(http.delete("/api/v1/models/my model/versions/1/tags/a/b"), 204)
    _ok(http.delete("/api/v1/models/my model/tags/a"), 204)
    gate = {"verdict": "failed", "champion": 1, "checks": [{"name": "auc", "passed": False, "value": 0.1}]}
    _ok(http.post("/api/v1/models/my model/versions/1/gates", json=gate), 201)
    gates = _ok(http.get("/api/v1/models/my model/versions/1/gates"))["items"]
    assert gates[0]["checks"][0]["name"] == "auc"
    files = _ok(http.get("/api/v1/models/my model/versions/1/files"))["items"]
    assert {file["path"] for file in files} == set(SAFE)
    content = http.get("/api/v1/models/my model/versions/1/files/MLmodel")
    assert content.content == SAFE["MLmodel"]
    assert content.headers["etag"] == f'"{next(file["blob"] for file in files if file["path"] == "MLmodel")}"'
    found = _ok(
        http.get("/api/v1/model-versions", params={"filter": f"run_id = '{run}'", "order_by": "name"})
    )
    assert [one["name"] for one in found["items"]] == ["my model", "other"]
    renamed = _ok(http.patch("/api/v1/models/my model", json={"name": "new"}))
    assert renamed["name"] == "new"
    _ok(http.delete("/api/v1/models/new/aliases/champion?reason=done"), 204)
    _ok(http.delete("/api/v1/models/new/versions/1"), 204)
    _ok(http.delete("/api/v1/models/new"), 204)
    assert http.get("/api/v1/models/new").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", "/models", {}, 400, "name"),
        ("POST", "/models", {"name": 3}, 400, "name"),
        ("POST", "/models", {"name": "a/b"}, 400, "name"),
        ("POST", "/models", {"name": "n", "x": 1}, 400, "x"),
        ("PATCH", "/models/m", {}, 400, "description"),
        ("PATCH", "/models/m", {"name": ".."}, 400, "name"),
        ("POST", "/models/m/versions", {"source": "file:///etc/passwd"}, 400, "source"),
        ("POST", "/models/m/versions", {"source": "runs:/x/../y"}, 400, "source"),
        ("POST", "/models/none/versions", {"source": "models:/m/1"}, 404, "name"),
        ("PUT", "/models/m/aliases/v1", {"version": 1}, 400, "alias"),
        ("PUT", "/models/m/aliases/a", {"version": 9}, 404, "version"),
        ("PUT", "/models/m/aliases/a", {"version": 2**70}, 400, "version"),
        ("PUT", "/models/m/aliases/a", {"version": -1}, 404, "version"),
        ("PUT", "/models/m/aliases/a", {"version": "1"}, 400, "version"),
        ("POST", "/models/m/versions/1/gates", {"verdict": "ok", "checks": []}, 400, "verdict"),
        ("GET", "/models?filter=nme='x'", None, 400, "filter"),
        ("GET", "/models?order_by=nme", None, 400, "order_by"),
        ("GET", "/models?cursor=x", None, 400, "cursor"),
        ("GET", "/models?limit=0", None, 400, "limit"),
        ("GET", "/models?limt=1", None, 400, "limt"),
        ("GET", "/models/m/versions/99999999999999999999", None, 400, "version"),
        ("GET", "/models/m/versions/0", None, 404, "version"),
        ("GET", "/models/m/versions/1/files/..%2FMLmodel", None, 404, None),
        ("GET", "/models/m/versions/1/files/nope", None, 404, "path"),
        ("GET", "/models/m/aliases/none", None, 404, "alias"),
        ("GET", "/models/m/versions?cursor=WyJhIl0", None, 400, "cursor"),
        ("GET", "/models/m/versions/1/gates?cursor=WzFd", None, 400, "cursor"),
    ],
)
def test_bad_requests_name_the_field_and_change_nothing(
    http: TestClient, tracked: Tracked, method: str, path: str, body: Any, status: int, field: str | None
) -> None:
    source = f"models:/{tracked.model(SAFE)}"
    _ok(http.post("/api/v1/models/m/versions", json={"source": source, "create_model": True}), 201)
    before = (_ok(http.get("/api/v1/models")), _ok(http.get("/api/v1/audit")))
    answer = http.request(method, f"/api/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    problem = answer.json()
    if field is not None:
        assert problem.get("field") == field, problem
    assert problem["detail"]
    assert (_ok(http.get("/api/v1/models")), _ok(http.get("/api/v1/audit"))) == before
