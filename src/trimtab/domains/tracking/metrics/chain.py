"""A metric's points in the order of steps, in parts one behind the other, of which a chart reads what it shows."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from trimtab.domains.tracking.metrics.blocks import Block
from trimtab.domains.tracking.metrics.series import Series, joined, within

Place = tuple[int, int]
"""A step and a time in microseconds."""

Part = Block | Series
"""Points of one metric, in the order of (step, time, value) and free of duplicates."""


class Chain:
    """The distinct points of one metric, or of a span of its steps."""

    def __init__(self, parts: Sequence[Part], *, steps: tuple[int, int] | None = None) -> None:
        """``parts`` lie one behind the other."""
        self._parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])
        self._first, self._last = 0, int(self._starts[-1])
        if steps is not None:
            self._first = sum(int(np.searchsorted(part.step, steps[0], "left")) for part in parts)
            self._last = sum(int(np.searchsorted(part.step, steps[1], "right")) for part in parts)

    def __len__(self) -> int:
        return max(self._last - self._first, 0)

    @property
    def value(self) -> NDArray[np.float64]:
        """The values of all points."""
        return np.concatenate([part.value for part in self._parts])[self._first : self._last]

    def take(self, rows: NDArray[np.intp]) -> Series:
        """Return some points; ``rows`` rise."""
        edges = np.searchsorted(rows, self._starts - self._first).tolist()
        shifts = (self._first - self._starts).tolist()
        return joined(
            [
                part.take(rows[first:last] + shift)
                for part, shift, (first, last) in zip(self._parts, shifts, pairwise(edges), strict=False)
            ]
        )

    def whole(self) -> Series:
        """Return all points."""
        return joined([part.whole() for part in self._parts]).take(slice(self._first, self._last))


def chained(parts: Sequence[tuple[Place, Place, Part]], *, steps: tuple[int, int] | None = None) -> Chain:
    """Return the points of parts given with their first and last places; parts that overlap are merged."""
    in_order = sorted(parts, key=lambda part: part[:2])
    if all(before[1] < after[0] for before, after in pairwise(in_order)):
        return Chain([part for _, _, part in in_order], steps=steps)
    merged = within([part.whole() for _, _, part in in_order], steps)
    return Chain([] if merged is None else [merged])
