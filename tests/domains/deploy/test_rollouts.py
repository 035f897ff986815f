"""Rollouts by their plans: what each strategy does next, who may say so, and what is kept of it."""

import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from tests.background import work_off
from tests.domains.deploy.conftest import PLANE, Models
from trimtab.app import App
from trimtab.domains.deploy.errors import FourEyes, NeedsApproval, NotReady, RolloutOver, RolloutRunning
from trimtab.domains.deploy.model import JudgeSaid, Rollout, Step
from trimtab.domains.deploy.rollouts import cli, strategies
from trimtab.domains.deploy.rollouts.cli import time_us
from trimtab.domains.deploy.rollouts.plans import JudgeRules, Limit, Plan, judge_rules
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.registry.compilation.model import Compilation
from trimtab.domains.registry.errors import EnvironmentRule
from trimtab.domains.registry.model import ModelEnvironment
from trimtab.kernel.errors import Conflict, Invalid
from trimtab.kernel.who import Principal

SECOND = 1_000_000
APPROVER = Principal(id="token:a", name="approver", role="approver")


def seen(requests: int, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "errors", "verdict": "open", "n_champion": requests, "n_challenger": requests, **more}]


@pytest.fixture
def two(app: App, models: Models, editor: Principal) -> App:
    """An endpoint whose champion is version 1, and version 2 warm."""
    for version in (1, 2):
        models.version()
        weight = 100.0 if version == 1 else None
        app.deploy.deploy(editor, "churn", f"models:/churn/{version}", weight=weight)
        app.deploy.replica_ready(PLANE, "churn", str(version), pid=version)
    return app


def begin(app: App, who: Principal, challenger: str = "2", **plan: Any) -> Rollout:
    return app.deploy.rollouts.start(who, "churn", challenger, plan=Plan(**{"bake_us": 0, **plan}))


def traffic(app: App, who: Principal) -> dict[str, float]:
    return app.deploy.endpoint(who, "churn").traffic()


def roles(app: App, who: Principal) -> dict[str, tuple[str, float]]:
    return {one.version: (one.role, one.weight) for one in app.deploy.endpoint(who, "churn").served}


def test_a_canary_takes_its_steps_and_is_promoted_by_the_judge(two: App, editor: Principal) -> None:
    rollouts = two.deploy.rollouts
    rollout = begin(two, editor, steps=(5, 25), min_requests=10)
    assert traffic(two, editor) == {"1": 95.0, "2": 5.0}
    with pytest.raises(RolloutRunning):
        begin(two, editor)
    assert len(rollouts.judged(editor, rollout.id, seen(5)).steps) == 1, "too few requests were tried"
    assert rollouts.judged(editor, rollout.id, seen(10)).steps[-1].weight == 25
    assert rollouts.judged(editor, rollout.id, seen(40)).state == "running", "the judge has not said so"
    ended = rollouts.judged(editor, rollout.id, seen(50), action="promote", reason="inside every margin")
    assert (ended.state, ended.reason) == ("promoted", "inside every margin")
    assert roles(two, editor) == {"1": ("warm", 0.0), "2": ("champion", 100.0)}
    with pytest.raises(RolloutOver):
        rollouts.roll_back(editor, rollout.id, reason="too late")
    trail = two.govern.audit_trail(editor, subject="endpoint:churn").items
    acts = [one.action.removeprefix("deploy.rollout.") for one in trail if "rollout" in one.action]
    assert acts == ["promoted", "step", "step", "start"]
    assert trail[0].detail["evidence"][0]["n_challenger"] == 50


def test_harm_ends_any_step_at_once_and_late_evidence_changes_nothing(two: App, editor: Principal) -> None:
    rollouts = two.deploy.rollouts
    rollout = begin(two, editor, steps=(5, 25), bake_us=3600 * SECOND)
    judged = rollouts.judged(editor, rollout.id, seen(99), at_us=2_000)
    assert rollouts.judged(editor, rollout.id, seen(1), action="rollback", at_us=1_000) == judged
    back = rollouts.judged(editor, rollout.id, seen(99), action="rollback", reason="errors", at_us=3_000)
    assert (back.state, traffic(two, editor)) == ("rolled-back", {"1": 100.0})
    assert rollouts.judged(editor, rollout.id, seen(99), action="promote") == back


def test_time_alone_moves_a_linear_rollout_by_durable_jobs(two: App, editor: Principal) -> None:
    rollout = begin(
        two, editor, strategy="linear", steps=(40,), min_requests=0, finish="time", bake_us=100_000
    )
    assert rollout.plan.steps == (40, 80)
    time.sleep(0.11)
    work_off(two)
    ended = two.deploy.rollouts.get(editor, rollout.id)
    assert (ended.state, [step.weight for step in ended.steps]) == ("promoted", [40, 80])
    assert [move.version for move in two.registry.alias_history(editor, "churn").items] == [2]


