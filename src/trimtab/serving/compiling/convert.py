"""Turns a loaded model into one ONNX graph that answers what the endpoint serves: ``predictions``, ``probabilities``."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import msgspec
import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.compiling import catboost_trees, lightgbm_trees, sklearn_trees, xgboost_trees
from trimtab.serving.compiling.ensembles import Ensemble, labels
from trimtab.serving.compiling.errors import Unsupported
from trimtab.serving.compiling.graph import NewGraph
from trimtab.serving.loaders import Model
from trimtab.serving.loaders.contract import METADATA_KEY, Answered, Contract
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.routes import NUMERIC, Field

INPUT = "rows"
ELEMENTS = {"float32": 1, "float64": 11, "int64": 7, "string": 8}
"""Numbers of element types in ONNX."""
_IR_VERSION = 8
_CAST_LABELS = {"BOOL": 9, "FP64": 11, "FP32": 1}
_PRODUCER = "trimtab"


class Source:
    """A native model with what is known of its columns. ``whole`` are the columns of integers."""

    def __init__(
        self, folder: ModelFolder, model: Model, fields: Sequence[Field], native: Sequence[Output]
    ) -> None:
        self.folder = folder
        self.model = model
        self.fields = tuple(fields)
        self.native = tuple(native)
        self.estimator: Any = getattr(model, "estimator", None)
        self.booster: Any = getattr(model, "booster", None)
        self.mode = folder.predict
        self._ensemble: Ensemble | None = None
        self._has_looked = False

    @property
    def names(self) -> list[str]:
        return [field.name for field in self.fields]

    @property
    def numeric(self) -> bool:
        return all(field.type in NUMERIC for field in self.fields)

    @property
    def order(self) -> list[int]:
        """The places of the model's columns among those of the signature."""
        places = {name: at for at, name in enumerate(self.names)}
        return [places[name] for name in self.model.names]

    def ensemble(self) -> Ensemble | None:
        """Return the model's trees where it is nothing but trees; raises Unsupported."""
        if not self._has_looked:
            self._ensemble = self._look()
            self._has_looked = True
        return self._ensemble

    def _look(self) -> Ensemble | None:
        whole = [self.fields[at].type in ("boolean", "integer", "long") for at in self.order]
        if self.model.flavor == "xgboost":
            rounds = self.booster.attr("best_iteration")
            return xgboost_trees.ensemble_of(self.booster, rounds=None if rounds is None else int(rounds) + 1)
        if self.model.flavor == "lightgbm":
            return lightgbm_trees.ensemble_of(self.booster, whole=whole)
        if self.model.flavor == "catboost":
            return catboost_trees.ensemble_of(self.booster)
        return estimator_ensemble(self.estimator, whole=whole)


def estimator_ensemble(estimator: Any, *, whole: Sequence[bool] = ()) -> Ensemble | None:
    """Return the trees of a fitted estimator of any library, None where it is of another kind; raises Unsupported."""
    kind = type(estimator)
    library = kind.__module__.partition(".")[0]
    if library == "sklearn":
        return sklearn_trees.ensemble_of(estimator)
    if library == "xgboost" and hasattr(estimator, "get_booster"):
        booster = estimator.get_booster()
        best = booster.attr("best_iteration")
        found = xgboost_trees.ensemble_of(booster, rounds=None if best is None else int(best) + 1)
    elif library == "lightgbm" and hasattr(estimator, "booster_"):
        found = lightgbm_trees.ensemble_of(estimator.booster_, whole=whole)
    else:
        return None
    classes = getattr(estimator, "classes_", None)
    if classes is None or found.classes is None:
        found.classes = None
    elif len(classes) != max(2, found.forest.targets):
        raise Unsupported("its classes do not fit its trees")
    else:
        found.classes = np.asarray(classes)
    return found


