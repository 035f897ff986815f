"""Quantiles of a stream in a few hundred weighted points, finest in the tails; mergeable.

Source: Dunning & Ertl, "Computing extremely accurate quantiles using t-digests", arXiv:1902.04023 (2019),
here with the scale function k1 and clusters cut on its integer steps, so that a chunk is absorbed by array
operations.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

CLUSTERS = 400


@dataclass(frozen=True)
class Digest:
    """Clusters by rising mean: `means` and `weights` (C,), with the exact smallest and largest value."""

    means: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    low: float = 0.0
    high: float = 0.0


def add(digest: Digest, values: ArrayLike) -> Digest:
    """The digest with more finite values (n,).

    >>> found = add(Digest(), range(1001))
    >>> [round(q) for q in quantiles(found, [0.0, 0.5, 0.99, 1.0])]
    [0, 500, 990, 1000]
    """
    x = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if x.size == 0:
        return digest
    low, high = float(x[0]), float(x[-1])
    weights = np.ones(x.size)
    if digest.weights:
        low, high = min(low, digest.low), max(high, digest.high)
        x, weights = np.append(digest.means, x), np.append(digest.weights, weights)
        order = np.argsort(x, kind="stable")
        x, weights = x[order], weights[order]
    means, kept = _clustered(x, weights)
    return Digest(tuple(means.tolist()), tuple(kept.tolist()), low, high)


def merge(first: Digest, second: Digest) -> Digest:
    """The digest of both streams."""
    if not first.weights or not second.weights:
        return second if not first.weights else first
    x, weights = np.append(first.means, second.means), np.append(first.weights, second.weights)
    order = np.argsort(x, kind="stable")
    means, kept = _clustered(x[order], weights[order])
    low, high = min(first.low, second.low), max(first.high, second.high)
    return Digest(tuple(means.tolist()), tuple(kept.tolist()), low, high)


def quantiles(digest: Digest, levels: ArrayLike) -> Floats:
    """The quantiles at `levels` in [0, 1]; NaN if the digest is empty."""
    at = np.asarray(levels, dtype=np.float64)
    if not digest.weights:
        return np.full(at.shape, np.nan)
    x, share = _curve(digest)
    return np.interp(at, share, x)


def shares(digest: Digest, values: ArrayLike) -> Floats:
    """Share of the stream at or below each value, about."""
    x, share = _curve(digest)
    return np.interp(np.asarray(values, dtype=np.float64), x, share, left=0.0, right=1.0)


def _clustered(x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    if x.size <= CLUSTERS // 2:
        return x, weights
    total = weights.sum()
    middle = (np.cumsum(weights) - weights / 2) / total
    cluster = np.floor(CLUSTERS * (0.5 + np.arcsin(2 * middle - 1) / np.pi)).astype(np.intp)
    kept = np.bincount(cluster, weights=weights)
    # Means from the cluster's own origin, so that large offsets do not eat digits.
    first = np.searchsorted(cluster, np.arange(kept.size))
    origin = x[np.minimum(first, x.size - 1)]
    sums = np.bincount(cluster, weights=(x - origin[cluster]) * weights)
    used = kept > 0
    means = origin[used] + sums[used] / kept[used]
    return np.maximum.accumulate(means), kept[used].astype(np.float64)


def _curve(digest: Digest) -> tuple[Floats, Floats]:
    x, weights = np.asarray(digest.means), np.asarray(digest.weights)
    share = (np.cumsum(weights) - weights / 2) / weights.sum()
    return (
        np.concatenate([[digest.low], np.clip(x, digest.low, digest.high), [digest.high]]),
        np.concatenate([[0.0], share, [1.0]]),
    )
