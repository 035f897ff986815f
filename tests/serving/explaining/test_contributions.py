"""Contributions against the definition of Shapley values, against XGBoost's, and against the scores that they add up to."""

import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from trimtab.serving.explaining.errors import Unexplained
from trimtab.serving.explaining.estimators import explainer
from trimtab.serving.explaining.paths import Paths, Tree

RNG = np.random.default_rng(5)
X = RNG.normal(size=(400, 4))
NUMBERS = X[:, 0] * X[:, 1] + X[:, 2]
LABELS = (NUMBERS > 0).astype(int)
THREE = np.digitize(NUMBERS, [-0.5, 0.5])


def by_definition(tree: Tree, row: np.ndarray, columns: int) -> np.ndarray:
    """Return Shapley values as a sum over all coalitions."""

    def worth(known: frozenset[int], node: int = 0) -> float:
        left, right = int(tree.left[node]), int(tree.right[node])
        if left < 0:
            return float(tree.value[node, 0])
        if int(tree.feature[node]) in known:
            return worth(known, left if row[tree.feature[node]] <= tree.threshold[node] else right)
        shares = tree.cover[[left, right]] / tree.cover[node]
        return shares[0] * worth(known, left) + shares[1] * worth(known, right)

    values = np.zeros(columns)
    for column in range(columns):
        others = [other for other in range(columns) if other != column]
        for size in range(columns):
            weight = math.factorial(size) * math.factorial(columns - size - 1) / math.factorial(columns)
            for chosen in itertools.combinations(others, size):
                known = frozenset(chosen)
                values[column] += weight * (worth(known | {column}) - worth(known))
    return values


@pytest.mark.parametrize("depth", [1, 2, 4, 7])
def test_one_tree_as_defined(depth: int) -> None:
    grown: Any = DecisionTreeRegressor(max_depth=depth, random_state=0).fit(X, NUMBERS).tree_
    tree = Tree(
        grown.feature,
        grown.threshold,
        grown.children_left,
        grown.children_right,
        np.zeros(grown.node_count),
        grown.weighted_n_node_samples,
        grown.value[:, 0, :],
    )
    found = Paths([tree], 4).contributions(X[:6])
    expected = [by_definition(tree, row, 4) for row in X[:6]]
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-12)


def test_boosted_trees_as_xgboost_has_them() -> None:
    xgboost = pytest.importorskip("xgboost")
    table = X.copy()
    table[RNG.random(table.shape) < 0.1] = np.nan
    data = xgboost.DMatrix(table, label=LABELS)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 4, "nthread": 1}, data, 12)
    theirs = booster.predict(data, pred_contribs=True)
    trees = [_of_dump(json.loads(dump)) for dump in booster.get_dump(dump_format="json", with_stats=True)]
    ours = Paths(trees, 4).contributions(table.astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(ours[:, 0], theirs[:, :-1], atol=2e-5)


def _of_dump(root: dict[str, Any]) -> Tree:
    nodes: dict[int, dict[str, Any]] = {}

    def collect(node: dict[str, Any]) -> None:
        nodes[node["nodeid"]] = node
        for child in node.get("children", []):
            collect(child)

    collect(root)
    known = [nodes[number] for number in sorted(nodes)]
    assert sorted(nodes) == list(range(len(nodes)))
    return Tree(
        np.array([int(node.get("split", "f0")[1:]) for node in known]),
        # A row goes XGBoost's way where it is below the threshold.
        np.array(
            [np.nextafter(np.float32(node.get("split_condition", 0)), np.float32(-np.inf)) for node in known]
        ),
        np.array([node.get("yes", -1) for node in known]),
        np.array([node.get("no", -1) for node in known]),
        np.array([node.get("missing") == node.get("yes") for node in known]),
        np.array([node["cover"] for node in known]),
        np.array([[node.get("leaf", 0.0)] for node in known]),
    )


def _gaps(table: np.ndarray) -> np.ndarray:
    table = table.copy()
    table[::3, 1] = np.nan
    return table


@pytest.mark.parametrize(
    ("estimator", "target", "table", "score"),
    [
        (RandomForestClassifier(12, random_state=0), LABELS, X, lambda m, x: m.predict_proba(x)[:, 1:]),
        (RandomForestClassifier(9, random_state=0), THREE, X, lambda m, x: m.predict_proba(x)),
        (RandomForestClassifier(9, random_state=0), LABELS, _gaps(X), lambda m, x: m.predict_proba(x)[:, 1:]),
        (ExtraTreesRegressor(9, random_state=0), NUMBERS, X, lambda m, x: m.predict(x)),
        (DecisionTreeRegressor(random_state=0), NUMBERS, X, lambda m, x: m.predict(x)),
        (GradientBoostingRegressor(n_estimators=15), NUMBERS, X, lambda m, x: m.predict(x)),
        (GradientBoostingClassifier(n_estimators=9), THREE, X, lambda m, x: m.decision_function(x)),
        (HistGradientBoostingClassifier(max_iter=15), LABELS, _gaps(X), lambda m, x: m.decision_function(x)),
        (HistGradientBoostingClassifier(max_iter=9), THREE, X, lambda m, x: m.decision_function(x)),
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            LABELS,
            X,
            lambda m, x: m.decision_function(x),
        ),
        (Ridge(), NUMBERS, X, lambda m, x: m.predict(x)),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_contributions_add_up_to_the_score(
    estimator: Any, target: Any, table: np.ndarray, score: Any
) -> None:
    estimator.fit(table, target)
    found = explainer(estimator)
    rows = table[:25]
    contributions = found.contribute(rows)
    expected = np.asarray(score(estimator, rows)).reshape(len(rows), -1)
    np.testing.assert_allclose(contributions.sum(axis=2) + found.base, expected, atol=1e-8)


def test_what_mixes_columns_is_not_explained() -> None:
    mixing = make_pipeline(PolynomialFeatures(), LogisticRegression()).fit(X, LABELS)
    with pytest.raises(Unexplained, match="PolynomialFeatures mixes columns"):
        explainer(mixing)