def convert(source: Source, real: Any, *, complete: Sequence[str] = ()) -> tuple[Any, Contract]:
    """Return an ONNX model with numbers of float32 or float64, and its contract; raises Unsupported.

    Values of ``complete`` columns must not be missing.
    """
    ensemble = source.ensemble() if source.numeric else None
    if ensemble is not None:
        graph, parts = _from_trees(source, ensemble, real)
        types = [np.dtype(real).name] * len(source.fields)
        inputs = [(INPUT, types[0], len(source.fields))]
    else:
        from trimtab.serving.compiling import pipelines

        graph, parts, inputs, types = pipelines.convert(source, real)
    _finish(source, graph, parts)
    contract = Contract(
        layout="matrix" if len(inputs) == 1 and inputs[0][0] == INPUT else "columns",
        names=source.names,
        types=types,
        outputs=[Answered(one.name, one.datatype, one.shape[1:]) for one in source.native],
        complete=list(complete),
    )
    return _model(graph, inputs, source, contract), contract


def _from_trees(source: Source, ensemble: Ensemble, real: Any) -> tuple[NewGraph, dict[str, str]]:
    graph = NewGraph(real)
    rows = INPUT
    if source.order != list(range(len(source.fields))):
        rows = graph.node("Gather", [rows, graph.constant(np.array(source.order, dtype=np.int64))], axis=1)[0]
    if source.mode == "decision_function":
        return graph, {"numbers": ensemble.sums(graph, rows)}
    parts = {"numbers": ensemble.numbers(graph, rows)}
    wanted = {one.name for one in source.native}
    labelled = source.mode == "predict" and ensemble.classes is not None and _has_labels(source)
    if "probabilities" in wanted or labelled or source.mode != "predict":
        parts["probabilities"] = ensemble.probabilities(graph, parts["numbers"])
        if parts["probabilities"] != parts["numbers"]:
            parts["second"] = parts["numbers"]
    if labelled and ensemble.classes is not None:
        parts["label"] = labels(graph, parts["probabilities"], ensemble.classes)
    return graph, parts


def _has_labels(source: Source) -> bool:
    """Whether predict() gives labels: scikit-learn's interface does, boosters give what their objective is."""
    return source.estimator is not None or bool(getattr(source.model, "classifies", False))


def _finish(source: Source, graph: NewGraph, parts: dict[str, str]) -> None:
    """Name the outputs as the endpoint serves them; raises Unsupported where the graph lacks one."""
    for one in source.native:
        made = parts.get("probabilities") if one.name == "probabilities" else _first(source, graph, parts)
        if made is None:
            raise Unsupported(f"it answers {one.name!r}, which its graph does not have")
        if made == parts.get("label"):
            if one.datatype in _CAST_LABELS:
                made = graph.node("Cast", [made], to=_CAST_LABELS[one.datatype])[0]
        elif made in (parts.get("numbers"), parts.get("second")) and len(one.shape) == 1:
            made = graph.node("Reshape", [made, graph.constant(np.array([-1], dtype=np.int64))])[0]
        graph.name_output(made, one.name)


def _first(source: Source, graph: NewGraph, parts: dict[str, str]) -> str | None:
    match source.mode:
        case "predict":
            return parts.get("label") or parts.get("numbers")
        case "predict_proba":
            return parts.get("probabilities")
        case "predict_proba_1":
            if "second" in parts:
                return parts["second"]
            if "probabilities" not in parts:
                return None
            return graph.node("Gather", [parts["probabilities"], graph.constant(np.int64(1))], axis=1)[0]
        case "predict_log_proba":
            return graph.node("Log", [parts["probabilities"]])[0] if "probabilities" in parts else None
        case "decision_function":
            return parts.get("numbers")
        case other:
            raise Unsupported(f"it answers with {other}()")


def _model(
    graph: NewGraph, inputs: Sequence[tuple[str, str, int]], source: Source, contract: Contract
) -> Any:
    """Return the graph as a model file that says what it takes and gives."""
    helper: Any = import_module("onnx.helper")
    graph.drop_unused([one.name for one in source.native])
    taken = [
        helper.make_tensor_value_info(name, ELEMENTS[kind], [None, width]) for name, kind, width in inputs
    ]
    given = [helper.make_empty_tensor_value_info(one.name) for one in source.native]
    body = helper.make_graph(graph.nodes, "model", taken, given, graph.constants)
    imports = [helper.make_opsetid(domain, version) for domain, version in sorted(graph.opsets().items())]
    model = helper.make_model(body, opset_imports=imports, producer_name=_PRODUCER, ir_version=_IR_VERSION)
    helper.set_model_props(model, {METADATA_KEY: msgspec.json.encode(contract).decode()})
    return model
