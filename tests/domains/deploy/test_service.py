"""Endpoints without processes: what the database says after each change."""

import pytest

from tests.background import work_off
from tests.domains.deploy.conftest import Models
from trimtab.app import App
from trimtab.domains.deploy.errors import (
    BadTraffic,
    EndpointNotFound,
    NothingToRollBackTo,
    NotReady,
    OtherModel,
    VersionNotServed,
)
from trimtab.domains.deploy.model import Endpoint
from trimtab.domains.govern.errors import NotPermitted
from trimtab.kernel.errors import Conflict, Forbidden, Invalid
from trimtab.kernel.who import Principal, system

PLANE = system("deploy")
APPROVER = Principal(id="token:a", name="approver", role="approver")


def deploy(app: App, who: Principal, version: int, *, weight: float | None = 100.0) -> Endpoint:
    """Deploy a version and have it answer."""
    app.deploy.deploy(who, "churn", f"models:/churn/{version}", weight=weight)
    app.deploy.replica_ready(PLANE, "churn", str(version), pid=100 + version)
    return app.deploy.endpoint(who, "churn")


def test_a_version_takes_over_when_it_answers_and_not_before(
    app: App, models: Models, editor: Principal
) -> None:
    models.version()
    waiting = app.deploy.deploy(editor, "churn", "models:/churn/1")
    assert (waiting.state, waiting.champion, waiting.traffic()) == ("starting", None, {})
    ready = deploy(app, editor, 1)
    assert (ready.state, ready.champion, ready.traffic()) == ("ready", "1", {"1": 100.0})


def test_the_former_champion_stays_warm_and_rollback_returns_to_it(
    app: App, models: Models, editor: Principal
) -> None:
    models.version(), models.version()
    deploy(app, editor, 1)
    assert deploy(app, editor, 2).traffic() == {"2": 100.0}
    back = app.deploy.rollback(editor, "churn", reason="looks odd")
    assert (back.champion, back.traffic()) == ("1", {"1": 100.0})
    newest = app.deploy.history(editor, "churn").items[0]
    assert (newest.action, newest.reason, newest.before, newest.after, newest.actor) == (
        "rollback",
        "looks odd",
        {"2": 100.0},
        {"1": 100.0},
        editor.id,
    )


def test_a_failed_version_changes_nothing_for_callers(app: App, models: Models, editor: Principal) -> None:
    models.version(), models.version()
    deploy(app, editor, 1)
    app.deploy.deploy(editor, "churn", "models:/churn/2")
    app.deploy.replica_failed(PLANE, "churn", "2", error="no such file")
    endpoint = app.deploy.endpoint(editor, "churn")
    assert (endpoint.state, endpoint.traffic(), endpoint.find("2").error) == (
        "ready",
        {"1": 100.0},
        "no such file",
    )
    with pytest.raises(NotReady, match="no such file"):
        app.deploy.traffic(editor, "churn", {"2": 100})


def test_the_version_before_answers_again_where_the_champion_does_not_run_any_more(
    app: App, models: Models, editor: Principal
) -> None:
    models.version(), models.version()
    deploy(app, editor, 1)
    deploy(app, editor, 2)
    app.deploy.replica_failed(PLANE, "churn", "2", error="it died 5 times in a row")
    endpoint = app.deploy.endpoint(editor, "churn")
    assert (endpoint.champion, endpoint.traffic(), endpoint.find("2").state) == ("1", {"1": 100.0}, "failed")
    assert "5 times" in app.deploy.history(editor, "churn").items[0].reason
    app.deploy.replica_failed(PLANE, "churn", "1", error="gone, too")
    assert app.deploy.endpoint(editor, "churn").state == "degraded", "nobody is left to answer"


