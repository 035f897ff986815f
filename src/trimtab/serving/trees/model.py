"""Writes trees as an XGBoost model, in the binary JSON that its library reads (UBJSON with arrays of one type).

The form is XGBoost's own: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

import struct
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from trimtab.serving.trees.graphs import Trees

_VERSION = [3, 0, 0]
_NO_PARENT = np.iinfo(np.int32).max
_MARKS = {"float32": b"d", "int32": b"l", "int64": b"L", "uint8": b"U"}
_SIZE = struct.Struct(">q")


def written(trees: Trees, *, columns: int) -> bytes:
    """Return a model whose margins are the trees' sums for rows of so many columns, without their base."""
    trees = _with_siblings_side_by_side(trees)
    targets, count = len(trees.base), len(trees.starts) - 1
    several = targets > 1
    learner = {
        "attributes": {},
        "feature_names": [],
        "feature_types": [],
        "gradient_booster": {
            "model": {
                "gbtree_model_param": {"num_parallel_tree": "1", "num_trees": str(count)},
                "iteration_indptr": [0, count],
                "tree_info": trees.target.tolist(),
                "trees": [_tree(trees, at, columns) for at in range(count)],
            },
            "name": "gbtree",
        },
        "learner_model_param": {
            "base_score": "0E0",
            "boost_from_average": "0",
            "num_class": str(targets if several else 0),
            "num_feature": str(columns),
            "num_target": "1",
        },
        "objective": {
            "name": "multi:softprob",
            "softmax_multiclass_param": {"num_class": str(targets)},
        }
        if several
        else {"name": "reg:squarederror", "reg_loss_param": {"scale_pos_weight": "1"}},
    }
    return b"".join(_value({"learner": learner, "version": _VERSION}))


def _with_siblings_side_by_side(trees: Trees) -> Trees:
    """Return the trees with their nodes level by level: the library finds a node's right child behind its left one."""
    sizes = np.diff(trees.starts)
    first = np.repeat(trees.starts[:-1], sizes)
    yes, no = trees.yes + first, trees.no + first
    level, levels = trees.starts[:-1], list[np.ndarray]()
    while len(level):
        levels.append(level)
        inner = level[~trees.leaf[level]]
        level = np.column_stack([yes[inner], no[inner]]).ravel()
    found = np.concatenate(levels)
    tree = np.repeat(np.arange(len(sizes)), sizes)
    order = found[np.argsort(tree[found], kind="stable")]
    place = np.empty(len(first), np.int64)
    place[order] = np.arange(len(first))
    inner = ~trees.leaf
    return msgspec.structs.replace(
        trees,
        feature=trees.feature[order],
        value=trees.value[order],
        yes=(np.where(inner, place[np.where(inner, yes, 0)] - first, 0)[order]).astype(np.int32),
        no=(np.where(inner, place[np.where(inner, no, 0)] - first, 0)[order]).astype(np.int32),
        missing_yes=trees.missing_yes[order],
        leaf=trees.leaf[order],
        weight=trees.weight[order],
    )


def _tree(trees: Trees, at: int, columns: int) -> dict[str, Any]:
    nodes = slice(trees.starts[at], trees.starts[at + 1])
    leaf = trees.leaf[nodes]
    size = len(leaf)
    yes, no = (np.where(leaf, np.int32(-1), side[nodes]) for side in (trees.yes, trees.no))
    parents = np.full(size, _NO_PARENT, np.int32)
    inner = np.flatnonzero(~leaf)
    for children in (yes, no):
        parents[children[inner]] = inner
    none, nothing = np.zeros(size, np.float32), np.zeros(0, np.int32)
    return {
        "base_weights": none,
        "categories": nothing,
        "categories_nodes": nothing,
        "categories_segments": nothing.astype(np.int64),
        "categories_sizes": nothing.astype(np.int64),
        "default_left": trees.missing_yes[nodes],
        "id": at,
        "left_children": yes,
        "loss_changes": none,
        "parents": parents,
        "right_children": no,
        "split_conditions": np.where(leaf, trees.weight[nodes], trees.value[nodes]),
        "split_indices": trees.feature[nodes],
        "split_type": np.zeros(size, np.uint8),
        "sum_hessian": none,
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(columns),
            "num_nodes": str(size),
            "size_leaf_vector": "1",
        },
    }


def _value(value: Any) -> Iterable[bytes]:
    match value:
        case dict():
            yield b"{"
            for key, one in value.items():
                yield _text(key)
                yield from _value(one)
            yield b"}"
        case list():
            yield b"[#L" + _SIZE.pack(len(value))
            for one in value:
                yield from _value(one)
        case str():
            yield b"S" + _text(value)
        case int():
            yield b"L" + _SIZE.pack(value)
        case _:
            yield b"[$" + _MARKS[value.dtype.name] + b"#L" + _SIZE.pack(len(value))
            yield value.astype(value.dtype.newbyteorder(">")).tobytes()


def _text(text: str) -> bytes:
    return b"L" + _SIZE.pack(len(text)) + text.encode()
