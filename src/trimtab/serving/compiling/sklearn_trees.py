"""The trees of scikit-learn: decision trees, forests, gradient boosting and its histogram form, with their own rules.

Trees and forests round rows to float32 first; the histogram form compares in float64. Missing values go where the
nodes say. Categories are single-value comparisons, and what was never seen goes where missing values go.
"""

from typing import Any

import numpy as np

from trimtab.serving.compiling.ensembles import Ensemble, Link
from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.forest import Forest

FORESTS = (
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreeClassifier",
    "ExtraTreeRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
)
BOOSTED = ("GradientBoostingClassifier", "GradientBoostingRegressor")
HISTOGRAM = ("HistGradientBoostingClassifier", "HistGradientBoostingRegressor")


def ensemble_of(estimator: Any) -> Ensemble | None:
    """Return the trees of a fitted estimator, None for one of another kind; raises Unsupported."""
    kind = type(estimator)
    if not kind.__module__.startswith("sklearn."):
        return None
    if kind.__name__ in FORESTS:
        return _forest(estimator)
    if kind.__name__ in BOOSTED:
        return _boosted(estimator)
    if kind.__name__ in HISTOGRAM:
        return _histogram(estimator)
    return None


def _forest(estimator: Any) -> Ensemble:
    trees = list(getattr(estimator, "estimators_", [estimator]))
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        forest = Forest(estimator.n_outputs_)
        for tree in trees:
            _add(forest, tree.tree_, tree.tree_.value[:, :, 0])
        return Ensemble(forest, trees=len(trees))
    if estimator.n_outputs_ != 1:
        raise Unsupported("it predicts several labels at once")
    if len(classes) == 1:
        raise Unsupported("it knows one class only")
    two = len(classes) == 2
    forest = Forest(1 if two else len(classes))
    for tree in trees:
        shares = tree.tree_.value[:, 0, :]
        shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
        _add(forest, tree.tree_, shares[:, 1:] if two else shares)
    return Ensemble(forest, link="share", trees=len(trees), classes=classes)


def _boosted(estimator: Any) -> Ensemble:
    init = estimator.init_
    if init != "zero" and type(init).__name__ not in ("DummyClassifier", "DummyRegressor"):
        raise Unsupported(f"its first guess is a {type(init).__name__}")
    base = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_), dtype=np.float32))[0]
    targets = estimator.estimators_.shape[1]
    # Exponential loss has twice the scores as log-odds.
    times = 2.0 if estimator.loss == "exponential" else 1.0
    forest = Forest(targets)
    for stage in estimator.estimators_:
        for target, tree in enumerate(stage):
            weights = tree.tree_.value[:, :, 0] * (estimator.learning_rate * times)
            _add(forest, tree.tree_, weights, target=target)
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return Ensemble(forest, base=base)
    link: Link = "sigmoid" if targets == 1 else "softmax"
    return Ensemble(forest, link=link, base=base * times, classes=classes)


def _add(forest: Forest, tree: Any, weights: np.ndarray, *, target: int = 0) -> None:
    leaf = tree.children_left == -1
    missing = getattr(tree, "missing_go_to_left", None)
    forest.add(
        feature=tree.feature,
        value=tree.threshold,
        yes=tree.children_left,
        no=tree.children_right,
        missing_yes=np.zeros(len(leaf), dtype=bool) if missing is None else missing.astype(bool),
        leaf=leaf,
        weights=weights,
        target=target,
    )


_HISTOGRAM_LINKS = {
    "HalfBinomialLoss": "sigmoid",
    "HalfMultinomialLoss": "softmax",
    "HalfPoissonLoss": "exp",
    "HalfGammaLoss": "exp",
}


def _histogram(estimator: Any) -> Ensemble:
    places, raw_of = _histogram_columns(estimator)
    targets = estimator.n_trees_per_iteration_
    forest = Forest(targets)
    known, known_place = estimator._bin_mapper.make_known_categories_bitsets()
    for stage in estimator._predictors:
        for target, predictor in enumerate(stage):
            _add_histogram(
                forest, predictor, target, places=places, raw_of=raw_of, known=(known, known_place)
            )
    loss = type(estimator._loss).__name__
    link: Any = _HISTOGRAM_LINKS.get(loss, "identity")
    base = np.ravel(estimator._baseline_prediction).astype(np.float64)
    classes = getattr(estimator, "classes_", None)
    if classes is not None and link not in ("sigmoid", "softmax"):
        raise Unsupported(f"its loss is {loss}")
    return Ensemble(forest, link=link, rounded=False, base=np.resize(base, targets), classes=classes)


