"""Compiled models: graphs that the compiler wrote and compared with the native model, run by ONNX Runtime.

The file says itself what it takes and gives, in an entry of its metadata (`Contract`). It is data, not code, so that
it may run in the gateway's own process. No data frames, and of libraries numpy and ONNX Runtime alone.
"""

import contextlib
import ctypes
import math
import struct
import threading
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from trimtab.kernel.protobuf import BadProtobuf
from trimtab.serving.batch import Output
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PROBABILITIES
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.contract import CONTRACT_VERSION, METADATA_KEY, MODEL_FILE, Contract
from trimtab.serving.loaders.tables import column, missing
from trimtab.serving.routes import Signature
from trimtab.serving.trees.batches import Batches, taken_out
from trimtab.serving.trees.predictor import PredictorFailed

_TOO_LARGE = "a value is too large for this model, which counts in single precision"
_LARGE_BYTES = 1 << 20
_MANY_ROWS = 100
"""From here on trees are asked in blocks of rows, where XGBoost's predictor is there."""
Feed = dict[str, np.ndarray]
_FORMATS = {"float32": "f", "float64": "d"}


class CompiledModel:
    """A compiled model with one session. Any thread may call it, several at a time too."""

    flavor = "compiled"
    row_wise = True

    def __init__(
        self,
        session: Any,
        contract: Contract,
        graph_errors: tuple[type[Exception], ...],
        *,
        batches: Callable[[Sequence[str], Feed], Batches | None],
    ) -> None:
        """``batches`` makes of the model one for many rows, for the outputs and with the rows that it is given."""
        runtime: Any = import_module("onnxruntime")
        # Its Python wrapper only looks at the names once more, for as long as a small model takes.
        inner = getattr(session, "_sess", None)
        self._run: Any = session.run if inner is None else inner.run
        self._options: Any = runtime.RunOptions()
        self._graph_errors = graph_errors
        self.contract = contract
        self.input_errors: tuple[type[Exception], ...] = (ValueError, TypeError)
        self.names = tuple(contract.names)
        self.packed = contract.layout == "matrix"
        self.dtype = np.dtype(contract.types[0] if self.packed else np.float64)
        """The type of the matrix that `run` takes."""
        self._row = struct.Struct(f"={len(self.names)}{_FORMATS[self.dtype.name]}")
        self._complete = np.array([name in contract.complete for name in self.names], dtype=bool)
        self._checked = bool(self._complete.any())
        self._input: str = session.get_inputs()[0].name
        self._every = [answer.name for answer in contract.outputs]
        self._first = self._every[:1]
        self.in_blocks = True
        """Whether trees may be asked in blocks of rows where there are many."""
        self._make_batches = batches
        self._batches: Batches | None = None
        self._batches_tried = threading.Lock()
        self._alone: _OneRow | None = None
        if self.packed:
            with contextlib.suppress(AttributeError, TypeError):
                self._alone = _OneRow(session, contract, self.dtype, self._options, checked=self._checked)

    def predict(self, rows: Rows, want: int) -> list[Output]:
        """Return the outputs; raises ValueError for rows that the native model refuses too."""
        count = rows.count
        try:
            arrays = self._alone.predict(rows, want) if count == 1 and self._alone is not None else None
            if arrays is None:
                arrays = [array.ravel().tolist() for array in self._outputs(self._feed(rows), count, want)]
        except self._graph_errors as error:
            raise ValueError("a value is none of those that the model knows") from error
        return [
            Output(answer.name, answer.datatype, [count, *answer.shape], values)
            for answer, values in zip(self.contract.outputs, arrays, strict=False)
        ]

    def run(self, matrix: np.ndarray, want: int) -> list[np.ndarray]:
        """Return the outputs' arrays, ``predictions`` first, for a C-contiguous (rows, columns) array of `dtype`.

        Only for a packed model, and for rows without missing values in columns that must be complete.
        """
        return self._outputs({self._input: matrix}, len(matrix), want)

    def prepare_batches(self, rows: Rows) -> bool:
        """Get ready to answer many rows like these in blocks, and say whether that can be."""
        if self._batches is None and self._batches_tried.acquire(blocking=False):
            self._try_batches(self._feed(rows))
        return self._batches is not None

    def _outputs(self, feed: Feed, count: int, want: int) -> list[np.ndarray]:
        names = self._every if want & PROBABILITIES else self._first
        if count >= _MANY_ROWS and self.in_blocks:
            if self._batches is not None:
                return self._batches.run(names, feed)
            if self._batches_tried.acquire(blocking=False):
                # Nobody waits for it: until it is there, and where it never is, the graph answers.
                threading.Thread(target=self._try_batches, args=(feed,), daemon=True).start()
        return self._run(names, feed, self._options)

    def _try_batches(self, feed: Feed) -> None:
        with contextlib.suppress(PredictorFailed, BadProtobuf, *self._graph_errors):
            self._batches = self._make_batches(self._every, feed)

    def _feed(self, rows: Rows) -> Feed:
        return {self._input: self._matrix(rows)} if self.packed else self._columns(rows)

    def _matrix(self, rows: Rows) -> np.ndarray:
        given = rows.matrix
        if given is None:
            given = self._listed(rows)
        if given.dtype != self.dtype or not given.flags.c_contiguous:
            try:
                given = given.astype(self.dtype, order="C")
            except RuntimeWarning:
                raise ValueError(_TOO_LARGE) from None
        if self._checked and np.isnan(given[:, self._complete]).any():
            raise ValueError(missing(Rows(rows.count, matrix=np.where(self._complete, given, 0)), self.names))
        return given

    def _listed(self, rows: Rows) -> np.ndarray:
        columns = rows.columns
        assert columns is not None
        try:
            if rows.count == 1:
                values = self._row.pack(*[columns[name][0] for name in self.names])
                return np.frombuffer(values, self.dtype).reshape(1, len(self.names))
            return np.array([columns[name] for name in self.names], dtype=np.float64).T
        except OverflowError:
            raise ValueError(_TOO_LARGE) from None
        except KeyError as error:
            raise ValueError(f"column {error.args[0]!r} is missing") from None
        except (struct.error, TypeError, ValueError):
            return self._with_gaps(columns)

    def _with_gaps(self, columns: dict[str, list[Any]]) -> np.ndarray:
        """Return lists with missing values as float64; raises ValueError for what is no number."""
        table: list[np.ndarray] = []
        for name in self.names:
            values = column(columns, name)
            try:
                table.append(np.array([math.nan if v is None else v for v in values], dtype=np.float64))
            except (TypeError, ValueError):
                raise ValueError(f"column {name!r} has a value that is no number") from None
        return np.array(table).T

    def _columns(self, rows: Rows) -> dict[str, np.ndarray]:
        assert rows.columns is not None, "text never comes packed"
        feed: dict[str, np.ndarray] = {}
        for place, (name, kind) in enumerate(zip(self.names, self.contract.types, strict=True)):
            values = column(rows.columns, name)
            if (kind in ("string", "int64") or self._complete[place]) and None in values:
                raise ValueError(missing(Rows(rows.count, columns={name: values}), (name,)))
            if kind == "string":
                array = np.array(values, dtype=object)
            elif kind == "int64":
                array = np.array(values, dtype=np.int64)
            else:
                array = np.array([math.nan if v is None else v for v in values], dtype=kind)
            feed[name] = array.reshape(-1, 1)
        return feed


