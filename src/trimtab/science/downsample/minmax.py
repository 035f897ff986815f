"""Smallest and largest value of each bucket: cheaper than triangles, and no spike is ever lost.

Source: Jugel, Jerzak, Hackenbroich & Markl, "M4: a visualization-oriented time series data aggregation", VLDB
7 (2014).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.downsample import gaps


def indices(x: ArrayLike, y: ArrayLike, points: int) -> NDArray[np.intp]:
    """Rising indices of at most `points` (>= 4) rows: the extremes of equal buckets, first and last finite
    row.

    A gap (NaN) is kept as one row, as long as gaps take no more than a third of the points.

    >>> indices(range(10), [0.0, 0.1, 0.0, 5.0, 0.0, 0.1, -3.0, 0.1, 0.0, 0.1], 6).tolist()
    [0, 3, 5, 6, 9]
    """
    xs, ys = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    if xs.size != ys.size:
        raise ValueError("x and y differ in length")
    if points < 4:
        raise ValueError("at least four points")
    if xs.size <= points:
        return np.arange(xs.size)
    if np.isfinite(ys).all() and np.isfinite(xs).all():
        return _extremes(ys, points)
    runs = gaps.runs(xs, ys, most=max(1, points // 3))
    spare = points - sum(run.gap >= 0 for run in runs)
    budget = gaps.shares([run.rows.size for run in runs], spare)
    kept: list[int] = []
    for run, most in zip(runs, budget, strict=True):
        kept.extend(run.rows[_extremes(ys[run.rows], most)].tolist())
        if run.gap >= 0:
            kept.append(run.gap)
    return np.asarray(kept, dtype=np.intp)


def _extremes(y: NDArray[np.float64], points: int) -> NDArray[np.intp]:
    size = y.size
    if size <= points:
        return np.arange(size)
    buckets = (points - 2) // 2
    if buckets < 1:
        return np.asarray([0, size - 1][:points], dtype=np.intp)
    width = -(-size // buckets)
    starts = np.arange(0, size, width)
    lows, highs = (
        np.pad(y, (0, starts.size * width - size), constant_values=end) for end in (np.inf, -np.inf)
    )
    ends = [starts + lows.reshape(-1, width).argmin(axis=1), starts + highs.reshape(-1, width).argmax(axis=1)]
    return np.unique(np.concatenate([*ends, [0, size - 1]]))