@pytest.mark.parametrize(
    ("weights", "error"),
    [
        ({}, BadTraffic),
        ({"1": 90}, BadTraffic),
        ({"1": 120, "2": -20}, BadTraffic),
        ({"9": 100}, VersionNotServed),
    ],
)
def test_bad_traffic_is_refused_and_changes_nothing(
    app: App, models: Models, editor: Principal, weights: dict[str, float], error: type[Exception]
) -> None:
    models.version(), models.version()
    deploy(app, editor, 1)
    deploy(app, editor, 2, weight=None)
    before = app.deploy.endpoint(editor, "churn")
    with pytest.raises(error):
        app.deploy.traffic(editor, "churn", weights)
    assert app.deploy.endpoint(editor, "churn") == before


def test_unsafe_formats_need_a_word_and_an_approver(
    app: App, models: Models, editor: Principal, owner: Principal
) -> None:
    models.version(pickle=True)
    with pytest.raises(Forbidden, match="runs code"):
        app.deploy.deploy(owner, "churn", "models:/churn/1")
    with pytest.raises(NotPermitted):
        app.deploy.deploy(editor, "churn", "models:/churn/1", allow_pickle=True)
    assert app.deploy.deploy(owner, "churn", "models:/churn/1", allow_pickle=True).find("1").allow_pickle


def test_what_the_scan_found_suspicious_needs_an_approver_with_a_reason(
    app: App, models: Models, editor: Principal, owner: Principal
) -> None:
    models.version(pickle=True, content=b"cos\nsystem\n(S'true'\ntR.")
    for options in ({}, {"allow_pickle": True}, {"allow_pickle": True, "reason": " "}):
        with pytest.raises(Forbidden, match=r"os\.system"):
            app.deploy.deploy(owner, "churn", "models:/churn/1", **options)
    with pytest.raises(NotPermitted):
        app.deploy.deploy(editor, "churn", "models:/churn/1", allow_pickle=True, reason="I know")
    app.deploy.deploy(owner, "churn", "models:/churn/1", allow_pickle=True, reason="the vendor's own")
    record = next(
        one for one in app.govern.audit_trail(owner).items if one.action == "deploy.endpoint.deploy"
    )
    assert (record.detail["overridden"], record.detail["reason"]) == (["os.system"], "the vendor's own")


def test_deleted_versions_are_let_go_and_those_that_answer_are_reported(
    app: App, models: Models, editor: Principal
) -> None:
    models.version(), models.version()
    deploy(app, editor, 1)
    deploy(app, editor, 2, weight=None)
    app.registry.delete_version(editor, "churn", 2)
    app.registry.delete_version(editor, "churn", 1)
    work_off(app)
    assert [one.version for one in app.deploy.endpoint(editor, "churn").served] == ["1"]
    told = [one for one in app.bus.after(0) if one.kind == "deploy.served_version_deleted"]
    assert [(one.data["version"], one.data["weight"]) for one in told] == [("1", 100.0)]
    app.registry.delete_model(editor, "churn")
    work_off(app)
    assert app.deploy.endpoint(editor, "churn").find("1").weight == 100


def test_names_weights_and_models_are_checked(app: App, models: Models, editor: Principal) -> None:
    models.version()
    deploy(app, editor, 1)
    app.registry.create_model(editor, "other")
    models.version("other")
    for name in ("", "../x", "a b", "x" * 200):
        with pytest.raises(Invalid):
            app.deploy.deploy(editor, name, "models:/churn/1")
    with pytest.raises(Invalid):
        app.deploy.deploy(editor, "churn", "models:/churn/1", weight=101)
    with pytest.raises(OtherModel):
        app.deploy.deploy(editor, "churn", "models:/other/1")
    with pytest.raises(EndpointNotFound, match="Did you mean 'churn'"):
        app.deploy.endpoint(editor, "chrun")
    with pytest.raises(NothingToRollBackTo):
        app.deploy.rollback(editor, "churn")


