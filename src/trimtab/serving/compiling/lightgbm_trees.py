"""The trees of a LightGBM booster from its dump: comparisons in double precision, three meanings of missing values.

Source: LightGBM's `Tree::NumericalDecision` and `Tree::CategoricalDecision` (include/LightGBM/tree.h).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trimtab.serving.compiling.ensembles import Ensemble, Link
from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.forest import Forest

_ZERO = float(np.float32(1e-35))
"""`kZeroThreshold` (include/LightGBM/meta.h)."""
_LINKS: dict[str, Link] = {
    "binary": "sigmoid",
    "cross_entropy": "sigmoid",
    "multiclass": "softmax",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
    "regression": "identity",
    "regression_l1": "identity",
    "huber": "identity",
    "fair": "identity",
    "quantile": "identity",
    "mape": "identity",
    "lambdarank": "identity",
    "rank_xendcg": "identity",
}


def ensemble_of(booster: Any, *, whole: Sequence[bool] = ()) -> Ensemble:
    """Return the trees of a booster; ``whole`` says which columns hold whole numbers only. Raises Unsupported."""
    best = booster.best_iteration
    dump = booster.dump_model(num_iteration=best if best and best > 0 else -1)
    words = str(dump.get("objective", "")).split()
    objective = words[0] if words else "regression"
    link = _LINKS.get(objective)
    if link is None:
        raise Unsupported(f"its objective {objective} is not known here")
    options = dict(word.split(":", 1) for word in words[1:] if ":" in word)
    if "sqrt" in words[1:]:
        raise Unsupported("it predicts the square of what its trees say")
    if float(options.get("sigmoid", 1)) != 1:
        raise Unsupported("its sigmoid is scaled")
    targets = int(dump["num_tree_per_iteration"])
    forest = Forest(targets)
    for at, tree in enumerate(dump["tree_info"]):
        _add(forest, tree["tree_structure"], target=at % targets, whole=whole)
    trees = len(dump["tree_info"]) // targets if dump.get("average_output") else 1
    classes: np.ndarray | None = None
    if link == "sigmoid":
        classes = np.arange(2)
    elif link == "softmax":
        classes = np.arange(targets)
    return Ensemble(forest, link=link, rounded=False, trees=max(1, trees), classes=classes)


class _Nodes:
    """The nodes of one tree, as they are found."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, str, int, int, bool, bool, float]] = []

    def leaf(self, value: float) -> int:
        self.rows.append((0, 0.0, "LEAF", 0, 0, False, True, value))
        return len(self.rows) - 1

    def branch(self, feature: int, value: float, mode: str, yes: int, no: int, *, missing_yes: bool) -> int:
        self.rows.append((feature, value, mode, yes, no, missing_yes, False, 0.0))
        return len(self.rows) - 1


def _add(forest: Forest, root: dict[str, Any], *, target: int, whole: Sequence[bool]) -> None:
    nodes = _Nodes()
    top = _walk(nodes, root, whole)
    # Children were added before their parents; the operator starts each tree at its first node.
    order = np.arange(len(nodes.rows))[::-1]
    columns = [np.array(column)[order] for column in zip(*nodes.rows, strict=True)]
    assert top == len(nodes.rows) - 1
    last = len(order) - 1
    feature, value, mode, yes, no, missing, leaf, weight = columns
    forest.add(
        feature=feature,
        value=value,
        yes=last - yes,
        no=last - no,
        missing_yes=missing,
        leaf=leaf,
        weights=weight,
        target=target,
        mode=mode,
    )


def _walk(nodes: _Nodes, root: dict[str, Any], whole: Sequence[bool]) -> int:
    """Add a tree, children first, and return the place of its root."""
    done: dict[int, int] = {}
    waiting = [(root, False)]
    while waiting:
        node, seen = waiting.pop()
        if "leaf_coeff" in node:
            raise Unsupported("its leaves are linear models")
        if "split_feature" not in node:
            done[id(node)] = nodes.leaf(float(node["leaf_value"]))
        elif not seen:
            waiting += [(node, True), (node["right_child"], False), (node["left_child"], False)]
        else:
            left, right = done[id(node["left_child"])], done[id(node["right_child"])]
            done[id(node)] = _split(nodes, node, left, right, whole)
    return done[id(root)]


def _split(nodes: _Nodes, node: dict[str, Any], left: int, right: int, whole: Sequence[bool]) -> int:
    feature = int(node["split_feature"])
    if node["decision_type"] == "==":
        if feature >= len(whole) or not whole[feature]:
            raise Unsupported(f"column {feature} holds categories, but its type is not integer")
        place = right
        for text in str(node["threshold"]).split("||"):
            place = nodes.branch(feature, float(text), "BRANCH_EQ", left, place, missing_yes=False)
        return place
    threshold, default_left = _threshold(float(node["threshold"])), bool(node["default_left"])
    match node["missing_type"]:
        case "None":  # a missing value counts as 0
            return nodes.branch(feature, threshold, "BRANCH_LEQ", left, right, missing_yes=threshold >= 0)
        case "NaN":
            return nodes.branch(feature, threshold, "BRANCH_LEQ", left, right, missing_yes=default_left)
        case _:  # zero counts as missing, and missing as zero
            # The branch that two nodes lead to is the first one's "no", as the operator wants it.
            default = left if default_left else right
            mode, yes, no = ("BRANCH_LEQ", left, right) if default_left else ("BRANCH_GT", right, left)
            other = nodes.branch(feature, threshold, mode, yes, no, missing_yes=False)
            low = nodes.branch(feature, -_ZERO, "BRANCH_LT", other, default, missing_yes=False)
            return nodes.branch(feature, _ZERO, "BRANCH_GT", other, low, missing_yes=False)


def _threshold(value: float) -> float:
    """Return the threshold for numbers as they are: the library takes those within `_ZERO` for 0 before it compares."""
    if -_ZERO <= value < 0:
        return float(np.nextafter(-_ZERO, -np.inf))
    return _ZERO if 0 <= value < _ZERO else value
