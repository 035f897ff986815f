"""From the gateway's log to windows, alarms and the judge."""

import shutil
from typing import Any

import msgspec
import pytest

from tests.background import work_off
from tests.domains.deploy.conftest import PLANE, Models
from tests.domains.monitor.conftest import DAY, Watched
from trimtab.domains.deploy.rollouts.plans import Plan
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.monitor import service, store
from trimtab.domains.monitor.errors import FeatureNotFound, MonitorExists, MonitorNotFound, PredictionNotFound
from trimtab.domains.monitor.model import Baseline, Policy
from trimtab.infra.db import Where
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.science import plain
from trimtab.science.sequential import difference, judge
from trimtab.serving.records import Prediction


def windows(watched: Watched) -> list[tuple[int, int, int, bool]]:
    found = watched.app.monitors.windows(watched.owner, "churn")
    return [(one.start_us // DAY, one.rows, one.labelled, one.closed) for one in found]


def test_rows_are_counted_in_the_windows_of_their_event_time(watched: Watched) -> None:
    watched.take_in(watched.predictions(10, 30), watched.predictions(11, 20, rows=2))
    assert windows(watched) == [(10, 30, 0, True), (11, 40, 0, False)]
    (first, _) = watched.app.monitors.windows(watched.owner, "churn")
    assert (first.versions, sum(first.counts["a"])) == ({"1": 30}, 30)
    assert first.drift is not None
    assert first.drift["alarm"] is False


def test_a_segment_counts_once_however_often_it_is_tried(watched: Watched) -> None:
    log = watched.app.serving_folder / "log"
    watched.log(watched.predictions(10, 30))
    (segment,) = log.glob("*.seg")
    copy = shutil.copy(segment, log.parent / "copy")
    watched.take_in()
    shutil.copy(copy, segment)  # as if the worker died between its commit and the deletion
    assert watched.take_in() == 0
    assert windows(watched) == [(10, 30, 0, False)]
    assert list(log.glob("*.seg")) == []


def test_inputs_that_drift_raise_one_alarm(watched: Watched) -> None:
    for day in range(10, 13):
        watched.take_in(watched.predictions(day, 60))
    assert watched.events("monitor.alarmed") == []
    for day in range(13, 20):
        watched.take_in(watched.predictions(day, 60, shift=1.5))
    (alarm,) = watched.events("monitor.alarmed")
    assert (alarm["cause"], alarm["champion"]) == ("drift", "1")
    assert "a (location rises)" in str(alarm["detail"])
    assert watched.app.monitors.monitor(watched.owner, "churn").state == "alarm"


def test_late_labels_find_their_rows_and_measure_their_windows(watched: Watched) -> None:
    first, second = watched.predictions(10, 40, rows=2), watched.predictions(11, 10)
    watched.take_in(first, second)
    watched.take_in(watched.labels(first, day=14))
    assert windows(watched) == [(10, 80, 80, True), (11, 10, 0, False)]
    (window, _) = watched.app.monitors.windows(watched.owner, "churn")
    assert window.performance is not None
    auc = window.performance["metrics"]["roc_auc"]
    assert auc["low"] < auc["value"] < auc["high"]
    assert window.performance["versions"].keys() == {"1"}


def test_a_label_told_twice_counts_once_and_unknown_ones_are_left_out(watched: Watched) -> None:
    made = watched.predictions(10, 30)
    watched.take_in(made, watched.labels(made, day=12))
    stranger = watched.predictions(10, 1)
    watched.take_in(watched.labels(made, day=13), watched.labels(stranger, day=13))
    assert windows(watched) == [(10, 30, 30, False)]


def test_losses_that_rise_raise_the_performance_alarm(watched: Watched) -> None:
    for day in range(10, 25):
        made = watched.predictions(day, 50)
        watched.take_in(made, watched.labels(made, day=day + 1, wrong=day >= 15))
    causes = [alarm["cause"] for alarm in watched.events("monitor.alarmed")]
    assert causes == ["performance"]


def test_a_new_reference_begins_the_alarms_anew(watched: Watched, owner: Principal) -> None:
    for day in range(10, 18):
        watched.take_in(watched.predictions(day, 60, shift=1.5))
    assert watched.app.monitors.monitor(owner, "churn").state == "alarm"
    watched.app.monitors.set_reference(owner, "churn", baseline=Baseline(brier=0.3), champion="2")
    work_off(watched.app, "stream")
    monitor = watched.app.monitors.monitor(owner, "churn")
    assert (monitor.state, monitor.champion, monitor.baseline) == ("watching", "2", Baseline(brier=0.3))


def test_a_prediction_is_found_by_its_id_with_its_label(watched: Watched, viewer: Principal) -> None:
    made = watched.predictions(10, 3, rows=2)
    watched.take_in(made, watched.labels(made[:1], day=12))
    found = watched.app.monitors.prediction(viewer, made[0].id)
    assert (found["version"], len(found["rows"]), found["rows"][1]["inputs"]["a"]) == (
        "1",
        2,
        made[0].columns["a"][1],
    )
    row = watched.app.monitors.prediction(viewer, f"{made[0].id}/1")
    assert row["rows"][0]["label"] in (0.0, 1.0)
    for wrong in ("nope", f"{made[0].id}/9", f"{made[0].id}/x", "../etc/passwd"):
        with pytest.raises(PredictionNotFound):
            watched.app.monitors.prediction(viewer, wrong)
    assert len(watched.app.monitors.recent_predictions(viewer, "churn", limit=4)) == 4


def test_the_judge_of_a_rollout_sees_what_both_versions_do(
    watched: Watched, models: Models, owner: Principal
) -> None:
    deploy = watched.app.deploy
    models.version()
    deploy.deploy(owner, "churn", "models:/churn/2", weight=None)
    deploy.replica_ready(PLANE, "churn", "2", pid=2)
    watched.take_in(watched.predictions(9, 300))
    rollout = deploy.rollouts.start(owner, "churn", "2", plan=Plan(steps=(50,)))
    for _ in range(4):
        champion = watched.predictions(10, 60)
        challenger = watched.predictions(10, 60, shift=4.0, version="2", role="challenger")
        live = [*champion, *challenger]
        live = [msgspec.structs.replace(one, at_us=rollout.steps[0].at_us + 1) for one in live]
        watched.take_in(live, watched.labels(live, day=12))
    actions = [event["action"] for event in watched.events("monitor.trial_judged")]
    assert actions[-1] == "rollback"
    assert actions.count("rollback") == 1  # what has been decided is not judged again
    judged = watched.events("monitor.trial_judged")
    found = {one["name"]: one for one in judged[-1]["evidence"]}  # type: ignore[union-attr, index]
    for kind in ("errors", "latency", "predictions", "quality"):
        counted = found[kind]["n_champion"], found[kind]["n_challenger"]
        assert counted == (60 * len(judged), 60 * len(judged)), kind


def test_only_what_the_split_chose_is_evidence(watched: Watched, models: Models, owner: Principal) -> None:
    deploy = watched.app.deploy
    models.version()
    deploy.deploy(owner, "churn", "models:/churn/2", weight=None)
    deploy.replica_ready(PLANE, "churn", "2", pid=2)
    rollout = deploy.rollouts.start(owner, "churn", "2", plan=Plan(steps=(50,)))
    began = rollout.steps[0].at_us + 1

    def live(made: list[Prediction], **more: Any) -> list[Prediction]:
        return [msgspec.structs.replace(one, at_us=began, **more) for one in made]

    for _ in range(2):
        challenger = watched.predictions(10, 40, version="2", role="challenger")
        split = [*live(watched.predictions(10, 40)), *live(challenger)]
        # Whoever names the version, and all else that no split chose: much worse, and of no consequence.
        odd: list[Prediction] = []
        for route in ("key", "pinned", "cached", "repeat", "rerouted", "device", ""):
            made = watched.predictions(10, 60, shift=4.0, version="2", role="challenger")
            odd += live(made[:30], route=route, latency_us=10**6)
            odd += live(made[30:], route=route, status=500, error="it failed", outputs=[])
        answered = [one for one in odd if one.status == 200]
        watched.take_in(
            split, odd, watched.labels(split, day=12), watched.labels(answered, day=12, wrong=True)
        )
    judged = watched.events("monitor.trial_judged")
    assert {event["action"] for event in judged} == {"continue"}
    for one in judged[-1]["evidence"]:  # type: ignore[attr-defined]
        # Of the predictions the first batch is the past that the bins fit.
        counted = 40 if one["name"].startswith("prediction") else 80
        assert (one["n_champion"], one["n_challenger"]) == (counted, counted), one["name"]
    (window,) = watched.app.monitors.windows(owner, "churn")
    assert (window.routes["split"], window.routes["pinned"], window.errors) == (160, 60, 420)
    pinned = watched.app.monitors.recent_predictions(owner, "churn", route="pinned", limit=200)
    assert {one["route"] for one in pinned} == {"pinned"}
    assert len(pinned) == 60
    assert watched.app.monitors.prediction(owner, odd[0].id)["route"] == "key"


def test_a_shadow_is_judged_by_its_copies_and_their_labels(
    watched: Watched, models: Models, owner: Principal
) -> None:
    deploy = watched.app.deploy
    models.version()
    deploy.deploy(owner, "churn", "models:/churn/2", weight=None)
    deploy.replica_ready(PLANE, "churn", "2", pid=2)
    rollout = deploy.rollouts.start(owner, "churn", "2", plan=Plan(strategy="shadow"))
    began = rollout.steps[0].at_us + 1
    for _ in range(3):
        live = [msgspec.structs.replace(one, at_us=began) for one in watched.predictions(10, 200)]
        copies = [
            msgspec.structs.replace(
                one, version="2", role="shadow", outputs=[1.0 - value for value in one.outputs]
            )
            for one in live
        ]
        watched.take_in(live, copies, watched.labels(live, day=12))
    (*_, newest) = watched.events("monitor.trial_judged")
    found = {one["name"]: one for one in newest["evidence"]}  # type: ignore[union-attr, index]
    assert newest["action"] == "rollback"
    assert "latency" not in found
    # A coin gives each request to one of the two, so that no request counts for both.
    counted = found["errors"]["n_champion"] + found["errors"]["n_challenger"]
    assert counted <= 600
    assert found["errors"]["n_challenger"] > 50
    labelled = found["quality"]["n_champion"], found["quality"]["n_challenger"]
    assert min(labelled) > 50
    assert found["quality"]["challenger"] > found["quality"]["champion"]
    assert sum(one[2] for one in windows(watched)) == 600, "labels of copies are none of the monitor's"


def test_bad_monitors_are_refused(watched: Watched, owner: Principal, viewer: Principal) -> None:
    create = watched.app.monitors.create
    good = {"name": "m", "endpoint": "churn", "reference": "data:reference@1"}
    with pytest.raises(NotPermitted):
        create(viewer, **good)
    with pytest.raises(MonitorExists):
        create(owner, **{**good, "name": "churn"})
    for change in ({"name": "a/b"}, {"reference": "reference"}, {"reference": "data:reference@x"}):
        with pytest.raises(Invalid):
            create(owner, **{**good, **change})
    for change in ({"endpoint": "nope"}, {"reference": "data:nope@1"}, {"reference": "data:reference@9"}):
        with pytest.raises(NotFound):
            create(owner, **{**good, **change})
    for policy in (Policy(window_us=1), Policy(arl=1), Policy(alpha=0.9), Policy(loss_margin=-1)):
        with pytest.raises(Invalid):
            create(owner, **good, policy=policy)
    with pytest.raises(Invalid):
        create(owner, **good, baseline=Baseline(brier=2.0))
    with pytest.raises(MonitorNotFound, match="Did you mean 'churn'"):
        watched.app.monitors.monitor(viewer, "chrun")
    with pytest.raises(FeatureNotFound):
        watched.app.monitors.feature(viewer, "churn", "z")
    assert len(watched.app.monitors.monitors(viewer)) == 1


def test_a_reference_without_the_features_fails_with_the_reason(watched: Watched, owner: Principal) -> None:
    watched.app.monitors.create(
        owner, name="odd", endpoint="churn", reference="data:reference@1", features=["aa"]
    )
    work_off(watched.app, "stream")
    monitor = watched.app.monitors.monitor(owner, "odd")
    assert monitor.state == "failed"
    assert "no column 'aa'" in str(monitor.problem)


def test_a_features_distribution_is_shown_beside_the_references(watched: Watched, viewer: Principal) -> None:
    watched.take_in(watched.predictions(10, 50))
    found = watched.app.monitors.feature(viewer, "churn", "a")
    assert (found["rows"], found["reference_rows"], len(found["current"])) == (
        50,
        4000,
        len(found["reference"]),
    )


def test_anonymised_columns_are_taken_in_and_not_compared(watched: Watched) -> None:
    plain = watched.predictions(10, 30)
    hashed = [
        msgspec.structs.replace(one, columns={**one.columns, "a": ["5f3c"] * one.rows})
        for one in watched.predictions(10, 20)
    ]
    dropped = [
        msgspec.structs.replace(one, columns={k: v for k, v in one.columns.items() if k != "a"})
        for one in watched.predictions(11, 20)
    ]
    watched.take_in(plain)
    watched.take_in(hashed)
    watched.take_in(dropped)
    (first, second) = watched.app.monitors.windows(watched.owner, "churn")
    assert (first.rows, sum(first.counts["a"]), sum(first.counts["b"])) == (50, 30, 50)
    assert (second.rows, second.counts.get("a"), sum(second.counts["b"])) == (20, None, 20)
    shown = watched.app.monitors.prediction(watched.owner, hashed[0].id)
    assert shown["rows"][0]["inputs"]["a"] == "5f3c"


def test_of_too_many_windows_the_newest_are_shown(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.take_in(*(watched.predictions(day, 1) for day in range(10, 15)))
    monkeypatch.setattr(service, "_MOST_WINDOWS", 2)
    assert [day for day, *_ in windows(watched)] == [13, 14]


def test_the_newest_predictions_are_found_in_however_many_parts(watched: Watched, viewer: Principal) -> None:
    for day in range(10, 17):
        watched.take_in(watched.predictions(day, 1))
    found = watched.app.monitors.recent_predictions(viewer, "churn", limit=6)
    assert [one["event_us"] // DAY for one in found] == [16, 15, 14, 13, 12, 11]
    for limit in (0, -1, 201):
        with pytest.raises(Invalid):
            watched.app.monitors.recent_predictions(viewer, "churn", limit=limit)


def test_labels_of_windows_that_lie_apart_are_measured_together(watched: Watched) -> None:
    days = [watched.predictions(day, 10) for day in (10, 11, 12)]
    watched.take_in(*days)
    for day, made in enumerate(days, 13):
        watched.take_in(watched.labels(made[:5], day=day))
    watched.take_in(watched.labels([*days[0][5:], *days[2][5:]], day=16))
    assert windows(watched) == [(10, 10, 10, True), (11, 10, 5, True), (12, 10, 10, False)]


def test_a_time_that_is_still_to_come_closes_nothing(watched: Watched) -> None:
    made = watched.predictions(10, 30)
    wrong = msgspec.structs.replace(watched.predictions(10, 1)[0], event_us=now_us() + 400 * DAY)
    watched.take_in(made, [wrong])
    watched.take_in(watched.predictions(10, 30))
    late = msgspec.structs.replace(watched.labels(made[:1], day=11)[0], event_us=now_us() + 400 * DAY)
    watched.take_in([late])
    assert windows(watched)[0] == (10, 60, 1, False)
    assert sum(watched.app.monitors.windows(watched.owner, "churn")[0].counts["a"]) == 60
    monitor = watched.app.monitors.monitor(watched.owner, "churn")
    assert monitor.watermark_us < 11 * DAY
    assert monitor.label_watermark_us == 0


def test_a_label_that_is_sent_again_is_no_new_evidence(
    watched: Watched, models: Models, owner: Principal
) -> None:
    deploy = watched.app.deploy
    models.version()
    deploy.deploy(owner, "churn", "models:/churn/2", weight=None)
    deploy.replica_ready(PLANE, "churn", "2", pid=2)
    rollout = deploy.rollouts.start(owner, "churn", "2", plan=Plan(steps=(50,)))
    made = [
        *watched.predictions(10, 30, rows=2),
        *watched.predictions(10, 30, version="2", role="challenger", rows=2),
    ]
    live = [msgspec.structs.replace(one, at_us=rollout.steps[0].at_us + 1) for one in made]
    told = watched.labels(live, day=12)
    first_rows = [one for one in told if one.row == 0]
    watched.take_in(live, first_rows)
    watched.take_in(first_rows, told)  # the second time round with the rows that were left out
    watched.take_in(told)
    with watched.app.db.read() as tx:
        (losses,) = store.losses(tx, where=Where())
        (trial,) = store.trials(tx, where=Where())
    assert losses.rows == 60  # of the champion, two rows a request
    assert difference.rows(plain.load(judge.Judge, trial.state).quality) == (30, 30)  # one row a request


def test_whatever_a_request_holds_stops_nothing(watched: Watched) -> None:
    values: list[Any] = [2**63, [1.0, 2.0], [], {"x": 1}, {}, [{}], [[], []], b"\xff", True, None]
    for value in values:
        odd = msgspec.structs.replace(
            watched.predictions(10, 1)[0], columns={"a": [value], "c": [value]}, outputs=[value]
        )
        watched.take_in([odd])
        watched.take_in([msgspec.structs.replace(odd, id=new_id())], watched.predictions(10, 2))
        found = watched.app.monitors.prediction(watched.owner, odd.id)
        assert found["rows"][0]["inputs"].keys() == {"a", "c"}
    assert windows(watched) == [(10, 4 * len(values), 0, False)]
