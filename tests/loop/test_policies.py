"""Policies over HTTP: what is kept, and what is refused at its field."""

import pytest
from starlette.testclient import TestClient

POLICY = {"model": "delays", "pipeline": "train", "mode": "suggest", "on": ["drift"]}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"mode": "always"}, "mode"),
        ({"on": ["weather"]}, "on"),
        ({"cooldown_us": "a day"}, "cooldown_us"),
        ({"cooldown_us": -1}, "cooldown_us"),
        ({"canary": {"weight": 100}}, "canary.weight"),
    ],
)
def test_a_policy_that_could_not_be_followed_is_refused(
    http: TestClient, wrong: dict[str, object], field: str
) -> None:
    answer = http.put("/api/v1/loops/delays", json=POLICY | wrong)
    assert answer.status_code in (400, 422), answer.text
    assert field in answer.text
    assert http.get("/api/v1/loops").json()["items"] == []
