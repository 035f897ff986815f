"""Metrics of a model that predicts a number, each with its interval (independent rows, one look)."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.interval import Interval
from trimtab.science.metrics import means

Floats = NDArray[np.float64]


def evaluate(y: ArrayLike, predicted: ArrayLike, *, alpha: float = 0.05) -> dict[str, Interval]:
    """`mae`, `rmse`, `r2`, and `bias` (mean of predicted - y).

    >>> found = evaluate([1.0, 2.0, 3.0], [1.0, 2.5, 3.0])
    >>> {name: round(one.estimate, 3) for name, one in found.items()}
    {'mae': 0.167, 'rmse': 0.289, 'r2': 0.875, 'bias': 0.167}
    """
    truth, guess = _checked(y, predicted)
    return {
        "mae": mae(truth, guess, alpha=alpha),
        "rmse": rmse(truth, guess, alpha=alpha),
        "r2": r2(truth, guess, alpha=alpha),
        "bias": means.mean(guess - truth, alpha=alpha),
    }


def mae(y: ArrayLike, predicted: ArrayLike, *, alpha: float = 0.05) -> Interval:
    """Mean absolute error."""
    truth, guess = _checked(y, predicted)
    found = means.mean(np.abs(guess - truth), alpha=alpha)
    return Interval(found.estimate, max(0.0, found.low), found.high) if truth.size else found


def rmse(y: ArrayLike, predicted: ArrayLike, *, alpha: float = 0.05) -> Interval:
    """Root mean squared error: the root of the interval of the mean squared error."""
    truth, guess = _checked(y, predicted)
    if truth.size == 0:
        return means.UNKNOWN
    squared = means.mean((guess - truth) ** 2, alpha=alpha)
    return Interval(*(math.sqrt(max(0.0, x)) for x in (squared.estimate, squared.low, squared.high)))


def r2(y: ArrayLike, predicted: ArrayLike, *, alpha: float = 0.05) -> Interval:
    """Share of the variance of y that is explained; interval by the delta method. NaN if y is constant."""
    truth, guess = _checked(y, predicted)
    if truth.size < 2:
        return means.UNKNOWN
    error, spread = (guess - truth) ** 2, (truth - truth.mean()) ** 2
    mse, variance = float(error.mean()), float(spread.mean())
    if variance <= 0.0:
        return means.UNKNOWN
    influence = -(error - mse) / variance + mse / variance**2 * (spread - variance)
    standard_error = float(influence.std(ddof=1)) / math.sqrt(truth.size)
    return means.around(1.0 - mse / variance, standard_error, alpha=alpha, low=-math.inf, high=1.0)


def _checked(y: ArrayLike, predicted: ArrayLike) -> tuple[Floats, Floats]:
    truth = np.asarray(y, dtype=np.float64).ravel()
    guess = np.asarray(predicted, dtype=np.float64).ravel()
    if truth.size != guess.size:
        raise ValueError(f"{truth.size} values and {guess.size} predictions")
    return truth, guess