def _histogram_columns(estimator: Any) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Return the input column of each column of the trees, and the raw values of the categorical ones by code.

    The estimator encodes categories itself and puts them before the other columns.
    """
    if estimator._preprocessor is None:
        return np.arange(estimator.n_features_in_), {}
    categorical = np.asarray(estimator.is_categorical_, dtype=bool)
    places = np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])
    encoder = estimator._preprocessor.named_transformers_["encoder"]
    raw_of: dict[int, np.ndarray] = {}
    for place, values in enumerate(encoder.categories_):
        try:
            raw_of[place] = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise Unsupported("it has categories of text, which it encodes itself") from None
    return places, raw_of


def _add_histogram(
    forest: Forest,
    predictor: Any,
    target: int,
    *,
    places: np.ndarray,
    raw_of: dict[int, np.ndarray],
    known: tuple[np.ndarray, np.ndarray],
) -> None:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    arrays: dict[str, list[Any]] = {
        "feature": places[np.where(leaf, 0, nodes["feature_idx"])].tolist(),
        "value": nodes["num_threshold"].tolist(),
        "yes": nodes["left"].astype(np.int64).tolist(),
        "no": nodes["right"].astype(np.int64).tolist(),
        "missing": nodes["missing_go_to_left"].astype(bool).tolist(),
        "mode": ["BRANCH_LEQ"] * len(nodes),
    }
    for at in np.flatnonzero(~leaf & nodes["is_categorical"].astype(bool)):
        feature = int(nodes["feature_idx"][at])
        goes_left = _members(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][at]])
        codes = _members(known[0][known[1][feature]])
        raw = raw_of.get(feature)
        left, right = int(nodes["left"][at]), int(nodes["right"][at])
        # Named values go to one side; all else, missing values and strangers too, to the side of missing values.
        if nodes["missing_go_to_left"][at]:
            named, to, otherwise = sorted(codes - goes_left), right, left
        else:
            named, to, otherwise = sorted(goes_left), left, right
        values = [float(raw[code]) if raw is not None else float(code) for code in named]
        values = [value for value in values if not np.isnan(value)]
        _chain(arrays, int(at), values, to=to, otherwise=otherwise, feature=arrays["feature"][at])
    count = len(arrays["feature"])
    more = count - len(nodes)
    forest.add(
        feature=np.array(arrays["feature"]),
        value=np.array(arrays["value"]),
        yes=np.array(arrays["yes"]),
        no=np.array(arrays["no"]),
        missing_yes=np.array(arrays["missing"]),
        mode=np.array(arrays["mode"]),
        leaf=np.concatenate([leaf, np.zeros(more, dtype=bool)]),
        weights=np.concatenate([nodes["value"], np.zeros(more)]),
        target=target,
    )


def _chain(
    arrays: dict[str, list[Any]], at: int, values: list[float], *, to: int, otherwise: int, feature: int
) -> None:
    """Turn a node into comparisons with one value each, the first in its place and the others at the end."""
    if not values:  # nothing is named: whatever comes goes the other way
        arrays["mode"][at], arrays["value"][at], arrays["missing"][at] = "BRANCH_EQ", float(np.inf), False
        arrays["yes"][at], arrays["no"][at] = otherwise, otherwise
        return
    place = at
    for number, value in enumerate(values):
        last = number == len(values) - 1
        following = otherwise if last else len(arrays["feature"])
        arrays["feature"][place], arrays["value"][place], arrays["mode"][place] = feature, value, "BRANCH_EQ"
        arrays["yes"][place], arrays["no"][place], arrays["missing"][place] = to, following, False
        if not last:
            place = following
            for name, filler in (
                ("feature", 0),
                ("value", 0.0),
                ("yes", 0),
                ("no", 0),
                ("missing", False),
                ("mode", ""),
            ):
                arrays[name].append(filler)


def _members(bits: np.ndarray) -> set[int]:
    """Return the numbers whose bits are set in eight words of 32."""
    words = np.asarray(bits, dtype=np.uint32)
    return {int(at) for at in range(len(words) * 32) if words[at // 32] >> np.uint32(at % 32) & np.uint32(1)}
