"""Points in numpy columns: put in order, freed of duplicates, summed up by metric."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one or many metrics: five columns of one length (int64, and float64 for the values)."""

    run: NDArray[np.int64]
    key: NDArray[np.int64]
    step: NDArray[np.int64]
    at_us: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return self.step.size

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Series":
        return Series(self.run[rows], self.key[rows], self.step[rows], self.at_us[rows], self.value[rows])

    def place(self, row: int) -> tuple[int, int]:
        """Return the step and the time of a point."""
        return int(self.step[row]), int(self.at_us[row])

    def whole(self) -> "Series":
        """Return all points."""
        return self

    def by_step(self) -> "Series":
        """Return the distinct points in the order of (run, key, step, time, value)."""
        if _rises(self.run, self.key, self.step, self.at_us):
            return self
        rank = ranked(self.value)
        nan = np.isnan(self.value)
        order = np.lexsort((nan, rank, self.at_us, self.step, self.key, self.run))
        sorted_ = self.take(order)
        return sorted_.take(_distinct(sorted_))

    def by_time(self) -> "Series":
        """Return the points, which are distinct, in the order of (time, step, value)."""
        if _rises(self.at_us, self.step):
            return self
        return self.take(np.lexsort((np.isnan(self.value), ranked(self.value), self.step, self.at_us)))

    def rows_upto(self, at_us: int, step: int, value: float, nan: bool) -> int:  # noqa: FBT001 - a place, as a tuple
        """Return how many points of a series in the order of time lie at or before a place."""
        first = int(np.searchsorted(self.at_us, at_us, "left"))
        last = int(np.searchsorted(self.at_us, at_us, "right"))
        same = self.take(slice(first, last))
        rank = ranked(same.value)
        after = (same.step > step) | (
            (same.step == step) & ((rank > value) | ((rank == value) & (np.isnan(same.value) > nan)))
        )
        return first + int(np.count_nonzero(~after))

    def groups(self) -> NDArray[np.intp]:
        """Return where each (run, key) begins, in a series that is in their order."""
        if not len(self):
            return np.zeros(0, np.intp)
        changes = (np.diff(self.run) != 0) | (np.diff(self.key) != 0)
        return np.concatenate(([0], np.flatnonzero(changes) + 1)).astype(np.intp)


def joined(parts: Sequence[Series]) -> Series:
    """Return all points of several series, in no order."""
    return Series(
        np.concatenate([part.run for part in parts]),
        np.concatenate([part.key for part in parts]),
        np.concatenate([part.step for part in parts]),
        np.concatenate([part.at_us for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


def ranked(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values as they are compared: NaN in the place of zero, as MLflow's tables have it."""
    return np.where(np.isnan(values), 0.0, values)


def _rises(*columns: NDArray[np.int64]) -> bool:
    """Say whether rows rise strictly in the order of their columns."""
    level: NDArray[np.bool_] | None = None
    """Which rows are like the one before as far as the columns were compared; None for all."""
    for column in columns:
        first, second = column[:-1], column[1:]
        if not bool((first <= second).all() if level is None else (first <= second)[level].all()):
            return False
        same = first == second
        tied = same if level is None else level & same
        if not tied.any():
            return True
        level = tied
    return columns[0].size < 2


def _distinct(series: Series) -> NDArray[np.intp]:
    """Return the first row of each run of equal ones; every NaN is the same."""
    if not len(series):
        return np.zeros(0, np.intp)
    bits = np.where(np.isnan(series.value), np.nan, series.value).view(np.int64)
    new = np.ones(len(series), bool)
    new[1:] = False
    for column in (series.run, series.key, series.step, series.at_us, bits):
        new[1:] |= np.diff(column) != 0
    return np.flatnonzero(new)


def of_one(
    run_no: int, key_no: int, step: NDArray[np.int64], at_us: NDArray[np.int64], value: NDArray[np.float64]
) -> Series:
    """Return points of one metric as a series."""
    run, key = (np.full(step.size, number, np.int64) for number in (run_no, key_no))
    return Series(run, key, step, at_us, value)


def within(parts: Sequence[Series], steps: tuple[int, int] | None) -> Series | None:
    """Return the distinct points of one metric in the order of steps, of a span of steps where one is given."""
    if not parts:
        return None
    series = parts[0] if len(parts) == 1 else joined(parts)
    if steps is not None:
        series = series.take((series.step >= steps[0]) & (series.step <= steps[1]))
    return series.by_step() if len(series) else None
