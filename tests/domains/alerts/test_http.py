"""The routes of alerts, and what they answer to nonsense."""

import pytest
from starlette.testclient import TestClient

REPORT = {
    "rule": "monitor-drift",
    "severity": "critical",
    "title": "flights drifts",
    "subject": "monitor:flights",
    "dedupe_key": "drift:flights",
}


def test_the_life_of_an_alert(http: TestClient) -> None:
    alert = http.post("/api/v1/alerts", json=REPORT)
    assert alert.status_code == 201
    path = f"/api/v1/alerts/{alert.json()['id']}"
    assert http.get("/api/v1/alerts", params={"state": "open"}).json()["items"] == [alert.json()]
    assert http.post(f"{path}/acknowledge", json={}).json()["state"] == "acknowledged"
    assert http.post(f"{path}/resolve", json={"note": "done"}).json()["note"] == "done"
    assert http.get(path).json()["state"] == "resolved"


def test_rules_round_trip(http: TestClient) -> None:
    rule = {
        "name": "run-failed",
        "condition": {
            "event": "tracking.run_finished",
            "where": [{"field": "status", "op": "==", "value": "FAILED"}],
        },
        "title": "{run_id} failed",
    }
    made = http.post("/api/v1/alert-rules", json=rule)
    assert made.status_code == 201
    assert made.json()["condition"] == rule["condition"]
    off = http.put(
        "/api/v1/alert-rules/run-failed",
        json={"condition": rule["condition"], "title": "t", "enabled": False},
    )
    assert off.json()["enabled"] is False
    assert [item["name"] for item in http.get("/api/v1/alert-rules").json()["items"]] == [
        "data-validation-failed",
        "run-failed",
    ]
    assert http.delete("/api/v1/alert-rules/run-failed").status_code == 204
    assert http.get("/api/v1/alert-rules/run-failed").status_code == 404


def test_a_secret_is_answered_once(http: TestClient) -> None:
    made = http.post("/api/v1/alert-channels", json={"name": "ops", "url": "http://127.0.0.1:9/"}).json()
    assert made["secret"].startswith("whsec_")
    for path in ("/api/v1/alert-channels", "/api/v1/audit", "/api/v1/alert-channels/ops/deliveries"):
        assert made["secret"] not in http.get(path).text
    own = "whsec_" + "A" * 40
    mine = http.post(
        "/api/v1/alert-channels", json={"name": "own", "url": "http://127.0.0.1:9/", "secret": own}
    )
    assert mine.json()["secret"] is None
    assert http.patch("/api/v1/alert-channels/ops", json={"enabled": False}).json()["enabled"] is False
    assert http.post("/api/v1/alert-channels/own/test").json()["ok"] is False
    assert http.delete("/api/v1/alert-channels/ops").status_code == 204


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"severity": "fatal"}, "severity"),
        ({"title": 3}, "title"),
        ({"subject": "nothing"}, "subject"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_nonsense_is_refused_by_field(http: TestClient, change: dict[str, object], field: str) -> None:
    answer = http.post("/api/v1/alerts", json={**REPORT, **change})
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert http.get("/api/v1/alerts").json()["items"] == []
    assert http.get("/api/v1/alerts", params={"state": "broken"}).status_code == 400
    assert http.get("/api/v1/alerts", params={"cursor": "broken"}).status_code == 400
