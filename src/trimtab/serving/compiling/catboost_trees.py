"""The trees of a CatBoost model from its JSON export: comparisons ``x > border`` in single precision.

A symmetric tree asks one question a level; the answers, the first one lowest, are the bits of its leaf's number.
"""

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from trimtab.serving.compiling.ensembles import Ensemble, Link
from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.forest import Forest

_LINKS: dict[str, Link] = {
    "Logloss": "sigmoid",
    "CrossEntropy": "sigmoid",
    "MultiClass": "softmax",
    "Poisson": "exp",
    "Tweedie": "exp",
    "RMSE": "identity",
    "MAE": "identity",
    "Quantile": "identity",
    "MAPE": "identity",
    "Huber": "identity",
    "Expectile": "identity",
    "Lq": "identity",
}
_MOST_DEPTH = 16


def ensemble_of(model: Any) -> Ensemble:
    """Return the trees of a fitted model; raises Unsupported."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.json")
        model.save_model(str(file), format="json")
        content = msgspec.json.decode(file.read_bytes())
    features = content["features_info"]
    if set(features) - {"float_features"} or model.get_cat_feature_indices():
        raise Unsupported("it has columns of categories or texts")
    parameters: Any = content["model_info"]["params"]
    if isinstance(parameters, str):
        parameters = msgspec.json.decode(parameters)
    loss = str(parameters["loss_function"]["type"])
    link = _LINKS.get(loss)
    if link is None:
        raise Unsupported(f"its loss {loss} is not known here")
    classifies = type(model).__name__ == "CatBoostClassifier"
    if type(model).__name__ == "CatBoost":  # whose predict() gives the sums
        link = "identity"
    scale, bias = content.get("scale_and_bias", [1, [0]])
    base = np.atleast_1d(np.array(bias, dtype=np.float64))
    forest = Forest(len(base))
    columns = [int(one["flat_feature_index"]) for one in features["float_features"]]
    as_true = [one.get("nan_value_treatment") == "AsTrue" for one in features["float_features"]]
    for tree in content.get("oblivious_trees") or []:
        nodes = _Nodes(forest.targets, scale, columns, as_true)
        nodes.symmetric(tree["splits"], np.array(tree["leaf_values"], dtype=np.float64))
        nodes.add_to(forest)
    for tree in content.get("trees") or []:
        nodes = _Nodes(forest.targets, scale, columns, as_true)
        nodes.any(tree)
        nodes.add_to(forest)
    classes = np.asarray(model.classes_) if classifies else None
    if classes is not None and (link not in ("sigmoid", "softmax") or len(classes) != max(2, len(base))):
        raise Unsupported("its classes do not fit its trees")
    return Ensemble(forest, link=link, base=base, classes=classes)


class _Nodes:
    """The nodes of one tree, as they are found; a node's "yes" is its right child."""

    def __init__(self, targets: int, scale: float, columns: list[int], as_true: list[bool]) -> None:
        self._targets = targets
        self._scale = scale
        self._columns = columns
        self._as_true = as_true
        self._rows: list[list[Any]] = []

    def symmetric(self, splits: list[dict[str, Any]], values: np.ndarray) -> None:
        if len(splits) > _MOST_DEPTH:
            raise Unsupported(f"it has trees of more than {_MOST_DEPTH} levels")
        table = values.reshape(2 ** len(splits), self._targets)

        def grow(level: int, leaf: int) -> int:
            if level < 0:
                return self._leaf(table[leaf])
            place = self._branch(splits[level])
            self._join(place, right=grow(level - 1, leaf | 1 << level), left=grow(level - 1, leaf))
            return place

        grow(len(splits) - 1, 0)

    def any(self, tree: dict[str, Any]) -> int:
        if "split" not in tree:
            return self._leaf(np.atleast_1d(np.array(tree["value"], dtype=np.float64)))
        place = self._branch(tree["split"])
        self._join(place, right=self.any(tree["right"]), left=self.any(tree["left"]))
        return place

    def _branch(self, split: dict[str, Any]) -> int:
        if split.get("split_type", "FloatFeature") != "FloatFeature":
            raise Unsupported("it splits on categories")
        feature = int(split["float_feature_index"])
        self._rows.append(
            [self._columns[feature], float(split["border"]), 0, 0, self._as_true[feature], False, None]
        )
        return len(self._rows) - 1

    def _leaf(self, values: np.ndarray) -> int:
        self._rows.append([0, 0.0, 0, 0, False, True, values * self._scale])
        return len(self._rows) - 1

    def _join(self, place: int, *, right: int, left: int) -> None:
        self._rows[place][2], self._rows[place][3] = right, left

    def add_to(self, forest: Forest) -> None:
        feature, value, yes, no, missing, leaf, weights = zip(*self._rows, strict=True)
        nothing = np.zeros(self._targets)
        forest.add(
            feature=np.array(feature),
            value=np.array(value),
            yes=np.array(yes),
            no=np.array(no),
            missing_yes=np.array(missing),
            leaf=np.array(leaf),
            weights=np.array([nothing if one is None else one for one in weights]),
            mode="BRANCH_GT",
        )
