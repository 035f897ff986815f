"""Saved views: one's own, shared ones, and who may change which."""

import pytest
from starlette.testclient import TestClient

from trimtab.app import App
from trimtab.domains.tracking.errors import ViewNotFound, ViewNotYours
from trimtab.kernel.errors import Forbidden, Invalid
from trimtab.kernel.who import Principal

STATE = {"filter": "metrics.auc > 0.9", "cols": ["m:auc"], "width": {"m:auc": 120}}


def test_a_view_is_its_owners_until_it_is_shared(app: App, editor: Principal, viewer: Principal) -> None:
    views = app.tracking.views
    mine = views.create(editor, name="Best", page="runs", state=STATE, experiment_id="1")
    anywhere = views.create(editor, name="Any", page="runs", state={}, shared=True)
    assert [view.name for view in views.list(editor, page="runs", experiment_id="1")] == ["Any", "Best"]
    assert views.list(editor, page="runs", experiment_id="2") == [anywhere]
    assert views.list(viewer, page="runs", experiment_id="1") == [anywhere]
    with pytest.raises(ViewNotFound):
        views.delete(viewer, mine.id)
    changed = views.update(editor, mine.id, name="Better", shared=True)
    assert (changed.name, changed.state, changed.shared) == ("Better", STATE, True)
    assert views.list(viewer, page="runs", experiment_id="1") == [anywhere, changed]
    with pytest.raises(ViewNotYours):
        views.update(viewer, mine.id, name="Worse")
    views.delete(editor, mine.id)
    assert views.list(viewer, page="runs", experiment_id="1") == [anywhere]


def test_a_viewer_keeps_views_but_shows_them_to_nobody(app: App, viewer: Principal) -> None:
    own = app.tracking.views.create(viewer, name="Mine", page="runs", state={})
    with pytest.raises(Forbidden):
        app.tracking.views.update(viewer, own.id, shared=True)
    with pytest.raises(Forbidden):
        app.tracking.views.create(viewer, name="All", page="runs", state={}, shared=True)


def test_views_have_bounds(app: App, editor: Principal) -> None:
    for name, page, state in [("", "runs", {}), ("a", "ru/ns", {}), ("a", "runs", {"x": "y" * 70_000})]:
        with pytest.raises(Invalid):
            app.tracking.views.create(editor, name=name, page=page, state=state)


def test_views_tags_and_importance_over_http(http: TestClient) -> None:
    made = http.post("/api/v1/views", json={"name": "Best", "state": STATE, "experiment_id": "0"})
    assert made.status_code == 201
    assert (made.json()["mine"], made.json()["owner"]) == (True, "owner")
    (listed,) = http.get("/api/v1/views", params={"page": "runs", "experiment_id": "0"}).json()["items"]
    assert listed["state"] == STATE
    address = f"/api/v1/views/{made.json()['id']}"
    assert http.patch(address, json={"name": "Good"}).json()["name"] == "Good"
    assert http.delete(address).status_code == 204
    assert http.delete(address).status_code == 404

    for index in range(24):
        run = http.post("/api/v1/runs", json={"tags": {"team": "risk"}}).json()["id"]
        body = {
            "params": {"depth": str(index % 6), "seed": str(index * 7 % 11), "kind": "tree"},
            "metrics": [{"key": "auc", "value": index % 6, "at_us": 1}],
        }
        assert http.post(f"/api/v1/runs/{run}/log", json=body).status_code == 204
    found = http.get("/api/v1/runs/importance", params={"experiment_id": "0", "metric": "auc"}).json()
    assert found["runs"] == 24
    assert found["explained"] > 0.5
    assert [one["name"] for one in found["parameters"]] == ["depth", "seed"]
    assert found["parameters"][0]["correlation"] == 1.0
    nothing = http.get("/api/v1/runs/importance", params={"experiment_id": "0", "metric": "none"}).json()
    assert nothing["parameters"] == []

    assert http.put(f"/api/v1/runs/{run}/tags/team", json={"value": "credit"}).status_code == 204
    assert http.get(f"/api/v1/runs/{run}").json()["tags"]["team"] == "credit"
    assert http.delete(f"/api/v1/runs/{run}/tags/team").status_code == 204
    assert http.delete(f"/api/v1/runs/{run}/tags/team").status_code == 404
