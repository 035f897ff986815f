"""scikit-learn's pipelines through skl2onnx, with our own trees in place of its own."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from trimtab.serving.compiling import preprocessing
from trimtab.serving.compiling.ensembles import labels
from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.graph import ML, ML_OPSET, OPSET, ContainerGraph, NewGraph
from trimtab.serving.routes import NUMERIC

if TYPE_CHECKING:
    from trimtab.serving.compiling.convert import Source

INPUT = "rows"
_ORDERED = "ordered_rows"
_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [True, False],
    "raw_scores": [True, False],
}
_SKLEARN_TREES = {
    "sklearn.tree": ("DecisionTree", "ExtraTree"),
    "sklearn.ensemble": ("RandomForest", "ExtraTrees", "GradientBoosting", "HistGradientBoosting"),
}
_OTHER_TREES = {
    "xgboost": ("XGB{}", "XGBRF{}"),
    "lightgbm": ("LGBM{}",),
}


def convert(
    source: "Source", real: Any
) -> tuple[NewGraph, dict[str, str], list[tuple[str, str, int]], list[str]]:
    """Return the graph, the names of what it makes, its inputs (name, type, width), and the columns' types."""
    if source.estimator is None:
        raise Unsupported(f"models of the flavour {source.model.flavor} with such columns are not converted")
    try:
        skl2onnx: Any = import_module("skl2onnx")
        kinds: Any = import_module("skl2onnx.common.data_types")
    except ImportError as error:
        raise Unsupported("scikit-learn models need skl2onnx: pip install 'trimtab[compile]'") from error
    _register(skl2onnx, kinds)
    preprocessing.register(skl2onnx, kinds)
    kind = np.dtype(real).name
    number = kinds.FloatTensorType if real == np.float32 else kinds.DoubleTensorType
    estimator = source.estimator
    ordered = source.order == list(range(len(source.fields)))
    if source.numeric:
        types = [kind] * len(source.fields)
        inputs = [(INPUT, kind, len(source.fields))]
        given = [(INPUT if ordered else _ORDERED, number([None, len(source.model.names)]))]
    else:
        types = [kind if field.type in NUMERIC else "string" for field in source.fields]
        inputs = [(field.name, one, 1) for field, one in zip(source.fields, types, strict=True)]
        given = [
            (
                source.fields[at].name,
                number([None, 1]) if types[at] == kind else kinds.StringTensorType([None, 1]),
            )
            for at in source.order
        ]
    classifies = getattr(estimator, "_estimator_type", None) == "classifier" or hasattr(estimator, "classes_")
    options: dict[Any, Any] = {}
    if classifies:
        options = {id(estimator): {"zipmap": False}}
        if source.mode == "decision_function":
            options[id(estimator)]["raw_scores"] = True
    with _by_place(estimator) if source.numeric else _unchanged():
        model = _convert(skl2onnx, estimator, given, options)
    graph = NewGraph.of(model, real)
    if source.numeric and not ordered:
        places = graph.constant(np.array(source.order, dtype=np.int64))
        graph.node("Gather", [INPUT, places], outputs=[_ORDERED], axis=1)
        graph.nodes.insert(0, graph.nodes.pop())
    return (
        graph,
        _parts(source, graph, [one.name for one in model.graph.output], classifies=classifies),
        inputs,
        types,
    )


def _convert(skl2onnx: Any, estimator: Any, given: Any, options: dict[Any, Any]) -> Any:
    try:
        return skl2onnx.convert_sklearn(
            estimator, initial_types=given, options=options, target_opset={"": OPSET, ML: ML_OPSET}
        )
    except Unsupported:
        raise
    except Exception as error:
        # Its converters raise anything where they meet what they do not know.
        wanted = options.get(id(estimator), {})
        if "zipmap" in wanted and "Option 'zipmap' not in" in str(
            error
        ):  # a classifier without probabilities
            rest = {key: value for key, value in wanted.items() if key != "zipmap"}
            return _convert(skl2onnx, estimator, given, {id(estimator): rest} if rest else {})
        raise Unsupported(f"skl2onnx does not convert it: {_first_line(error).rstrip('.')}") from error


def _parts(source: "Source", graph: NewGraph, outputs: list[str], *, classifies: bool) -> dict[str, str]:
    if not classifies:
        return {"numbers": outputs[0]}
    if source.mode == "decision_function":
        scores = outputs[1]
        if len(source.native[0].shape) == 1:
            scores = graph.node("Gather", [scores, graph.constant(np.int64(1))], axis=1)[0]
        return {"numbers": scores}
    parts = {"label": outputs[0]}
    if len(outputs) > 1:
        parts["probabilities"] = outputs[1]
    return parts


