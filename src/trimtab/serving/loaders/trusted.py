"""Reading skops files: what types may be in one is decided here, by name, and what they hold is checked too."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.loaders.lean import import_skops

TRUSTED: frozenset[str] = frozenset(
    (
        "builtins.object",
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
        "lightgbm.sklearn.LGBMRanker",
        "lightgbm.sklearn.LGBMRegressor",
        "numpy.dtype",
        "numpy.mean",
        "scipy._lib.array_api_compat.numpy._aliases.asarray",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.loss.HalfTweedieLoss",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.cluster._bisect_k_means._BisectingTree",
        "sklearn.cluster._kmeans._kmeans_single_elkan",
        "sklearn.cluster._kmeans._kmeans_single_lloyd",
        "sklearn.compose._column_transformer._RemainderColsList",
        "sklearn.compose._column_transformer.make_column_selector",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._mutual_info.mutual_info_classif",
        "sklearn.feature_selection._mutual_info.mutual_info_regression",
        "sklearn.feature_selection._univariate_selection.chi2",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.feature_selection._univariate_selection.r_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.DotProduct",
        "sklearn.gaussian_process.kernels.ExpSineSquared",
        "sklearn.gaussian_process.kernels.Exponentiation",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.RationalQuadratic",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._dist_metrics.ChebyshevDistance64",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "xgboost.core.Booster",
        "xgboost.sklearn.XGBClassifier",
        "xgboost.sklearn.XGBRFClassifier",
        "xgboost.sklearn.XGBRFRegressor",
        "xgboost.sklearn.XGBRanker",
        "xgboost.sklearn.XGBRegressor",
    )
)
"""What may be in a file besides scikit-learn's estimators and what skops trusts by itself: arrays, plain values, ufuncs.

Each name was met in a fitted estimator; none of them runs code from a file.
"""

_NOT_ESTIMATORS = frozenset(
    ("tests", "_testing", "conftest", "datasets", "externals", "experimental", "_build_utils")
)
_MAX_NODES = 50_000_000


def load_skops(path: Path) -> Any:
    """Return the object in a skops file; raises ModelNotLoaded naming the types that are not trusted."""
    skops = import_skops()
    try:
        found: set[str] = set(skops.get_untrusted_types(file=path))
        strangers = sorted(name for name in found - TRUSTED if not _is_estimator(name))
        if strangers:
            raise ModelNotLoaded(f"the skops file has types that are not trusted: {', '.join(strangers[:8])}")
        loaded = skops.load(path, trusted=sorted(found))
    except ModelNotLoaded:
        raise
    except Exception as error:
        # A damaged or hostile file can make the reader raise anything; all of it means the same.
        raise ModelNotLoaded(f"the skops file cannot be read: {type(error).__name__}: {error}") from error
    check_trees(loaded)
    return loaded


def _is_estimator(name: str) -> bool:
    """Say whether a name is that of an estimator class of scikit-learn itself, outside of its tests."""
    module, _, kind = name.rpartition(".")
    parts = module.split(".")
    if parts[0] != "sklearn" or any(part in _NOT_ESTIMATORS for part in parts):
        return False
    try:
        found = getattr(import_module(module), kind, None)
    except ImportError:
        return False
    from sklearn.base import BaseEstimator

    return isinstance(found, type) and issubclass(found, BaseEstimator)


def check_trees(root: Any) -> None:
    """Raise ModelNotLoaded where a tree's node points outside of it.

    scikit-learn follows child and feature indices without checks, so that a crafted file would read foreign memory.
    """
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, str | bytes | int | float | None):
            continue
        seen.add(id(item))
        if len(seen) > _MAX_NODES:
            raise ModelNotLoaded("the model has too many parts")
        kind = f"{type(item).__module__}.{type(item).__name__}"
        if kind == "sklearn.tree._tree.Tree":
            leaf = item.children_left == -1
            _check_nodes(item.children_left, item.children_right, item.feature, leaf, item.n_features)
        elif kind.endswith("predictor.TreePredictor"):
            nodes = item.nodes
            leaf = nodes["is_leaf"].astype(bool)
            _check_nodes(
                nodes["left"].astype(np.int64), nodes["right"].astype(np.int64), nodes["feature_idx"], leaf
            )
            sets = nodes["bitset_idx"][~leaf & nodes["is_categorical"].astype(bool)]
            if len(sets) and int(sets.max()) >= len(item.raw_left_cat_bitsets):
                raise ModelNotLoaded("a tree of the model refers to categories that it does not have")
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list | tuple | set):
            waiting += item
        elif isinstance(item, np.ndarray):
            if item.dtype == object:
                waiting += item.ravel().tolist()
        elif hasattr(item, "__dict__"):
            waiting += vars(item).values()


def _check_nodes(
    left: np.ndarray, right: np.ndarray, feature: np.ndarray, leaf: np.ndarray, features: int | None = None
) -> None:
    count = len(left)
    own = np.arange(count)[~leaf]
    for children in (left[~leaf], right[~leaf]):
        # A child always comes after its parent, so this forbids cycles too.
        if ((children <= own) | (children >= count)).any():
            raise ModelNotLoaded("a tree of the model has a node that points outside of it")
    used = feature[~leaf]
    if len(used) and (int(used.min()) < 0 or (features is not None and int(used.max()) >= features)):
        raise ModelNotLoaded("a tree of the model asks for a feature that there is not")