class _OneRow:
    """Single rows, for which arrays are bound once: making them each time takes as long as a small model.

    Whoever comes while another uses the arrays is sent the ordinary way.
    """

    def __init__(self, session: Any, contract: Contract, dtype: Any, options: Any, *, checked: bool) -> None:
        """Raises AttributeError where this ONNX Runtime lacks what its own wrapper calls, and TypeError for text."""
        self._run: Any = session._sess.run_with_iobinding  # noqa: SLF001 - the wrapper takes ten times as long
        self._session = session
        self._options = options
        self._checked = checked
        self._names = contract.names
        self._row = struct.Struct(f"={len(self._names)}{_FORMATS[np.dtype(dtype).name]}")
        self._matrix = np.zeros((1, len(self._names)), dtype)
        self._buffer: Any = self._matrix
        self._free = threading.Lock()
        self._input: str = session.get_inputs()[0].name
        outputs = [answer.name for answer in contract.outputs]
        sample: list[np.ndarray] = session.run(outputs, {self._input: self._matrix})
        if any(array.dtype == object for array in sample):
            raise TypeError("text has no place of a fixed size")
        self._arrays = [np.zeros_like(array) for array in sample]
        self._kept = [self._bind(outputs), self._bind(outputs[:1])]
        self._every, self._first = (binding._iobinding for binding in self._kept)  # noqa: SLF001

    def _bind(self, outputs: Sequence[str]) -> Any:
        binding = self._session.io_binding()
        matrix = self._matrix
        binding.bind_input(self._input, "cpu", 0, matrix.dtype, matrix.shape, matrix.ctypes.data)
        for name, array in zip(outputs, self._arrays, strict=False):
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return binding

    def predict(self, rows: Rows, want: int) -> list[list[Any]] | None:
        """Return the outputs' values, or None where the ordinary way must be taken."""
        if not self._free.acquire(blocking=False):
            return None
        try:
            if rows.matrix is not None:
                self._matrix[:] = rows.matrix
            else:
                columns = rows.columns
                assert columns is not None
                self._row.pack_into(self._buffer, 0, *[columns[name][0] for name in self._names])
            if self._checked and math.isnan(self._matrix.sum(dtype=np.float64)):
                return None
            if want & PROBABILITIES:
                self._run(self._every, self._options)
                return [array.ravel().tolist() for array in self._arrays]
            self._run(self._first, self._options)
            return [self._arrays[0].ravel().tolist()]
        except (struct.error, KeyError, TypeError):
            return None  # something is missing or no number, which the ordinary way puts into words
        except (OverflowError, RuntimeWarning):
            raise ValueError(_TOO_LARGE) from None
        finally:
            self._free.release()