@contextmanager
def _unchanged() -> Generator[None]:
    yield


@contextmanager
def _by_place(estimator: Any) -> Generator[None]:
    """Have column transformers find their columns by place, as those of one matrix have no names."""
    changed: list[tuple[Any, str, Any]] = []
    waiting: list[Any] = [estimator]
    while waiting:
        part = waiting.pop()
        if hasattr(part, "flatten_transform"):
            changed.append((part, "flatten_transform", part.flatten_transform))
            part.flatten_transform = False  # of no account for predictions
        if hasattr(part, "transformers_") and hasattr(part, "_transformer_to_input_indices"):
            changed.append((part, "transformers_", part.transformers_))
            places = part._transformer_to_input_indices
            part.transformers_ = [
                (name, step, list(places[name]) if name in places else columns)
                for name, step, columns in part.transformers_
            ]
        waiting += [step for _, step in getattr(part, "steps", None) or () if step is not None]
        for name in ("estimator", "estimator_", "base_estimator"):
            inner = getattr(part, name, None)
            if hasattr(inner, "get_params"):
                waiting.append(inner)
    try:
        yield
    finally:
        for part, name, before in changed:
            setattr(part, name, before)


def _register(skl2onnx: Any, kinds: Any) -> None:
    """Have every tree model, wherever in a pipeline it stands, become a graph of ours."""
    import sys

    classes: list[Any] = []
    for module, stems in _SKLEARN_TREES.items():
        loaded = import_module(module)
        classes += [getattr(loaded, stem + end) for stem in stems for end in ("Classifier", "Regressor")]
    for library, patterns in _OTHER_TREES.items():
        loaded = sys.modules.get(library)
        names = [pattern.format(end) for pattern in patterns for end in ("Classifier", "Regressor")]
        classes += [getattr(loaded, name) for name in names if hasattr(loaded, name)]
    for one in classes:
        classifies = one.__name__.endswith("Classifier")
        skl2onnx.update_registered_converter(
            one,
            f"Trimtab{one.__name__}",
            _shape_of(kinds, classifies=classifies),
            _converter(classifies=classifies),
            options=_OPTIONS if classifies else None,
        )


def _shape_of(kinds: Any, *, classifies: bool) -> Any:
    def shape(operator: Any) -> None:
        double = isinstance(operator.inputs[0].type, kinds.DoubleTensorType)
        number = kinds.DoubleTensorType if double else kinds.FloatTensorType
        estimator = operator.raw_operator
        if not classifies:
            operator.outputs[0].type = number([None, getattr(estimator, "n_outputs_", 1)])
            return
        text = np.asarray(estimator.classes_).dtype.kind in "UO"
        operator.outputs[0].type = (kinds.StringTensorType if text else kinds.Int64TensorType)([None])
        operator.outputs[1].type = number([None, len(estimator.classes_)])

    return shape


def _converter(*, classifies: bool) -> Any:
    def convert_trees(scope: Any, operator: Any, container: Any) -> None:
        from trimtab.serving.compiling.convert import estimator_ensemble

        estimator = operator.raw_operator
        found = estimator_ensemble(estimator)
        if found is None:
            raise Unsupported(f"the trees of {type(estimator).__name__} cannot be read")
        double = type(operator.inputs[0].type).__name__ == "DoubleTensorType"
        graph = ContainerGraph(np.float64 if double else np.float32, scope, container)
        rows = operator.inputs[0].full_name
        if type(operator.inputs[0].type).__name__ not in ("DoubleTensorType", "FloatTensorType"):
            rows = graph.node("Cast", [rows], to=1)[0]
        element = 11 if double else 1
        outputs = [one.full_name for one in operator.outputs]
        if not classifies:
            graph.node("Cast", [found.numbers(graph, rows)], outputs=outputs[:1], to=element)
            return
        classes = np.asarray(estimator.classes_)
        raw = bool(container.get_options(estimator, {"raw_scores": False}).get("raw_scores"))
        if raw and found.link == "share":
            raise Unsupported(f"{type(estimator).__name__} has no decision_function()")
        probabilities = found.probabilities(graph, found.numbers(graph, rows))
        labels(
            graph,
            probabilities,
            classes if classes.dtype.kind in "UO" else classes.astype(np.int64),
            outputs[:1],
        )
        scores = probabilities
        if raw:
            scores = found.sums(graph, rows)
            if found.forest.targets == 1:
                scores = graph.node("Concat", [graph.node("Neg", [scores])[0], scores], axis=1)[0]
        graph.node("Cast", [scores], outputs=outputs[1:2], to=element)

    return convert_trees


def _first_line(error: Exception) -> str:
    lines = (str(error) or type(error).__name__).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
