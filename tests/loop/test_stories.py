"""From an alarm to a new champion, and every way in which that may end otherwise."""

import msgspec
import pytest

from tests.background import work_off
from tests.loop.conftest import DAY, Stage
from trimtab.domains.data.model import DataFile
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.monitor import store
from trimtab.domains.monitor.events import TrialJudged
from trimtab.domains.pipelines.events import PipelineRunFinished
from trimtab.infra.db import Where
from trimtab.kernel.errors import Conflict, Invalid, NotFound
from trimtab.kernel.who import Principal, system
from trimtab.loop.errors import BadCandidate, EpisodeRunning
from trimtab.loop.model import GATE, CanaryPolicy, EpisodeState, LoopPolicy


def gated(stage: Stage) -> None:
    """Bring an episode to where its candidate, version 2, passed the gate."""
    stage.models.version()
    stage.alarm()
    stage.finish_run(candidate="models:/churn/2", evaluation="data:e@1", reference="data:t@1")
    with stage.app.db.write() as tx:
        episode = stage.app.loop.active(tx, "churn")
        assert episode is not None
        stage.app.loop.move(tx, episode, "warming", baseline={"brier": 0.1})
    stage.app.canary.prepare(episode.id)


def add_data(stage: Stage) -> None:
    """Add the data version e@1."""
    content = b"a,b,label\n1,2,0\n"
    blob = stage.app.blobs.put(content)
    stage.app.data.add(stage.owner, "e", [DataFile(path="e.csv", size_bytes=len(content), blob=blob)])


def judged(stage: Stage, action: str) -> TrialJudged:
    rollout = stage.app.deploy.rollouts.list(stage.owner, endpoint="churn")[0]
    return TrialJudged(
        rollout=rollout.id,
        endpoint="churn",
        action=action,  # type: ignore[arg-type]
        reason="the evidence said so",
        evidence=[{"name": "quality", "verdict": "harm"}],
        event_us=101 * DAY,
    )


def test_an_alarm_is_told_and_starts_a_retraining_with_data_up_to_it(stage: Stage) -> None:
    stage.alarm(at_us=100 * DAY)
    assert stage.episode().state == "retraining"
    (run,) = stage.app.pipelines.find_runs(stage.owner).items
    assert (run.params["until_us"], run.trigger["episode"]) == (100 * DAY, stage.episode().id)
    (alert,) = stage.app.alerts.find(stage.owner).items
    assert (alert.severity, alert.episode_id) == ("critical", stage.episode().id)
    assert stage.lines() == ["alarm info", "retraining started"]


def test_the_same_event_twice_leaves_one_story(stage: Stage) -> None:
    stage.alarm()
    record = next(event for event in stage.app.bus.after(0) if event.kind == "monitor.alarmed")
    stage.app.retrain.on_alarm(record)
    assert stage.lines() == ["alarm info", "retraining started"]
    assert len(stage.app.pipelines.find_runs(stage.owner).items) == 1
    assert len(stage.app.alerts.find(stage.owner).items) == 1


def test_each_line_names_its_cause(stage: Stage) -> None:
    gated(stage)
    stage.answer(2)
    stage.send(judged(stage, "promote"))
    steps = list(reversed(stage.app.loop.timeline(stage.owner).items))
    assert [step.cause_id for step in steps] == [None, *[step.id for step in steps[:-1]]]


def test_a_promoted_candidate_becomes_the_champion_everywhere(stage: Stage) -> None:
    gated(stage)
    assert stage.app.deploy.endpoint(stage.owner, "churn").traffic() == {"1": 100.0}
    stage.answer(2)
    assert stage.app.deploy.endpoint(stage.owner, "churn").traffic() == {"1": 80.0, "2": 20.0}
    assert stage.episode().state == "canary"
    stage.send(judged(stage, "continue"))
    assert stage.episode().state == "canary"
    stage.send(judged(stage, "promote"))
    assert stage.app.deploy.endpoint(stage.owner, "churn").champion == "2"
    assert stage.app.registry.version_by_alias(stage.owner, "churn", "champion").version == 2
    assert (stage.episode().state, stage.lines()[-1]) == ("promoted", "promotion done")
    assert [alert.state for alert in stage.app.alerts.find(stage.owner).items] == ["resolved"]


