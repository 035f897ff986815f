"""Looks through a compiled file before it is kept: a graph of known operators that ends, and nothing beside it.

The gateway runs these files in its own process, and the process that wrote one has loaded foreign files.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.serving.compiling.graph import ML

MOST_BYTES = 1 << 30
_MOST_LEVELS = 20_000
_MOST_ELEMENTS = 1 << 24
_INTEGERS = ("nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_featureids")
_OPERATORS = {
    "": frozenset(
        (
            "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "Ceil", "Clip", "Concat", "Constant",
            "ConstantOfShape", "Cos", "CumSum", "Div", "Equal", "Erf", "Exp", "Flatten", "Floor", "Gather",
            "GatherElements", "GatherND", "Gemm", "Greater", "GreaterOrEqual", "Identity", "IsInf",
            "IsNaN", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max", "Mean", "Min", "Mod",
            "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSumExp",
            "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare",
            "Relu", "Reshape", "Round", "ScatterElements", "Shape", "Sigmoid", "Sign", "Sin", "Slice",
            "Softmax", "Split", "Sqrt", "Squeeze", "StringNormalizer", "Sub", "Sum", "Tanh",
            "TfIdfVectorizer", "TopK", "Transpose", "Unsqueeze", "Where", "Xor",
        )
    ),
    ML: frozenset(
        (
            "ArrayFeatureExtractor", "Binarizer", "FeatureVectorizer", "Imputer", "LabelEncoder",
            "LinearClassifier", "LinearRegressor", "Normalizer", "OneHotEncoder", "Scaler",
            "SVMClassifier", "SVMRegressor", "TreeEnsembleClassifier", "TreeEnsembleRegressor",
        )
    ),
}  # fmt: skip


def problem(file: Path) -> str:
    """Return why a file must not run inside the gateway, in words, or nothing."""
    onnx: Any = import_module("onnx")
    protobuf: Any = import_module("google.protobuf.message")
    if file.stat().st_size > MOST_BYTES:
        return f"its graph is larger than {MOST_BYTES >> 20} MiB"
    model = onnx.ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except protobuf.DecodeError:
        return "its file is no ONNX model"
    if model.functions or model.training_info or model.graph.sparse_initializer:
        return "its graph has functions of its own"
    constants: dict[str, Any] = {}
    for constant in model.graph.initializer:
        if constant.external_data or constant.data_location:
            return "its graph refers to other files"
        constants[constant.name] = constant
    return next(filter(None, (_operator(onnx, node, constants) for node in model.graph.node)), "")


def _operator(onnx: Any, node: Any, constants: dict[str, Any]) -> str:
    if node.op_type not in _OPERATORS.get(node.domain, ()):
        return f"its graph has the operator {node.op_type}, which the gateway does not run"
    if any(attribute.g.node or attribute.graphs for attribute in node.attribute):
        return f"its graph has another in the operator {node.op_type}"
    shape = constants.get(node.input[0]) if node.op_type == "ConstantOfShape" else None
    if shape is not None and np.prod(np.maximum(onnx.numpy_helper.to_array(shape), 1.0)) > _MOST_ELEMENTS:
        return "its graph makes a very large constant"
    return _trees(node) if node.op_type.startswith("TreeEnsemble") else ""


def _trees(node: Any) -> str:
    """Return what is wrong with the trees of an operator: a way that leads nowhere, or round in a circle."""
    values = {one.name: one for one in node.attribute}
    if not values.keys() >= {*_INTEGERS, "nodes_modes"}:
        return "its trees are incomplete"
    tree, place, yes, no, feature = (np.array(values[name].ints, dtype=np.int64) for name in _INTEGERS)
    inner = np.array([mode != b"LEAF" for mode in values["nodes_modes"].strings], dtype=bool)
    count = len(tree)
    if count == 0 or any(len(one) != count for one in (place, yes, no, feature, inner)) or feature.min() < 0:
        return "its trees are incomplete"
    key = _keys(tree, place)
    order = np.argsort(key, kind="stable")
    children = [np.full(count, -1), np.full(count, -1)]
    for child, given in zip(children, (yes, no), strict=True):
        wanted = _keys(tree, given)
        found = order[np.minimum(np.searchsorted(key[order], wanted), count - 1)]
        if (key[found] != wanted)[inner].any():
            return "its trees have a node that leads nowhere"
        child[inner] = found[inner]
    level = np.flatnonzero(np.concatenate([[True], tree[1:] != tree[:-1]]))
    for _ in range(_MOST_LEVELS):
        level = _below(level, children)
        if len(level) == 0:
            return ""
    return "its trees lead round in a circle"


def _below(level: np.ndarray, children: Sequence[np.ndarray]) -> np.ndarray:
    """Return the nodes that some of these lead to, each once."""
    reached = np.zeros(len(children[0]) + 1, dtype=bool)
    for child in children:
        reached[child[level]] = True  # the last place stands for none
    return np.flatnonzero(reached[:-1])


def _keys(tree: np.ndarray, place: np.ndarray) -> np.ndarray:
    return tree * (1 << 32) + place