def test_blue_green_switches_at_once_and_the_former_champion_sees_copies(two: App, editor: Principal) -> None:
    rollouts = two.deploy.rollouts
    rollout = begin(two, editor, strategy="blue-green", steps=(30,), bake_us=3600 * SECOND)
    assert (rollout.weight, rollout.copies) == (100, 30)
    assert traffic(two, editor) == {"2": 100.0}
    assert roles(two, editor) == {"1": ("shadow", 30.0), "2": ("champion", 100.0)}
    rollouts.judged(editor, rollout.id, seen(9), action="rollback", reason="worse")
    assert roles(two, editor) == {"1": ("champion", 100.0), "2": ("warm", 0.0)}
    again = begin(two, editor, strategy="blue-green", min_requests=0)
    assert rollouts.advance(editor, again.id).state == "promoted"
    assert roles(two, editor) == {"1": ("warm", 0.0), "2": ("champion", 100.0)}


def test_a_shadow_answers_nobody_and_passes_without_a_change(two: App, editor: Principal) -> None:
    rollouts = two.deploy.rollouts
    rollout = begin(two, editor, strategy="shadow")
    assert roles(two, editor) == {"1": ("champion", 100.0), "2": ("shadow", 100.0)}
    assert (rollout.weight, rollout.copies, traffic(two, editor)) == (0, 100, {"1": 100.0})
    assert rollouts.judged(editor, rollout.id, seen(50), action="promote").state == "passed"
    assert roles(two, editor) == {"1": ("champion", 100.0), "2": ("warm", 0.0)}


def test_an_ab_split_stays_until_one_is_better(two: App, editor: Principal) -> None:
    rollouts = two.deploy.rollouts
    rollout = begin(two, editor, strategy="ab", steps=(40,))
    assert rollout.policy["goal"] == "better"
    assert rollouts.judged(editor, rollout.id, seen(9000)).steps == rollout.steps
    assert rollouts.judged(editor, rollout.id, seen(9001), action="promote").state == "promoted"
    needed = strategies.requests_needed(rollout.plan, rollout.policy)
    assert needed is not None
    assert needed > strategies.requests_needed(rollout.plan, {"quality": {"margin": 0.1}})  # type: ignore[operator]


def test_a_bandit_follows_what_was_gained_and_keeps_the_floor(two: App, editor: Principal) -> None:
    rollouts = two.deploy.rollouts
    rollout = begin(two, editor, strategy="bandit", bake_us=SECOND, floor=10)
    quality = {"name": "quality", "n_champion": 200, "n_challenger": 200, "champion": 0.4, "challenger": 0.1}
    assert rollouts.judged(editor, rollout.id, [quality]).steps == rollout.steps, "not baked"
    past = msgspec.structs.replace(rollout, steps=[Step(50, 0)], judge=[quality])
    act = strategies.decide(past, 2 * SECOND)
    assert act is not None
    assert (act.kind, act.weight) == ("step", 90.0)
    even = [{**quality, "challenger": 0.41}]
    near = strategies.decide(msgspec.structs.replace(past, judge=even), 2 * SECOND)
    assert near is not None
    assert 30 < near.weight < 50
    gone = msgspec.structs.replace(past, verdict=JudgeSaid("rollback", "errors"))
    assert strategies.decide(gone, 2 * SECOND) == strategies.Act("rollback", "errors")


def test_patience_ends_what_is_not_decided(two: App, editor: Principal) -> None:
    rollout = begin(two, editor, strategy="ab", patience_us=50_000)
    time.sleep(0.06)
    work_off(two)
    assert two.deploy.rollouts.get(editor, rollout.id).state == "rolled-back"


def test_a_version_that_is_not_served_is_loaded_first(app: App, models: Models, editor: Principal) -> None:
    models.version(), models.version(), models.version()
    app.deploy.deploy(editor, "churn", "models:/churn/1")
    app.deploy.replica_ready(PLANE, "churn", "1", pid=1)
    rollout = begin(app, editor, "models:/churn/2", steps=(10,))
    assert (rollout.phase, rollout.steps, traffic(app, editor)) == ("warming", [], {"1": 100.0})
    app.deploy.replica_ready(PLANE, "churn", "2", pid=2)
    work_off(app)
    assert traffic(app, editor) == {"1": 90.0, "2": 10.0}
    app.deploy.replica_failed(PLANE, "churn", "2", error="it dies again and again")
    work_off(app)
    ended = app.deploy.rollouts.get(editor, rollout.id)
    assert (ended.state, traffic(app, editor)) == ("rolled-back", {"1": 100.0})
    assert "again and again" in ended.reason
    failing = begin(app, editor, "3")
    app.deploy.replica_failed(PLANE, "churn", "3", error="no such file")
    work_off(app)
    assert app.deploy.rollouts.get(editor, failing.id).state == "aborted"