def test_a_harmful_candidate_is_taken_back_and_reported(stage: Stage) -> None:
    gated(stage)
    stage.answer(2)
    stage.send(judged(stage, "rollback"))
    assert stage.app.deploy.endpoint(stage.owner, "churn").traffic() == {"1": 100.0}
    assert (stage.episode().state, stage.lines()[-1]) == ("rolled-back", "rollback done")
    newest = stage.app.alerts.find(stage.owner).items[0]
    assert (newest.rule, newest.severity, newest.state) == ("rollout.rolled-back", "critical", "open")


def test_a_failed_retraining_ends_the_story(stage: Stage) -> None:
    stage.alarm()
    stage.finish_run(state="failed")
    assert (stage.episode().state, stage.lines()[-1]) == ("failed", "retraining failed")


def test_a_pipeline_that_returns_no_candidate_is_told_so(stage: Stage) -> None:
    stage.alarm()
    stage.finish_run(evaluation="data:e@1")
    newest = stage.app.loop.timeline(stage.owner).items[0]
    assert (newest.state, newest.detail) == (
        "failed",
        "the pipeline must return candidate; it returned evaluation",
    )


def test_a_candidate_that_cannot_be_loaded_leaves_the_champion(stage: Stage) -> None:
    gated(stage)
    stage.app.deploy.replica_failed(stage.owner, "churn", "2", error="no such type")
    stage.day_passes(101 * DAY)
    assert stage.episode().state == "failed"
    assert stage.app.deploy.endpoint(stage.owner, "churn").traffic() == {"1": 100.0}


def test_a_second_alarm_waits_for_the_cool_down(stage: Stage) -> None:
    stage.alarm(at_us=100 * DAY)
    stage.finish_run(state="failed")
    stage.alarm(at_us=110 * DAY)
    assert stage.episode().state == "waiting"
    stage.day_passes(129 * DAY)
    assert stage.episode().state == "waiting"
    stage.day_passes(130 * DAY)
    assert (stage.episode().state, stage.episode().event_us) == ("retraining", 130 * DAY)
    assert len(stage.app.pipelines.find_runs(stage.owner).items) == 2


def test_an_alarm_during_an_episode_joins_it(stage: Stage) -> None:
    stage.alarm(cause="performance")
    stage.alarm(cause="drift", at_us=101 * DAY)
    assert len(stage.app.loop.episodes(stage.owner)) == 1
    assert stage.lines().count("alarm info") == 2


def test_without_a_policy_an_alarm_is_only_reported(stage: Stage) -> None:
    stage.app.loop.remove_policy(stage.owner, "churn")
    stage.alarm()
    assert stage.app.loop.episodes(stage.owner) == []
    assert stage.lines() == ["alarm info"]
    assert len(stage.app.alerts.find(stage.owner).items) == 1


def test_a_suggestion_waits_for_a_person(stage: Stage, viewer: Principal) -> None:
    stage.app.loop.set_policy(
        stage.owner, LoopPolicy(endpoint="churn", model="churn", pipeline="train", mode="suggest")
    )
    stage.alarm()
    assert stage.episode().state == "suggested"
    with pytest.raises(NotPermitted):
        stage.app.retrain.start_by_hand(viewer, stage.episode().id)
    stage.app.retrain.start_by_hand(stage.owner, stage.episode().id)
    assert stage.episode().state == "retraining"
    with pytest.raises(Conflict):
        stage.app.retrain.start_by_hand(stage.owner, stage.episode().id)


