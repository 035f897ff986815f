"""The native routes of tracking, through the whole application."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from trimtab.app import App
from trimtab.http import asgi


@pytest.fixture
def http(app: App) -> Iterator[TestClient]:
    with TestClient(asgi(app), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def test_a_run_over_http(http: TestClient) -> None:
    made = http.post("/api/v1/experiments", json={"name": "flights", "tags": {"a": "b"}})
    assert made.status_code == 201
    experiment_id = made.json()["id"]
    run = http.post(
        "/api/v1/runs", json={"experiment": "flights", "name": "first", "tags": {"t": "x"}}
    ).json()
    assert (run["experiment_id"], run["name"], run["status"], run["owner"]) == (
        experiment_id,
        "first",
        "RUNNING",
        "owner",
    )
    body = {
        "metrics": [
            {"key": "val/loss", "value": 0.5, "at_us": 1, "step": 1},
            {"key": "val/loss", "value": "NaN", "at_us": 2, "step": 2},
            {"key": "val/loss", "value": "-Infinity", "at_us": 3, "step": 3},
        ],
        "params": {"depth": "3"},
        "tags": {"t": "y"},
    }
    for _ in range(2):
        assert http.post(f"/api/v1/runs/{run['id']}/log", json=body).status_code == 204
    seen = http.get(f"/api/v1/runs/{run['id']}").json()
    assert (seen["params"], seen["tags"]["t"]) == ({"depth": "3"}, "y")
    latest = {"value": None, "step": 3, "at_us": 3, "least": None, "greatest": 0.5, "points": 3}
    assert seen["metrics"] == {"val/loss": latest}
    curve = http.get(f"/api/v1/runs/{run['id']}/metrics/val/loss").json()
    assert curve == {
        "key": "val/loss",
        "points": [[1, 1, 0.5], [2, 2, None], [3, 3, None]],
        "total": 3,
        "downsampled": False,
    }
    ended = http.patch(f"/api/v1/runs/{run['id']}", json={"status": "FINISHED", "ended_us": 9}).json()
    assert (ended["status"], ended["ended_us"]) == ("FINISHED", 9)
    listed = http.get(
        "/api/v1/runs", params={"experiment_id": experiment_id, "filter": "params.depth = '3'"}
    ).json()
    assert [one["id"] for one in listed["items"]] == [run["id"]]
    (shown,) = http.get("/api/v1/experiments", params={"filter": "name = 'flights'"}).json()["items"]
    assert (shown["runs"], shown["tags"]) == (1, {"a": "b"})
    assert http.get(f"/api/v1/experiments/{experiment_id}/metrics").json()["items"] == ["val/loss"]


def test_artifacts_over_http(http: TestClient) -> None:
    run_id = http.post("/api/v1/runs", json={}).json()["id"]
    root = f"/api/v1/runs/{run_id}/artifacts"
    stored = http.put(f"{root}/a/page.html", content=b"<b>hello</b>").json()
    assert (stored["path"], stored["size_bytes"]) == ("a/page.html", 12)
    http.put(f"{root}/note.txt", content=b"text")
    assert http.get(root).json()["items"] == [
        {"path": "a", "is_dir": True, "size_bytes": None},
        {"path": "note.txt", "is_dir": False, "size_bytes": 4},
    ]
    assert http.get(root, params={"path": "a"}).json()["items"][0]["path"] == "a/page.html"
    page = http.get(f"{root}/a/page.html", params={"inline": "true"})
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")  # an origin of its own, without our cookies
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    saved = http.get(f"{root}/a/page.html")
    assert saved.headers["content-disposition"].startswith("attachment")
    note = http.get(f"{root}/note.txt", params={"inline": "true"}, headers={"range": "bytes=1-2"})
    assert (note.status_code, note.content) == (206, b"ex")
    assert note.headers["content-disposition"].startswith("inline")
    assert http.get(f"{root}/none").status_code == 404
    for bad in ("..%2Fx", "a/%2e%2e/b"):
        assert http.get(f"{root}/{bad}").status_code in (400, 404)
        assert http.put(f"{root}/{bad}", content=b"x").status_code in (400, 404, 405)
    assert http.get(root, params={"path": "../../x"}).json()["code"] == "bad-path"
    assert http.delete(f"{root}/a").status_code == 204
    assert len(http.get(root).json()["items"]) == 1


_WRONG = [
    ("GET", "/runs/none", None, 404, "run-not-found"),
    ("GET", "/runs/none/metrics/a", None, 404, "run-not-found"),
    ("GET", "/experiments/77", None, 404, "experiment-not-found"),
    ("GET", "/experiments/x", None, 400, "invalid"),
    ("POST", "/experiments", {"name": "Default"}, 409, "experiment-exists"),
    ("POST", "/experiments", {"name": ""}, 400, "invalid"),
    ("POST", "/experiments", {"nme": "x"}, 400, "invalid"),
    ("GET", "/runs?filter=a", None, 400, "bad-filter"),
    ("GET", "/runs?limit=0", None, 400, "invalid"),
    ("GET", "/runs?curser=x", None, 400, "invalid"),
    ("POST", "/runs", {"experiment": "a", "experiment_id": "0"}, 400, "invalid"),
    ("POST", "/runs", {"started_us": 10**30}, 400, "invalid"),
    ("POST", "/runs/none/log", {"metrics": [{"key": "m", "value": "abc", "at_us": 1}]}, 400, "invalid"),
    ("POST", "/runs/none/log", {"metrics": [{"key": "m", "value": 1, "at_us": -1}]}, 400, "invalid"),
    ("PATCH", "/runs/none", {"status": "DONE"}, 400, "invalid"),
    ("GET", "/logged-models/m-none", None, 404, "logged-model-not-found"),
]  # fmt: skip


def test_wrong_requests(http: TestClient) -> None:
    for method, path, body, status, code in _WRONG:
        answer = http.request(method, f"/api/v1{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (method, path, answer.text)
