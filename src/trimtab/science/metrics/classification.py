"""Metrics of a model that predicts a flag, each with its interval.

`y` are flags (n,), `p` probabilities (n,) of True. Intervals hold at level 1 - alpha for one look at rows
that are independent; for looking again and again see `science.sequential`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.interval import Interval
from trimtab.science.metrics import delong, means

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationBin:
    """Rows whose prediction lies in one bin: mean prediction, and the observed share with its interval."""

    rows: int
    predicted: float
    observed: Interval


def evaluate(
    y: ArrayLike, p: ArrayLike, *, threshold: float = 0.5, alpha: float = 0.05
) -> dict[str, Interval]:
    """All the metrics below by name; NaN throughout where the rows do not define one.

    >>> found = evaluate([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> sorted(found)
    ['accuracy', 'brier', 'ece', 'f1', 'log_loss', 'precision', 'recall', 'roc_auc']
    >>> found["roc_auc"].estimate, found["accuracy"].estimate
    (0.75, 0.75)
    """
    flags, probabilities = _checked(y, p)
    return {
        "roc_auc": roc_auc(flags, probabilities, alpha=alpha),
        "log_loss": means.mean(log_losses(flags, probabilities), alpha=alpha),
        "brier": means.mean(brier_losses(flags, probabilities), alpha=alpha),
        "accuracy": accuracy(flags, probabilities, threshold=threshold, alpha=alpha),
        "precision": precision(flags, probabilities, threshold=threshold, alpha=alpha),
        "recall": recall(flags, probabilities, threshold=threshold, alpha=alpha),
        "f1": f1(flags, probabilities, threshold=threshold, alpha=alpha),
        "ece": calibration_error(flags, probabilities, alpha=alpha),
    }


def roc_auc(y: ArrayLike, score: ArrayLike, *, alpha: float = 0.05) -> Interval:
    """Area under the ROC curve; DeLong's variance, interval on the logit scale so that it stays inside (0,
    1).

    >>> found = roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> found.estimate, round(found.low, 2), round(found.high, 2)
    (0.75, 0.07, 0.99)
    """
    flags = np.asarray(y).astype(bool).ravel()
    if flags.size == 0 or flags.all() or not flags.any():
        return means.UNKNOWN
    areas, covariance = delong.areas(flags, score)
    auc, variance = float(areas[0]), float(covariance[0, 0])
    if not 0.0 < auc < 1.0:
        # Perfect separation has no variance to estimate: the rule of three on the smaller class.
        slack = min(1.0, 3.0 / min(int(flags.sum()), int((~flags).sum())))
        return Interval(auc, max(0.0, auc - slack), min(1.0, auc + slack))
    logit, error = math.log(auc / (1 - auc)), math.sqrt(variance) / (auc * (1 - auc))
    radius = means.normal_quantile(1 - alpha / 2) * error
    return Interval(auc, _expit(logit - radius), _expit(logit + radius))


def log_losses(y: ArrayLike, p: ArrayLike) -> Floats:
    """Loss (n,) of each row in nats; probabilities are kept 1e-15 away from 0 and 1."""
    flags, probabilities = _checked(y, p)
    clipped = np.clip(probabilities, 1e-15, 1 - 1e-15)
    return -np.where(flags, np.log(clipped), np.log1p(-clipped))


def brier_losses(y: ArrayLike, p: ArrayLike) -> Floats:
    """Squared distance (n,) of prediction and flag, in [0, 1]. Brier, Monthly Weather Review 78 (1950)."""
    flags, probabilities = _checked(y, p)
    return (probabilities - flags) ** 2


def accuracy(y: ArrayLike, p: ArrayLike, *, threshold: float = 0.5, alpha: float = 0.05) -> Interval:
    """Share of rows predicted right, a row being True from `threshold` on."""
    tp, fp, fn, tn = confusion(y, p, threshold=threshold)
    return means.share(tp + tn, tp + fp + fn + tn, alpha=alpha)


def precision(y: ArrayLike, p: ArrayLike, *, threshold: float = 0.5, alpha: float = 0.05) -> Interval:
    """Share of rows predicted True which are."""
    tp, fp, _, _ = confusion(y, p, threshold=threshold)
    return means.share(tp, tp + fp, alpha=alpha)


def recall(y: ArrayLike, p: ArrayLike, *, threshold: float = 0.5, alpha: float = 0.05) -> Interval:
    """Share of True rows which were predicted so."""
    tp, _, fn, _ = confusion(y, p, threshold=threshold)
    return means.share(tp, tp + fn, alpha=alpha)


def f1(y: ArrayLike, p: ArrayLike, *, threshold: float = 0.5, alpha: float = 0.05) -> Interval:
    """Harmonic mean of precision and recall. F1 = 2 t / (1 + t) with t the share tp / (tp + fp + fn):
    Wilson's interval of t, carried over (Flores et al., "Confidence intervals for the F1 score", 2022).

    >>> found = f1([1, 1, 0, 1], [0.9, 0.8, 0.7, 0.2])
    >>> round(found.estimate, 3)
    0.667
    """
    tp, fp, fn, _ = confusion(y, p, threshold=threshold)
    star = means.share(tp, tp + fp + fn, alpha=alpha)
    return Interval(*(2 * t / (1 + t) for t in (star.estimate, star.low, star.high)))


def confusion(y: ArrayLike, p: ArrayLike, *, threshold: float = 0.5) -> tuple[int, int, int, int]:
    """Rows that are true positive, false positive, false negative, true negative.

    >>> confusion([1, 0, 1, 0], [0.9, 0.8, 0.1, 0.2])
    (1, 1, 1, 1)
    """
    flags, probabilities = _checked(y, p)
    said = probabilities >= threshold
    tp, fp = int((said & flags).sum()), int((said & ~flags).sum())
    fn = int(flags.sum()) - tp
    return tp, fp, fn, flags.size - tp - fp - fn


def calibration(
    y: ArrayLike, p: ArrayLike, *, bins: int = 10, alpha: float = 0.05
) -> tuple[CalibrationBin, ...]:
    """The calibration curve over `bins` equal steps of prediction, empty ones left out.

    >>> curve = calibration([0, 1, 1], [0.2, 0.2, 0.9], bins=2)
    >>> [(one.rows, one.predicted, one.observed.estimate) for one in curve]
    [(2, 0.2, 0.5), (1, 0.9, 1.0)]
    """
    flags, probabilities = _checked(y, p)
    rows, predicted, hits = _binned(flags, probabilities, bins)
    return tuple(
        CalibrationBin(int(n), float(total / n), means.share(float(hit), float(n), alpha=alpha))
        for n, total, hit in zip(rows, predicted, hits, strict=True)
        if n > 0
    )


def calibration_error(
    y: ArrayLike, p: ArrayLike, *, bins: int = 10, alpha: float = 0.05, resamples: int = 500, seed: int = 0
) -> Interval:
    """Expected calibration error: mean distance of prediction and observed share over bins, weighted by rows.

    A perfectly calibrated model has one above 0 by chance. The interval allows for that: the distance between
    estimate and truth is at most the same mean of |observed - true share|, whose quantile a bootstrap gives
    (conservative, by the triangle inequality). Guo, Pleiss, Sun & Weinberger, ICML 2017.
    """
    flags, probabilities = _checked(y, p)
    if flags.size == 0:
        return means.UNKNOWN
    rows, predicted, hits = _binned(flags, probabilities, bins)
    used = rows > 0
    rows, predicted, hits = rows[used], predicted[used], hits[used]
    estimate = float(np.abs(predicted - hits).sum() / flags.size)
    draws = np.random.default_rng(seed).binomial(rows.astype(np.int64), hits / rows, (resamples, rows.size))
    radius = float(np.quantile(np.abs(draws - hits).sum(1) / flags.size, 1 - alpha))
    return Interval(estimate, max(0.0, estimate - radius), min(1.0, estimate + radius))


def _binned(flags: NDArray[np.bool_], probabilities: Floats, bins: int) -> tuple[Floats, Floats, Floats]:
    cell = np.minimum((probabilities * bins).astype(np.intp), bins - 1)
    rows = np.bincount(cell, minlength=bins).astype(np.float64)
    predicted = np.bincount(cell, weights=probabilities, minlength=bins).astype(np.float64)
    return rows, predicted, np.bincount(cell, weights=flags, minlength=bins).astype(np.float64)


def _checked(y: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    given, probabilities = np.asarray(y).ravel(), np.asarray(p, dtype=np.float64).ravel()
    if given.size != probabilities.size:
        raise ValueError(f"{given.size} flags and {probabilities.size} predictions")
    if given.dtype != np.bool_ and not np.isin(given, (0, 1)).all():
        raise ValueError("y holds flags: 0 and 1, or False and True")
    if probabilities.size and not (probabilities.min() >= 0.0 and probabilities.max() <= 1.0):
        raise ValueError("predictions lie in [0, 1]")
    return given.astype(bool), probabilities


def _expit(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))
