"""Exact contributions of columns to sums of decision trees, for all leaves at once.

A leaf answers a row with its value if the row keeps every condition on the way to it. With the columns of ``S`` known, and
the others averaged over by the share ``z`` of training rows that go the leaf's way, it adds
``value * prod(o_i for i in S) * prod(z_i for i not in S)``, where ``o_i`` is 1 if the row keeps the conditions on column i
and else 0. The Shapley value of column i in that game is

    value * (o_i - z_i) * integral over t from 0 to 1 of prod(z_j * (1 - t) + o_j * t for j != i)

since the integral of ``t^s (1 - t)^(d - 1 - s)`` is the weight ``s! (d - 1 - s)! / d!`` of a coalition of s columns. The
integrand is a polynomial of degree d - 1, so that Gauss and Legendre's rule with ceil(d / 2) points is exact.

Sources: Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature Machine
Intelligence 2 (2020), for the game; Yu, Xu, Bifet & Read, "Linear TreeShap", NeurIPS 2022, for the quadrature.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_AT_ONCE = 4_000_000
"""Numbers in the largest array that is made on the way."""


class Tree(NamedTuple):
    """One tree as arrays by node; node 0 is the root, ``left`` of a leaf is negative.

    A row goes left where its value is at most the threshold, or where it is missing and ``missing_left`` says so.
    ``cover`` is the weight of the training rows that came by, ``value`` (nodes, targets) what a leaf adds.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_left: np.ndarray
    cover: np.ndarray
    value: np.ndarray


class _Conditions(NamedTuple):
    """What a leaf asks of one column: a value in (low, high], or a missing one where ``missing``; ``share`` of rows keep it."""

    low: float
    high: float
    missing: bool
    share: float


_ANYTHING = _Conditions(-np.inf, np.inf, missing=True, share=1.0)


class Paths:
    """The ways to all leaves of some trees."""

    def __init__(self, trees: Sequence[Tree], columns: int) -> None:
        leaves: list[dict[int, _Conditions]] = []
        values: list[np.ndarray] = []
        for tree in trees:
            _collect(tree, leaves, values)
        self.columns = columns
        self.values = np.array(values, dtype=np.float64)
        deepest = max((len(way) for way in leaves), default=0)
        count = len(leaves)
        self._feature = np.zeros((count, deepest), dtype=np.intp)
        self._low = np.full((count, deepest), -np.inf)
        self._high = np.full((count, deepest), np.inf)
        self._missing = np.ones((count, deepest), dtype=bool)
        self._share = np.ones(
            (count, deepest)
        )  # a column that is not asked for adds nothing, with share 1 and kept
        for at, way in enumerate(leaves):
            for place, (feature, asked) in enumerate(way.items()):
                self._feature[at, place] = feature
                self._low[at, place], self._high[at, place] = asked.low, asked.high
                self._missing[at, place], self._share[at, place] = asked.missing, asked.share
        self.base = (self._share.prod(axis=1)[:, None] * self.values).sum(axis=0)
        """What the trees add on average over the rows that they were trained on, by target."""
        points, weights = np.polynomial.legendre.leggauss(max(1, (deepest + 1) // 2))
        self._points, self._weights = (points + 1) / 2, weights / 2

    def contributions(self, rows: np.ndarray) -> np.ndarray:
        """Return (rows, targets, columns) for rows (rows, columns) with NaN for missing values."""
        found = np.zeros((len(rows), self.values.shape[1], self.columns))
        count, deepest = self._feature.shape
        if not deepest:
            return found
        step = max(1, _AT_ONCE // (deepest * len(self._points)))
        for at, row in enumerate(rows):
            for start in range(0, count, step):
                self._add(found[at], row, slice(start, start + step))
        return found

    def _add(self, found: np.ndarray, row: np.ndarray, part: slice) -> None:
        feature, share = self._feature[part], self._share[part]
        value = row[feature]
        kept = ((value > self._low[part]) & (value <= self._high[part])).astype(np.float64)
        gone = np.isnan(value)
        if gone.any():
            kept[gone] = self._missing[part][gone]
        kept[share == 1.0] = 1.0  # nothing is asked there
        factors = share[:, :, None] * (1 - self._points) + kept[:, :, None] * self._points
        others = (factors.prod(axis=1)[:, None, :] / factors) @ self._weights
        added = (kept - share) * others
        for target in range(found.shape[0]):
            weighted = added * self.values[part, target, None]
            found[target] += np.bincount(feature.ravel(), weighted.ravel(), minlength=self.columns)


def _collect(tree: Tree, leaves: list[dict[int, _Conditions]], values: list[np.ndarray]) -> None:
    """Add the conditions and the value of every leaf of a tree."""
    waiting: list[tuple[int, dict[int, _Conditions]]] = [(0, {})]
    while waiting:
        node, way = waiting.pop()
        left = int(tree.left[node])
        if left < 0:
            leaves.append(way)
            values.append(tree.value[node])
            continue
        right, feature = int(tree.right[node]), int(tree.feature[node])
        threshold, missing_left = float(tree.threshold[node]), bool(tree.missing_left[node])
        asked = way.get(feature, _ANYTHING)
        for child, low, high, missing in (
            (left, asked.low, min(asked.high, threshold), asked.missing and missing_left),
            (right, max(asked.low, threshold), asked.high, asked.missing and not missing_left),
        ):
            cover = float(tree.cover[child])
            if cover <= 0.0:
                continue  # no row of the training came here, so that nothing can be averaged
            share = asked.share * cover / float(tree.cover[node])
            waiting.append((child, {**way, feature: _Conditions(low, high, missing, share)}))