def test_releases_are_checked_and_one_at_a_time(stage: Stage, owner: Principal, viewer: Principal) -> None:
    stage.models.version()
    release = stage.app.release.start
    with pytest.raises(NotPermitted):
        release(viewer, "churn", model="models:/churn/2", evaluation="data:e@1")
    with pytest.raises(NotFound):
        release(owner, "churn", model="models:/churn/2", evaluation="data:nope@1")
    with pytest.raises(Invalid):
        release(owner, "churn", model="models:/churn/2", evaluation="data:e@x")
    with pytest.raises(BadCandidate, match="champion already"):
        release(owner, "churn", model="models:/churn/1", evaluation="data:e@1")
    stage.alarm()
    add_data(stage)
    with pytest.raises(EpisodeRunning):
        release(owner, "churn", model="models:/churn/2", evaluation="data:e@1")


def test_policies_are_checked(stage: Stage, owner: Principal, viewer: Principal) -> None:
    good = LoopPolicy(endpoint="churn", model="churn", pipeline="train")
    with pytest.raises(NotPermitted):
        stage.app.loop.set_policy(viewer, good)
    for bad in (
        LoopPolicy(endpoint="churn", model="other", pipeline="train"),
        LoopPolicy(endpoint="churn", model="churn", pipeline="train", canary=CanaryPolicy(weight=100)),
        LoopPolicy(endpoint="churn", model="churn", pipeline="train", cooldown_us=-1),
    ):
        with pytest.raises(Invalid):
            stage.app.loop.set_policy(owner, bad)
    with pytest.raises(NotFound, match="Did you mean 'train'"):
        stage.app.loop.set_policy(owner, LoopPolicy(endpoint="churn", model="churn", pipeline="trian"))
    assert stage.app.loop.policy(owner, "churn").params == {"until_us": "{event_us}"}


def test_a_release_goes_before_what_only_waits(stage: Stage, owner: Principal) -> None:
    stage.models.version()
    add_data(stage)
    stage.alarm(at_us=100 * DAY)
    stage.finish_run(state="failed")
    stage.alarm(at_us=110 * DAY)
    released = stage.app.release.start(owner, "churn", model="models:/churn/2", evaluation="data:e@1")
    states = {episode.id: episode.state for episode in stage.app.loop.episodes(owner)}
    assert (states.pop(released.id), set(states.values())) == ("gating", {"failed", "kept"})


def test_a_canary_that_a_person_takes_back_ends_its_story(stage: Stage, owner: Principal) -> None:
    gated(stage)
    stage.answer(2)
    stage.app.deploy.rollback(owner, "churn", reason="support calls")
    stage.day_passes(101 * DAY)
    assert (stage.episode().state, stage.lines()[-1]) == ("rolled-back", "rollback done")
    stage.alarm(at_us=140 * DAY)
    assert stage.episode().state == "retraining"


def test_a_pipeline_may_hand_on_what_its_last_step_returned(stage: Stage) -> None:
    stage.alarm()
    (run,) = stage.app.pipelines.find_runs(stage.owner, limit=1).items
    outputs = {"result": {"candidate": "models:/churn/2", "evaluation": "data:e@1"}}
    stage.send(
        PipelineRunFinished(
            run_id=run.id, pipeline=run.pipeline, state="succeeded", outputs=outputs, trigger=run.trigger
        )
    )
    assert (stage.episode().state, stage.episode().candidate) == ("gating", "models:/churn/2")


def judge(stage: Stage) -> None:
    """Have the gate's job done as a worker process would."""
    with stage.app.db.write() as tx:
        stage.app.jobs.enqueue(tx, GATE, {"episode": stage.episode().id}, queue="heavy")
    work_off(stage.app, "heavy", "light")


def ring(stage: Stage) -> None:
    """Have a monitor that has sounded its alarm, and stays silent from then on."""
    add_data(stage)
    stage.app.monitors.create(stage.owner, name="churn", endpoint="churn", reference="data:e@1")
    with stage.app.db.write() as tx:
        (monitor,) = store.monitors(tx, where=Where())
        store.update_monitor(tx, msgspec.structs.replace(monitor, state="alarm"))


