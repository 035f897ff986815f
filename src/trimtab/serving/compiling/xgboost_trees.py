"""The trees of an XGBoost booster from its own JSON form: comparisons ``x < threshold`` in single precision."""

import math
from typing import Any

import msgspec
import numpy as np

from trimtab.serving.compiling.ensembles import Ensemble, Link
from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.forest import Forest

_LINKS: dict[str, Link] = {
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "binary:logitraw": "identity",
    "binary:hinge": "step",
    "multi:softprob": "softmax",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
    "survival:cox": "exp",
    "survival:aft": "exp",
    "reg:squarederror": "identity",
    "reg:linear": "identity",
    "reg:squaredlogerror": "identity",
    "reg:absoluteerror": "identity",
    "reg:pseudohubererror": "identity",
    "reg:quantileerror": "identity",
    "reg:expectileerror": "identity",
    "rank:pairwise": "identity",
    "rank:ndcg": "identity",
    "rank:map": "identity",
}


def ensemble_of(booster: Any, *, trees_from: int = 0, rounds: int | None = None) -> Ensemble:
    """Return the trees of a booster, of the first ``rounds`` only where that is given; raises Unsupported.

    ``classes`` are set for objectives that have them, as numbers from 0.
    """
    learner = msgspec.json.decode(bytes(booster.save_raw("json")))["learner"]
    objective = learner["objective"]["name"]
    link = _LINKS.get(objective)
    if link is None:
        raise Unsupported(f"its objective {objective} is not known here")
    boosted = learner["gradient_booster"]
    kind = boosted["name"]
    if kind not in ("gbtree", "dart"):
        raise Unsupported(f"its booster is {kind}, not trees")
    drops = boosted.get("weight_drop") if kind == "dart" else None
    model = boosted["gbtree"]["model"] if kind == "dart" else boosted["model"]
    parameters = learner["learner_model_param"]
    if int(parameters.get("num_target", "1")) > 1 and any(
        int(tree["tree_param"].get("size_leaf_vector", "1")) > 1 for tree in model["trees"]
    ):
        raise Unsupported("its trees have several outputs each")
    groups = max(1, int(parameters["num_class"]), int(parameters.get("num_target", "1")))
    base = np.resize(np.array(_margins(str(parameters["base_score"]), link, objective)), groups)
    forest = Forest(groups)
    forest.add_constant(base)  # first, as the library adds: sums in single precision depend on the order
    last = len(model["trees"])
    if rounds is not None:
        ends = model.get("iteration_indptr")
        last = ends[min(rounds, len(ends) - 1)] if ends else rounds * groups
    for at in range(trees_from, last):
        weight = np.float32(drops[at]) if drops else np.float32(1)
        _add(forest, model["trees"][at], target=int(model["tree_info"][at]), weight=weight)
    classes: np.ndarray | None = None
    if objective == "binary:logistic":
        classes = np.arange(2)
    elif objective.startswith("multi:"):
        classes = np.arange(groups)
    return Ensemble(forest, link=link, classes=classes)


def _margins(text: str, link: Link, objective: str) -> list[float]:
    """Return the scores to which trees add, from probabilities or means as the file has them."""
    values = [float(part) for part in text.strip("[]").split(",") if part.strip()] or [0.0]
    if link == "sigmoid" or objective == "binary:logitraw":
        return [-math.log(1.0 / value - 1.0) if 0 < value < 1 else 0.0 for value in values]
    if link == "exp":
        return [math.log(value) if value > 0 else 0.0 for value in values]
    return values


def _add(forest: Forest, tree: dict[str, Any], *, target: int, weight: np.float32) -> None:
    if any(tree.get("split_type") or ()):
        raise Unsupported("it splits on categories")
    left = np.array(tree["left_children"], dtype=np.int64)
    leaf = left == -1
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    forest.add(
        feature=np.array(tree["split_indices"], dtype=np.int64),
        value=conditions.astype(np.float64),
        yes=left,
        no=np.array(tree["right_children"], dtype=np.int64),
        missing_yes=np.array(tree["default_left"]).astype(bool),
        leaf=leaf,
        weights=np.where(leaf, conditions * weight, 0),
        target=target,
        mode="BRANCH_LT",
    )