def load_compiled(path: Path, signature: Signature | None = None) -> CompiledModel:
    """Load a compiled model from its folder or file; raises ModelNotLoaded saying why it cannot serve here.

    ``signature`` is what requests are checked against: its columns must be there where one is given.
    """
    file = path / MODEL_FILE if path.is_dir() else path
    try:
        runtime: Any = import_module("onnxruntime")
        state: Any = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    except ImportError:
        raise ModelNotLoaded("compiled models need ONNX Runtime: pip install 'trimtab[compile]'") from None
    # Of all ways to notice that a number does not fit, the only one that costs nothing where all do.
    warnings.filterwarnings(
        "error", "overflow encountered in cast", RuntimeWarning, __name__.replace(".", r"\.")
    )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # one row needs next to nothing, and is answered sooner without
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def opened(model: str | bytes) -> Any:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def batches(names: Sequence[str], feed: Feed) -> Batches | None:
        try:
            return taken_out(file.read_bytes(), opened, whole=session, names=names, feed=feed)
        finally:
            _give_back(file)

    try:
        session = opened(str(file))
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "")
        contract = msgspec.json.decode(text, type=Contract)
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile, state.InvalidArgument,
            state.NotImplemented, state.RuntimeException) as error:  # fmt: skip
        raise ModelNotLoaded(f"ONNX Runtime cannot read {file.name}: {error}") from None
    except msgspec.MsgspecError as error:
        raise ModelNotLoaded(f"{file.name} is no compiled model: {error}") from None
    if contract.version != CONTRACT_VERSION:
        raise ModelNotLoaded(f"{file.name} was compiled by another version of Trimtab; compile it again")
    if signature is not None:
        lacking = set(contract.names) - {field.name for field in signature.inputs}
        if lacking:
            raise ModelNotLoaded(
                f"{file.name} wants columns that the signature lacks: {', '.join(sorted(lacking))}"
            )
    _give_back(file)
    errors = (state.InvalidArgument, state.Fail, RuntimeError)
    return CompiledModel(session, contract, errors, batches=batches)


def _give_back(file: Path) -> None:
    """Give the system the memory that reading a large graph took, more than half of which is free again by now."""
    if file.stat().st_size > _LARGE_BYTES:
        with contextlib.suppress(AttributeError):  # not every C library has it
            ctypes.CDLL(None).malloc_trim(0)
