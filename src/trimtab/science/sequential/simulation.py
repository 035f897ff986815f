"""Simulated rollouts: how often the judge's tests raise false alarms, how often they find harm, and how soon.

Many trials run side by side through the tests that `judge` uses, with a look after every batch. For each kind of
evidence a scenario says how far the challenger is from the champion, in the unit of the kind's `judge.Limit`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr  # pyright: ignore[reportMissingTypeStubs]

from trimtab.science.allocation import share_of_best
from trimtab.science.sequential import difference, divergence, quantile, total
from trimtab.science.sequential.champions import FLAGS, Scores
from trimtab.science.sequential.difference import LOSS_KNOTS, Difference
from trimtab.science.sequential.divergence import Divergence
from trimtab.science.sequential.judge import Kind, Limit, Policy

Floats = NDArray[np.float64]

BINS = 16
"""Bins of predictions, at quantiles of the champion's: what `divergence.edges_from` gives where no two are equal."""

CHAMPION_ERRORS = 0.01
CHAMPION_LOSS = 0.2
_LOSS_WORTH = 6.0
LOSS_VARIANCE = CHAMPION_LOSS * (1 - CHAMPION_LOSS) / (_LOSS_WORTH + 1)
_SPREAD = 0.5
_P95 = 0.95


@dataclass(frozen=True)
class Split:
    """Requests in each batch of champion and challenger, and how many batches a trial lasts at the most."""

    champion: int = 80
    challenger: int = 20
    batches: int = 60

    @property
    def requests(self) -> int:
        return self.champion + self.challenger


@dataclass(frozen=True)
class Found:
    """What the tests of one kind found in S trials: log e-values (looks, S), their running maxima."""

    kind: Kind
    effect: float
    split: Split
    harm: Floats
    safe: Floats

    def first(self, needed: float, *, of: str = "harm") -> NDArray[np.int64]:
        """The look (1-based) at which each trial passed `needed`, 0 for never."""
        passed = (self.harm if of == "harm" else self.safe) >= math.log(needed)
        return np.where(passed.any(axis=0), passed.argmax(axis=0) + 1, 0)


def simulate(
    kind: Kind,
    effect: float,
    *,
    trials: int,
    split: Split | None = None,
    policy: Policy | None = None,
    scores: Scores | None = None,
    seed: int = 0,
) -> Found:
    """Run trials of one kind of evidence whose challenger differs by `effect`.

    `effect`: difference of the error rate or mean loss, ratio of latencies (1 = alike), Kolmogorov-Smirnov distance,
    or shift of the mean rank. `scores`: what the champion predicts, where it has few distinct scores.

    >>> alike = simulate("errors", 0.0, trials=50, split=Split(batches=10))
    >>> worse = simulate("errors", 0.3, trials=50, split=Split(batches=10))
    >>> int((alike.first(20) > 0).sum()) <= 8, int((worse.first(20) > 0).sum())
    (True, 50)
    """
    plan = split or Split()
    limit = (policy or Policy()).limit(kind)
    assert limit is not None, "only what is judged can be simulated"
    rng = np.random.default_rng(seed)
    if scores is None:
        found = _LOOKS[kind](rng, effect, trials, plan, limit)
    else:
        assert kind == "predictions" or (kind == "prediction-mean" and scores is FLAGS), (
            "its effect has a unit"
        )
        start = scores.start(rng)
        laws = [scores.binned(start, law) for law in scores.chances(effect)]
        found = _SCORES[kind](rng, start, laws[0], laws[1], trials, plan, limit)
    looks = np.asarray([*found])
    peaks = np.maximum(np.maximum.accumulate(looks, axis=0), 0.0)
    return Found(kind, effect, plan, peaks[:, 0], peaks[:, 1])


def _errors(
    rng: np.random.Generator, effect: float, trials: int, split: Split, limit: Limit
) -> Iterator[tuple[Floats, Floats]]:
    state = difference.start(centre=(CHAMPION_ERRORS,) * trials)
    for _ in range(split.batches):
        wrong_a = rng.binomial(split.champion, CHAMPION_ERRORS, trials)
        wrong_b = rng.binomial(split.challenger, CHAMPION_ERRORS + effect, trials)
        state = difference.update(
            state,
            np.stack([split.champion - wrong_a, wrong_a], axis=1),
            np.stack([split.challenger - wrong_b, wrong_b], axis=1),
        )
        yield _between_means(state, limit)


def _quality(
    rng: np.random.Generator, effect: float, trials: int, split: Split, limit: Limit
) -> Iterator[tuple[Floats, Floats]]:
    state = difference.start(knots=LOSS_KNOTS, centre=(CHAMPION_LOSS,) * trials)
    champion, challenger = _losses(CHAMPION_LOSS), _losses(CHAMPION_LOSS + effect)
    for _ in range(split.batches):
        state = difference.update(
            state,
            rng.multinomial(split.champion, champion, trials),
            rng.multinomial(split.challenger, challenger, trials),
        )
        yield _between_means(state, limit)