def test_viewers_may_look_and_nothing_else(
    app: App, models: Models, editor: Principal, viewer: Principal
) -> None:
    models.version()
    deploy(app, editor, 1)
    assert app.deploy.endpoint(viewer, "churn").champion == "1"
    for attempt in (
        lambda: app.deploy.deploy(viewer, "churn", "models:/churn/1"),
        lambda: app.deploy.traffic(viewer, "churn", {"1": 100}),
        lambda: app.deploy.rollback(viewer, "churn"),
        lambda: app.deploy.remove(viewer, "churn"),
        lambda: app.deploy.rollouts.start(viewer, "churn", "1"),
    ):
        with pytest.raises(NotPermitted):
            attempt()


def test_a_reason_is_no_essay(app: App, models: Models, editor: Principal) -> None:
    """Histories, events and the audit trail keep it whole, and show it."""
    models.version(), models.version()
    deploy(app, editor, 1)
    deploy(app, editor, 2, weight=None)
    rollouts = app.deploy.rollouts
    rollout = rollouts.start(editor, "churn", "2").id
    essay = "x" * 2001
    for attempt in (
        lambda: app.deploy.deploy(editor, "churn", "models:/churn/1", reason=essay),
        lambda: app.deploy.traffic(editor, "churn", {"1": 100}, reason=essay),
        lambda: app.deploy.rollback(editor, "churn", reason=essay),
        lambda: app.deploy.settings.change(editor, "churn", {"timeout_ms": "100"}, reason=essay),
        lambda: rollouts.approve(APPROVER, rollout, reason=essay),
        lambda: rollouts.promote(editor, rollout, reason=essay),
        lambda: rollouts.roll_back(editor, rollout, reason=essay),
        lambda: rollouts.abort(editor, rollout, reason=essay),
    ):
        with pytest.raises(Invalid, match="at most 2000 characters"):
            attempt()


def test_a_removed_endpoint_keeps_its_history(app: App, models: Models, editor: Principal) -> None:
    models.version()
    deploy(app, editor, 1)
    with pytest.raises(Conflict, match="move its traffic"):
        app.deploy.remove(editor, "churn", version="1")
    app.deploy.remove(editor, "churn")
    assert app.deploy.endpoints(editor) == []
    assert [change.action for change in app.deploy.history(editor, "churn").items] == ["deploy"]


def test_an_endpoint_follows_the_new_name_of_its_model(app: App, models: Models, editor: Principal) -> None:
    models.version()
    deploy(app, editor, 1)
    app.registry.rename_model(editor, "churn", new_name="attrition")
    work_off(app)
    assert app.deploy.endpoint(editor, "churn").model == "attrition"


def test_every_change_is_audited_and_announced(app: App, models: Models, editor: Principal) -> None:
    models.version(), models.version()
    deploy(app, editor, 1)
    deploy(app, editor, 2)
    app.deploy.rollback(editor, "churn")
    actions = [record.action for record in app.govern.audit_trail(editor, subject="endpoint:churn").items]
    assert actions[0] == "deploy.endpoint.rollback"
    assert actions.count("deploy.endpoint.deploy") == 4  # asked for and taken over, twice
    kinds = [event.kind for event in app.bus.after(0) if event.kind.startswith("deploy.")]
    assert kinds == [
        "deploy.endpoint_deployed",
        "deploy.traffic_changed",
        "deploy.endpoint_deployed",
        "deploy.traffic_changed",
        "deploy.traffic_changed",
    ]
    assert app.govern.verify_audit(editor).ok


def test_only_an_approver_leaves_a_model_the_network(
    app: App, models: Models, editor: Principal, owner: Principal
) -> None:
    models.version()
    with pytest.raises(Forbidden):
        app.deploy.deploy(editor, "churn", "models:/churn/1", allow_network=True)
    assert app.deploy.deploy(owner, "churn", "models:/churn/1", allow_network=True).served[0].allow_network
    assert not app.deploy.deploy(editor, "churn", "models:/churn/1").served[0].allow_network
