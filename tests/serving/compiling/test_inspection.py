"""Files that must not run inside the gateway are told from those that may."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trimtab.serving.compiling.inspection import problem

onnx = pytest.importorskip("onnx")
ML = "ai.onnx.ml"


def _write(file: Path, *nodes: Any, constants: tuple[Any, ...] = (), functions: tuple[Any, ...] = ()) -> Path:
    helper = onnx.helper
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, [None, 2])],
        [helper.make_empty_tensor_value_info("y")],
        constants,
    )
    model = helper.make_model(graph, functions=functions, opset_imports=[helper.make_opsetid("", 18)])
    file.write_bytes(model.SerializeToString())
    return file


def _trees(yes: list[int], no: list[int], modes: list[str], **more: Any) -> Any:
    count = len(modes)
    return onnx.helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain=ML,
        nodes_treeids=more.get("trees", [0] * count),
        nodes_nodeids=list(range(count)),
        nodes_featureids=more.get("features", [0] * count),
        nodes_truenodeids=yes,
        nodes_falsenodeids=no,
        nodes_modes=modes,
    )


BRANCH, LEAF = "BRANCH_LEQ", "LEAF"


def test_trees_must_end(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    assert problem(_write(file, _trees([1, 0, 0], [2, 0, 0], [BRANCH, LEAF, LEAF]))) == ""
    # Two ways to one leaf, as chains of comparisons with single values have them.
    assert problem(_write(file, _trees([2, 2, 0, 0], [1, 3, 0, 0], [BRANCH, BRANCH, LEAF, LEAF]))) == ""
    assert "circle" in problem(_write(file, _trees([1, 0, 0], [2, 2, 0], [BRANCH, BRANCH, LEAF])))
    assert "nowhere" in problem(_write(file, _trees([1, 0, 0], [7, 0, 0], [BRANCH, LEAF, LEAF])))
    assert "incomplete" in problem(_write(file, _trees([1], [2, 0, 0], [BRANCH, LEAF, LEAF])))
    assert "incomplete" in problem(_write(file, _trees([1], [0], [BRANCH], features=[-5])))
    elsewhere = _trees([1, 0, 0], [2, 0, 0], [BRANCH, LEAF, LEAF], trees=[0, 0, 1])
    assert "nowhere" in problem(_write(file, elsewhere))


def test_only_known_operators_and_nothing_outside_of_the_file(tmp_path: Path) -> None:
    helper, file = onnx.helper, tmp_path / "model.onnx"
    same = helper.make_node("Identity", ["x"], ["y"])
    assert problem(_write(file, same)) == ""
    body = helper.make_graph([], "body", [], [])
    assert "Loop" in problem(_write(file, helper.make_node("Loop", ["x"], ["y"], body=body)))
    assert "Random" in problem(_write(file, helper.make_node("RandomNormal", [], ["y"], shape=[10])))
    assert "another in" in problem(
        _write(file, helper.make_node("Identity", ["x"], ["y"], body=same_graph()))
    )
    assert "Own" in problem(_write(file, helper.make_node("Own", ["x"], ["y"], domain="somewhere")))
    function = helper.make_function("somewhere", "F", ["a"], ["b"], [same], [helper.make_opsetid("", 18)])
    assert "functions" in problem(_write(file, same, functions=(function,)))
    outside = onnx.numpy_helper.from_array(np.zeros(4, dtype=np.float32), "c")
    outside.data_location = onnx.TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    assert "other files" in problem(_write(file, same, constants=(outside,)))
    shape = onnx.numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "c")
    huge = helper.make_node("ConstantOfShape", ["c"], ["y"])
    assert "very large" in problem(_write(file, huge, constants=(shape,)))
    file.write_bytes(b"\xff\xff\xff\xff")
    assert "no ONNX model" in problem(file)


def same_graph() -> Any:
    node = onnx.helper.make_node("Identity", ["a"], ["b"])
    return onnx.helper.make_graph([node], "inner", [], [])
