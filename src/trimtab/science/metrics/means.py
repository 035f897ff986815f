"""Intervals for means and shares of independent rows: the pieces most metrics are made of."""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit  # pyright: ignore[reportMissingTypeStubs]

from trimtab.science.interval import Interval

UNKNOWN = Interval(math.nan, math.nan, math.nan)
"""What a metric answers when the rows do not define it (no rows, one class only)."""


def mean(values: ArrayLike, *, alpha: float = 0.05) -> Interval:
    """Mean of (n,) values with Student's interval.

    >>> found = mean([1.0, 2.0, 3.0, 4.0])
    >>> found.estimate, round(found.low, 3), round(found.high, 3)
    (2.5, 0.446, 4.554)
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if x.size == 0:
        return UNKNOWN
    centre = float(x.mean())
    if x.size == 1:
        return Interval(centre, -math.inf, math.inf)
    radius = float(stdtrit(x.size - 1, 1 - alpha / 2)) * float(x.std(ddof=1)) / math.sqrt(x.size)
    return Interval(centre, centre - radius, centre + radius)


def share(hits: float, rows: float, *, alpha: float = 0.05) -> Interval:
    """Share `hits` / `rows` with the score interval of Wilson, JASA 22 (1927).

    >>> found = share(8, 10)
    >>> found.estimate, round(found.low, 3), round(found.high, 3)
    (0.8, 0.49, 0.943)
    """
    if rows <= 0:
        return UNKNOWN
    z = normal_quantile(1 - alpha / 2)
    p = hits / rows
    centre = (p + z * z / (2 * rows)) / (1 + z * z / rows)
    radius = z * math.sqrt(p * (1 - p) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return Interval(p, min(p, max(0.0, centre - radius)), max(p, min(1.0, centre + radius)))


def normal_quantile(probability: float) -> float:
    """Quantile of the standard normal distribution."""
    return float(ndtri(probability))


def around(estimate: float, standard_error: float, *, alpha: float, low: float, high: float) -> Interval:
    """The normal interval around an estimate, cut to what is possible."""
    radius = normal_quantile(1 - alpha / 2) * standard_error
    return Interval(estimate, max(low, estimate - radius), min(high, estimate + radius))
