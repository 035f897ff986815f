"""What the judge of a rollout makes of predictions: few distinct scores, a short past, no numbers."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from tests.domains.deploy.conftest import PLANE, Models
from tests.domains.monitor.conftest import Watched
from trimtab.domains.deploy.rollouts.plans import Plan
from trimtab.domains.monitor import store
from trimtab.infra.db import Where
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.science import plain
from trimtab.science.sequential import judge
from trimtab.serving.records import Prediction


def answers(watched: Watched, outputs: Sequence[Any], **more: Any) -> list[Prediction]:
    made = watched.predictions(9, len(outputs), **more)
    return [msgspec.structs.replace(one, outputs=[output]) for one, output in zip(made, outputs, strict=True)]


def rolled_out(
    watched: Watched,
    models: Models,
    owner: Principal,
    champion: Sequence[Any],
    challenger: Sequence[Any],
    *,
    past: int = 22,
    batches: int = 1,
    make: Callable[..., list[Prediction]] = answers,
) -> tuple[str, dict[str, Any], judge.Judge]:
    """Action, evidence on the predictions and state after batches of 400 requests, and those before, of twelve."""
    deploy = watched.app.deploy
    models.version()
    deploy.deploy(owner, "churn", "models:/churn/2", weight=None)
    deploy.replica_ready(PLANE, "churn", "2", pid=2)
    for _ in range(past):
        watched.take_in(make(watched, [*champion] * 3))
    rollout = deploy.rollouts.start(owner, "churn", "2", plan=Plan(steps=(50,)))
    for _ in range(batches):
        live = [
            *make(watched, [*champion] * 50),
            *make(watched, [*challenger] * 50, version="2", role="challenger"),
        ]
        watched.take_in([msgspec.structs.replace(one, at_us=rollout.steps[0].at_us + 1) for one in live])
    (*_, newest) = watched.events("monitor.trial_judged")
    found: list[dict[str, Any]] = newest["evidence"]  # type: ignore[assignment]
    with watched.app.db.read() as tx:
        (trial,) = store.trials(tx, where=Where())
    (about,) = [one for one in found if one["name"] == "predictions"]
    return str(newest["action"]), about, plain.load(judge.Judge, trial.state)


def test_the_judge_sees_what_moves_between_few_scores(
    watched: Watched, models: Models, owner: Principal
) -> None:
    action, found, state = rolled_out(
        watched, models, owner, [0.31, 0.999, 0.31, 0.999], [0.02, 0.9997, 0.02, 0.9997]
    )
    assert (action, found["verdict"], round(found["value"], 6)) == ("rollback", "harm", 0.5)
    assert len(state.scores.edges) == 4, "the bins come from a past of many small files"


def test_an_answer_that_is_no_number_counts_where_the_champion_gives_numbers(
    watched: Watched, models: Models, owner: Principal
) -> None:
    nan = float("nan")
    action, found, _ = rolled_out(watched, models, owner, [10.0, 20.0, 30.0, 40.0], [10.0, 20.0, nan, nan])
    assert (action, found["n_challenger"]) == ("rollback", 200)
    assert found["value"] > 0.2


def test_a_short_past_tells_at_least_that_scores_are_no_probabilities(
    watched: Watched, models: Models, owner: Principal
) -> None:
    champion, challenger = [10.0, 20.0, 30.0, 40.0], [10.0, 10.0, 10.0, 40.0]
    action, found, _ = rolled_out(watched, models, owner, champion, challenger, past=1)
    assert (action, round(found["value"], 6)) == ("rollback", 0.5)


def test_without_a_past_the_first_batch_is_it(watched: Watched, models: Models, owner: Principal) -> None:
    champion, challenger = [10.0, 20.0, 30.0, 40.0], [10.0, 10.0, 10.0, 40.0]
    action, found, _ = rolled_out(watched, models, owner, champion, challenger, past=0, batches=2)
    assert (action, round(found["value"], 6), found["n_champion"]) == ("rollback", 0.5, 200)
    first = watched.events("monitor.trial_judged")[0]["evidence"]
    counted = {one["name"]: one["n_champion"] for one in first}  # type: ignore[attr-defined]
    assert (counted["errors"], counted["predictions"]) == (200, 0)


def test_answers_of_text_are_compared_as_classes(watched: Watched, models: Models, owner: Principal) -> None:
    action, found, state = rolled_out(
        watched, models, owner, ["no", "yes", "no", "maybe"], ["no", "new", "no", "new"]
    )
    assert (action, found["verdict"], round(found["value"], 6)) == ("rollback", "harm", 0.5)
    assert len(state.scores.classes or ()) == 3


def test_a_like_challenger_of_text_is_promoted_though_it_has_no_mean_rank(
    watched: Watched, models: Models, owner: Principal
) -> None:
    same = ["no", "yes", "no", "maybe"]
    action, found, _ = rolled_out(watched, models, owner, same, same, batches=6)
    assert (action, found["verdict"], found["value"]) == ("promote", "safe", 0.0)
    newest = watched.events("monitor.trial_judged")[-1]
    (rank,) = [one for one in newest["evidence"] if one["name"] == "prediction-mean"]  # type: ignore[attr-defined]
    assert (rank["verdict"], rank["value"], rank["n_champion"]) == ("open", None, 0)


def test_without_a_past_the_first_batch_of_texts_is_it(
    watched: Watched, models: Models, owner: Principal
) -> None:
    action, found, _ = rolled_out(
        watched, models, owner, ["no", "yes", "no", "yes"], ["no"] * 4, past=0, batches=2
    )
    assert (action, round(found["value"], 6), found["n_champion"]) == ("rollback", 0.5, 200)
    first = watched.events("monitor.trial_judged")[0]["evidence"]
    counted = {one["name"]: one["n_champion"] for one in first}  # type: ignore[attr-defined]
    assert (counted["errors"], counted["predictions"]) == (200, 0)


def test_texts_that_never_repeat_are_not_waited_for(
    watched: Watched, models: Models, owner: Principal
) -> None:
    def prose(watched: Watched, outputs: Sequence[str], **more: Any) -> list[Prediction]:
        made = answers(watched, outputs, **more)
        return [msgspec.structs.replace(one, outputs=[f"{one.outputs[0]} {one.id}"]) for one in made]

    written = ["Dear", "Hello", "Hi", "Good day"]
    action, found, state = rolled_out(watched, models, owner, written, written, batches=6, make=prose)
    assert (action, found["verdict"], found["n_champion"]) == ("promote", "open", 0)
    assert state.without == ("predictions", "prediction-mean")
    reason = str(watched.events("monitor.trial_judged")[-1]["reason"])
    assert "none on predictions" in reason


def test_of_many_classes_the_predicted_one_is_judged(
    watched: Watched, models: Models, owner: Principal
) -> None:
    """The probability of the last class, which is the score, is the same wherever the other two are confused."""
    chances = {0: [0.7, 0.2, 0.1], 1: [0.2, 0.7, 0.1]}

    def classified(watched: Watched, outputs: Sequence[int], **more: Any) -> list[Prediction]:
        made = answers(watched, outputs, **more)
        return [msgspec.structs.replace(one, probabilities=[chances[one.outputs[0]]]) for one in made]

    action, found, _ = rolled_out(watched, models, owner, [0, 1, 0, 1], [0, 0, 0, 0], make=classified)
    assert (action, found["verdict"], round(found["value"], 6)) == ("rollback", "harm", 0.5)


def test_a_trial_of_texts_from_an_earlier_release_gets_its_bins(
    watched: Watched, models: Models, owner: Principal
) -> None:
    """It had the bins of probabilities, and nothing was counted over them."""
    outputs = ["no", "yes", "no", "maybe"]
    rolled_out(watched, models, owner, outputs, outputs)
    with watched.app.db.write() as tx:
        (trial,) = store.trials(tx, where=Where())
        state = plain.dump(judge.update(judge.start(), judge.tally(rows=200), judge.tally(rows=200)))
        del state["without"]
        del state["scores"]["classes"]
        store.put_trial(tx, msgspec.structs.replace(trial, state=state))
    live = [
        *answers(watched, outputs * 50),
        *answers(watched, ["no", "no", "no", "no"] * 50, version="2", role="challenger"),
    ]
    at_us = now_us()
    watched.take_in([msgspec.structs.replace(one, at_us=at_us) for one in live])
    newest = watched.events("monitor.trial_judged")[-1]
    (about,) = [one for one in newest["evidence"] if one["name"] == "predictions"]  # type: ignore[attr-defined]
    assert (newest["action"], about["n_champion"]) == ("rollback", 200)
    assert about["value"] == pytest.approx(0.5)
