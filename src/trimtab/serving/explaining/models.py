"""Explanations of models as a replica holds them: by their own library where that is exact, by ours for the rest."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.explaining.errors import Unexplained
from trimtab.serving.explaining.estimators import Explainer, explainer
from trimtab.serving.loaders import Model, Rows
from trimtab.serving.loaders.tables import matrix, output

Explain = Callable[[Rows], list[Output]]
"""From rows to the outputs ``contributions`` (rows, columns) or (rows, classes, columns), and ``base`` (rows[, classes])."""


def explain_with(model: Model) -> Explain:
    """Return what explains a loaded model's answers; raises Unexplained."""
    if not model.packed:
        raise Unexplained("only models whose columns are all numbers are explained")
    held: Any = model
    match model.flavor:
        case "sklearn":
            return _by(explainer(held.estimator), model.names)
        case "xgboost":
            return _by(_xgboost(held.booster), model.names)
        case "lightgbm":
            return _by(_lightgbm(held.booster), model.names)
        case other:
            raise Unexplained(f"there are no exact explanations for models of {other}")


def _by(explaining: Explainer, names: Sequence[str]) -> Explain:
    def explain(rows: Rows) -> list[Output]:
        table = matrix(rows, names)
        found = explaining.contribute(table)
        base = np.broadcast_to(explaining.base, found.shape[:2])
        if found.shape[1] == 1:
            found, base = found[:, 0], base[:, 0]
        contributions = output("contributions", found)
        contributions.labels = list(names)
        shown = output("base", base)
        shown.labels = [explaining.scale]
        return [contributions, shown]

    return explain


def _xgboost(booster: Any) -> Explainer:
    import xgboost

    def shares(rows: np.ndarray) -> np.ndarray:
        data = xgboost.DMatrix(rows, feature_names=booster.feature_names)
        found = np.asarray(booster.predict(data, pred_contribs=True), dtype=np.float64)
        return found[:, None, :] if found.ndim == 2 else found

    return _with_base_last(shares, booster.num_features())


def _lightgbm(booster: Any) -> Explainer:
    columns = booster.num_feature()

    def shares(rows: np.ndarray) -> np.ndarray:
        found = np.asarray(booster.predict(rows, pred_contrib=True, num_threads=1))
        return found.reshape(len(rows), -1, columns + 1)

    return _with_base_last(shares, columns)


def _with_base_last(shares: Callable[[np.ndarray], np.ndarray], columns: int) -> Explainer:
    """Return the explainer in a library's answers of (rows, targets, columns + 1), the base behind the columns."""
    base = shares(np.zeros((1, columns)))[0, :, -1]

    def contribute(rows: np.ndarray) -> np.ndarray:
        return shares(rows)[:, :, :-1]

    return Explainer(contribute, base, "margin")
