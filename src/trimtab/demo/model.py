"""The demonstration's model: gradient boosted trees in a plain scikit-learn pipeline, and how it is scored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from trimtab.demo.flights import CATEGORICAL, FEATURES, LABEL

PARAMS: dict[str, Any] = {
    "learning_rate": 0.15,
    "max_iter": 60,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 200,
}
LATER_WITH_MORE = ("wind_speed", "precip")
LATER_WITH_LESS = ("visib",)
"""Bad weather never makes a flight punctual. A year has few days of each weather, and trees would learn such days by
heart; what is known for certain is not left to them."""
TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""What `skops.io.load` must be told to trust beyond its own list; there are no classes of ours in the model."""


def train(table: pa.Table, params: Mapping[str, Any] = PARAMS) -> Pipeline:
    """Fit the pipeline on the labelled rows of a feature table; the same rows give the same model.

    It takes rows in the order of `FEATURES` (an object array, a pandas or polars frame or an Arrow table),
    text as it is, unknown categories and missing values included.
    """
    table = table.filter(table[LABEL].is_valid())
    texts = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    width = len(CATEGORICAL)
    columns = ColumnTransformer(
        [
            ("texts", texts, list(range(width))),
            ("numbers", StandardScaler(), list(range(width, len(FEATURES)))),
        ]
    )
    direction = {**dict.fromkeys(LATER_WITH_MORE, 1), **dict.fromkeys(LATER_WITH_LESS, -1)}
    fixed: dict[str, Any] = {
        "monotonic_cst": [direction.get(name, 0) for name in FEATURES],
        "early_stopping": False,
        "random_state": 0,
    }
    trees = HistGradientBoostingClassifier(**fixed, **params)
    # Beside a busy server, OpenMP's threads wait for each other ten times longer than one of them would work.
    with threadpool_limits(1, user_api="openmp"):
        return Pipeline([("columns", columns), ("trees", trees)]).fit(matrix(table), labels(table))


def matrix(table: pa.Table) -> np.ndarray:
    """The features as an object array of shape (rows, features): text as str, numbers as float, null as nan."""
    rows = np.empty((table.num_rows, len(FEATURES)), dtype=object)
    for index, name in enumerate(FEATURES):
        rows[:, index] = table[name].to_numpy()
    return rows


def labels(table: pa.Table) -> np.ndarray:
    """The labels of a fully labelled table, 0 or 1."""
    return table[LABEL].to_numpy().astype(np.int64)


def predict(model: Pipeline, table: pa.Table) -> np.ndarray:
    """The probability that each flight of the table arrives late."""
    with threadpool_limits(1, user_api="openmp"):
        return model.predict_proba(matrix(table))[:, 1]


def scores(truth: np.ndarray, chance: np.ndarray) -> dict[str, float]:
    """ROC AUC, log loss and Brier score of predicted chances."""
    return {
        "roc_auc": float(roc_auc_score(truth, chance)),
        "log_loss": float(log_loss(truth, chance, labels=[0, 1])),
        "brier": float(brier_score_loss(truth, chance)),
    }
