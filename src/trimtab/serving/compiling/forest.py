"""Decision trees of any library as flat arrays, and as one ONNX operator that takes each row the same way.

A tree is right or wrong at its thresholds: they keep double precision where the library compares in it, and where rows
are rounded to single precision first, thresholds are rounded down, so that every comparison comes out the same.
"""

from importlib import import_module
from typing import Any, Literal

import numpy as np

from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.graph import ML, Graph

Mode = Literal["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT", "BRANCH_EQ"]
_MOST_NODES = 20_000_000


class Forest:
    """Nodes of all trees. Children are places within their tree; leaves add weights to targets."""

    def __init__(self, targets: int) -> None:
        self.targets = targets
        self._parts: dict[str, list[Any]] = {
            name: [] for name in ("tree", "node", "feature", "value", "mode", "yes", "no", "missing")
        }
        self._leaves: dict[str, list[Any]] = {name: [] for name in ("tree", "node", "target", "weight")}
        self._trees = 0
        self._nodes = 0

    def add(
        self,
        *,
        feature: np.ndarray,
        value: np.ndarray,
        yes: np.ndarray,
        no: np.ndarray,
        missing_yes: np.ndarray,
        leaf: np.ndarray,
        weights: np.ndarray,
        target: int = 0,
        mode: Mode | np.ndarray = "BRANCH_LEQ",
    ) -> None:
        """Add one tree: arrays by node. ``weights`` of leaves has one column for each target from ``target`` on."""
        count = len(feature)
        self._nodes += count
        if self._nodes > _MOST_NODES:
            raise Unsupported(f"the model has more than {_MOST_NODES:,} tree nodes")
        own = np.arange(count)
        inner = ~leaf
        for child in (yes[inner], no[inner]):
            if len(child) and (int(child.min()) < 0 or int(child.max()) >= count):
                raise Unsupported("a tree has a node that points outside of it")
        modes = np.where(leaf, "LEAF", mode)
        add = self._parts
        add["tree"].append(np.full(count, self._trees))
        add["node"].append(own)
        add["feature"].append(np.where(leaf, 0, feature))
        add["value"].append(np.where(leaf, 0.0, value))
        add["mode"].append(modes)
        add["yes"].append(np.where(leaf, 0, yes))
        add["no"].append(np.where(leaf, 0, no))
        add["missing"].append(np.where(leaf, False, missing_yes))
        columns = weights.reshape(count, -1)[leaf]
        places = own[leaf]
        width = columns.shape[1]
        self._leaves["tree"].append(np.full(len(places) * width, self._trees))
        self._leaves["node"].append(np.repeat(places, width))
        self._leaves["target"].append(np.tile(np.arange(target, target + width), len(places)))
        self._leaves["weight"].append(columns.ravel())
        self._trees += 1

    def add_constant(self, weights: np.ndarray) -> None:
        """Add a tree of one leaf with a weight for each target."""
        none = np.zeros(1)
        leaf = np.ones(1, dtype=bool)
        self.add(
            feature=none,
            value=none,
            yes=none,
            no=none,
            missing_yes=none,
            leaf=leaf,
            weights=weights.reshape(1, -1),
        )

    def thresholds(self) -> dict[int, np.ndarray]:
        """Return the distinct values that each feature is compared with."""
        modes = np.concatenate(self._parts["mode"]) if self._trees else np.array([], dtype=object)
        feature = np.concatenate(self._parts["feature"]) if self._trees else np.array([], dtype=int)
        value = np.concatenate(self._parts["value"]) if self._trees else np.array([])
        inner = modes != "LEAF"
        return {int(one): np.unique(value[inner & (feature == one)]) for one in np.unique(feature[inner])}

    def write(self, graph: Graph, rows: str, *, rounded: bool, base: np.ndarray | None = None) -> str:
        """Add the operator and return the name of its (rows, targets) output, in float32.

        ``rounded`` says that the library itself rounds rows to single precision before it compares.
        """
        parts = {name: np.concatenate(arrays) for name, arrays in self._parts.items()}
        leaves = {name: np.concatenate(arrays) for name, arrays in self._leaves.items()}
        values, weights = parts["value"].astype(np.float64), leaves["weight"].astype(np.float64)
        attributes: dict[str, Any] = {}
        if rounded or graph.real == np.float32:
            if graph.real != np.float32:
                rows = graph.node("Cast", [rows], to=1)[0]
            strict = parts["mode"] == "BRANCH_LT"
            values = np.where(strict, round_up(values), round_down(values))
            attributes["nodes_values"] = values.astype(np.float32).tolist()
            attributes["target_weights"] = weights.astype(np.float32).tolist()
            if base is not None:
                attributes["base_values"] = base.astype(np.float32).tolist()
        else:
            tensor: Any = import_module("onnx.numpy_helper").from_array
            attributes["nodes_values_as_tensor"] = tensor(values)
            attributes["target_weights_as_tensor"] = tensor(weights)
            if base is not None:
                attributes["base_values_as_tensor"] = tensor(base.astype(np.float64))
        if parts["missing"].any():
            attributes["nodes_missing_value_tracks_true"] = parts["missing"].astype(np.int64).tolist()
        return graph.node(
            "TreeEnsembleRegressor",
            [rows],
            domain=ML,
            n_targets=self.targets,
            aggregate_function="SUM",
            post_transform="NONE",
            nodes_treeids=parts["tree"].tolist(),
            nodes_nodeids=parts["node"].tolist(),
            nodes_featureids=parts["feature"].astype(np.int64).tolist(),
            nodes_modes=parts["mode"].tolist(),
            nodes_truenodeids=parts["yes"].astype(np.int64).tolist(),
            nodes_falsenodeids=parts["no"].astype(np.int64).tolist(),
            target_treeids=leaves["tree"].tolist(),
            target_nodeids=leaves["node"].tolist(),
            target_ids=leaves["target"].tolist(),
            **attributes,
        )[0]


def round_down(values: np.ndarray) -> np.ndarray:
    """Return the largest float32 that is not above each value: for a float32 x, ``x <= value`` stays as it is."""
    near = values.astype(np.float32)
    return _step(near, near > values, -np.inf)


def round_up(values: np.ndarray) -> np.ndarray:
    """Return the smallest float32 that is not below each value: for a float32 x, ``x < value`` stays as it is."""
    near = values.astype(np.float32)
    return _step(near, near < values, np.inf)


def _step(near: np.ndarray, where: np.ndarray, towards: float) -> np.ndarray:
    near[where] = np.nextafter(near[where], np.float32(towards))
    return near.astype(np.float64)
