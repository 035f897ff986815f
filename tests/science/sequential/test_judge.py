import json
from pathlib import Path

import numpy as np
import pytest

from trimtab.science import plain
from trimtab.science.sequential import divergence, judge

EDGES = divergence.edges_from(np.random.default_rng(0).beta(2, 5, 5000))


def batch(rng, rows, *, error_rate=0.01, slow=1.0, scores=lambda x: x, loss=None):
    return judge.tally(
        errors=rng.random(rows) < error_rate,
        latency_us=slow * rng.gamma(9, 200, rows),
        scores=scores(rng.beta(2, 5, rows)),
        losses=(rng.random(rows) < loss) if loss is not None else (),
        score_edges=EDGES,
    )


def trial(rng, *, most, champion=None, challenger=None, rows=(90, 10), policy=None):
    state = judge.start(policy, score_edges=EDGES)
    step = 0
    while step < most:
        step += 1
        state = judge.update(
            state, batch(rng, rows[0], **(champion or {})), batch(rng, rows[1], **(challenger or {}))
        )
        found = judge.verdict(state)
        if found.action != "continue":
            break
    return found, step * rows[1], state


def test_a_like_challenger_is_rolled_back_at_most_alpha_of_the_time_with_a_look_at_every_batch():
    rng, alpha, runs = np.random.default_rng(1), 0.2, 30
    # Strict limits: any harm at all rolls back, so that the promise is put to its worst case.
    nothing = judge.Limit(harm=0.0, margin=0.0)
    policy = judge.Policy(
        alpha=alpha,
        errors=nothing,
        latency=judge.Limit(harm=1.0, margin=1.0),
        predictions=nothing,
        prediction_mean=nothing,
        quality=nothing,
    )
    rolled_back = 0
    for _ in range(runs):
        state = judge.start(policy, score_edges=EDGES)
        for _ in range(25):
            state = judge.update(
                state, *(batch(rng, 20, loss=0.2, error_rate=0.05) for _ in ("champion", "challenger"))
            )
        # A finding stays, so the last verdict tells whether any of the 25 was "rollback".
        rolled_back += judge.verdict(state).action == "rollback"
    assert rolled_back / runs <= alpha


def test_a_like_challenger_is_promoted():
    rng = np.random.default_rng(2)
    found = [trial(rng, most=60, rows=(100, 100)) for _ in range(6)]
    assert [one.action for one, _, _ in found] == ["promote"] * 6
    assert np.median([rows for _, rows, _ in found]) < 4000


@pytest.mark.parametrize(
    ("challenger", "kind", "rows"),
    [
        ({"error_rate": 1.0}, "errors", 20),
        ({"error_rate": 0.3}, "errors", 60),
        ({"error_rate": 0.06}, "errors", 400),
        ({"slow": 3.0}, "latency", 60),
        ({"scores": lambda x: 100 * x}, "predictions", 30),
        ({"scores": lambda x: 0 * x}, "predictions", 60),
    ],
    ids=["always fails", "fails often", "fails more", "slow", "other unit", "constant"],
)
def test_harm_is_rolled_back(challenger, kind, rows):
    rng = np.random.default_rng(3)
    found = [trial(rng, most=120, challenger=challenger) for _ in range(5)]
    assert {verdict.action for verdict, _, _ in found} == {"rollback"}
    assert np.median([needed for _, needed, _ in found]) <= rows
    blamed = {one.kind for verdict, _, _ in found for one in verdict.evidence if one.finding == "harm"}
    assert kind in blamed


def test_late_labels_count_when_they_come():
    rng = np.random.default_rng(4)
    state = judge.start(score_edges=EDGES)
    for _ in range(5):
        state = judge.update(state, batch(rng, 90), batch(rng, 30))
    assert judge.verdict(state).action == "continue"
    for _ in range(10):
        labels = [judge.tally(losses=(rng.random(60) < rate).astype(float)) for rate in (0.2, 0.5)]
        state = judge.update(state, *labels)
    found = judge.verdict(state)
    assert found.action == "rollback"
    assert "loss" in found.reason


