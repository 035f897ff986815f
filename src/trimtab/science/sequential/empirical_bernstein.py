"""Empirical-Bernstein confidence sequence for the mean of observations in [0, 1]: closed form, six numbers of
state.

Wider than `betting` by some tenths, but the update costs a few operations per observation and the interval
none.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024),
Theorem 2 (predictable plug-in empirical Bernstein), after Howard, Ramdas, McAuliffe & Sekhon, Ann. Statist.
49 (2021).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trimtab.science.interval import Interval


@dataclass(frozen=True)
class EmpiricalBernstein:
    """State of the confidence sequence; `bet_alpha` sizes the weights: best near the level asked for."""

    bet_alpha: float = 0.05
    cap: float = 0.5
    rows: int = 0
    total: float = 0.0
    deviation: float = 0.0
    weight: float = 0.0
    weighted: float = 0.0
    penalty: float = 0.0


def start(*, bet_alpha: float = 0.05, cap: float = 0.5) -> EmpiricalBernstein:
    """An empty sequence; `cap` in (0, 1) bounds the weight of one observation."""
    if not 0 < cap < 1 or not 0 < bet_alpha < 1:
        raise ValueError("cap and bet_alpha lie between 0 and 1")
    return EmpiricalBernstein(bet_alpha=bet_alpha, cap=cap)


def update(state: EmpiricalBernstein, values: ArrayLike) -> EmpiricalBernstein:
    """The state after more observations (n,) in [0, 1], in their order.

    >>> import numpy as np
    >>> state = update(start(), np.random.default_rng(0).random(2000))
    >>> found = interval(state, alpha=0.05)
    >>> found.covers(0.5), found.width < 0.07
    (True, True)
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if x.size == 0:
        return state
    if not (x.min() >= 0.0 and x.max() <= 1.0):
        raise ValueError("values lie in [0, 1]")
    seen = state.rows + np.arange(1, x.size + 1)
    sums = state.total + np.cumsum(x)
    centred = (0.5 + sums) / (seen + 1)
    deviations = state.deviation + np.cumsum((x - centred) ** 2)
    before = np.concatenate([[(0.5 + state.total) / (state.rows + 1)], centred[:-1]])
    variance = (0.25 + np.concatenate([[state.deviation], deviations[:-1]])) / seen
    goal = 2 * math.log(2 / state.bet_alpha)
    weights = np.minimum(np.sqrt(goal / (variance * seen * np.log(seen + 1))), state.cap)
    penalty = (x - before) ** 2 * (-np.log1p(-weights) - weights)
    return EmpiricalBernstein(
        bet_alpha=state.bet_alpha,
        cap=state.cap,
        rows=int(seen[-1]),
        total=float(sums[-1]),
        deviation=float(deviations[-1]),
        weight=state.weight + float(weights.sum()),
        weighted=state.weighted + float(weights @ x),
        penalty=state.penalty + float(penalty.sum()),
    )


def interval(state: EmpiricalBernstein, *, alpha: float = 0.05) -> Interval:
    """Weighted mean with its interval: covered at all times with probability at least 1 - `alpha`."""
    if state.weight <= 0.0:
        return Interval(0.5, 0.0, 1.0)
    centre = state.weighted / state.weight
    radius = (math.log(2 / alpha) + state.penalty) / state.weight
    return Interval(centre, max(0.0, centre - radius), min(1.0, centre + radius))
