"""Signing in by the web UI."""

import pytest
from starlette.testclient import TestClient

from trimtab.app import App
from trimtab.http import asgi
from trimtab.kernel.who import Principal


@pytest.mark.parametrize(("origin", "secure"), [("http://127.0.0.1", False), ("https://127.0.0.1", True)])
def test_the_cookie_goes_over_tls_alone_where_the_page_came_so(
    app: App, owner: Principal, origin: str, secure: bool
) -> None:
    _, text = app.govern.create_token(owner, name="mine", role="viewer")
    with TestClient(asgi(app), base_url=origin) as http:
        answer = http.post("/api/v1/session", json={"token": text}, headers={"origin": origin})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"].lower()
        assert ("secure" in cookie, "httponly" in cookie, "samesite=strict" in cookie) == (secure, True, True)
        assert http.get("/api/v1/me").json()["role"] == "viewer"


def test_a_wrong_token_gets_no_cookie(app: App) -> None:
    with TestClient(asgi(app), base_url="http://127.0.0.1") as http:
        answer = http.post("/api/v1/session", json={"token": "tt_wrong"})
        assert (answer.status_code, answer.headers.get("set-cookie")) == (401, None)
