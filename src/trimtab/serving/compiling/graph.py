"""Writes ONNX graphs: nodes and constants into one list, or into the container of a converter that is under way."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

import numpy as np

OPSET = 18
"""Of the standard operators: what every ONNX Runtime since 1.15 reads."""
ML_OPSET = 3
"""Of the ai.onnx.ml operators: the one whose tree ensembles take thresholds in double precision."""
ML = "ai.onnx.ml"


class Graph(Protocol):
    """Takes nodes. ``real`` is the type of the numbers that go through it: float32 or float64."""

    real: np.dtype[Any]

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        outputs: Sequence[str] | int = 1,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Add a node and return the names of its outputs, which are given or made up."""
        ...

    def constant(self, values: Any) -> str:
        """Add an array, or a list of texts, and return its name."""
        ...


class NewGraph:
    """A graph from nothing."""

    def __init__(self, real: Any) -> None:
        self.real = np.dtype(real)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._helper: Any = import_module("onnx.helper")
        self._numpy_helper: Any = import_module("onnx.numpy_helper")
        self._count = 0
        self._named: dict[str, str] = {}
        self._opsets: dict[str, int] = {}

    @classmethod
    def of(cls, model: Any, real: Any) -> "NewGraph":
        """Return a graph that goes on from a model's."""
        graph = cls(real)
        graph.nodes = list(model.graph.node)
        graph.constants = list(model.graph.initializer)
        graph._opsets = {one.domain: one.version for one in model.opset_import}
        return graph

    def fresh(self, stem: str) -> str:
        self._count += 1
        return f"t_{stem.lower()}_{self._count}"

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        outputs: Sequence[str] | int = 1,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        names = [self.fresh(kind) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        self.nodes.append(
            self._helper.make_node(
                kind, list(inputs), names, name=self.fresh(kind), domain=domain, **attributes
            )
        )
        return names

    def constant(self, values: Any) -> str:
        name = self.fresh("c")
        array = np.asarray(values)
        if array.dtype.kind in "UO":
            array = array.astype(object)
        self.constants.append(self._numpy_helper.from_array(array, name))
        return name

    def name_output(self, made: str, name: str) -> None:
        """Give what was made its name as an output of the model."""
        if made in self._named:
            self.node("Identity", [self._named[made]], outputs=[name])
            return
        self._named[made] = name
        for node in self.nodes:
            for names in (node.input, node.output):
                for at, one in enumerate(names):
                    if one == made:
                        names[at] = name

    def drop_unused(self, outputs: Sequence[str]) -> None:
        """Remove nodes and constants that no output needs; nodes stand in the order in which they run."""
        needed = set(outputs)
        kept: list[Any] = []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                kept.append(node)
                needed |= set(node.input)
        self.nodes = kept[::-1]
        self.constants = [one for one in self.constants if one.name in needed]

    def opsets(self) -> dict[str, int]:
        """Return the versions of the operators by domain."""
        used = {node.domain for node in self.nodes} | {""}
        ours = {"": OPSET, ML: ML_OPSET}
        return {domain: self._opsets.get(domain) or ours.get(domain, 1) for domain in used}


class ContainerGraph:
    """The part of a graph that one operator of skl2onnx becomes."""

    def __init__(self, real: Any, scope: Any, container: Any) -> None:
        self.real = np.dtype(real)
        self._scope = scope
        self._container = container
        self._numpy_helper: Any = import_module("onnx.numpy_helper")

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        outputs: Sequence[str] | int = 1,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        names = (
            [self._scope.get_unique_variable_name(f"t_{kind.lower()}") for _ in range(outputs)]
            if isinstance(outputs, int)
            else list(outputs)
        )
        self._container.add_node(
            kind,
            list(inputs),
            names,
            op_domain=domain,
            op_version=ML_OPSET if domain == ML else None,
            name=self._scope.get_unique_operator_name(kind),
            **attributes,
        )
        return names

    def constant(self, values: Any) -> str:
        name = self._scope.get_unique_variable_name("t_c")
        array = np.asarray(values)
        if array.dtype.kind in "UO":
            array = array.astype(object)
        self._container.add_initializer(name, None, None, self._numpy_helper.from_array(array, name))
        return name
