"""Reading skops files: what types may be in one is decided here, by name, and what they hold is checked too."""

from pathlib import Path
from typing import Any

import numpy as np

from trimtab.kernel.trusted import strangers
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.loaders.lean import import_skops

_MAX_NODES = 50_000_000


def load_skops(path: Path) -> Any:
    """Return the object in a skops file; raises ModelNotLoaded naming the types that are not trusted."""
    skops = import_skops()
    try:
        found: set[str] = set(skops.get_untrusted_types(file=path))
        unknown = strangers(found)
        if unknown:
            raise ModelNotLoaded(f"the skops file has types that are not trusted: {', '.join(unknown[:8])}")
        loaded = skops.load(path, trusted=sorted(found))
    except ModelNotLoaded:
        raise
    except Exception as error:
        # A damaged or hostile file can make the reader raise anything; all of it means the same.
        raise ModelNotLoaded(f"the skops file cannot be read: {type(error).__name__}: {error}") from error
    check_trees(loaded)
    return loaded


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
