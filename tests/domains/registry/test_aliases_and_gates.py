"""Aliases with their history, and gates with their evidence."""

import pytest

from tests.domains.registry.conftest import SAFE, Tracked
from trimtab.app import App
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.errors import AliasNotFound, ModelNotFound, ModelVersionNotFound
from trimtab.domains.registry.model import GateCheck
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal


@pytest.fixture
def two(registry: RegistryService, tracked: Tracked, editor: Principal) -> RegistryService:
    source = f"models:/{tracked.model(SAFE)}"
    for _ in range(2):
        registry.create_version(editor, "m", source=source, create_model=True)
    return registry


def test_an_alias_remembers_who_moved_it_when_and_why(
    app: App, two: RegistryService, editor: Principal, owner: Principal, viewer: Principal
) -> None:
    two.set_alias(editor, "m", "champion", 1, reason="first")
    two.set_alias(owner, "m", "champion", 2, reason="won the canary", evidence={"rollout": "r1"})
    two.set_alias(owner, "m", "champion", 2, reason="again")
    assert two.version_by_alias(viewer, "m", "champion").aliases == ["champion"]
    assert two.get_version(viewer, "m", 1).aliases == []
    two.delete_alias(editor, "m", "champion", reason="out of service")
    two.delete_alias(editor, "m", "champion")
    with pytest.raises(AliasNotFound):
        two.version_by_alias(viewer, "m", "champion")
    moves = two.alias_history(viewer, "m").items
    assert [(move.previous, move.version, move.actor, move.reason) for move in moves] == [
        (2, None, editor.id, "out of service"),
        (1, 2, owner.id, "won the canary"),
        (None, 1, editor.id, "first"),
    ]
    assert moves[1].evidence == {"rollout": "r1"}
    assert [event.kind for event in app.bus.after(0)][-3:] == ["registry.alias_moved"] * 3
    trail = [
        record for record in app.govern.audit_trail(viewer).items if record.action == "registry.alias.move"
    ]
    assert trail[1].detail == {
        "alias": "champion", "from": 1, "to": 2, "reason": "won the canary", "evidence": {"rollout": "r1"},
    }  # fmt: skip


def test_the_history_is_paged_and_outlives_the_model(two: RegistryService, editor: Principal) -> None:
    for version in (1, 2, 1, 2):
        two.set_alias(editor, "m", "a", version)
    two.set_alias(editor, "m", "b", 1)
    first = two.alias_history(editor, "m", alias="a", limit=3)
    rest = two.alias_history(editor, "m", alias="a", limit=3, cursor=first.next_cursor)
    assert [move.version for move in first.items + rest.items] == [2, 1, 2, 1]
    two.delete_version(editor, "m", 2)
    gone = two.alias_history(editor, "m", limit=1).items[0]
    assert (gone.alias, gone.version, gone.previous, gone.reason) == ("a", None, 2, "the version was deleted")
    two.delete_model(editor, "m")
    with pytest.raises(ModelNotFound):
        two.alias_history(editor, "m")
    two.create_model(editor, "m")
    assert len(two.alias_history(editor, "m").items) == 7


@pytest.mark.parametrize(
    "alias", ["", "latest", "LATEST", "v1", "V22", "a b", "a/b", "a@b", "x" * 256, "a\n"]
)
def test_bad_aliases_are_refused(two: RegistryService, editor: Principal, alias: str) -> None:
    with pytest.raises(Invalid) as refused:
        two.set_alias(editor, "m", alias, 1)
    assert refused.value.field == "alias"
    assert two.get_model(editor, "m").aliases == {}


def test_an_alias_needs_its_version(two: RegistryService, editor: Principal) -> None:
    with pytest.raises(ModelVersionNotFound):
        two.set_alias(editor, "m", "a", 3)
    with pytest.raises(ModelNotFound):
        two.set_alias(editor, "n", "a", 1)
    with pytest.raises(Invalid, match="reason"):
        two.set_alias(editor, "m", "a", 1, reason="x" * 2001)
    with pytest.raises(Invalid, match="evidence"):
        two.set_alias(editor, "m", "a", 1, evidence="x" * 100_001)
    with pytest.raises(Invalid, match="not JSON"):
        two.set_alias(editor, "m", "a", 1, evidence=object())
    assert two.alias_history(editor, "m").items == []


def test_a_gate_keeps_its_checks_and_evidence(
    app: App, two: RegistryService, editor: Principal, viewer: Principal
) -> None:
    failed = two.record_gate(
        editor,
        "m",
        2,
        champion=1,
        verdict="failed",
        checks=[
            GateCheck("auc", passed=False, value=0.7, threshold=0.72, low=0.69, high=0.71),
            {"name": "latency", "passed": True, "value": float("nan"), "detail": "p99"},
        ],
        evidence={"data": "data:flights@3", "rows": 5000},
    )
    two.record_gate(editor, "m", 2, champion=1, verdict="passed", checks=[])
    kept = two.gates(viewer, "m", 2)
    assert [gate.verdict for gate in kept.items] == ["passed", "failed"]
    assert kept.items[1] == failed
    assert failed.checks[1] == GateCheck("latency", passed=True, value=None, detail="p99")
    assert two.gates(viewer, "m", 1).items == []
    first = two.gates(viewer, "m", 2, limit=1)
    assert two.gates(viewer, "m", 2, limit=1, cursor=first.next_cursor).items == [failed]
    event = app.bus.after(0)[-2]
    assert (event.kind, event.subject, event.data["failed_checks"]) == (
        "registry.gate_decided",
        "model:m/2",
        ["auc"],
    )


def test_bad_gates_are_refused(two: RegistryService, editor: Principal) -> None:
    good = {"name": "auc", "passed": True}
    for change in (
        {"verdict": "maybe"},
        {"champion": 0},
        {"champion": 2**40},
        {"checks": [{"name": "auc"}]},
        {"checks": [{"name": "auc", "passed": "yes"}]},
        {"checks": [{"name": "auc", "passed": False}]},
        {"checks": [good] * 1001},
        {"evidence": {"x": object()}},
        {"evidence": {"x": "y" * 1_000_001}},
    ):
        asked = {"champion": None, "verdict": "passed", "checks": [good], **change}
        with pytest.raises(Invalid):
            two.record_gate(editor, "m", 1, **asked)
    with pytest.raises(ModelVersionNotFound):
        two.record_gate(editor, "m", 9, champion=None, verdict="passed", checks=[good])
    assert two.gates(editor, "m", 1).items == []
