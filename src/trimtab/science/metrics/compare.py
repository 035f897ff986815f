"""Champion against challenger on the same rows: paired differences with intervals and p-values, for the
promotion gate.

All differences are challenger minus champion. Pairing removes what both models find hard, so it sees smaller
differences than two separate intervals would.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erfc  # pyright: ignore[reportMissingTypeStubs]

from trimtab.science.metrics import delong, means

Floats = NDArray[np.float64]
Metric = Callable[[NDArray[np.float64], NDArray[np.float64]], float]

_BLOCKS = 2000
"""Rows beyond this many are bootstrapped in random blocks of equal size, which bounds the work."""


@dataclass(frozen=True)
class Comparison:
    """`estimate` = `challenger` - `champion`, with interval and two-sided p-value of "no difference"."""

    estimate: float
    low: float
    high: float
    p_value: float
    champion: float
    challenger: float
    rows: int

    def non_inferior(self, margin: float, *, higher_is_better: bool) -> bool:
        """Whether the interval excludes that the challenger is worse by `margin` or more.

        >>> Comparison(0.0, -0.01, 0.01, 1.0, 0.8, 0.8, 500).non_inferior(0.02, higher_is_better=True)
        True
        """
        return self.low > -margin if higher_is_better else self.high < margin

    def superior(self, *, higher_is_better: bool) -> bool:
        """Whether the interval excludes that the challenger is no better."""
        return self.low > 0.0 if higher_is_better else self.high < 0.0


def auc(y: ArrayLike, champion: ArrayLike, challenger: ArrayLike, *, alpha: float = 0.05) -> Comparison:
    """Difference of the areas under two ROC curves: DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988).

    Raises ValueError unless both classes are there.

    >>> found = auc([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.9], [0.4, 0.1, 0.35, 0.3, 0.2, 0.9])
    >>> round(found.estimate, 3), found.low < 0 < found.high
    (-0.111, True)
    """
    areas, covariance = delong.areas(
        y, np.stack([np.asarray(champion, float), np.asarray(challenger, float)])
    )
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    estimate, error = float(areas[1] - areas[0]), math.sqrt(max(variance, 0.0))
    radius = means.normal_quantile(1 - alpha / 2) * error
    p_value = float(erfc(abs(estimate) / error / math.sqrt(2))) if error > 0 else float(estimate == 0.0)
    rows = np.asarray(y).size
    return Comparison(
        estimate, estimate - radius, estimate + radius, p_value, float(areas[0]), float(areas[1]), rows
    )


def losses(
    champion: ArrayLike,
    challenger: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    alpha: float = 0.05,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Difference of mean losses (n,) of the same rows: paired bootstrap, percentile interval.

    `groups` (n,): rows of one group (a day, a customer) are drawn together, because they are not independent.
    Efron & Tibshirani, "An Introduction to the Bootstrap" (1993).

    >>> found = losses([0.2, 0.3, 0.4, 0.1] * 50, [0.1, 0.2, 0.4, 0.1] * 50)
    >>> round(found.estimate, 3), found.superior(higher_is_better=False)
    (-0.05, True)
    """
    first, second = np.asarray(champion, dtype=float).ravel(), np.asarray(challenger, dtype=float).ravel()
    if first.size != second.size or first.size == 0:
        raise ValueError("two losses for every row are needed")
    rng = np.random.default_rng(seed)
    gap = second - first
    block = _blocks(gap.size, groups, rng)
    totals, sizes = np.bincount(block, weights=gap), np.bincount(block).astype(np.float64)
    count = sizes.size
    draws = np.empty(resamples)
    for start in range(0, resamples, 250):
        many = min(250, resamples - start)
        picked = rng.multinomial(count, np.full(count, 1.0 / count), size=many)
        draws[start : start + many] = (picked @ totals) / (picked @ sizes)
    low, high = np.quantile(draws, [alpha / 2, 1 - alpha / 2])
    return Comparison(
        estimate=float(gap.mean()),
        low=float(low),
        high=float(high),
        p_value=_p_value(draws),
        champion=float(first.mean()),
        challenger=float(second.mean()),
        rows=gap.size,
    )


def metric(
    y: ArrayLike,
    champion: ArrayLike,
    challenger: ArrayLike,
    of: Metric,
    *,
    groups: ArrayLike | None = None,
    alpha: float = 0.05,
    resamples: int = 500,
    seed: int = 0,
) -> Comparison:
    """Difference of any metric `of(y, predicted)` by paired bootstrap over rows or `groups` (F1, RMSE, ...).

    >>> rmse = lambda y, p: float(np.sqrt(np.mean((y - p) ** 2)))
    >>> found = metric([1.0, 2.0, 3.0, 4.0] * 25, [1.5, 2.5, 2.5, 4.5] * 25, [1.1, 2.2, 2.9, 4.1] * 25, rmse)
    >>> found.superior(higher_is_better=False)
    True
    """
    truth = np.asarray(y, dtype=float).ravel()
    first, second = np.asarray(champion, dtype=float).ravel(), np.asarray(challenger, dtype=float).ravel()
    if not truth.size == first.size == second.size or truth.size == 0:
        raise ValueError("y and two predictions for every row are needed")
    rng = np.random.default_rng(seed)
    members: list[NDArray[np.intp]] = []
    if groups is not None:
        block = _blocks(truth.size, groups, rng)
        order = np.argsort(block, kind="stable")
        ends = np.cumsum(np.bincount(block)).tolist()
        members = [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    draws = np.empty(resamples)
    for i in range(resamples):
        if members:
            drawn: list[NDArray[np.intp]] = [
                members[j] for j in rng.integers(0, len(members), len(members)).tolist()
            ]
            rows = np.concatenate(drawn)
        else:
            rows = rng.integers(0, truth.size, truth.size)
        draws[i] = of(truth[rows], second[rows]) - of(truth[rows], first[rows])
    known = draws[np.isfinite(draws)]
    if known.size == 0:
        raise ValueError("the metric is not defined on these rows")
    low, high = np.quantile(known, [alpha / 2, 1 - alpha / 2])
    before, after = of(truth, first), of(truth, second)
    return Comparison(after - before, float(low), float(high), _p_value(known), before, after, truth.size)


def _blocks(size: int, groups: ArrayLike | None, rng: np.random.Generator) -> NDArray[np.intp]:
    if groups is not None:
        _, inverse = np.unique(np.asarray(groups), return_inverse=True)
        return inverse.ravel()
    if size <= _BLOCKS:
        return np.arange(size)
    return rng.permutation(size) % _BLOCKS


def _p_value(draws: Floats) -> float:
    """Two-sided: how often the bootstrap lands on the other side of 0, counting itself once."""
    below, above = int((draws <= 0).sum()), int((draws >= 0).sum())
    return min(1.0, 2.0 * (min(below, above) + 1) / (draws.size + 1))