def test_a_candidate_that_cannot_be_found_ends_the_story_and_lets_the_next_begin(stage: Stage) -> None:
    stage.alarm()
    stage.finish_run(candidate="the new one", evaluation="data:e@1")
    judge(stage)
    assert (stage.episode().state, stage.lines()[-1]) == ("failed", "gate failed")
    assert "the new one" in stage.app.loop.timeline(stage.owner).items[0].detail


def test_a_gate_that_was_cut_off_after_its_verdict_goes_on_to_the_canary(stage: Stage) -> None:
    stage.models.version()
    stage.alarm()
    stage.finish_run(candidate="models:/churn/2", evaluation="data:e@1")
    with stage.app.db.write() as tx:
        stage.app.loop.move(tx, stage.episode(), "warming", baseline={"brier": 0.1})
    judge(stage)
    (rollout,) = stage.app.deploy.rollouts.list(stage.owner, endpoint="churn")
    assert (rollout.challenger, stage.episode().rollout) == ("2", rollout.id)


@pytest.mark.parametrize("state", ["gating", "warming"])
def test_an_episode_whose_gate_is_lost_ends(stage: Stage, state: EpisodeState) -> None:
    stage.models.version()
    stage.alarm()
    with stage.app.db.write() as tx:
        stage.app.loop.move(tx, stage.episode(), state, candidate="models:/churn/2", evaluation="data:e@1")
    assert stage.app.canary.end_lost(system("loop")) == 1
    assert (stage.episode().state, stage.lines()[-1]) == ("failed", "gate failed")


def test_an_episode_whose_gate_waits_or_whose_version_is_being_loaded_is_not_lost(stage: Stage) -> None:
    stage.alarm()
    stage.finish_run(candidate="models:/churn/2", evaluation="data:e@1")
    assert stage.app.canary.end_lost(system("loop")) == 0
    assert stage.episode().state == "gating"


def test_the_retraining_of_another_run_is_not_taken_for_an_episodes(stage: Stage) -> None:
    stage.alarm()
    outputs = {"candidate": "models:/churn/2", "evaluation": "data:e@1"}
    trigger = {"kind": "manual", "episode": stage.episode().id}
    stage.send(PipelineRunFinished("pr_other", "train", "succeeded", outputs, trigger))
    assert stage.episode().state == "retraining"


def test_a_reference_that_is_none_leaves_the_monitors_and_ends_the_story(stage: Stage) -> None:
    ring(stage)
    stage.models.version()
    stage.alarm()
    stage.finish_run(candidate="models:/churn/2", evaluation="data:e@1", reference="the training data")
    with stage.app.db.write() as tx:
        episode = stage.app.loop.move(tx, stage.episode(), "warming", baseline={"brier": 0.1})
    stage.app.canary.prepare(episode.id)
    stage.answer(2)
    stage.send(judged(stage, "promote"))
    assert stage.episode().state == "promoted"
    assert "data version" in stage.app.loop.timeline(stage.owner).items[0].detail


def test_a_monitor_can_sound_again_after_a_retraining_that_failed(stage: Stage) -> None:
    ring(stage)
    stage.alarm()
    stage.finish_run(state="failed")
    assert stage.app.monitors.monitor(stage.owner, "churn").state == "pending"


def test_a_retraining_whose_policy_is_gone_ends_the_story(stage: Stage) -> None:
    stage.alarm(at_us=100 * DAY)
    stage.finish_run(state="failed")
    stage.alarm(at_us=110 * DAY)
    stage.app.loop.remove_policy(stage.owner, "churn")
    stage.day_passes(130 * DAY)
    assert (stage.episode().state, stage.lines()[-1]) == ("failed", "retraining failed")
