"""Metrics of a model that predicts one of several classes, each with its interval."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.interval import Interval
from trimtab.science.metrics import means


def evaluate(y: ArrayLike, p: ArrayLike, *, alpha: float = 0.05) -> dict[str, Interval]:
    """`accuracy`, `log_loss`, `f1_macro` for class numbers `y` (n,) and probabilities `p` (n, classes).

    >>> found = evaluate([0, 1, 2], [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.5, 0.3, 0.2]])
    >>> round(found["accuracy"].estimate, 3), round(found["log_loss"].estimate, 3)
    (0.667, 0.73)
    """
    truth, table = _checked(y, p)
    said = table.argmax(1)
    return {
        "accuracy": means.share(float((said == truth).sum()), truth.size, alpha=alpha),
        "log_loss": means.mean(log_losses(truth, table), alpha=alpha),
        "f1_macro": f1_macro(truth, said, classes=table.shape[1], alpha=alpha),
    }


def log_losses(y: ArrayLike, p: ArrayLike) -> NDArray[np.float64]:
    """Loss (n,) of each row in nats, rows of `p` scaled to sum to 1."""
    truth, table = _checked(y, p)
    scaled = table / table.sum(1, keepdims=True)
    return -np.log(np.clip(scaled[np.arange(truth.size), truth], 1e-15, 1.0))


def f1_macro(
    y: ArrayLike, said: ArrayLike, *, classes: int, alpha: float = 0.05, resamples: int = 500, seed: int = 0
) -> Interval:
    """Mean F1 over classes, 0 for one neither there nor predicted; bootstrap of the confusion matrix."""
    truth, guess = np.asarray(y, dtype=np.intp), np.asarray(said, dtype=np.intp)
    if truth.size == 0:
        return means.UNKNOWN
    cells = np.bincount(truth * classes + guess, minlength=classes * classes)
    estimate = float(_f1s(cells.reshape(1, classes, classes))[0])
    draws = np.random.default_rng(seed).multinomial(truth.size, cells / truth.size, size=resamples)
    low, high = np.quantile(_f1s(draws.reshape(-1, classes, classes)), [alpha / 2, 1 - alpha / 2])
    return Interval(estimate, min(estimate, float(low)), max(estimate, float(high)))


def _f1s(matrices: NDArray[np.int64]) -> NDArray[np.float64]:
    hits = np.diagonal(matrices, axis1=1, axis2=2).astype(np.float64)
    total = (matrices.sum(1) + matrices.sum(2)).astype(np.float64)
    return np.divide(2 * hits, total, out=np.zeros_like(hits), where=total > 0).mean(1)


def _checked(y: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    truth, table = np.asarray(y).astype(np.intp).ravel(), np.asarray(p, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != truth.size:
        raise ValueError("p has one row for each y and one column for each class")
    if truth.size and not 0 <= truth.min() <= truth.max() < table.shape[1]:
        raise ValueError("y holds class numbers from 0 on")
    return truth, table
