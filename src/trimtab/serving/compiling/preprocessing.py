"""Steps before a model that skl2onnx does not convert: imputers in double precision, functions of numpy."""

from importlib import import_module
from typing import Any

import numpy as np

from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.graph import ContainerGraph, Graph

_SAME_NAME = {
    "absolute": "Abs",
    "ceil": "Ceil",
    "cos": "Cos",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "negative": "Neg",
    "rint": "Round",
    "sign": "Sign",
    "sin": "Sin",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
}
"""Operators by the name of numpy's function."""


def register(skl2onnx: Any, kinds: Any) -> None:
    """Have pipelines use these converters."""
    _imputer(skl2onnx)
    _function(skl2onnx, kinds)


def _imputer(skl2onnx: Any) -> None:
    """Have missing values filled in double precision too, for which ONNX Runtime's own operator is not made."""
    registration: Any = import_module("skl2onnx.common._registration")
    impute: Any = import_module("sklearn.impute")
    alias = "SklearnImputer"
    theirs = registration.get_converter(alias)

    def convert_imputer(scope: Any, operator: Any, container: Any) -> None:
        imputer = operator.raw_operator
        values = np.asarray(imputer.statistics_)
        double = all(type(one.type).__name__ == "DoubleTensorType" for one in operator.inputs)
        gap = imputer.missing_values
        plain = (
            isinstance(gap, float)
            and np.isnan(gap)
            and values.dtype.kind == "f"
            and not np.isnan(values).any()
        )
        if not (double and plain and imputer.indicator_ is None):
            theirs(scope, operator, container)
            return
        graph = ContainerGraph(np.float64, scope, container)
        inputs = [one.full_name for one in operator.inputs]
        rows = inputs[0] if len(inputs) == 1 else graph.node("Concat", inputs, axis=1)[0]
        filled = graph.constant(values.astype(np.float64).reshape(1, -1))
        missing = graph.node("IsNaN", [rows])[0]
        graph.node("Where", [missing, filled, rows], outputs=[operator.outputs[0].full_name])

    shape: Any = registration.get_shape_calculator(alias)
    skl2onnx.update_registered_converter(impute.SimpleImputer, alias, shape, convert_imputer, overwrite=True)


def _function(skl2onnx: Any, kinds: Any) -> None:
    """Have functions of numpy applied to every number."""
    preprocessing: Any = import_module("sklearn.preprocessing")

    def shape(operator: Any) -> None:
        _function_name(operator.raw_operator)
        width = sum(one.type.shape[1] for one in operator.inputs)
        double = all(isinstance(one.type, kinds.DoubleTensorType) for one in operator.inputs)
        number = kinds.DoubleTensorType if double else kinds.FloatTensorType
        operator.outputs[0].type = number([operator.inputs[0].get_first_dimension(), width])

    def convert(scope: Any, operator: Any, container: Any) -> None:
        double = isinstance(operator.outputs[0].type, kinds.DoubleTensorType)
        graph = ContainerGraph(np.float64 if double else np.float32, scope, container)
        inputs = [one.full_name for one in operator.inputs]
        rows = inputs[0] if len(inputs) == 1 else graph.node("Concat", inputs, axis=1)[0]
        made = _apply(graph, _function_name(operator.raw_operator), rows)
        graph.node("Identity", [made], outputs=[operator.outputs[0].full_name])

    skl2onnx.update_registered_converter(
        preprocessing.FunctionTransformer, "SklearnFunctionTransformer", shape, convert, overwrite=True
    )


def _function_name(transformer: Any) -> str:
    """Return the name of the function of numpy, nothing for none; raises Unsupported for others."""
    function = transformer.func
    if function is None:
        return ""
    name = str(getattr(function, "__name__", function))
    known = isinstance(function, np.ufunc) and (name in _SAME_NAME or name in ("log1p", "expm1", "square"))
    if not known or transformer.kw_args:
        raise Unsupported(f"its FunctionTransformer calls {name}, of which no graph is known")
    return name


def _apply(graph: Graph, name: str, rows: str) -> str:
    one = graph.constant(np.array(1, dtype=graph.real))
    match name:
        case "":
            return rows
        case "log1p":
            return graph.node("Log", [graph.node("Add", [rows, one])[0]])[0]
        case "expm1":
            return graph.node("Sub", [graph.node("Exp", [rows])[0], one])[0]
        case "square":
            return graph.node("Mul", [rows, rows])[0]
        case _:
            return graph.node(_SAME_NAME[name], [rows])[0]