def test_a_version_is_not_removed_from_under_its_rollout(two: App, editor: Principal) -> None:
    rollout = begin(two, editor, approval=True)
    with pytest.raises(Conflict, match="Version 2 waits in a rollout"):
        two.deploy.remove(editor, "churn", version="2")
    two.deploy.rollouts.abort(editor, rollout.id, reason="enough")
    two.deploy.remove(editor, "churn", version="2")
    assert roles(two, editor) == {"1": ("champion", 100.0)}


def test_a_rollout_ends_with_a_challenger_that_is_deleted(two: App, editor: Principal) -> None:
    rollout = begin(two, editor, approval=True)
    two.registry.delete_version(editor, "churn", 2)
    work_off(two)
    ended = two.deploy.rollouts.get(editor, rollout.id)
    assert (ended.state, ended.reason) == ("aborted", "version 2 was deleted from the registry")
    assert roles(two, editor) == {"1": ("champion", 100.0)}


def test_a_version_that_is_still_compiled_waits_where_the_champion_is_compiled(
    two: App, editor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {1: "compiled", 2: "pending"}

    def compilation(who: Principal, name: str, version: int) -> Compilation:
        assert who == editor or who.id == "system:deploy"
        return Compilation(states[version], 0, 0, None)  # type: ignore[arg-type]

    monkeypatch.setattr(two.registry, "compilation", compilation)
    rollout = begin(two, editor, steps=(10,))
    assert rollout.phase == "warming"
    assert two.deploy.rollouts.advance(editor, rollout.id).phase == "warming"
    states[2] = "unsupported"
    work_off(two)  # it is looked at again by itself
    assert two.deploy.rollouts.get(editor, rollout.id).phase == "step"


def test_somebody_else_approves(two: App, editor: Principal) -> None:
    rollouts = two.deploy.rollouts
    rollout = begin(two, APPROVER, approval=True, steps=(10,))
    assert (rollout.phase, traffic(two, editor)) == ("approval", {"1": 100.0})
    with pytest.raises(NeedsApproval):
        rollouts.promote(editor, rollout.id, reason="now")
    with pytest.raises(FourEyes):
        rollouts.approve(APPROVER, rollout.id)
    with pytest.raises(NotPermitted):
        rollouts.approve(editor, rollout.id)
    other = Principal(id="token:b", name="another", role="approver")
    approved = rollouts.approve(other, rollout.id, reason="looks right")
    assert (approved.approved_by, approved.phase, traffic(two, editor)["2"]) == ("token:b", "step", 10)
    with pytest.raises(Conflict):
        rollouts.approve(other, rollout.id)


def test_the_rules_of_the_environment_hold(two: App, editor: Principal, owner: Principal) -> None:
    def rule(**rules: Any) -> None:
        two.registry.set_environments(owner, "churn", [ModelEnvironment(name="champion", **rules)])

    rule(needs_gate=True)
    with pytest.raises(EnvironmentRule, match="gate"):
        begin(two, editor)
    rule(role="admin")
    rollout = begin(two, editor, steps=(10,))
    assert rollout.phase == "approval"
    with pytest.raises(NotPermitted):
        two.deploy.rollouts.approve(APPROVER, rollout.id)
    assert two.deploy.rollouts.approve(owner, rollout.id).phase == "step"


def test_traffic_by_hand_ends_a_rollout(two: App, editor: Principal) -> None:
    for act, state in (
        (lambda: two.deploy.rollback(editor, "churn", reason="no"), "rolled-back"),
        (lambda: two.deploy.traffic(editor, "churn", {"1": 70, "2": 30}), "aborted"),
    ):
        rollout = begin(two, editor, steps=(10,))
        act()
        assert two.deploy.rollouts.get(editor, rollout.id).state == state
    two.deploy.traffic(editor, "churn", {"1": 100})
    rollout = begin(two, editor, steps=(10,))
    assert two.deploy.rollouts.abort(editor, rollout.id, reason="tea").state == "aborted"
    assert traffic(two, editor) == {"1": 100.0}


def test_a_rollout_by_hand_is_told_and_its_alias_follows(two: App, editor: Principal) -> None:
    rollout = begin(two, editor, steps=(10,))
    two.deploy.rollouts.promote(editor, rollout.id, reason="good enough")
    work_off(two)
    told = [(one.kind, one.state) for one in two.loop.timeline(editor).items]
    assert told == [("promotion", "done"), ("canary", "started")]
    assert two.registry.version_by_alias(editor, "churn", "champion").version == 2


@pytest.mark.parametrize(
    "plan",
    [
        {"steps": (0,)},
        {"steps": (25, 5)},
        {"steps": (5, 100)},
        {"bake_us": -1},
        {"floor": 60},
        {"patience_us": 0},
        {"strategy": "ab", "steps": (1, 2)},
        {"strategy": "linear", "steps": (1,)},
        {"strategy": "shadow", "steps": (101,)},
        {"strategy": "bandit", "bake_us": 5},
        {"strategy": "cannary"},
    ],
)
def test_bad_plans_are_refused(two: App, editor: Principal, plan: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        begin(two, editor, **plan)
    assert two.deploy.rollouts.list(editor) == []


def test_bad_challengers_and_policies_are_refused(
    two: App, models: Models, editor: Principal, viewer: Principal
) -> None:
    start = two.deploy.rollouts.start
    for challenger, error in (("1", NotReady), ("two", Invalid)):
        with pytest.raises(error):
            start(editor, "churn", challenger)
    for policy in ({"alpha": 2}, {"latency": {"harms": 1}}, {"quality": None, "goal": "better"}, {"x": 1}):
        with pytest.raises(Invalid, match=r"judge|alpha|compared"):
            start(editor, "churn", "2", policy=policy)
    for act in ("promote", "roll_back", "abort"):
        with pytest.raises(NotPermitted):
            getattr(two.deploy.rollouts, act)(viewer, "ro_x", reason="")


def test_the_rules_name_what_the_judge_knows() -> None:
    from trimtab.domains.monitor.trials import policy_of
    from trimtab.science.sequential import judge

    assert set(JudgeRules.__struct_fields__) == {field.name for field in fields(judge.Policy)}
    assert set(Limit.__struct_fields__) == {field.name for field in fields(judge.Limit)}
    policy = policy_of(judge_rules({"alpha": 0.01, "latency": {"harm": 1.2}, "quality": None}, "canary"))
    assert (policy.alpha, policy.latency, policy.quality) == (0.01, judge.Limit(1.2, 2.0), None)
    compared = policy_of(judge_rules({}, "ab"), copies=True)
    assert (compared.goal, compared.latency) == ("better", None)
    assert compared.predictions == judge.Limit(0.2, 0.25, required=False, weight=0.0)


def test_rollouts_over_http(two: App, models: Models, http: TestClient) -> None:
    models.version()
    body = {"challenger": "3", "plan": {"bake_us": 0}, "reason": "try"}
    started = http.post("/api/v1/endpoints/churn/rollouts", json=body)
    assert started.status_code == 201, started.text
    rollout = started.json()
    assert (rollout["phase"], rollout["steps"], rollout["weight"]) == ("warming", [], 0)
    assert rollout["plan"]["steps"] == [5, 25, 50]
    two.deploy.replica_ready(PLANE, "churn", "3", pid=3)
    work_off(two)
    (listed,) = http.get("/api/v1/rollouts?endpoint=churn&state=running").json()["items"]
    assert [step["weight"] for step in listed["steps"]] == [5]
    assert http.get(f"/api/v1/rollouts/{rollout['id']}").json()["next_us"] > 0
    for act, status in (("approve", 403), ("rollback", 200), ("promote", 409)):
        answer = http.post(f"/api/v1/rollouts/{rollout['id']}/{act}", json={})
        assert answer.status_code == status, answer.text
    plan = {"strategy": "ab"}
    compared = http.post("/api/v1/endpoints/churn/rollouts", json={"challenger": "2", "plan": plan}).json()
    assert compared["requests_needed"] > 1000
    for body in ({}, {"challenger": "2", "plan": {"strategy": "x"}}, {"challenger": "2", "judge": {"x": 1}}):
        assert http.post("/api/v1/endpoints/churn/rollouts", json=body).status_code in (400, 422)
    assert http.get("/api/v1/rollouts/ro_nope").status_code == 404


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("1h30m", 5400), ("0s", 0), ("0", None), ("", None), ("x", None)],
)
def test_times_are_read(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(Invalid):
            time_us(text, "bake")
    else:
        assert time_us(text, "bake") == seconds * 1e6


def test_a_judge_file_that_is_none_is_refused(tmp_path: Path) -> None:
    for content in ("- 1", "a: [", "\xff"):
        file = tmp_path / "judge.yaml"
        file.write_bytes(content.encode("latin-1"))
        with pytest.raises(Invalid):
            cli._rules(file)
    with pytest.raises(Invalid):
        cli._rules(tmp_path / "nope.yaml")
