"""Conditions as data: what events they match, the alerts they open and clear, and the rules that are built in."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.app import App
from trimtab.domains.alerts.errors import ChannelNotFound, RuleBuiltIn, RuleExists, RuleNotFound
from trimtab.domains.alerts.model import Condition, FieldTest, Rule, check_rule, fill
from trimtab.kernel.errors import Invalid
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import Principal

FAILED = Condition("tracking.run_finished", [FieldTest("status", "==", "FAILED")])
FINISHED = Condition("tracking.run_finished", [FieldTest("status", "==", "FINISHED")])


def record(
    seq: int, kind: str = "tracking.run_finished", subject: str = "run:r1", **data: Any
) -> EventRecord:
    return EventRecord(seq, f"e{seq}", kind, 1_000_000, subject, "owner", data)


@pytest.mark.parametrize(
    ("op", "value", "found", "holds"),
    [
        ("==", "a", "a", True),
        ("==", 1, 1.0, True),
        ("==", 1, True, False),
        ("==", "1", 1, False),
        ("!=", "a", None, True),
        (">", 0.2, 0.3, True),
        (">", 0.2, "0.3", False),
        (">=", 2, 2, True),
        ("<", "b", "a", True),
        ("<=", 1, None, False),
        ("in", ["a", "b"], "b", True),
        ("in", "ab", "b", False),
        ("contains", "x", ["x"], True),
        ("contains", "x", "axe", True),
        ("contains", 1, "a1", False),
        ("exists", None, 0, True),
        ("exists", None, None, False),
    ],
)
def test_comparisons(op: Any, value: Any, found: Any, holds: bool) -> None:
    assert FieldTest("a.b", op, value).holds({"a": {"b": found}}) is holds


@given(st.sampled_from(["==", "!=", ">", ">=", "<", "<=", "in", "contains", "exists"]), st.data())
def test_comparisons_never_raise(op: Any, data: st.DataObject) -> None:
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=5,
    )
    facts = {"f": data.draw(anything)}
    assert FieldTest("f", op, data.draw(anything)).holds(facts) in (True, False)


def test_templates_fill_what_is_known() -> None:
    assert fill("{name} v{at.version} {nope} {0} {name.__class__}", {"name": "x", "at": {"version": 3}}) == (
        "x v3 {nope} {0} {name.__class__}"
    )


def test_an_event_opens_counts_and_clears(app: App, editor: Principal) -> None:
    rule = Rule(
        "run-failed", FAILED, FINISHED, "critical", "Run {run_id} failed", "by {actor}", key="{experiment}"
    )
    app.alerts.rules.add(editor, rule)
    app.alerts.evaluate(editor, record(1, status="FAILED", run_id="r1", experiment="7"))
    app.alerts.evaluate(editor, record(1, status="FAILED", run_id="r1", experiment="7"))
    app.alerts.evaluate(editor, record(2, status="FAILED", run_id="r2", experiment="7", subject="run:r2"))
    app.alerts.evaluate(editor, record(3, status="FAILED", run_id="r3", experiment="8", subject="run:r3"))
    app.alerts.evaluate(editor, record(4, kind="tracking.run_started", run_id="r4"))
    other, alert = app.alerts.find(editor, state="open").items
    assert (alert.title, alert.detail, alert.count) == ("Run r2 failed", "by owner", 2)
    assert (alert.severity, alert.subject, alert.dedupe_key) == ("critical", "run:r1", "run-failed:7")
    app.alerts.evaluate(editor, record(5, status="FINISHED", run_id="r5", experiment="7"))
    assert app.alerts.get(editor, alert.id).state == "resolved"
    assert app.alerts.get(editor, other.id).state == "open"


def test_events_that_come_late_change_nothing(app: App, editor: Principal) -> None:
    """Deliveries run side by side and are retried, so that they may overtake each other."""
    app.alerts.rules.add(editor, Rule("run-failed", FAILED, FINISHED, title="x", key="all"))
    app.alerts.evaluate(editor, record(2, status="FINISHED"))
    app.alerts.evaluate(editor, record(1, status="FAILED"))
    assert app.alerts.find(editor).items == [], "it was well again before we heard that it had failed"
    app.alerts.evaluate(editor, record(4, status="FAILED"))
    app.alerts.evaluate(editor, record(3, status="FINISHED"))
    assert app.alerts.find(editor).items[0].state == "open", "it was well before it failed"


def test_a_disabled_rule_watches_nothing(app: App, editor: Principal) -> None:
    app.alerts.rules.add(editor, Rule("run-failed", FAILED, title="x", enabled=False))
    app.alerts.evaluate(editor, record(1, status="FAILED"))
    assert app.alerts.find(editor).items == []


def test_built_in_rules_are_changed_but_not_lost(app: App, editor: Principal) -> None:
    name = "data-validation-failed"
    built_in = app.alerts.rules.get(editor, name)
    assert built_in.built_in
    off = app.alerts.rules.replace(editor, msgspec.structs.replace(built_in, enabled=False))
    assert (off.built_in, app.alerts.rules.get(editor, name).enabled) == (True, False)
    app.alerts.rules.remove(editor, name)
    assert app.alerts.rules.get(editor, name) == built_in
    with pytest.raises(RuleBuiltIn):
        app.alerts.rules.remove(editor, name)


def test_names_are_taken_once_and_missing_ones_are_said(app: App, editor: Principal) -> None:
    app.alerts.rules.add(editor, Rule("run-failed", FAILED, title="x"))
    with pytest.raises(RuleExists):
        app.alerts.rules.add(editor, Rule("run-failed"))
    with pytest.raises(RuleNotFound, match="Did you mean 'run-failed'"):
        app.alerts.rules.get(editor, "run-faild")
    with pytest.raises(RuleNotFound):
        app.alerts.rules.replace(editor, Rule("other"))
    with pytest.raises(ChannelNotFound):
        app.alerts.rules.add(editor, Rule("other", channels=["nobody"]))
    assert [rule.name for rule in app.alerts.rules.find(editor)] == ["data-validation-failed", "run-failed"]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Rule("a b"), "name"),
        (Rule("x", FAILED), "title"),
        (Rule("x", None, FAILED), "clear"),
        (Rule("x", key=""), "key"),
        (Rule("x", resolve_after_us=0), "resolve_after_us"),
        (Rule("x", Condition(""), title="t"), "condition.event"),
        (Rule("x", Condition("e", [FieldTest("")]), title="t"), "condition.where[0].field"),
        (Rule("x", Condition("e", [FieldTest("f", "in", "text")]), title="t"), "condition.where[0].value"),
        (Rule("x", FAILED, Condition("e", [FieldTest("f", ">", None)]), title="t"), "clear.where[0].value"),
    ],
)
def test_rules_that_make_no_sense(rule: Rule, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_rule(rule)
    assert caught.value.field == field
