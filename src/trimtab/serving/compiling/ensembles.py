"""What a library makes of its trees: sums that become numbers or class probabilities, written as ONNX operators."""

from typing import Literal

import numpy as np

from trimtab.serving.compiling.forest import Forest
from trimtab.serving.compiling.graph import Graph

Link = Literal["identity", "exp", "sigmoid", "softmax", "share", "step"]
"""From sums to answers. share: the sums are class probabilities already; step: 1 where the sum is above 0."""


class Ensemble:
    """A forest with what is added to and made of its sums."""

    def __init__(
        self,
        forest: Forest,
        *,
        link: Link = "identity",
        rounded: bool = True,
        base: np.ndarray | None = None,
        trees: int = 1,
        classes: np.ndarray | None = None,
    ) -> None:
        """``trees`` is what sums are divided by; ``classes`` the labels, None for a regression."""
        self.forest = forest
        self.link: Link = link
        self.rounded = rounded
        self.base = base
        self.trees = trees
        self.classes = classes

    def sums(self, graph: Graph, rows: str) -> str:
        """Add the trees and return the name of (rows, targets), in float64 where sums are divided, else in float32.

        Votes of whole trees add up to whole numbers, so that their share comes out as the library's own.
        """
        base = self.base if self.base is not None and self.base.any() else None
        total = self.forest.write(graph, rows, rounded=self.rounded, base=base)
        if self.trees != 1:
            total = graph.node("Cast", [total], to=11)[0]
            total = graph.node("Div", [total, graph.constant(np.float64(self.trees))])[0]
        return total

    def numbers(self, graph: Graph, rows: str) -> str:
        """Add trees and link and return the name of what a regression answers, (rows, targets)."""
        total = self.sums(graph, rows)
        match self.link:
            case "exp":
                return graph.node("Exp", [total])[0]
            case "sigmoid":
                return graph.node("Sigmoid", [total])[0]
            case "softmax":
                return graph.node("Softmax", [total], axis=1)[0]
            case "step":
                above = graph.node("Greater", [total, graph.constant(self._type(0))])[0]
                return graph.node("Cast", [above], to=1)[0]
            case _:
                return total

    def probabilities(self, graph: Graph, numbers: str) -> str:
        """Return the name of (rows, classes) for what `numbers` gave."""
        if self.forest.targets > 1:
            return numbers
        # 1 - p and p in one operator; both are exact.
        signs, ones = np.array([[-1, 1]], dtype=self._type), np.array([1, 0], dtype=self._type)
        return graph.node("Gemm", [numbers, graph.constant(signs), graph.constant(ones)])[0]

    @property
    def _type(self) -> type[np.float32 | np.float64]:
        return np.float32 if self.trees == 1 else np.float64


def labels(graph: Graph, probabilities: str, classes: np.ndarray, outputs: list[str] | int = 1) -> str:
    """Return the name of the most probable class of each row, the first of several."""
    plain = classes.dtype.kind in "iu" and np.array_equal(classes, np.arange(len(classes)))
    place = graph.node("ArgMax", [probabilities], axis=1, keepdims=0, outputs=outputs if plain else 1)[0]
    if plain:
        return place
    return graph.node("Gather", [graph.constant(_plain(classes)), place], axis=0, outputs=outputs)[0]


def _plain(classes: np.ndarray) -> np.ndarray:
    """Return labels in a type that ONNX has."""
    if classes.dtype.kind in "iu":
        return classes.astype(np.int64)
    return classes
