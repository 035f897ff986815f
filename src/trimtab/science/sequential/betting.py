"""Betting confidence sequence for the mean of observations in [0, 1]: the tightest we know for one stream.

For each candidate mean m two gamblers bet, one that observations are above m, one that they are below; while
m is the truth neither can make money in expectation, so the candidates on which one has multiplied its stake
by 2 / alpha are rejected, at any time. Bet sizes follow the running variance and use the past only. The
wealth of the first gambler falls with m and that of the second rises, so the accepted candidates are an
interval, and reading it off at grid points is exact up to the step of the grid, never too narrow.

Source: Waudby-Smith & Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024):
hedged capital process, section 4.4, with the predictable plug-in bets of equation (26).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.interval import Interval

_CHUNK = 32
"""Factors multiplied before a logarithm is taken; the grid keeps such products inside the range of floats."""


@dataclass(frozen=True)
class Betting:
    """State of the confidence sequence; plain numbers, see `science.plain`.

    `above` and `below`: log wealth (G - 1,) of the two gamblers on the inner points of a grid with
    `resolution` steps, which is finer near 0 and 1. `bet_alpha` only sizes the bets. `deviation` sums squared
    deviations from the running mean.
    """

    resolution: int
    bet_alpha: float
    cap: float
    rows: int
    total: float
    deviation: float
    above: tuple[float, ...]
    below: tuple[float, ...]


def start(*, resolution: int = 512, bet_alpha: float = 0.05, cap: float = 0.5) -> Betting:
    """An empty sequence. `cap` in (0, 1): the largest share of wealth risked on one observation."""
    if resolution < 2 or not 0 < cap < 1 or not 0 < bet_alpha < 1:
        raise ValueError("resolution is at least 2; cap and bet_alpha lie between 0 and 1")
    nothing = (0.0,) * (resolution - 1)
    return Betting(resolution, bet_alpha, cap, 0, 0.0, 0.0, nothing, nothing)


def update(state: Betting, values: ArrayLike) -> Betting:
    """The state after more observations (n,) in [0, 1], in their order. O(n * resolution).

    >>> import numpy as np
    >>> state = update(start(), np.random.default_rng(0).random(2000))
    >>> found = interval(state, alpha=0.05)
    >>> found.covers(0.5), found.width < 0.06
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
    variance = (0.25 + np.concatenate([[state.deviation], deviations[:-1]])) / seen
    bets = np.sqrt(2 * math.log(2 / state.bet_alpha) / (variance * seen * np.log(seen + 1)))

    means = _grid(state.resolution)
    above, below = np.array(state.above), np.array(state.below)
    for first in range(0, x.size, _CHUNK):
        gain = x[first : first + _CHUNK, None] - means[None, :]
        bet = bets[first : first + _CHUNK, None]
        above += np.log(np.prod(1.0 + np.minimum(bet, state.cap / means) * gain, axis=0))
        below += np.log(np.prod(1.0 - np.minimum(bet, state.cap / (1.0 - means)) * gain, axis=0))
    return replace(
        state,
        rows=int(seen[-1]),
        total=float(sums[-1]),
        deviation=float(deviations[-1]),
        above=tuple(above.tolist()),
        below=tuple(below.tolist()),
    )


def interval(state: Betting, *, alpha: float = 0.05) -> Interval:
    """Mean with its interval: covered at all times together with probability at least 1 - `alpha`."""
    means, goal = _grid(state.resolution), math.log(2 / alpha)
    too_low = np.flatnonzero(np.asarray(state.above) >= goal)
    too_high = np.flatnonzero(np.asarray(state.below) >= goal)
    low = float(means[too_low[-1]]) if too_low.size else 0.0
    high = float(means[too_high[0]]) if too_high.size else 1.0
    estimate = state.total / state.rows if state.rows else 0.5
    return Interval(estimate, min(low, estimate), max(high, estimate))


def log_e(state: Betting, mean: float) -> float:
    """Log e-value against "the mean is `mean`", taken at the nearest grid points that favour the claim."""
    means = _grid(state.resolution)
    right = int(np.searchsorted(means, mean, side="left"))
    left = int(np.searchsorted(means, mean, side="right")) - 1
    up = state.above[right] if right < means.size else -math.inf
    down = state.below[left] if left >= 0 else -math.inf
    top = max(up, down, -700.0)
    return top + math.log(max(0.5 * math.exp(up - top) + 0.5 * math.exp(down - top), 1e-300))


def _grid(resolution: int) -> NDArray[np.float64]:
    return np.sin(np.pi * np.arange(1, resolution) / (2 * resolution)) ** 2
