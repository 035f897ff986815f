"""Sequential comparison of two versions' score distributions: whether the predictions themselves changed.

Scores fall into bins between fixed edges (chosen from the champion's past). For every edge the shares of
scores at or below it are compared by `difference`; the e-values of all edges, in both directions, are
averaged. An average of e-processes is an e-process, so "no edge differs by more than d" (a Kolmogorov-Smirnov
distance of at most d) is rejected at level alpha once the average passes 1 / alpha, at any time, with no
correction for the number of edges. A model that is fed another unit, or answers a constant, is caught within
some tens of rows. The same bins give the shift of the mean rank: 0 = alike, +0.5 = every challenger score
above every champion score.

Sources: Howard & Ramdas, "Sequential estimation of quantiles with applications to A/B testing", Bernoulli 28
(2022), for sequential two-sample Kolmogorov-Smirnov tests; Vovk & Wang, "E-values: calibration, combination
and applications", Ann. Statist. 49 (2021), for averaging.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.interval import Interval
from trimtab.science.sequential import difference as two
from trimtab.science.sequential.difference import Difference


@dataclass(frozen=True)
class Divergence:
    """Evidence on the distance between two score distributions over G `edges` (G + 1 bins).

    `shares` compares P(score <= edge), one stream an edge; `ranks` compares mean bin ranks.
    """

    edges: tuple[float, ...]
    shares: Difference
    ranks: Difference


def edges_from(scores: ArrayLike, *, bins: int = 16) -> tuple[float, ...]:
    """At most `bins` - 1 rising edges at quantiles of the champion's past scores; ties merge, NaN is left
    out.

    A constant column gives one edge, at the constant. Raises ValueError without a finite score.

    >>> edges_from(range(1, 101), bins=4)
    (25.0, 50.0, 75.0)
    """
    array = np.asarray(scores, dtype=np.float64).ravel()
    array = array[np.isfinite(array)]
    if array.size == 0:
        raise ValueError("no finite score to take edges from")
    levels = np.linspace(0, 1, bins + 1)[1:-1]
    found = np.unique(np.quantile(array, levels, method="inverted_cdf"))
    # An edge at the maximum separates nothing, unless it is all there is.
    inner = found[found < array.max()]
    return tuple((inner if inner.size else found[:1]).tolist())


def counts(scores: ArrayLike, edges: Sequence[float]) -> NDArray[np.int64]:
    """Rows per bin (G + 1): bin i holds edges[i-1] < score <= edges[i]. NaN counts in the last bin.

    >>> counts([0.1, 0.2, 0.9], [0.2, 0.5]).tolist()
    [2, 0, 1]
    """
    array = np.asarray(scores, dtype=np.float64).ravel()
    return np.bincount(np.searchsorted(edges, array, side="left"), minlength=len(edges) + 1).astype(np.int64)


def start(edges: Sequence[float], *, shares: Sequence[float] | None = None, block: int = 5) -> Divergence:
    """An empty comparison over rising `edges`; `shares`: the champion's share up to each edge, if known."""
    rising = tuple(float(edge) for edge in edges)
    if not rising or list(rising) != sorted(set(rising)):
        raise ValueError("edges rise")
    known = (
        np.arange(1, len(rising) + 1) / (len(rising) + 1)
        if shares is None
        else np.asarray(shares, dtype=float)
    )
    guess = np.clip(known, 0.01, 0.99)
    levels = tuple(i / len(rising) for i in range(len(rising) + 1))
    return Divergence(
        edges=rising,
        shares=two.start(centre=tuple(guess.tolist()), largest_bet=8.0, bets=11, block=block),
        ranks=two.start(knots=levels, centre=0.5, largest_bet=8.0, bets=11, block=block),
    )


def update(state: Divergence, champion: ArrayLike, challenger: ArrayLike) -> Divergence:
    """The state after a batch of bin counts, as `counts` gives them, for each version."""
    first, second = np.asarray(champion, dtype=float), np.asarray(challenger, dtype=float)
    return replace(
        state,
        shares=two.update(state.shares, _below(first), _below(second)),
        ranks=two.update(state.ranks, first, second),
    )


def log_e_distance(state: Divergence, distance: float = 0.0) -> float:
    """Log e-value against "the Kolmogorov-Smirnov distance over the edges is at most `distance`".

    >>> import numpy as np
    >>> rng = np.random.default_rng(1)
    >>> state = start([0.25, 0.5, 0.75])
    >>> state = update(state, counts(rng.random(200), state.edges), counts(rng.random(60) ** 4, state.edges))
    >>> log_e_distance(state) > math.log(100)
    True
    """
    up, down = two.log_e_above(state.shares, distance), two.log_e_below(state.shares, -distance)
    logs = np.concatenate([up, down])
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean()))


def distance(state: Divergence, *, alpha: float = 0.05) -> Interval:
    """Kolmogorov-Smirnov distance over the edges; covered at all times with probability 1 - `alpha`."""
    found = two.intervals(state.shares, alpha=alpha / len(state.edges))
    estimate = max(abs(one.estimate) for one in found)
    low = max(max(one.low, -one.high, 0.0) for one in found)
    high = max(max(one.high, -one.low) for one in found)
    return Interval(estimate, min(low, estimate), max(high, estimate))


def log_e_near(state: Divergence, distance: float) -> float:
    """Log e-value against "the distance over the edges is at least `distance`": large = all edges are nearer.

    The claim names some edge and side; whichever it is, its own e-value counts, so the least of all is valid.
    """
    return float(
        min(two.log_e_below(state.shares, distance).min(), two.log_e_above(state.shares, -distance).min())
    )


def log_e_steady(state: Divergence, shift: float) -> float:
    """Log e-value against "the mean rank has moved by at least `shift`", either way: large = it has not."""
    return float(min(two.log_e_below(state.ranks, shift)[0], two.log_e_above(state.ranks, -shift)[0]))


def rank_shift(state: Divergence, *, alpha: float = 0.05) -> Interval:
    """Challenger's mean bin rank minus the champion's, ranks running from 0 to 1 over the bins."""
    return two.interval(state.ranks, alpha=alpha)


def log_e_shift(state: Divergence, shift: float = 0.0) -> float:
    """Log e-value against "the mean rank has moved by at most `shift`" in either direction."""
    up, down = float(two.log_e_above(state.ranks, shift)[0]), float(two.log_e_below(state.ranks, -shift)[0])
    top = max(up, down)
    return top + math.log(0.5 * math.exp(up - top) + 0.5 * math.exp(down - top))


def _below(counted: NDArray[np.float64]) -> NDArray[np.float64]:
    """(G, 2) mass above and at-or-below each edge from (G + 1,) bin counts."""
    under = np.cumsum(counted)[:-1]
    return np.stack([counted.sum() - under, under], axis=1)
