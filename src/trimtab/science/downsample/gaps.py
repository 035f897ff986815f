"""Runs of finite values between gaps (NaN) of a series, and how many points of a budget each run gets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Run:
    """The finite `rows` of one run; `gap` is the first NaN row after it, or -1 if none is to be shown."""

    rows: NDArray[np.intp]
    gap: int


def runs(x: NDArray[np.float64], y: NDArray[np.float64], *, most: int) -> list[Run]:
    """The runs of a series, at most `most`: of more gaps than that only the widest in x are kept, the others
    bridged.

    >>> y = np.array([1.0, 2.0, np.nan, 3.0])
    >>> [(run.rows.tolist(), run.gap) for run in runs(np.arange(4.0), y, most=5)]
    [([0, 1], 2), ([3], -1)]
    """
    finite = np.flatnonzero(np.isfinite(y) & np.isfinite(x))
    if finite.size == 0:
        return []
    # A gap lies between two finite rows that are not neighbours.
    breaks = np.flatnonzero(np.diff(finite) > 1)
    if breaks.size > most - 1:
        width = x[finite[breaks + 1]] - x[finite[breaks]]
        breaks = np.sort(breaks[np.argsort(-width, kind="stable")[: max(most - 1, 0)]])
    pieces = np.split(finite, breaks + 1)
    return [Run(piece, int(piece[-1]) + 1 if i < len(breaks) else -1) for i, piece in enumerate(pieces)]


def shares(sizes: list[int], budget: int) -> list[int]:
    """Points for runs of these sizes out of `budget`: in proportion, at least two (or the whole run, if
    shorter).

    >>> shares([90, 10, 1], 21)
    [16, 3, 1]
    """
    least = [min(size, 2) for size in sizes]
    spare = max(budget - sum(least), 0)
    room = [size - few for size, few in zip(sizes, least, strict=True)]
    total = sum(room)
    if total <= spare:
        return sizes
    return [few + spare * more // total for few, more in zip(least, room, strict=True)]
