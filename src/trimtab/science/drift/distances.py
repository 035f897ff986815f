"""Distances between two sets of counts over the same cells: how far, without regard to how sure.

All take counts (K,) of reference and current rows, zeros allowed. Ordered ones take the cells in order.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def psi(reference: ArrayLike, current: ArrayLike) -> float:
    """Population stability index: sum (q - p) ln(q / p). 0 = alike; 0.1 and 0.25 are the customary
    "moderate", "large".

    Half a row is added to every cell, so that an empty cell does not make it infinite.
    Siddiqi, "Credit Risk Scorecards" (2006); it is the symmetrised Kullback-Leibler divergence.

    >>> psi([50, 50], [50, 50]), round(psi([500, 500], [600, 400]), 3)
    (0.0, 0.04)
    """
    p, q = _shares(reference, 0.5), _shares(current, 0.5)
    return float(((q - p) * np.log(q / p)).sum())


def jensen_shannon(reference: ArrayLike, current: ArrayLike) -> float:
    """Jensen-Shannon distance with base-2 logarithms, in [0, 1]. Lin, IEEE Trans. Inf. Theory 37 (1991).

    >>> jensen_shannon([1, 0], [0, 1]), jensen_shannon([3, 1], [6, 2])
    (1.0, 0.0)
    """
    p, q = _shares(reference), _shares(current)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p / middle), 0.0) + np.where(q > 0, q * np.log2(q / middle), 0.0)
    return float(np.sqrt(max(terms.sum() / 2, 0.0)))


def kolmogorov_smirnov(reference: ArrayLike, current: ArrayLike) -> float:
    """Largest difference of the cumulative shares, in [0, 1], over ordered cells.

    >>> round(kolmogorov_smirnov([1, 1, 1, 1], [0, 0, 1, 1]), 3)
    0.5
    """
    gap = np.cumsum(_shares(reference)) - np.cumsum(_shares(current))
    return float(np.abs(gap).max())


def wasserstein(reference: ArrayLike, current: ArrayLike, positions: ArrayLike) -> float:
    """Earth mover's distance between counts at rising `positions` (K,), in their unit. Exact for point
    masses.

    >>> wasserstein([1, 0], [0, 1], [0.0, 3.0])
    3.0
    """
    steps = np.diff(np.asarray(positions, dtype=np.float64))
    gap = np.cumsum(_shares(reference)) - np.cumsum(_shares(current))
    return float((np.abs(gap[:-1]) * steps).sum())


def chi_squared(reference: ArrayLike, current: ArrayLike) -> tuple[float, int]:
    """Pearson's statistic of homogeneity of two samples, and its degrees of freedom.

    Cells are pooled, smallest first, until the smaller sample expects five rows in each (Cochran 1954).

    >>> statistic, degrees = chi_squared([50, 50], [60, 40])
    >>> round(statistic, 3), degrees
    (2.02, 1)
    """
    first, second = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    n, m = first.sum(), second.sum()
    if n <= 0 or m <= 0:
        return 0.0, 0
    order = np.argsort(first + second, kind="stable")
    pooled = (first + second)[order]
    expected = pooled * min(n, m) / (n + m)
    # All cells below the threshold go into one; if that is still too small it takes the next.
    small = int(np.searchsorted(np.maximum.accumulate(expected), 5.0))
    while 0 < small < pooled.size and expected[:small].sum() < 5.0:
        small += 1
    a, b = first[order], second[order]
    if small > 1:
        a, b = np.append(a[small:], a[:small].sum()), np.append(b[small:], b[:small].sum())
    both = a + b
    used = both > 0
    a, b, both = a[used], b[used], both[used]
    if both.size < 2:
        return 0.0, 0
    scale = np.sqrt(m / n)
    return float(((a * scale - b / scale) ** 2 / both).sum()), int(both.size - 1)


def _shares(counts: ArrayLike, extra: float = 0.0) -> Floats:
    array = np.asarray(counts, dtype=np.float64)
    total = array.sum()
    if total <= 0:
        raise ValueError("no rows to compare")
    return (array + extra) / (total + extra * array.size)