def _latency(
    rng: np.random.Generator, effect: float, trials: int, split: Split, limit: Limit
) -> Iterator[tuple[Floats, Floats]]:
    champion, challenger = _latencies(2000.0), _latencies(2000.0 * effect)
    first, second = np.zeros((trials, champion.size)), np.zeros((trials, champion.size))
    for _ in range(split.batches):
        first += rng.multinomial(split.champion, champion, trials)
        second += rng.multinomial(split.challenger, challenger, trials)
        yield (
            quantile.log_es_slower(first, second, _P95, ratio=limit.harm),
            quantile.log_es_not_slower(first, second, _P95, ratio=limit.margin),
        )


def _predictions(
    rng: np.random.Generator, effect: float, trials: int, split: Split, limit: Limit
) -> Iterator[tuple[Floats, Floats]]:
    return _distances(rng, _EVEN, np.full(BINS, 1 / BINS), _moved(effect), trials, split, limit)


def _distances(
    rng: np.random.Generator,
    start: Divergence,
    champion: Floats,
    challenger: Floats,
    trials: int,
    split: Split,
    limit: Limit,
) -> Iterator[tuple[Floats, Floats]]:
    """Distance of the distributions: each edge of each trial is a stream, and `divergence` averages over the edges."""
    state = _side_by_side(start.shares, trials)
    inside, outside, weight = np.zeros(()), np.zeros(()), 0.0
    learnt, past = total.start_learning(trials), (np.zeros(champion.size), np.zeros(champion.size))
    for _ in range(split.batches):
        first = rng.multinomial(split.champion, champion, trials)
        second = rng.multinomial(split.challenger, challenger, trials)
        state = difference.update(state, _under(first), _under(second))

        def by_trial(logs: Floats) -> Floats:
            return logs.reshape(trials, -1)

        both = np.concatenate(
            [
                by_trial(difference.log_e_above(state, limit.harm)),
                by_trial(difference.log_e_below(state, -limit.harm)),
            ],
            axis=1,
        )
        top = both.max(axis=1)
        if start.total is not None:
            batch = first.astype(np.float64), second.astype(np.float64)
            more = total.logs(*batch)
            inside, outside, weight = inside + more[0], outside + more[1], weight + more[2]
            near = total.log_es_near(inside, outside, weight, limit.margin)
            learnt = total.learn(learnt, past, batch)
            past = past[0] + batch[0], past[1] + batch[1]
        else:
            near = np.minimum(
                by_trial(difference.log_e_below(state, limit.margin)),
                by_trial(difference.log_e_above(state, -limit.margin)),
            ).min(axis=1)
        harm = top + np.log(np.exp(both - top[:, None]).mean(axis=1))
        if start.total is not None:
            harm = np.logaddexp(harm, difference.log_e_above(learnt, limit.harm)) - math.log(2)
        yield harm, near


