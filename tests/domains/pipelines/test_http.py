"""The HTTP face: shapes, and bad input that changes nothing."""

import io
import zipfile
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.background import work_off
from tests.domains.pipelines.conftest import Workshop
from trimtab.sdk.bundles import MOST_BYTES, pack

SOURCE = """
@step
def double(x: int) -> dict:
    print("doubling")
    return {"twice": 2 * x, "raw": b"x"}

@pipeline
def main(x: int, label: str = "none"):
    \"\"\"Doubles.\"\"\"
    return {"y": double(x=x)["twice"]}
"""


def archive(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in names.items():
            target.writestr(name, content)
    return buffer.getvalue()


def test_a_pipeline_over_http(http: TestClient, workshop: Workshop) -> None:
    workshop.register(SOURCE)
    (listed,) = http.get("/api/v1/pipelines").json()["items"]
    assert (listed["name"], listed["description"], listed["runs"], listed["last_run"]) == (
        "main",
        "Doubles.",
        0,
        None,
    )
    assert listed["spec"]["parameters"][0] == {"name": "x", "kind": "integer", "required": True}
    made = http.post("/api/v1/pipeline-runs", json={"pipeline": "main", "params": {"x": 4}})
    assert made.status_code == 201
    assert (made.json()["state"], made.json()["steps"], made.json()["trigger"]) == ("queued", [], "manual")
    work_off(workshop.app, "pipelines")
    run = http.get(f"/api/v1/pipeline-runs/{made.json()['id']}").json()
    assert (run["state"], run["outputs"], run["params"]) == ("succeeded", {"y": 8}, {"x": 4, "label": "none"})
    (step,) = run["steps"]
    assert (step["name"], step["state"], step["cached"], step["log_tail"]) == (
        "double",
        "succeeded",
        False,
        "doubling\n",
    )
    assert (step["outputs"]["twice"], step["outputs"]["raw"]["type"]) == (8, "bytes")
    assert http.get(f"/api/v1/pipeline-runs/{run['id']}/steps/double/log").text == "doubling\n"
    (item,) = http.get("/api/v1/pipeline-runs", params={"pipeline": "main"}).json()["items"]
    assert item["steps"][0]["log_tail"] == ""
    one = http.get("/api/v1/pipelines/main").json()
    assert (one["runs"], one["last_run"]["id"]) == (1, run["id"])
    assert http.post(f"/api/v1/pipeline-runs/{run['id']}/cancel").status_code == 409
    assert http.post(f"/api/v1/pipeline-runs/{run['id']}/retry").status_code == 409


def test_schedules_over_http(http: TestClient, workshop: Workshop) -> None:
    workshop.register(SOURCE)
    body = {"cron": "0 5 * * *", "params": {"x": 1}}
    assert http.put("/api/v1/pipelines/main/schedule", json=body).json()["cron"] == "0 5 * * *"
    assert http.put("/api/v1/pipelines/main/schedule", json={"cron": "0 5 * * *"}).status_code == 400
    assert http.delete("/api/v1/pipelines/main/schedule").status_code == 204
    assert http.get("/api/v1/pipelines/main").json()["cron"] is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not a zip"),
        (b"PK\x03\x04 nonsense", "not a zip"),
        (archive({}), "holds no files"),
        (archive({"../evil.py": b""}), "../evil.py"),
        (archive({"/etc/evil.py": b""}), "/etc/evil.py"),
        (archive({"a/./b.py": b""}), "a/./b.py"),
        (archive({"a\\b.py": b""}), "with the name"),
        (archive({"folder/": b""}), "folder/"),
        (archive({"a.py": b"\x00" * (MOST_BYTES + 1)}), "larger than"),
        (pack({"a.py": b"x = 1"})[:-30], "not a zip"),
    ],
)  # fmt: skip
def test_bad_bundles_are_refused(http: TestClient, content: bytes, says: str) -> None:
    answer = http.post("/api/v1/pipeline-bundles", content=content)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert answer.json()["field"] == "bundle"


