"""Runs, experiments and logged models brought in whole, through the whole application."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from trimtab.app import App
from trimtab.domains.tracking.metrics import store as metrics
from trimtab.http import asgi

RUN = "0123456789abcdef0123456789abcdef"
MODEL = "m-0123456789abcdef0123456789abcdef"
T = 1_600_000_000_000_000


def experiment(http: TestClient, name: str = "old") -> dict[str, Any]:
    record = {"name": name, "tags": {"team": "a"}, "created_us": T, "updated_us": T + 1}
    answer = http.post("/api/v1/import/experiments", json={"origin": "test", "experiment": record})
    assert answer.status_code == 200, answer.text
    return answer.json()


def run(experiment_id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": RUN,
        "experiment_id": experiment_id,
        "name": "first",
        "status": "KILLED",
        "started_us": T,
        "ended_us": T + 9_000_000,
        "owner": "ada",
        "params": {"depth": "3", "long": "x" * 50_000},
        "tags": {"mlflow.note.content": "hello", "mlflow.source.git.commit": "abc"},
        "metrics": [
            {
                "key": "loss",
                "steps": [0, 1, 1, 2],
                "at_us": [T, T + 1, T + 1, T + 2],
                "values": [1.5, "NaN", "NaN", "-Infinity"],
            },
            {"key": "acc", "steps": [5], "at_us": [T], "values": [0.1]},
        ],
        "datasets": [
            {
                "name": "flights",
                "digest": "d1",
                "source_type": "local",
                "source": "x",
                "schema": "{}",
                "tags": {"mlflow.data.context": "training"},
            }
        ],
        "model_outputs": [{"model_id": MODEL, "step": 3}],
        **more,
    }


def put(http: TestClient, *runs: dict[str, Any]) -> list[dict[str, Any]]:
    answer = http.post("/api/v1/import/runs", json={"origin": "test", "runs": list(runs)})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def test_whoever_brings_many_runs_leaves_nothing_for_the_next_search(http: TestClient, app: App) -> None:
    to = experiment(http)["id"]
    put(http, *(run(to, id=f"{at:032x}", params={}, datasets=[], model_outputs=[]) for at in range(600)))
    with app.db.read() as tx:
        assert metrics.newest_unfolded(tx) is None


def test_a_run_comes_in_whole_and_goes_out_the_same(http: TestClient) -> None:
    made = experiment(http)
    assert made["created"]
    assert not experiment(http)["created"]
    shown = http.get(f"/api/v1/experiments/{made['id']}").json()
    assert (shown["created_us"], shown["updated_us"], shown["tags"]) == (T, T + 1, {"team": "a"})
    record = run(made["id"])
    assert [one["outcome"] for one in put(http, record)] == ["created"]
    assert [one["outcome"] for one in put(http, record)] == ["updated"]
    out = http.get(f"/api/v1/runs/{RUN}/record").json()
    tags = {**record["tags"], "mlflow.runName": "first"}
    kept = {key: value for key, value in record.items() if key not in ("metrics", "tags")}
    assert {key: out[key] for key in kept} == {
        **kept,
        "datasets": [{**record["datasets"][0], "profile": None}],
    }
    assert (out["tags"], out["keys"]) == (tags, ["acc", "loss"])
    page = http.get(f"/api/v1/runs/{RUN}/history/loss").json()
    assert page == {
        "series": {
            "key": "loss",
            "steps": [0, 1, 2],
            "at_us": [T, T + 1, T + 2],
            "values": [1.5, "NaN", "-Infinity"],
        },
        "next_cursor": None,
    }
    parts, cursor = [], None
    while True:
        page = http.get(
            f"/api/v1/runs/{RUN}/history/loss",
            params={"limit": 1, "cursor": cursor} if cursor else {"limit": 1},
        ).json()
        parts += page["series"]["steps"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert parts == [0, 1, 2]
    assert http.get(f"/api/v1/runs/{RUN}").json()["metrics"]["acc"]["value"] == 0.1
    actions = [one["action"] for one in http.get("/api/v1/audit").json()["items"]]
    assert actions.count("tracking.run.import") == 2


def test_runs_that_were_made_here_stay_as_they_are(http: TestClient) -> None:
    made = experiment(http)
    own = http.post("/api/v1/runs", json={"experiment_id": made["id"], "name": "own"}).json()
    before = http.get(f"/api/v1/runs/{own['id']}/record").json()
    (placed,) = put(http, run(made["id"], id=own["id"]))
    assert (placed["outcome"], "made here" in placed["note"]) == ("refused", True)
    assert http.get(f"/api/v1/runs/{own['id']}/record").json() == before


def test_what_stands_in_the_way_is_said(http: TestClient) -> None:
    made, other = experiment(http), experiment(http, "other")
    put(http, run(made["id"]))
    (placed,) = put(http, run(made["id"], params={"depth": "4"}))
    assert placed["outcome"] == "updated"
    assert "depth" in placed["note"]
    (placed,) = put(http, run(other["id"]))
    assert (placed["outcome"], made["id"] in placed["note"]) == ("refused", True)
    http.delete(f"/api/v1/runs/{RUN}")
    (placed,) = put(http, run(made["id"]))
    assert (placed["outcome"], "trash" in placed["note"]) == ("refused", True)
    http.delete(f"/api/v1/experiments/{other['id']}")
    record = {"origin": "test", "experiment": {"name": "other"}}
    refused = http.post("/api/v1/import/experiments", json=record)
    assert (refused.status_code, refused.json()["code"]) == (400, "not-active")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../etc"},
        {"params": {"../../x": "1"}},
        {"metrics": [{"key": "a", "steps": [1], "at_us": [], "values": []}]},
        {"metrics": [{"key": "../a", "steps": [], "at_us": [], "values": []}]},
        {"params": {"a": "x" * 1_000_001}},
        {"started_us": -1},
        {"status": "GONE"},
        {"model_inputs": [""]},
        {"model_outputs": [{"model_id": "x" * 5000}]},
        {"artifact_uri": "mlflow-artifacts:/1/another/artifacts"},
        {"owner": "x" * 5000},
    ],
    ids=lambda change: next(iter(change)),
)
def test_bad_records_are_refused_with_their_place(http: TestClient, change: dict[str, Any]) -> None:
    made = experiment(http)
    body = {"origin": "test", "runs": [run(made["id"]), run(made["id"], **change)]}
    answer = http.post("/api/v1/import/runs", json=body)
    assert answer.status_code == 400
    assert "runs[1]" in answer.json()["field"]
    assert http.get(f"/api/v1/runs/{RUN}").status_code == 404


def test_logged_models_and_marks(http: TestClient) -> None:
    made = experiment(http)
    put(http, run(made["id"]))
    record = {
        "id": MODEL,
        "experiment_id": made["id"],
        "name": "tree",
        "status": "READY",
        "created_us": T,
        "updated_us": T + 1,
        "model_type": "clf",
        "source_run_id": RUN,
        "params": {"p": "1"},
        "tags": {"t": "2"},
        "metrics": [
            {"key": "auc", "value": "NaN", "at_us": T, "step": 1, "run_id": RUN, "dataset_name": "d"}
        ],
    }
    for outcome in ("created", "updated"):
        answer = http.post("/api/v1/import/logged-models", json={"origin": "test", "models": [record]})
        assert [one["outcome"] for one in answer.json()["items"]] == [outcome]
    out = http.get(f"/api/v1/logged-models/{MODEL}/record").json()
    assert out["artifact_uri"].endswith(f"/models/{MODEL}/artifacts")
    assert {key: out[key] for key in record if key != "metrics"} == {
        key: record[key] for key in record if key != "metrics"
    }
    assert out["metrics"] == [{**record["metrics"][0], "dataset_digest": ""}]
    marks = {f"run:{RUN}": "f1", "run:x": "f2"}
    assert http.post("/api/v1/import/missing", json={"marks": marks}).json()["items"] == list(marks)
    http.post(
        "/api/v1/import/marks", json={"origin": "test", "marks": {f"run:{RUN}": "f1", "run:gone": "f2"}}
    )
    asked = {**marks, "run:gone": "f2"}
    assert http.post("/api/v1/import/missing", json={"marks": asked}).json()["items"] == ["run:x", "run:gone"]
    read = http.post("/api/v1/import/marks/read", json={"refs": list(marks)}).json()
    assert read == {"marks": {f"run:{RUN}": "f1"}}


def test_viewers_bring_nothing_in(app: App, http: TestClient) -> None:
    made = experiment(http)
    token = http.post("/api/v1/tokens", json={"name": "v", "role": "viewer"}).json()["token"]
    with TestClient(asgi(app), base_url="http://127.0.0.1") as client:
        body = {"origin": "test", "runs": [run(made["id"])]}
        answer = client.post("/api/v1/import/runs", json=body, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403
