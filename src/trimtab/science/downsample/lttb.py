"""Largest-Triangle-Three-Buckets: the points a reader would miss most, for line charts.

Source: Steinarsson, "Downsampling time series for visual representation", MSc thesis, University of Iceland
(2013).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.downsample import gaps


def indices(x: ArrayLike, y: ArrayLike, points: int) -> NDArray[np.intp]:
    """Rising indices of at most `points` (>= 3) rows of the series that keep its shape; x (n,) does not fall.

    First and last finite rows are kept; a gap (NaN) is kept as one row, as long as gaps take no more than a
    third of the points. O(n).

    >>> y = [0.0, 0.1, 0.0, 5.0, 0.0, 0.1, 0.0, 0.1, 0.0, 0.1]
    >>> indices(range(10), y, 5).tolist()
    [0, 2, 3, 6, 9]
    """
    xs, ys = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    if xs.size != ys.size:
        raise ValueError("x and y differ in length")
    if points < 3:
        raise ValueError("at least three points")
    if xs.size <= points:
        return np.arange(xs.size)
    runs = gaps.runs(xs, ys, most=max(1, points // 3))
    spare = points - sum(run.gap >= 0 for run in runs)
    budget = gaps.shares([run.rows.size for run in runs], spare)
    kept: list[int] = []
    for run, most in zip(runs, budget, strict=True):
        chosen = _triangles(xs[run.rows], ys[run.rows], most)
        kept.extend(run.rows[chosen].tolist())
        if run.gap >= 0:
            kept.append(run.gap)
    return np.asarray(kept, dtype=np.intp)


def _triangles(x: NDArray[np.float64], y: NDArray[np.float64], points: int) -> NDArray[np.intp]:
    size = x.size
    if size <= points:
        return np.arange(size)
    if points < 3:
        return np.asarray([0, size - 1][:points], dtype=np.intp)
    edges = np.linspace(1, size - 1, points - 1).astype(np.intp)
    starts, counts = edges[:-1], np.maximum(np.diff(edges), 1)
    # The third corner of each triangle is the mean of the next bucket; after the last bucket, the last point.
    mean_x = np.append(np.add.reduceat(x[: size - 1], starts)[1:] / counts[1:], x[-1])
    mean_y = np.append(np.add.reduceat(y[: size - 1], starts)[1:] / counts[1:], y[-1])
    chosen = np.empty(points, dtype=np.intp)
    chosen[0], chosen[-1] = 0, size - 1
    at = 0
    for i, (start, stop) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
        ax, ay = x[at], y[at]
        area = np.abs((mean_x[i] - ax) * (y[start:stop] - ay) - (x[start:stop] - ax) * (mean_y[i] - ay))
        at = start + int(area.argmax())
        chosen[i + 1] = at
    return chosen