def test_a_finding_does_not_vanish():
    rng = np.random.default_rng(5)
    state = judge.start(score_edges=EDGES)
    for _ in range(3):
        state = judge.update(state, batch(rng, 50), batch(rng, 50, error_rate=0.4))
    assert judge.verdict(state).action == "rollback"
    for _ in range(60):
        state = judge.update(state, batch(rng, 50, error_rate=0.4), batch(rng, 50, error_rate=0.0))
    found = judge.verdict(state)
    assert found.action == "rollback"
    assert found.evidence[0].e_value >= found.evidence[0].e_needed, "the e-value shown is the one found by"


def test_the_e_value_shown_is_what_was_found_by():
    rng = np.random.default_rng(8)
    policy = judge.Policy(
        errors=judge.Limit(harm=0.2, margin=0.1),
        latency=None,
        predictions=None,
        prediction_mean=None,
        quality=None,
    )
    state = judge.start(policy, score_edges=EDGES)
    for _ in range(3):
        state = judge.update(state, *(batch(rng, 100) for _ in "ab"))
    for _ in range(10):
        state = judge.update(state, batch(rng, 100), batch(rng, 100, error_rate=0.15))
    (errors,) = judge.verdict(state).evidence
    assert policy.errors is not None
    assert judge.log_e(state, "errors", policy.errors)[1] < 1, "what is known now speaks against it"
    assert errors.finding == "safe"
    assert errors.safe_e_value >= errors.safe_e_needed


def test_kinds_can_be_left_out_and_weights_set():
    policy = judge.Policy(
        latency=None, predictions=None, prediction_mean=None, quality=None, errors=judge.Limit(0.0, 0.05)
    )
    state = judge.start(policy, score_edges=EDGES)
    state = judge.update(state, judge.tally(rows=1000, errors=10), judge.tally(rows=1000, errors=10))
    found = judge.verdict(state)
    assert [one.kind for one in found.evidence] == ["errors"]
    assert found.evidence[0].e_needed == pytest.approx(20)
    assert found.action == "promote"


def test_never_promotes_on_few_rows():
    policy = judge.Policy(min_rows=500, latency=None, predictions=None, prediction_mean=None, quality=None)
    state = judge.update(judge.start(policy), judge.tally(rows=5000), judge.tally(rows=400))
    assert judge.verdict(state).action == "continue"
    assert "500 rows" in judge.verdict(state).reason


def test_figures_are_json():
    rng = np.random.default_rng(6)
    state = judge.update(judge.start(score_edges=EDGES), batch(rng, 20), batch(rng, 20))
    json.dumps(plain.dump(judge.verdict(state)), allow_nan=False)
    empty = judge.verdict(judge.start())
    json.dumps(plain.dump(empty), allow_nan=False)
    assert empty.action == "continue"
    assert {one.value for one in empty.evidence} == {None}


def test_tallies_merge_like_rows():
    rng = np.random.default_rng(7)
    one, other = batch(rng, 30), batch(rng, 20, loss=0.5)
    both = judge.merge(one, other)
    assert both.rows == 50
    assert sum(both.latencies) == sum(both.scores) == 50
    assert sum(both.losses) == pytest.approx(20)


def test_a_trial_of_an_earlier_release_goes_on_as_it_began():
    """Its bins and ranks were fixed with its first evidence, so they stay, and the figures are those of that release."""
    text = Path(__file__).with_name("trial_before_atoms.json").read_text()
    state = plain.load(judge.Judge, json.loads(text))
    assert state.scores.edges == (0.31,)
    more = [
        judge.tally(rows=60, scores=scores, score_edges=state.scores.edges)
        for scores in ([0.31, 0.999] * 30, [0.31] * 10 + [0.999] * 50)
    ]
    state = judge.update(state, *more)
    limits = {kind: limit for kind in judge.KINDS if (limit := state.policy.limit(kind)) is not None}
    assert [judge.log_e(state, kind, limit) for kind, limit in limits.items()] == [
        pytest.approx(pair, rel=1e-9)
        for pair in (
            (-0.46313144835561654, 0.09907959524173648),
            (-3.0323426977461683, 3.59582790426669),
            (-1.3181893371036075, 0.844953595086744),
            (-0.8287770036584439, -0.6430169596917927),
            (-0.70474216365963, -0.6230941302990418),
        )
    ]
    assert plain.load(judge.Judge, json.loads(json.dumps(plain.dump(state), allow_nan=False))) == state
