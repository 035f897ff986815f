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
    made = http.post(f"{RUNS}/create", json={"user_id": "ann"}, headers={"authorization": f"Basic {basic}"})
    run_id = made.json()["run"]["info"]["run_id"]
    as_viewer = {"authorization": f"Bearer {tokens['viewer']}"}
    assert http.get(f"{RUNS}/get", params={"run_id": run_id}, headers=as_viewer).status_code == 200
    for path, body in (
        ("create", {}),
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


def test_a_page_of_another_site_changes_nothing(guarded: App, owner: Principal) -> None:
    http = TestClient(asgi(guarded), base_url="http://127.0.0.1", raise_server_exceptions=False)
    token = guarded.govern.create_token(owner, name="t", role="editor")[1]
    headers = {"authorization": f"Bearer {token}", "origin": "http://evil.example"}
    refused = http.post("/ajax-api/2.0/mlflow/runs/create", json={}, headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert guarded.tracking.runs.search(owner).items == []
