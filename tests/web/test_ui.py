"""The UI's files: pages of the router, caching, compression, and what is refused."""

import gzip
from pathlib import Path

import pytest
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.testclient import TestClient

from trimtab.web import ui_app


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Trimtab</title>")
    (folder / "assets" / "index-abc.js").write_text("let a = 1;")
    (folder / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(b"let a = 1;"))
    (tmp_path / "secret.txt").write_text("no")
    return folder


@pytest.fixture
def client(static: Path) -> TestClient:
    return TestClient(ExceptionMiddleware(ui_app(static)))


@pytest.mark.parametrize("path", ["/", "/models/flights/3", "/experiments/1?sel=a", "/assets.html"])
def test_every_page_gets_the_index_and_is_not_cached(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "<title>Trimtab" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-type"].startswith("text/html")


def test_scripts_come_from_this_server_only(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy


def test_hashed_assets_are_kept_for_good_and_sent_packed(client: TestClient) -> None:
    packed = client.get("/assets/index-abc.js", headers={"accept-encoding": "gzip"})
    plain = client.get("/assets/index-abc.js", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text == "let a = 1;"
    for answer in (packed, plain):
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize("path", ["/assets/gone.js", "/api/v1/nothing", "/ajax-api/2.0/mlflow"])
def test_what_is_no_page_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/%2e%2e/%2e%2e/secret.txt"])
def test_nothing_outside_the_folder_is_read(client: TestClient, path: str) -> None:
    assert client.get(path).text != "no"


def test_writes_are_refused(client: TestClient) -> None:
    assert client.post("/models").status_code == 405


def test_a_copy_without_the_ui_says_how_to_build_it(tmp_path: Path) -> None:
    answer = TestClient(ui_app(tmp_path)).get("/")
    assert answer.status_code == 503
    assert "make ui" in answer.text
