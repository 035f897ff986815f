"""ONNX models through ONNX Runtime, where that is installed. The files hold no code."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PROBABILITIES
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.loaders.tables import column, matrix, output
from trimtab.serving.routes import Signature

_DTYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


class OnnxModel:
    """A graph with one 2-D input for all columns, or one input per column."""

    flavor = "onnx"
    row_wise = True

    def __init__(self, session: Any, folder: ModelFolder, input_errors: tuple[type[Exception], ...]) -> None:
        self._session = session
        self._inputs = session.get_inputs()
        self._outputs = [item.name for item in session.get_outputs()]
        self._predict = folder.predict
        self.input_errors = (ValueError, TypeError, *input_errors)
        signed = tuple(field.name for field in folder.signature.inputs) if folder.signature else ()
        shape = self._inputs[0].shape if len(self._inputs) == 1 else []
        self._one = len(shape) == 2 and (len(signed) != 1 or shape[1] == 1)
        self.names = signed if self._one and signed else tuple(item.name for item in self._inputs)
        if self._one and not signed and isinstance(shape[1], int):
            self.names = tuple(str(at) for at in range(shape[1]))
        self.packed = self._one and self._inputs[0].type in ("tensor(float)", "tensor(double)")
        unknown = [item.type for item in self._inputs if item.type not in _DTYPES]
        if unknown:
            raise ModelNotLoaded(f"the graph has inputs of types that are not served: {', '.join(unknown)}")
        if self._predict not in ("predict", "predict_proba", "predict_proba_1"):
            raise ModelNotLoaded(
                f"the model's metadata asks for {self._predict!r}, which ONNX models do not have"
            )
        if self._predict != "predict" and len(self._outputs) < 2:
            raise ModelNotLoaded(f"{self._predict} needs a graph with a second output of probabilities")

    def predict(self, rows: Rows, want: int) -> list[Output]:
        results = self._session.run(None, self._feed(rows))
        if len(results) == 1:
            return [output("predictions", _squeeze(np.asarray(results[0])))]
        probabilities = _probabilities(results[1])
        if self._predict == "predict":
            first = _squeeze(np.asarray(results[0]))
        elif self._predict == "predict_proba":
            first = probabilities
        else:
            first = probabilities[:, 1]
        outputs = [output("predictions", first)]
        if want & PROBABILITIES:
            outputs.append(output("probabilities", probabilities))
        return outputs

    def _feed(self, rows: Rows) -> dict[str, np.ndarray]:
        if self._one:
            dtype = _DTYPES[self._inputs[0].type]
            return {self._inputs[0].name: np.ascontiguousarray(matrix(rows, self.names), dtype=dtype)}
        assert rows.columns is not None
        feed: dict[str, np.ndarray] = {}
        for item in self._inputs:
            values = np.array(column(rows.columns, item.name), dtype=_DTYPES[item.type])
            feed[item.name] = values.reshape(-1, 1) if len(item.shape) == 2 and values.ndim == 1 else values
        return feed


def _squeeze(values: np.ndarray) -> np.ndarray:
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def _probabilities(values: Any) -> np.ndarray:
    """Return rows of class probabilities; converters of scikit-learn models give a list of dicts unless told not to."""
    if isinstance(values, list) and values and isinstance(values[0], dict):
        return np.array([list(row.values()) for row in values])
    return np.asarray(values)


class CompiledModel:
    """A graph made by `trimtab.serving.compiling`: its outputs are what the endpoint serves, by name."""

    flavor = "onnx"
    row_wise = True

    def __init__(
        self, session: Any, signature: Signature | None, input_errors: tuple[type[Exception], ...]
    ) -> None:
        # The session's own checks of what it is fed take longer than a small model does, and repeat ours.
        self._run = getattr(session, "_sess", session).run
        inputs = session.get_inputs()
        self._dtypes = {item.name: _DTYPES[item.type] for item in inputs}
        self._first = inputs[0].name
        self._dtype = _DTYPES[inputs[0].type]
        self.names = signature_names(signature) or tuple(item.name for item in inputs)
        self.packed = (
            len(inputs) == 1 and len(inputs[0].shape) == 2 and self._dtype in (np.float32, np.float64)
        )
        outputs = [item.name for item in session.get_outputs()]
        self._predictions = ["predictions"]
        self._all = ["predictions", "probabilities"] if "probabilities" in outputs else self._predictions
        self.input_errors = (ValueError, TypeError, *input_errors)

    def predict(self, rows: Rows, want: int) -> list[Output]:
        names = self._all if want & PROBABILITIES else self._predictions
        results = self._run(names, self._feed(rows), None)
        return [output(name, _squeeze(result)) for name, result in zip(names, results, strict=True)]

    def _feed(self, rows: Rows) -> dict[str, np.ndarray]:
        if self.packed:
            return {self._first: np.ascontiguousarray(matrix(rows, self.names), dtype=self._dtype)}
        assert rows.columns is not None
        return {
            name: np.array(column(rows.columns, name), dtype=dtype).reshape(-1, 1)
            for name, dtype in self._dtypes.items()
        }


def signature_names(signature: Signature | None) -> tuple[str, ...]:
    return tuple(field.name for field in signature.inputs) if signature else ()


def load_compiled(folder: Path, signature: Signature | None) -> CompiledModel:
    """Load the graph in a compiled model's folder with one thread; raises ModelNotLoaded."""
    session, state = _session(folder / "model.onnx")
    return CompiledModel(session, signature, (state.InvalidArgument,))


def load(folder: ModelFolder, *, allow_pickle: bool) -> OnnxModel:
    """Load a graph with one thread."""
    del allow_pickle  # these files hold no code
    session, state = _session(folder.file("onnx", "data"))
    return OnnxModel(session, folder, (state.InvalidArgument,))


def _session(path: Path) -> tuple[Any, Any]:
    try:
        onnxruntime: Any = import_module("onnxruntime")
        state: Any = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    except ImportError:
        raise ModelNotLoaded("ONNX models need ONNX Runtime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (
        state.Fail,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoSuchFile,
        state.InvalidArgument,
    ) as error:
        raise ModelNotLoaded(f"ONNX Runtime cannot read {path.name}: {error}") from None
    return session, state
