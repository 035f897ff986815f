"""Sequential comparison of two versions' score distributions: whether the predictions themselves changed.

Scores fall into bins between fixed edges, chosen from what the champion predicted before. For every edge the shares of
scores at or below it are compared by `difference`; the e-values of all edges, in both directions, are
averaged. An average of e-processes is an e-process, so "no edge differs by more than d" (a Kolmogorov-Smirnov
distance of at most d) is rejected at level alpha once the average passes 1 / alpha, at any time, with no
correction for the number of edges. A model that is fed another unit, or answers a constant, is caught within
some tens of rows.

Edges may be any function of the past: given the past they are constants, each edge's e-process starts at 1 and is one
under its own null, whatever the edge and however many there are, and whether or not edges share a bin's rows. What they
must not know is a row that they will sort. So they are taken once, before the first row of evidence, and kept with the state.

Between two edges everything looks alike, so the distance over the edges falls short of the true one by at most the
champion's share there. Quantiles leave no more than 1 / `bins` between two of them, but for scores that are many of them alone
(atoms: a class, a leaf of a small tree, the zeros of an amount). An atom gets an edge on both of its sides and thereby a
bin of its own, so that what leaves it is seen wherever it goes. Smaller ties count in, which makes it 1.5 / `bins`.

The same bins give the shift of the mean rank. A bin's rank is the champion's share below it plus half of its own (its
ridit), stretched so that the lowest and the highest of the champion's bins have 0 and 1: with 0/1 predictions the shift is the
difference of the shares of ones; with bins of equal shares +0.5 is every challenger score above every champion score.

Sources: Howard & Ramdas, "Sequential estimation of quantiles with applications to A/B testing", Bernoulli 28
(2022), for sequential two-sample Kolmogorov-Smirnov tests; Vovk & Wang, "E-values: calibration, combination
and applications", Ann. Statist. 49 (2021), for averaging; Ramdas, Gruenwald, Vovk & Shafer, "Game-theoretic statistics
and safe anytime-valid inference", Statist. Sci. 38 (2023), for tests chosen from the past; Bross, "How to use ridit
analysis", Biometrics 14 (1958).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.interval import Interval
from trimtab.science.sequential import difference as two
from trimtab.science.sequential import total as of_all
from trimtab.science.sequential.difference import Difference
from trimtab.science.sequential.total import Total


@dataclass(frozen=True)
class Divergence:
    """Evidence on the distance between two score distributions over G `edges` (G + 1 bins).

    `shares` compares P(score <= edge), one stream an edge; `ranks` compares mean bin ranks. `classes`: where the bins are
    those of `classes`, the codes of the ones that have a bin of their own, bin by bin, and `total` compares them in no
    order; their ranks say nothing.
    """

    edges: tuple[float, ...]
    shares: Difference
    ranks: Difference
    classes: tuple[int, ...] | None = None
    total: Total | None = None


NEARLY = 1e-5
"""Scores this close to an atom count as it, as a share of the distance between the outer quantiles (of the atom itself where
they are one): about what a compiled model may be off, so that no score is another one for its last digits."""


def edges_from(scores: ArrayLike, *, bins: int = 16) -> tuple[float, ...]:
    """Rising edges for what the champion predicted so far: quantiles, and both sides of each atom among them.

    At most `bins` - 1 quantiles, each of which is one edge, or two where at least 1 / (2 `bins`) of the scores are (nearly,
    see `NEARLY`) equal to it. What is not finite is left out. Raises ValueError without a finite score.

    >>> edges_from(range(1, 101), bins=4)
    (25.0, 50.0, 75.0)
    >>> [round(edge, 6) for edge in edges_from([1, 2] * 50)]
    [0.99999, 1.00001, 1.99999, 2.00001]
    """
    array = np.sort(np.asarray(scores, dtype=np.float64).ravel())
    array = array[np.isfinite(array)]
    if array.size == 0:
        raise ValueError("no finite score to take edges from")
    levels = np.linspace(0, 1, bins + 1)[1:-1]
    found = np.unique(np.quantile(array, levels, method="inverted_cdf"))
    low, high = _nearly(found)
    tied = np.searchsorted(array, high, side="right") - np.searchsorted(array, low, side="right")
    atom = (tied > 1) & (tied * 2 * bins >= array.size)
    # An edge at the maximum separates nothing, unless it is all there is.
    inner = ~atom & ((found < array[-1]) | (found.size == 1))
    return tuple(np.unique(np.concatenate([found[inner], low[atom], high[atom]])).tolist())


def shares_of(scores: ArrayLike, edges: Sequence[float]) -> tuple[float, ...]:
    """The share of scores at or below each edge, as `start` takes it; NaN is above all edges.

    >>> shares_of([0.1, 0.2, 0.3, float("nan")], [0.2, 0.3])
    (0.5, 0.75)
    """
    counted = counts(scores, edges)
    return tuple((np.cumsum(counted)[:-1] / max(int(counted.sum()), 1)).tolist())


def counts(scores: ArrayLike, edges: Sequence[float]) -> NDArray[np.int64]:
    """Rows per bin (G + 1): bin i holds edges[i-1] < score <= edges[i]. NaN counts in the last bin.

    >>> counts([0.1, 0.2, 0.9], [0.2, 0.5]).tolist()
    [2, 0, 1]
    """
    array = np.asarray(scores, dtype=np.float64).ravel()
    return np.bincount(np.searchsorted(edges, array, side="left"), minlength=len(edges) + 1).astype(np.int64)


def start(edges: Sequence[float], *, shares: Sequence[float] | None = None, block: int = 5) -> Divergence:
    """An empty comparison over rising `edges`.

    `shares`: the champion's share at or below each edge (`shares_of` its past), which ranks the bins; without them every bin
    counts as much as another. Raises ValueError for edges or shares that fall.
    """
    rising = tuple(float(edge) for edge in edges)
    if not rising or list(rising) != sorted(set(rising)):
        raise ValueError("edges rise")
    known = (
        np.arange(1, len(rising) + 1) / (len(rising) + 1)
        if shares is None
        else np.asarray(shares, dtype=np.float64)
    )
    chances = np.diff(known, prepend=0.0, append=1.0)
    if known.shape != (len(rising),) or not chances.min() >= 0.0:
        raise ValueError("one share an edge, none below the one before, from 0 to 1")
    guess = np.clip(known, 0.01, 0.99)
    levels = _ranks(known, chances)
    middle = min(max(float(chances @ levels), 0.01), 0.99)
    return Divergence(
        edges=rising,
        shares=two.start(centre=tuple(guess.tolist()), largest_bet=8.0, bets=11, block=block),
        ranks=two.start(knots=tuple(levels.tolist()), centre=middle, largest_bet=8.0, bets=11, block=block),
    )


def update(state: Divergence, champion: ArrayLike, challenger: ArrayLike) -> Divergence:
    """The state after a batch of bin counts, as `counts` gives them, for each version."""
    first, second = np.asarray(champion, dtype=float), np.asarray(challenger, dtype=float)
    return replace(
        state,
        shares=two.update(state.shares, _below(first), _below(second)),
        ranks=two.update(state.ranks, first, second),
        total=None if state.total is None else of_all.update(state.total, first, second),
    )


def log_e_distance(state: Divergence, distance: float = 0.0) -> float:
    """Log e-value against "the Kolmogorov-Smirnov distance over the edges is at most `distance`".

    Of classes it is against the total variation distance: half is bet on what the edges see, half on what was learnt.

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
    over_edges = top + math.log(float(np.exp(logs - top).mean()))
    if state.total is None:
        return over_edges
    return float(np.logaddexp(over_edges, of_all.log_e_beyond(state.total, distance))) - math.log(2)


