"""Latency quantiles compared sequentially from histogram counts: intervals for p95 or p99, and an e-value for
"slower".

A histogram over fixed edges is all the state there is: it merges by addition, and every statement below
depends on its counts alone, yet holds at all times together. If q is the true p-quantile, the number of
values at or below q is a sum of coin flips with chance p, so the likelihood ratio of a Beta mixture against p
is a test martingale; the values of q that it does not reject form a confidence sequence. Rounding to edges is
always taken to the safe side.

For two versions, "the challenger's quantile is at most `ratio` times the champion's" means that for the
champion's true q both P(champion <= q) = p and P(challenger <= ratio q) >= p. The product of the two
martingales is an e-process at that q; its minimum over all q is one for the claim.

Source: Howard & Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
identification", Bernoulli 28 (2022): Theorem 2 (beta-binomial mixture), and the uniform bound of its section
4.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaln, xlog1py, xlogy  # pyright: ignore[reportMissingTypeStubs]

from trimtab.science.interval import Interval

Floats = NDArray[np.float64]

LATENCY_EDGES_US: tuple[float, ...] = tuple(10.0 * 2 ** (i / 8) for i in range(214))
"""Edges from 10 us to 1,030 s, each 9 % above the one before: 215 bins for any latency in microseconds."""


def counts(values: ArrayLike, edges: Sequence[float] = LATENCY_EDGES_US) -> NDArray[np.int64]:
    """Values per bin, (len(edges) + 1,): bin i holds edges[i-1] < value <= edges[i]; add arrays to merge.

    >>> counts([1, 2, 3, 9], [2, 4]).tolist()
    [2, 1, 1]
    """
    array = np.asarray(values, dtype=np.float64).ravel()
    return np.bincount(np.searchsorted(edges, array, side="left"), minlength=len(edges) + 1).astype(np.int64)


def value(counted: ArrayLike, p: float, *, edges: Sequence[float] = LATENCY_EDGES_US) -> float:
    """The p-quantile of a histogram, interpolated inside its bin on a log scale; NaN without rows."""
    mass = np.asarray(counted, dtype=np.float64)
    total = float(mass.sum())
    if total <= 0:
        return math.nan
    under = np.cumsum(mass)
    at = int(np.searchsorted(under, p * total, side="left"))
    if at == 0:
        return float(edges[0])
    if at >= len(edges):
        return float(edges[-1])
    share = float((p * total - under[at - 1]) / mass[at])
    low, high = float(edges[at - 1]), float(edges[at])
    return low * (high / low) ** share if low > 0 else low + share * (high - low)


def interval(
    counted: ArrayLike, p: float, *, edges: Sequence[float] = LATENCY_EDGES_US, alpha: float = 0.05
) -> Interval:
    """The p-quantile with its confidence sequence; ends are edges, 0 (or -inf) and inf outside of them.

    >>> import numpy as np
    >>> sample = np.random.default_rng(0).exponential(1000.0, 5000)   # true median 693
    >>> found = interval(counts(sample), 0.5)
    >>> found.low <= 693.1 <= found.high, found.width < 250
    (True, True)
    """
    mass = np.asarray(counted, dtype=np.float64)
    total, under = float(mass.sum()), np.cumsum(mass)[:-1]
    floor = 0.0 if edges[0] > 0 else -math.inf
    if total <= 0:
        return Interval(math.nan, floor, math.inf)
    evidence = _log_mixture(under, total, p)
    rejected = evidence >= -math.log(alpha)
    # An edge whose share is surely below p is below the quantile, one surely above p is above it.
    lower = np.flatnonzero(rejected & (under < p * total))
    upper = np.flatnonzero(rejected & (under > p * total))
    low = float(edges[int(lower[-1])]) if lower.size else floor
    high = float(edges[int(upper[0])]) if upper.size else math.inf
    estimate = value(mass, p, edges=edges)
    return Interval(min(max(estimate, low), high), low, high)


def log_e_slower(
    champion: ArrayLike,
    challenger: ArrayLike,
    p: float,
    *,
    ratio: float = 1.0,
    edges: Sequence[float] = LATENCY_EDGES_US,
) -> float:
    """Log e-value against "the challenger's p-quantile is at most `ratio` times the champion's".

    Large = the challenger is slower by more than that. Never above what the counts, rounded to edges, allow.
    """
    return float(log_es_slower(_row(champion), _row(challenger), p, ratio=ratio, edges=edges)[0])


def log_es_slower(
    champion: Floats,
    challenger: Floats,
    p: float,
    *,
    ratio: float = 1.0,
    edges: Sequence[float] = LATENCY_EDGES_US,
) -> Floats:
    """`log_e_slower` of many trials at once: counts (S, bins), all trials with as many rows, to (S,)."""

    def fewer(total: float) -> Floats:
        # The challenger's count at ratio * q is at most the one at the next edge up.
        grid = np.asarray(edges, dtype=np.float64)
        next_edge = np.searchsorted(grid, ratio * np.concatenate([grid, [np.inf]]), side="left")
        at_most = np.cumsum(challenger, axis=1)[:, np.minimum(next_edge, challenger.shape[1] - 1)]
        return _log_fewer(at_most, total, p)

    return _least(champion, challenger, p, fewer)


def log_e_not_slower(
    champion: ArrayLike,
    challenger: ArrayLike,
    p: float,
    *,
    ratio: float = 1.0,
    edges: Sequence[float] = LATENCY_EDGES_US,
) -> float:
    """Log e-value against "the challenger's p-quantile is at least `ratio` times the champion's".

    Large = non-inferior: slower by less than `ratio`.
    """
    return float(log_es_not_slower(_row(champion), _row(challenger), p, ratio=ratio, edges=edges)[0])


def log_es_not_slower(
    champion: Floats,
    challenger: Floats,
    p: float,
    *,
    ratio: float = 1.0,
    edges: Sequence[float] = LATENCY_EDGES_US,
) -> Floats:
    """`log_e_not_slower` of many trials at once: counts (S, bins), all trials with as many rows, to (S,)."""

    def more(total: float) -> Floats:
        # The challenger's count just below ratio * q is at least the one at the last edge under it.
        grid = np.asarray(edges, dtype=np.float64)
        last_edge = np.searchsorted(grid, ratio * np.concatenate([[0.0], grid]), side="right") - 1
        cumulative = np.cumsum(challenger, axis=1)
        at_least = np.where(last_edge >= 0, cumulative[:, np.maximum(last_edge, 0)], 0.0)
        return _log_fewer(total - at_least, total, 1.0 - p)

    return _least(champion, challenger, p, more)


def _least(
    champion: Floats, challenger: Floats, p: float, of_challenger: Callable[[float], Floats]
) -> Floats:
    """The least, over all cells q may lie in, of the evidence of both sides: counts (S, bins) to (S,)."""
    total, others = float(champion[0].sum()), float(challenger[0].sum())
    if total <= 0 or others <= 0:
        return np.zeros(len(champion))
    # q in cell i: edges[i-1] < q <= edges[i]; the champion's count at q lies between those of the two edges.
    lowest, highest = _between(champion)
    nearest = np.clip(_dullest(total, p), lowest, highest)
    return (_log_mixture(nearest, total, p) + of_challenger(others)).min(axis=1)


def _row(counted: ArrayLike) -> Floats:
    return np.asarray(counted, dtype=np.float64)[None, :]


def _between(counted: Floats) -> tuple[Floats, Floats]:
    """Counts (S, bins) below the lower and up to the upper edge of each cell."""
    under = np.cumsum(counted, axis=1)
    return np.concatenate([np.zeros((len(counted), 1)), under[:, :-1]], axis=1), under


def dkw_radius(rows: float, *, alpha: float = 0.05) -> float:
    """Radius r such that |empirical - true distribution function| <= r everywhere and always, at level 1 -
    alpha.

    The uniform bound of Howard & Ramdas (2022): 0.85 sqrt((log log(e t) + 0.8 log(1612 / alpha)) / t).

    >>> round(dkw_radius(10_000), 3)
    0.028
    """
    if rows < 1:
        return 1.0
    return min(
        1.0, 0.85 * math.sqrt((math.log(math.log(math.e * rows)) + 0.8 * math.log(1612 / alpha)) / rows)
    )


def _prior(p: float) -> tuple[float, float]:
    """Beta prior centred at p: worth about 20 rows, more where p is extreme."""
    strength = max(20.0, 0.5 / min(p, 1.0 - p))
    return strength * p, strength * (1.0 - p)


def _log_mixture(under: Floats, total: float, p: float) -> Floats:
    """Log of the Beta mixture of likelihood ratios against chance p, for counts `under` of `total`."""
    a, b = _prior(p)
    over = total - under
    return betaln(a + under, b + over) - betaln(a, b) - xlogy(under, p) - xlog1py(over, -p)


def _log_fewer(under: Floats, total: float, p: float) -> Floats:
    """The same for "chance at least p", the prior cut to chances below p: a supermartingale."""
    a, b = _prior(p)
    over = total - under
    whole, share = betaln(a, b), math.log(float(betainc(a, b, p)))
    with np.errstate(divide="ignore"):
        cut = _log_mixture(under, total, p) + np.log(betainc(a + under, b + over, p)) - share
    # First term of the series of the incomplete beta function: a lower bound that cannot underflow.
    series = a * math.log(p) + b * math.log1p(-p) - np.log(a + under) - whole - share
    return np.maximum(cut, series)


def _dullest(total: float, p: float) -> float:
    """The whole count at which `_log_mixture`, convex in the count, is least."""
    a, b = _prior(p)
    # Its slope is digamma(a + k) - digamma(b + n - k) - logit(p), near enough zero here to search around.
    near = round((total + a + b - 1.0) * p - a + 0.5)
    candidates = np.clip(np.arange(near - 8, near + 9, dtype=np.float64), 0.0, total)
    return float(candidates[int(np.argmin(_log_mixture(candidates, total, p)))])
