"""The judge's promise by simulation: false alarms are as rare as stated however often one looks, and harm is found.

`bench/bench_judge.py` does the same with 2,000 rollouts of each sort.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from trimtab.science.sequential import champions, judge
from trimtab.science.sequential import simulation as simulated

ALPHA = 0.05
TRIALS = 300
SPLIT = simulated.Split(champion=80, challenger=20, batches=20)
NEEDED = 1 / ALPHA


def most(trials: int, chance: float = ALPHA) -> float:
    """The share of false alarms that a test which keeps its promise exceeds once in about 300 runs."""
    return chance + 2.7 * math.sqrt(chance * (1 - chance) / trials)


@pytest.mark.parametrize(
    ("kind", "limit", "harm", "delay"),
    [
        ("errors", 0.0, 0.15, 400),
        ("latency", 1.5, 3.0, 600),
        ("predictions", 0.2, 0.45, 900),
        ("prediction-mean", 0.1, 0.25, 700),
        ("quality", 0.0, 0.12, 600),
    ],
)
def test_false_alarms_are_as_rare_as_promised_and_harm_is_found(
    kind: judge.Kind, limit: float, harm: float, delay: int
) -> None:
    trials = TRIALS // 3 if kind == "latency" else TRIALS
    harmless = simulated.simulate(kind, limit, trials=trials, split=SPLIT).first(NEEDED)
    assert (harmless > 0).mean() <= most(trials)
    found = simulated.simulate(kind, harm, trials=60, split=SPLIT, seed=1).first(NEEDED)
    assert (found > 0).mean() > 0.95
    assert np.median(found[found > 0]) * SPLIT.requests <= delay


@pytest.mark.parametrize(("kind", "margin"), [("errors", 0.01), ("predictions", 0.25), ("quality", 0.03)])
def test_what_is_at_its_margin_is_seldom_called_safe(kind: judge.Kind, margin: float) -> None:
    found = simulated.simulate(kind, margin, trials=TRIALS, split=SPLIT, seed=2)
    assert (found.first(NEEDED, of="safe") > 0).mean() <= most(TRIALS)


@pytest.mark.parametrize(
    "scores",
    [champions.FLAGS, champions.TWO_SCORES, champions.TEN_CLASSES, champions.TEXTS, champions.CLASSES],
    ids=["flags", "two", "ten", "texts", "forty"],
)
def test_the_promise_holds_for_a_champion_of_few_scores(scores: champions.Scores) -> None:
    harmless = simulated.simulate("predictions", 0.2, trials=TRIALS // 2, split=SPLIT, scores=scores)
    assert (harmless.first(NEEDED) > 0).mean() <= most(TRIALS // 2)
    at_margin = simulated.simulate(
        "predictions", 0.25, trials=TRIALS // 2, split=SPLIT, scores=scores, seed=2
    )
    assert (at_margin.first(NEEDED, of="safe") > 0).mean() <= most(TRIALS // 2)
    found = simulated.simulate("predictions", 0.45, trials=60, split=SPLIT, scores=scores, seed=1)
    assert (found.first(NEEDED) > 0).mean() > 0.95
    if scores is champions.FLAGS:
        found = simulated.simulate("prediction-mean", 0.25, trials=60, split=SPLIT, scores=scores, seed=1)
        assert (found.first(NEEDED) > 0).mean() > 0.85


def test_a_test_made_for_one_look_breaks_the_promise_here() -> None:
    """The simulation can tell: a t-test at each look raises more false alarms than both it and ours promise."""
    rng = np.random.default_rng(3)
    chance = simulated.CHAMPION_LOSS
    wrong = np.stack(
        [
            rng.binomial(rows, chance, (SPLIT.batches, TRIALS)).cumsum(axis=0)
            for rows in (SPLIT.champion, SPLIT.challenger)
        ]
    )
    looks = np.arange(1, SPLIT.batches + 1)[:, None]
    first, second = wrong[0] / (SPLIT.champion * looks), wrong[1] / (SPLIT.challenger * looks)
    pooled = (wrong[0] + wrong[1]) / (SPLIT.requests * looks)
    deviation = np.sqrt(
        pooled * (1 - pooled) * (1 / (SPLIT.champion * looks) + 1 / (SPLIT.challenger * looks))
    )
    alarms = ((second - first) / deviation > 1.645).any(axis=0)
    assert alarms.mean() > most(TRIALS)


def test_an_ab_comparison_is_seldom_wrong_and_finds_what_is_better() -> None:
    split = simulated.Split(100, 100, 25)
    better, worse = simulated.compare(0.0, trials=TRIALS, split=split)
    assert (better > 0).mean() <= most(TRIALS)
    assert (worse > 0).mean() <= most(TRIALS)
    found, _ = simulated.compare(-0.08, trials=60, split=split)
    assert (found > 0).mean() > 0.9


def test_a_bandit_loses_less_than_an_even_split_and_keeps_its_floor() -> None:
    regret, shares = simulated.bandit(0.5, 0.6, trials=60)
    even = 0.5 * 100 * 100 * 0.1
    assert regret.mean() < even / 3
    assert np.median(shares) == 95.0
    wrong, low = simulated.bandit(0.6, 0.5, trials=60, floor=10)
    assert np.median(low) == 10.0
    assert wrong.mean() < even / 2


def test_the_simulation_runs_the_judges_own_tests() -> None:
    """The same counts through `judge.update` give the same e-values."""
    split = simulated.Split(batches=4)
    for kind in ("latency", "predictions", "prediction-mean"):
        state = judge.start(score_edges=tuple(i / 16 for i in range(1, 16)))
        rng, twin = np.random.default_rng(7), np.random.default_rng(7)
        limit = state.policy.limit(kind)
        assert limit is not None
        effect = 2.0 if kind == "latency" else 0.2
        laws = {
            "latency": (simulated._latencies(2000.0), simulated._latencies(4000.0)),
            "predictions": (np.full(16, 1 / 16), simulated._moved(0.2)),
            "prediction-mean": (np.full(16, 1 / 16), simulated._moved(0.2 * 15 / 8)),
        }[kind]
        for harm, safe in simulated._LOOKS[kind](rng, effect, 1, split, limit):
            counts = [
                twin.multinomial(rows, law, 1)[0]
                for rows, law in zip((split.champion, split.challenger), laws, strict=True)
            ]
            part = {"latencies" if kind == "latency" else "scores": counts}
            tallies = [
                judge.Tally(rows=int(count.sum()), **{name: tuple(count.tolist())})
                for name, each in part.items()
                for count in each
            ]
            state = judge.update(state, *tallies)
            assert judge.log_e(state, kind, limit) == pytest.approx((harm[0], safe[0]), abs=1e-6)


@pytest.mark.parametrize(
    ("kind", "scores"),
    [
        ("predictions", champions.FLAGS),
        ("prediction-mean", champions.FLAGS),
        ("predictions", champions.TEXTS),
        ("predictions", champions.CLASSES),
    ],
)
def test_so_it_does_for_few_scores_and_for_classes(kind: judge.Kind, scores: champions.Scores) -> None:
    split, effect = simulated.Split(batches=4), 0.3
    found = simulated.simulate(kind, effect, trials=1, split=split, scores=scores, seed=7)
    twin = np.random.default_rng(7)
    state = replace(judge.start(), scores=scores.start(twin))
    laws = [scores.binned(state.scores, law) for law in scores.chances(effect)]
    for look in range(split.batches):
        sides = zip((split.champion, split.challenger), laws, strict=True)
        counts = [twin.multinomial(rows, law, 1)[0] for rows, law in sides]
        state = judge.update(
            state, *(judge.Tally(rows=int(each.sum()), scores=tuple(each.tolist())) for each in counts)
        )
        assert state.peaks[kind] == pytest.approx(found.harm[look, 0], abs=1e-6)
        assert state.safe_peaks[kind] == pytest.approx(found.safe[look, 0], abs=1e-6)