def distance(state: Divergence, *, alpha: float = 0.05) -> Interval:
    """Kolmogorov-Smirnov distance over the edges, or total variation of classes; covered at all times with probability 1 - `alpha`."""
    if state.total is not None:
        found = two.intervals(state.shares, alpha=alpha / 4 / len(state.edges))
        # Over an order no distance is larger than over all sets.
        low = max(
            *(max(one.low, -one.high) for one in found), of_all.bound_below(state.total, alpha=alpha / 4)
        )
        high, estimate = of_all.bound_above(state.total, alpha=alpha / 2), of_all.estimate(state.total)
        return Interval(estimate, min(low, estimate), max(high, estimate))
    found = two.intervals(state.shares, alpha=alpha / len(state.edges))
    estimate = max(abs(one.estimate) for one in found)
    low = max(max(one.low, -one.high, 0.0) for one in found)
    high = max(max(one.high, -one.low) for one in found)
    return Interval(estimate, min(low, estimate), max(high, estimate))


def log_e_near(state: Divergence, distance: float) -> float:
    """Log e-value against "the distance over the edges is at least `distance`": large = all edges are nearer.

    The claim names some edge and side; whichever it is, its own e-value counts, so the least of all is valid. Of classes
    it is the total variation distance, and any set of them.
    """
    if state.total is not None:
        return of_all.log_e_near(state.total, distance)
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


def _nearly(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges just below and just above each of the rising `scores`: what lies between them counts as that score."""
    largest = np.finfo(np.float64).max
    range_ = NEARLY * scores[-1] - NEARLY * scores[0]
    near = np.full_like(scores, range_) if range_ > 0 else NEARLY * np.abs(scores)
    with np.errstate(over="ignore"):
        low, high = np.minimum(scores - near, np.nextafter(scores, -np.inf)), scores + near
    return np.clip(low, -largest, largest), np.clip(high, -largest, largest)


def _ranks(shares: NDArray[np.float64], chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ridits of the bins (G + 1,), from 0 for the lowest to 1 for the highest bin that the champion is in.

    Bins beyond these share their ranks. If the champion is in one bin only, that is 0.5, between 0 and 1.
    """
    ridits = np.concatenate([[0.0], shares]) + chances / 2
    taken = ridits[chances > 0]
    if taken[0] == taken[-1]:
        return np.sign(ridits - taken[0]) / 2 + 0.5
    return np.clip((ridits - taken[0]) / (taken[-1] - taken[0]), 0.0, 1.0)


def _below(counted: NDArray[np.float64]) -> NDArray[np.float64]:
    """(G, 2) mass above and at-or-below each edge from (G + 1,) bin counts."""
    under = np.cumsum(counted)[:-1]
    return np.stack([counted.sum() - under, under], axis=1)
