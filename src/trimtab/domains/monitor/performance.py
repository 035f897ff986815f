"""How good predictions were, from their scores and the labels that arrived."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trimtab.science.interval import Interval
from trimtab.science.metrics import classification, regression

Floats = NDArray[np.float64]
_CHARTED = ("roc_auc", "log_loss", "brier", "accuracy", "f1")


def is_binary(labels: Floats) -> bool:
    """Whether every label is 0 or 1."""
    return bool(np.isin(labels, (0.0, 1.0)).all())


def losses(scores: Floats, labels: Floats) -> Floats:
    """Return the loss in [0, 1] of each row: the Brier score of probabilities, else a squashed absolute error."""
    if is_binary(labels) and ((scores >= 0) & (scores <= 1)).all():
        return classification.brier_losses(labels, scores)
    error = np.abs(scores - labels)
    return error / (1.0 + error)


def report(scores: Floats, labels: Floats) -> dict[str, Any]:
    """Return ``{metric: {value, low, high}}`` of the rows that have a score; empty without such rows."""
    known = np.isfinite(scores) & np.isfinite(labels)
    scores, labels = scores[known], labels[known]
    if not scores.size:
        return {}
    binary = is_binary(labels) and ((scores >= 0) & (scores <= 1)).all()
    found = classification.evaluate(labels, scores) if binary else regression.evaluate(labels, scores)
    return {name: _plain(one) for name, one in found.items() if not binary or name in _CHARTED}


def label_number(value: Any) -> float:
    """Return a label as a number, NaN for one that is none."""
    if isinstance(value, bool | int | float):
        return float(value)
    return math.nan


def _plain(interval: Interval) -> dict[str, float | None]:
    return {
        "value": _finite(interval.estimate),
        "low": _finite(interval.low),
        "high": _finite(interval.high),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
