"""Signing in through the MLflow API: tokens as Bearer or Basic, and refusals in the words of the protocol."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from trimtab.app import App, build
from trimtab.http import asgi
from trimtab.kernel.who import Principal
from trimtab.settings import Settings

RUNS = "/api/2.0/mlflow/runs"


@pytest.fixture
def guarded(sqlite_url: str, tmp_path: Path) -> Iterator[App]:
    """An application that lets nobody in without a token."""
    wired = build(Settings(home=str(tmp_path / "home"), database=sqlite_url, sign_in="always"))
    yield wired
    wired.close()


def test_tokens_open_the_api_as_far_as_their_role_goes(guarded: App, owner: Principal) -> None:
    http = TestClient(asgi(guarded), base_url="http://127.0.0.1", raise_server_exceptions=False)
    refused = http.post(f"{RUNS}/create", json={})
    assert (refused.status_code, refused.json()["error_code"]) == (401, "UNAUTHENTICATED")
    assert refused.headers["www-authenticate"].startswith("Basic")
    tokens = {
        role: guarded.govern.create_token(owner, name=role, role=role)[1] for role in ("viewer", "editor")
    }
    basic = base64.b64encode(f"anyone:{tokens['editor']}".encode()).decode()
    body = {"user_id": "ann", "experiment_id": "0"}
    made = http.post(f"{RUNS}/create", json=body, headers={"authorization": f"Basic {basic}"})
    run_id = made.json()["run"]["info"]["run_id"]
    as_viewer = {"authorization": f"Bearer {tokens['viewer']}"}
    assert http.get(f"{RUNS}/get", params={"run_id": run_id}, headers=as_viewer).status_code == 200
    for path, body in (
        ("create", {"experiment_id": "0"}),
        ("delete", {"run_id": run_id}),
        ("log-batch", {"run_id": run_id}),
        ("set-tag", {"run_id": run_id, "key": "a", "value": "b"}),
    ):
        denied = http.post(f"{RUNS}/{path}", json=body, headers=as_viewer)
        assert (denied.status_code, denied.json()["error_code"]) == (403, "PERMISSION_DENIED")
    upload = f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/x"
    assert http.put(upload, content=b"x", headers=as_viewer).status_code == 403
    assert http.put(upload, content=b"x").status_code == 401
    assert guarded.tracking.artifacts.list(owner, f"0/{run_id}/artifacts") == []


def test_addresses_open_what_they_name_and_nothing_else(guarded: App, owner: Principal) -> None:
    http = TestClient(asgi(guarded), base_url="http://127.0.0.1", raise_server_exceptions=False)
    as_role = {
        role: {"authorization": f"Bearer {guarded.govern.create_token(owner, name=role, role=role)[1]}"}
        for role in ("viewer", "editor", "admin")
    }
    run_id = guarded.tracking.runs.create(owner).head.id
    folder = f"0/{run_id}/artifacts"
    guarded.tracking.artifacts.put(owner, f"{folder}/x", b"secret")
    files = "/api/2.0/mlflow-artifacts"
    asked = {"run_id": run_id, "path": "x"}
    version = {"name": "m", "version": "1", "path": "x"}
    for path, params in (
        ("/get-artifact", asked),
        ("/model-versions/get-artifact", version),
        (f"{files}/presigned/{folder}/x", {}),
    ):
        assert http.get(path, params=params).status_code == 401
    assert http.get("/get-artifact", params=asked, headers=as_role["viewer"]).content == b"secret"
    begin = {"path": "y", "num_parts": 1}
    for headers, status in ((None, 401), (as_role["viewer"], 403)):
        assert http.post(f"{files}/mpu/create/{folder}", json=begin, headers=headers).status_code == status
    made = http.post(f"{files}/mpu/create/{folder}", json=begin, headers=as_role["editor"]).json()
    part = made["credentials"][0]["url"].removeprefix("http://127.0.0.1")
    sent = http.put(part, content=b"1")
    assert sent.status_code == 200, "the address is enough"
    named = {
        **begin,
        "upload_id": made["upload_id"],
        "parts": [{"part_number": 1, "etag": sent.headers["etag"]}],
    }
    assert http.post(f"{files}/mpu/complete/{folder}", json=named).status_code == 401
    done = http.post(f"{files}/mpu/complete/{folder}", json=named, headers=as_role["editor"])
    assert (done.status_code, done.json()) == (200, {})
    address = http.get(f"{files}/presigned/{folder}/x", headers=as_role["viewer"]).json()["url"]
    assert http.get(address.removeprefix("http://127.0.0.1")).content == b"secret"
    guarded.tracking.runs.delete(owner, run_id)
    for path, body, needed in (
        ("/api/v1/trash/restore", {"refs": [f"run:{run_id}"]}, "editor"),
        ("/api/v1/trash/purge", {"refs": [f"run:{run_id}"]}, "admin"),
        ("/api/v1/gc", {"dry_run": True}, "admin"),
    ):
        for role in ("viewer", "editor"):
            if role != needed:
                assert http.post(path, json=body, headers=as_role[role]).status_code == 403, (path, role)
    held = http.put(f"/api/v1/holds/run:{run_id}", json={"reason": "x"}, headers=as_role["editor"])
    assert held.status_code == 403


def test_a_page_of_another_site_changes_nothing(guarded: App, owner: Principal) -> None:
    http = TestClient(asgi(guarded), base_url="http://127.0.0.1", raise_server_exceptions=False)
    token = guarded.govern.create_token(owner, name="t", role="editor")[1]
    headers = {"authorization": f"Bearer {token}", "origin": "http://evil.example"}
    refused = http.post("/ajax-api/2.0/mlflow/runs/create", json={}, headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert guarded.tracking.runs.search(owner).items == []
