"""Opening, counting, acknowledging and resolving, and who may."""

import threading

import pytest

from trimtab.app import App
from trimtab.domains.alerts.errors import AlertNotActive, AlertNotFound
from trimtab.domains.alerts.model import Alert, Rule
from trimtab.domains.govern.errors import NotPermitted
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


def drift(app: App, who: Principal, **changes: object) -> Alert:
    report = {
        "rule": "monitor-drift",
        "severity": "warning",
        "title": "flights drifts",
        "subject": "monitor:flights",
        "dedupe_key": "drift:flights",
        **changes,
    }
    return app.alerts.open(who, **report)  # type: ignore[arg-type]


def kinds(app: App) -> list[str]:
    return [record.kind for record in app.bus.after(0)]


def test_a_second_report_counts_up(app: App, editor: Principal) -> None:
    first = drift(app, editor, data={"psi": 0.3})
    second = drift(app, editor, title="flights drifts more", data={"psi": 0.4}, episode_id="ep_1")
    assert (second.id, second.count, second.state) == (first.id, 2, "open")
    assert (second.title, second.data, second.episode_id) == ("flights drifts more", {"psi": 0.4}, "ep_1")
    assert app.alerts.get(editor, first.id) == second
    assert kinds(app) == ["alerts.alert_opened"]


def test_reports_of_many_threads_make_one_alert(app: App, editor: Principal) -> None:
    threads = [threading.Thread(target=drift, args=(app, editor)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (alert,) = app.alerts.find(editor).items
    assert alert.count == 8


def test_the_same_cause_is_counted_once(app: App, editor: Principal) -> None:
    drift(app, editor, cause="e1")
    drift(app, editor, cause="e1")
    assert drift(app, editor, cause="e2").count == 2
    app.alerts.resolve(editor, app.alerts.find(editor).items[0].id)
    assert drift(app, editor, cause="e2").state == "resolved", "a late redelivery does not open it again"


def test_a_worse_report_raises_and_opens_again(app: App, editor: Principal) -> None:
    alert = drift(app, editor)
    app.alerts.acknowledge(editor, alert.id)
    assert drift(app, editor).state == "acknowledged"
    worse = drift(app, editor, severity="critical")
    assert (worse.state, worse.severity) == ("open", "critical")
    assert drift(app, editor, severity="info").severity == "critical"


def test_acknowledge_then_resolve(app: App, editor: Principal) -> None:
    alert = drift(app, editor)
    seen = app.alerts.acknowledge(editor, alert.id, note="looking")
    assert (seen.state, seen.acknowledged_by, seen.note) == ("acknowledged", editor.id, "looking")
    done = app.alerts.resolve(editor, alert.id, note="sensor was off")
    assert (done.state, done.resolved_by, done.note) == ("resolved", editor.id, "sensor was off")
    assert app.alerts.resolve(editor, alert.id) == done
    with pytest.raises(AlertNotActive):
        app.alerts.acknowledge(editor, alert.id)
    assert drift(app, editor).id != alert.id
    assert kinds(app) == ["alerts.alert_opened", "alerts.alert_resolved", "alerts.alert_opened"]


def test_clear_ends_what_is_active(app: App, editor: Principal) -> None:
    assert app.alerts.clear(editor, "drift:flights") is None
    alert = drift(app, editor)
    cleared = app.alerts.clear(editor, "drift:flights", note="back to normal")
    assert cleared is not None
    assert (cleared.id, cleared.state) == (alert.id, "resolved")
    assert app.alerts.clear(editor, "drift:flights") is None


def test_a_quiet_alert_resolves_by_its_rule(app: App, editor: Principal) -> None:
    app.alerts.rules.add(editor, Rule("monitor-drift", resolve_after_us=60_000_000))
    old, other = drift(app, editor), drift(app, editor, rule="else", dedupe_key="else")
    assert app.alerts.sweep(editor, deliveries_before_us=0) == 0
    with app.db.write() as tx:
        tx.run(statement("age", "update alerts_alert set updated_us = updated_us - 61000000"))
    assert app.alerts.sweep(editor, deliveries_before_us=0) == 1
    assert app.alerts.get(editor, old.id).state == "resolved"
    assert app.alerts.get(editor, other.id).state == "open"


def test_a_rule_sets_the_severity(app: App, editor: Principal) -> None:
    app.alerts.rules.add(editor, Rule("monitor-drift", severity="critical"))
    assert drift(app, editor, severity="info").severity == "critical"


def test_listing_is_filtered_and_paged(app: App, editor: Principal, viewer: Principal) -> None:
    made = [drift(app, editor, dedupe_key=f"k{number}", subject=f"monitor:m{number}") for number in range(5)]
    app.alerts.resolve(editor, made[0].id)
    assert [alert.id for alert in app.alerts.find(viewer, state="resolved").items] == [made[0].id]
    assert [alert.id for alert in app.alerts.find(viewer, subject="monitor:m3").items] == [made[3].id]
    first = app.alerts.find(viewer, limit=2)
    rest = app.alerts.find(viewer, limit=10, cursor=first.next_cursor)
    assert [alert.id for alert in first.items + rest.items] == [alert.id for alert in reversed(made)]
    assert rest.next_cursor is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("severity", "fatal"),
        ("title", " "),
        ("title", "x" * 301),
        ("subject", "flights"),
        ("subject", "planet:mars"),
        ("dedupe_key", ""),
        ("rule", "a b"),
        ("data", {"x": "y" * 70_000}),
    ],
)
def test_bad_reports_change_nothing(app: App, editor: Principal, field: str, value: object) -> None:
    with pytest.raises(Invalid):
        drift(app, editor, **{field: value})
    assert app.alerts.find(editor).items == []
    assert kinds(app) == []


def test_viewers_only_look(app: App, editor: Principal, viewer: Principal) -> None:
    alert = drift(app, editor)
    for act in (
        lambda: drift(app, viewer),
        lambda: app.alerts.acknowledge(viewer, alert.id),
        lambda: app.alerts.resolve(viewer, alert.id),
        lambda: app.alerts.clear(viewer, alert.dedupe_key),
        lambda: app.alerts.sweep(viewer, deliveries_before_us=now_us()),
        lambda: app.alerts.rules.add(viewer, Rule("x")),
        lambda: app.alerts.channels.add(viewer, name="x", url="http://localhost/"),
    ):
        with pytest.raises(NotPermitted):
            act()
    assert app.alerts.get(viewer, alert.id).state == "open"
    with pytest.raises(AlertNotFound):
        app.alerts.get(viewer, "al_none")


def test_acts_are_in_the_audit_trail(app: App, owner: Principal) -> None:
    alert = drift(app, owner)
    app.alerts.acknowledge(owner, alert.id)
    app.alerts.resolve(owner, alert.id)
    trail = app.govern.audit_trail(owner, subject=f"alert:{alert.id}").items
    assert [record.action for record in trail] == ["alerts.resolve", "alerts.acknowledge", "alerts.open"]