def _ranks(
    rng: np.random.Generator, effect: float, trials: int, split: Split, limit: Limit
) -> Iterator[tuple[Floats, Floats]]:
    """Shift of the mean rank, by as large a move from the lower half of the bins to the upper one as makes it."""
    challenger = _moved(effect * (BINS - 1) / (BINS // 2))
    return _shifts(rng, _EVEN, np.full(BINS, 1 / BINS), challenger, trials, split, limit)


def _shifts(
    rng: np.random.Generator,
    start: Divergence,
    champion: Floats,
    challenger: Floats,
    trials: int,
    split: Split,
    limit: Limit,
) -> Iterator[tuple[Floats, Floats]]:
    state = _side_by_side(start.ranks, trials)
    for _ in range(split.batches):
        state = difference.update(
            state,
            rng.multinomial(split.champion, champion, trials),
            rng.multinomial(split.challenger, challenger, trials),
        )
        up, down = difference.log_e_above(state, limit.harm), difference.log_e_below(state, -limit.harm)
        steady = np.minimum(
            difference.log_e_below(state, limit.margin), difference.log_e_above(state, -limit.margin)
        )
        yield np.logaddexp(up, down) - math.log(2), steady


_EVEN = divergence.start([i / BINS for i in range(1, BINS)])
_SCORES: dict[Kind, Callable[..., Iterator[tuple[Floats, Floats]]]] = {
    "predictions": _distances,
    "prediction-mean": _shifts,
}


_LOOKS: dict[Kind, Callable[..., Iterator[tuple[Floats, Floats]]]] = {
    "errors": _errors,
    "latency": _latency,
    "predictions": _predictions,
    "prediction-mean": _ranks,
    "quality": _quality,
}


def compare(
    effect: float, *, trials: int, split: Split | None = None, alpha: float = 0.05, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Looks (1-based, 0 for never) at which A/B trials call a challenger whose loss differs by `effect` better, worse."""
    plan = split or Split(50, 50, 200)
    rng = np.random.default_rng(seed)
    state = difference.start(knots=LOSS_KNOTS, centre=(CHAMPION_LOSS,) * trials)
    champion, challenger = _losses(CHAMPION_LOSS), _losses(CHAMPION_LOSS + effect)
    better, worse = np.zeros(trials, np.int64), np.zeros(trials, np.int64)
    for look in range(1, plan.batches + 1):
        state = difference.update(
            state,
            rng.multinomial(plan.champion, champion, trials),
            rng.multinomial(plan.challenger, challenger, trials),
        )
        for found, logs in (
            (better, difference.log_e_below(state, 0.0)),
            (worse, difference.log_e_above(state, 0.0)),
        ):
            found[(found == 0) & (logs >= -math.log(alpha))] = look
    return better, worse


def bandit(
    champion: float,
    challenger: float,
    *,
    trials: int,
    batches: int = 100,
    requests: int = 100,
    floor: float = 5.0,
    seed: int = 0,
) -> tuple[Floats, Floats]:
    """(gained less than the better version alone would have, in requests; the challenger's last share): (S,) each.

    Rewards are 0 or 1 with the given chances, and the split moves after each batch.
    """
    rng = np.random.default_rng(seed)
    regret, shares = np.zeros(trials), np.zeros(trials)
    rates = champion, challenger
    for trial in range(trials):
        won, lost = [0.0, 0.0], [0.0, 0.0]
        share = 50.0
        for _ in range(batches):
            second = int(rng.binomial(requests, share / 100))
            for arm, asked in enumerate((requests - second, second)):
                gained = int(rng.binomial(asked, rates[arm]))
                won[arm] += gained
                lost[arm] += asked - gained
                regret[trial] += asked * (max(rates) - rates[arm])
            share = share_of_best((won[0], won[1]), (lost[0], lost[1]), floor=floor)
        shares[trial] = share
    return regret, shares


def _between_means(state: Difference, limit: Limit) -> tuple[Floats, Floats]:
    return difference.log_e_above(state, limit.harm), difference.log_e_below(state, limit.margin)


def _losses(mean: float) -> Floats:
    """Chances (K,) of losses on the knots: a Beta whose mean is exactly `mean` once it is rounded to them."""
    grid = (np.arange(20_000) + 0.5) / 20_000
    weights = grid ** (_LOSS_WORTH * mean - 1) * (1 - grid) ** (_LOSS_WORTH * (1 - mean) - 1)
    at = np.asarray(LOSS_KNOTS)
    left = np.clip(np.searchsorted(at, grid, side="right") - 1, 0, at.size - 2)
    share = (grid - at[left]) / (at[left + 1] - at[left])
    mass = np.bincount(left, weights=weights * (1 - share), minlength=at.size).astype(np.float64)
    mass += np.bincount(left + 1, weights=weights * share, minlength=at.size)
    mass /= mass.sum()
    # What the numeric integral lost of the mean goes to the nearest end, so that "no difference" is none.
    lost = mean - float(mass @ at)
    end = -1 if lost > 0 else 0
    move = abs(lost) / abs(at[end] - float(mass @ at))
    mass *= 1 - move
    mass[end] += move
    return mass


def _latencies(median_us: float) -> Floats:
    under = ndtr(np.log(np.asarray(quantile.LATENCY_EDGES_US) / median_us) / _SPREAD)
    chances = np.diff(np.concatenate([[0.0], under, [1.0]]))
    return chances / chances.sum()


def _moved(distance: float) -> Floats:
    """Chances (BINS,) at that Kolmogorov-Smirnov distance from equal ones: the upper half gains what the lower loses."""
    chances = np.full(BINS, 1 / BINS)
    half = BINS // 2
    chances[:half] -= distance / half
    chances[half:] += distance / half
    return chances


def _side_by_side(one: Difference, trials: int) -> Difference:
    """The empty state of so many trials that all begin as `one`; their streams follow each other, trial by trial."""
    return difference.start(
        knots=one.knots,
        centre=one.centre * trials,
        largest_bet=one.bets[0],
        bets=len(one.bets),
        block=one.block,
    )


def _under(counted: NDArray[np.int64]) -> Floats:
    """Mass (S * G, 2) above and at or below each edge from bin counts (S, G + 1)."""
    under = np.cumsum(counted, axis=1)[:, :-1].astype(np.float64).ravel()
    return np.stack([float(counted[0].sum()) - under, under], axis=1)
