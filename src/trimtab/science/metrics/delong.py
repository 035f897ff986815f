"""Areas under ROC curves of several scores on the same rows, with their covariance.

Sources: DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988); Sun & Xu, "Fast implementation of DeLong's
algorithm", IEEE Signal Processing Letters 21 (2014), O(n log n).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def areas(y: ArrayLike, scores: ArrayLike) -> tuple[Floats, Floats]:
    """AUCs (k,) and their covariance (k, k) for flags `y` (n,) and `scores` (k, n), higher = more likely
    true.

    Ties count half. Raises ValueError unless both classes are there.

    >>> auc, covariance = areas([0, 0, 1, 1], [[0.1, 0.4, 0.35, 0.8]])
    >>> auc.tolist(), round(float(covariance[0, 0]), 4)
    ([0.75], 0.125)
    """
    flags = np.asarray(y).astype(bool).ravel()
    table = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    if table.shape[1] != flags.size:
        raise ValueError("scores and y differ in length")
    m, n = int(flags.sum()), int((~flags).sum())
    if m == 0 or n == 0:
        raise ValueError("both classes are needed")
    k = table.shape[0]
    positive, negative, auc = np.empty((k, m)), np.empty((k, n)), np.empty(k)
    for i, row in enumerate(table):
        among_all = midranks(row)
        wins_of_positive = among_all[flags] - midranks(row[flags])
        wins_of_negative = among_all[~flags] - midranks(row[~flags])
        auc[i] = wins_of_positive.mean() / n
        positive[i], negative[i] = wins_of_positive / n, 1.0 - wins_of_negative / m
    return auc, _covariance(positive) / m + _covariance(negative) / n


def midranks(values: ArrayLike) -> Floats:
    """Ranks from 1, ties sharing the mean of theirs.

    >>> midranks([10.0, 20.0, 10.0]).tolist()
    [1.5, 3.0, 1.5]
    """
    x = np.asarray(values, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if x.size else np.zeros(0, bool)
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], x.size)
    ranks = np.empty(x.size)
    ranks[order] = np.repeat((starts + 1 + ends) / 2.0, ends - starts)
    return ranks


def _covariance(rows: Floats) -> Floats:
    if rows.shape[1] < 2:
        return np.full((rows.shape[0], rows.shape[0]), 0.25)
    return np.atleast_2d(np.cov(rows))