def test_a_bundle_that_is_too_large_is_not_read_to_its_end(http: TestClient) -> None:
    assert http.post("/api/v1/pipeline-bundles", content=b"x" * (MOST_BYTES + 1)).status_code == 413


def test_bundles_are_stored_once(http: TestClient) -> None:
    first, second = (
        http.post("/api/v1/pipeline-bundles", content=pack({"a.py": b"x = 1"})) for _ in range(2)
    )
    assert first.status_code == 201
    assert first.json() == second.json()
    assert first.json()["files"] == ["a.py"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"entry": "main"}, "entry"),
        ({"entry": "other:main"}, "entry"),
        ({"entry": "../a:main"}, "entry"),
        ({"source_blob": "b3:12"}, "blob"),
        ({"source_blob": "b3:" + "0" * 64}, "source_blob"),
        ({"spec": {"steps": [{"name": "a", "needs": ["b"]}]}}, "spec.steps"),
        ({"spec": {"steps": [{"name": "a"}, {"name": "a"}]}}, "spec.steps"),
        ({"spec": {"parameters": [{"name": "a", "kind": "json"}, {"name": "a", "kind": "json"}]}}, "spec.parameters"),
        ({"spec": {"parameters": [{"name": "a", "kind": "jso"}]}}, "spec.parameters[0].kind"),
        ({"surprise": 1}, "surprise"),
    ],
)  # fmt: skip
def test_bad_registrations_are_refused(http: TestClient, change: dict[str, Any], field: str) -> None:
    blob = http.post("/api/v1/pipeline-bundles", content=pack({"a.py": b"x = 1"})).json()["blob"]
    body = {"name": "p", "source_blob": blob, "entry": "a:main", **change}
    answer = http.post("/api/v1/pipelines", json=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["field"] == field
    assert http.get("/api/v1/pipelines").json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"pipeline": "mian"}, 404, None),
        ({"pipeline": "main"}, 400, "params.x"),
        ({"pipeline": "main", "params": {"x": "many"}}, 400, "params.x"),
        ({"pipeline": "main", "params": {"x": 1, "y": 2}}, 400, "params.y"),
        ({"pipeline": "main", "params": []}, 400, "params"),
        ({"pipeline": 5}, 400, "pipeline"),
        ({"pipeline": "main", "params": {"x": 1}, "trigger": {}}, 400, "trigger"),
        ({"pipeline": "main", "params": {"x": 1}, "idempotency_key": ""}, 400, "idempotency_key"),
        ({"pipeline": "main", "params": {"x": 1}, "idempotency_key": "k" * 201}, 400, "idempotency_key"),
        ({}, 400, "pipeline"),
    ],
)  # fmt: skip
def test_bad_submissions_are_refused(
    http: TestClient, workshop: Workshop, body: Any, status: int, field: str | None
) -> None:
    workshop.register(SOURCE)
    answer = http.post("/api/v1/pipeline-runs", json=body)
    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
    assert http.get("/api/v1/pipeline-runs").json()["items"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/pipelines/none", 404),
        ("/api/v1/pipeline-runs/none", 404),
        ("/api/v1/pipeline-runs/none/steps/x/log", 404),
        ("/api/v1/pipeline-runs?state=odd", 400),
        ("/api/v1/pipeline-runs?cursor=odd", 400),
        ("/api/v1/pipelines?cursor=WzFd", 400),
        ("/api/v1/pipeline-runs?limit=0", 400),
        ("/api/v1/pipeline-runs?pipline=x", 400),
    ],
)
def test_bad_reads_are_refused(http: TestClient, path: str, status: int) -> None:
    assert http.get(path).status_code == status


def test_unknown_runs_cannot_be_acted_on(http: TestClient) -> None:
    for act in ("cancel", "retry"):
        assert http.post(f"/api/v1/pipeline-runs/none/{act}").status_code == 404
    assert http.put("/api/v1/pipelines/none/schedule", json={"cron": "* * * * *"}).status_code == 404
    assert http.delete("/api/v1/pipelines/none/schedule").status_code == 404
