"""A protected endpoint from outside: a real server with sign-in and TLS, keys, limits, and what is written down."""

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.domains.deploy.conftest import Models
from tests.processes import TRIMTAB, running
from tests.serving.policies.test_tls import Authority
from trimtab.app import build
from trimtab.domains.govern.model import OWNER
from trimtab.settings import Settings


class Caller:
    """Asks the server and its endpoint with tokens."""

    def __init__(self, url: str, inference_port: int, trust: ssl.SSLContext) -> None:
        self._url = f"{url}/api/v1"
        self._inference = f"https://127.0.0.1:{inference_port}/endpoints/churn/invocations"
        self._trust = trust

    def api(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
        return self._ask(method, self._url + path, token, body)[:2]

    def predict(self, token: str) -> tuple[int, Any, Any]:
        row = {"dataframe_records": [{"a": 1.0, "b": 2.0}]}
        return self._ask("POST", self._inference, token, row)

    def _ask(self, method: str, url: str, token: str, body: Any) -> tuple[int, Any, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        asked = urllib.request.Request(url, data, headers, method=method)
        context = self._trust if url.startswith("https") else None
        try:
            with urllib.request.urlopen(asked, timeout=20, context=context) as answer:
                return answer.status, json.loads(answer.read() or b"null"), answer.headers
        except urllib.error.HTTPError as refused:
            return refused.code, json.loads(refused.read()), refused.headers


def test_a_protected_endpoint(tmp_path: Path) -> None:
    home = tmp_path / "home"
    app = build(Settings(home=str(home)))
    app.registry.create_model(OWNER, "churn")
    Models(app).version()
    app.deploy.deploy(OWNER, "churn", "models:/churn/1")
    owner = app.govern.create_token(OWNER, name="owner", role="admin")[1]
    app.close()
    authority = Authority(tmp_path, "authority")
    tls = authority.issue("server")
    flags = [
        "--sign-in",
        "always",
        "--inference-tls-cert",
        str(tls.certificate),
        "--inference-tls-key",
        str(tls.key),
    ]
    with running(home, *flags) as server:
        trust = ssl.create_default_context(cafile=str(authority.certificate))
        caller = Caller(server.url, server.inference_port, trust)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if caller.predict(owner)[0] == 200:
                    break
            except urllib.error.URLError:
                pass  # the gateway does not listen yet
            time.sleep(0.1)
        status, key = caller.api(
            "POST", "/tokens", owner, {"name": "shop", "role": "viewer", "endpoints": ["churn"]}
        )
        assert (status, key["endpoints"]) == (201, ["churn"])
        assert caller.predict(key["token"])[0] == 200
        status, problem = caller.api("GET", "/me", key["token"])
        assert (status, "inference port" in problem["detail"]) == (401, True)
        assert caller.predict("tt_nobody")[0] == 401

        changes = {"settings": {"key_rate_limit": "2/h"}, "fields": {"a": "hash"}, "reason": "a test"}
        status, view = caller.api("PATCH", "/endpoints/churn/settings", owner, changes)
        assert (status, view["fields"]) == (200, {"a": "hash"})
        answers = [caller.predict(key["token"]) for _ in range(3)]
        assert [status for status, _, _ in answers] == [200, 200, 429]
        assert answers[1][2]["ratelimit"] == '"key";r=0;t=3600'
        assert caller.predict(owner)[0] == 200  # another key has a bucket of its own
        for wrong, field in (
            ({"settings": {"rate_limit": "often"}}, "rate_limit"),
            ({"fields": {"aa": "drop"}}, "fields.aa"),
            ({"settings": {"rate-limit": "1/s"}}, "rate-limit"),
        ):
            status, problem = caller.api("PATCH", "/endpoints/churn/settings", owner, wrong)
            assert (status, problem["field"]) == (400, field)

        assert (
            caller.api("POST", "/endpoints/churn/predict", owner, {"inputs": [{"a": 1.0, "b": 1.0}]})[0]
            == 200
        )
        assert caller.api("DELETE", f"/tokens/{key['id']}", owner)[0] == 204
        assert caller.predict(key["token"])[0] == 401  # the very next request
        written = home / "serving" / "hash.key"
        assert written.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--inference-tls-key", "key.pem"], "needs --inference-tls-cert"),
        (["--inference-tls-cert", "missing.pem"], "There is no file"),
    ],
)
def test_a_certificate_that_is_not_there_is_told_at_once(tmp_path: Path, flags: list[str], said: str) -> None:
    ended = subprocess.run(
        [TRIMTAB, "up", "--home", str(tmp_path), *flags],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=tmp_path,
    )
    assert (ended.returncode, said in ended.stderr) == (2, True)
