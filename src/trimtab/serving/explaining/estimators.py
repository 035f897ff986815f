"""What each column added to the score of a scikit-learn estimator: trees by their paths, linear models by their terms."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from trimtab.serving.explaining.errors import Unexplained
from trimtab.serving.explaining.paths import Paths, Tree

Contribute = Callable[[np.ndarray], np.ndarray]
"""From rows (rows, columns) to contributions (rows, targets, columns)."""

_COLUMN_BY_COLUMN = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")
_FORESTS = ("RandomForest", "ExtraTrees")
_LINEAR = (
    "LinearRegression",
    "Ridge",
    "Lasso",
    "ElasticNet",
    "LogisticRegression",
    "SGDClassifier",
    "SGDRegressor",
    "LinearSVC",
    "LinearSVR",
    "RidgeClassifier",
)


class Explainer(NamedTuple):
    """How a score comes about: its base, by target, and what columns add to it; ``scale`` says what is explained."""

    contribute: Contribute
    base: np.ndarray
    scale: str


def explainer(estimator: Any) -> Explainer:
    """Return what explains a fitted estimator or pipeline; raises Unexplained saying why nothing does."""
    steps, final = _steps(estimator)
    name = type(final).__name__
    found = _final(final, name)
    if found is None:
        raise Unexplained(f"there are no exact explanations for {name}; trees and linear models have them")
    if not steps:
        return found

    def contribute(rows: np.ndarray) -> np.ndarray:
        for step in steps:
            rows = step.transform(rows)
        return found.contribute(rows)

    return found._replace(contribute=contribute)


def _steps(estimator: Any) -> tuple[list[Any], Any]:
    """Return the steps before the last one, which must leave every column in its place, and the last one."""
    if not hasattr(estimator, "steps"):
        return [], estimator
    steps = [step for _, step in estimator.steps if step is not None and step != "passthrough"]
    for step in steps[:-1]:
        if type(step).__name__ not in _COLUMN_BY_COLUMN:
            raise Unexplained(f"{type(step).__name__} mixes columns, so that none can be told what it added")
    return steps[:-1], steps[-1]


def _final(estimator: Any, name: str) -> Explainer | None:
    if name.startswith("HistGradientBoosting"):
        return _histogram_boosting(estimator)
    if name.startswith("GradientBoosting"):
        return _boosting(estimator)
    if name.startswith(_FORESTS):
        return _forest(estimator.estimators_, estimator)
    if name.startswith(("DecisionTree", "ExtraTree")):
        return _forest([estimator], estimator)
    if name.removesuffix("CV") in _LINEAR or name.removesuffix("Classifier") in _LINEAR:
        return _linear(estimator)
    return None


def _forest(estimators: Sequence[Any], whole: Any) -> Explainer:
    if getattr(whole, "n_outputs_", 1) != 1:
        raise Unexplained("a model of several outputs is not explained")
    classifies = hasattr(whole, "classes_")
    trees: list[Tree] = []
    for estimator in estimators:
        value = estimator.tree_.value[:, 0, :]
        if classifies:
            value = value / value.sum(axis=1, keepdims=True)
            if value.shape[1] == 2:
                value = value[:, 1:]
        trees.append(_tree(estimator.tree_, value / len(estimators)))
    paths = Paths(trees, whole.n_features_in_)
    return Explainer(paths.contributions, paths.base, "probability" if classifies else "value")


def _tree(tree: Any, value: np.ndarray) -> Tree:
    missing_left = getattr(tree, "missing_go_to_left", np.zeros(tree.node_count))
    return Tree(
        tree.feature,
        # These trees compare rows that were rounded to single precision.
        _down(tree.threshold),
        tree.children_left,
        tree.children_right,
        missing_left,
        tree.weighted_n_node_samples,
        value,
    )


def _down(threshold: np.ndarray) -> np.ndarray:
    """Return the largest single-precision values that are not above: a rounded row compares with them as with these."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(
        np.float64
    )


def _boosting(estimator: Any) -> Explainer:
    if estimator.init is not None:
        raise Unexplained("gradient boosting that begins with another model is not explained")
    stages, targets = estimator.estimators_.shape
    trees: list[Tree] = []
    for stage in range(stages):
        for target in range(targets):
            tree = estimator.estimators_[stage, target].tree_
            value = np.zeros((tree.node_count, targets))
            value[:, target] = tree.value[:, 0, 0] * estimator.learning_rate
            trees.append(_tree(tree, value))
    paths = Paths(trees, estimator.n_features_in_)
    start = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_)))[0]  # noqa: SLF001 - has no public name
    return Explainer(paths.contributions, paths.base + start, _scale(estimator))


def _histogram_boosting(estimator: Any) -> Explainer:
    predictors = estimator._predictors  # noqa: SLF001 - has no public name
    targets = len(predictors[0])
    trees: list[Tree] = []
    for stage in predictors:
        for target, predictor in enumerate(stage):
            nodes = predictor.nodes
            if nodes["is_categorical"].any():
                raise Unexplained("gradient boosting with categorical columns is not explained")
            value = np.zeros((len(nodes), targets))
            value[:, target] = nodes["value"]
            leaf = nodes["is_leaf"].astype(bool)
            left = np.where(leaf, -1, nodes["left"].astype(np.int64))
            trees.append(
                Tree(
                    nodes["feature_idx"],
                    nodes["num_threshold"],
                    left,
                    nodes["right"].astype(np.int64),
                    nodes["missing_go_to_left"],
                    nodes["count"].astype(np.float64),
                    value,
                )
            )
    paths = Paths(trees, estimator.n_features_in_)
    start = np.asarray(estimator._baseline_prediction).ravel()  # noqa: SLF001 - has no public name
    return Explainer(paths.contributions, paths.base + start, _scale(estimator))


def _linear(estimator: Any) -> Explainer:
    weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    base = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64).ravel(), (len(weights),))

    def contribute(rows: np.ndarray) -> np.ndarray:
        return rows[:, None, :] * weights[None]

    return Explainer(contribute, base, _scale(estimator))


def _scale(estimator: Any) -> str:
    """Say what is explained: classifiers add up log-odds (or distances), which are only then made probabilities."""
    if not hasattr(estimator, "classes_"):
        return "value"
    return "log-odds" if hasattr(estimator, "predict_proba") else "decision"
