"""A model's process for many rows: takes Arrow batches from its socket, predicts them, and answers in Arrow.

    python -m trimtab.serving.bulk.process --model DIR --channel FD --parent PID [--allow-pickle]
        [--compiled DIR] [--probabilities] [--inputs JSON] [--nice N]

It ends when the other end of its socket is closed, and when its parent is gone. A model that cannot be loaded ends it
with code 3 and one JSON line on stderr.
"""

import argparse
import json
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trimtab.kernel.errors import Invalid
from trimtab.kernel.process import die_with_parent, no_new_privileges
from trimtab.serving.batch import Output, nest
from trimtab.serving.bulk import messages
from trimtab.serving.bulk.columns import Intake, fields_of, match
from trimtab.serving.bulk.messages import EXIT_NOT_LOADED, Greeting, Order, Refusal, Reply
from trimtab.serving.errors import ModelNotLoaded
from trimtab.serving.frames import PREDICTIONS, PROBABILITIES
from trimtab.serving.isolation import isolate
from trimtab.serving.loaders import Model, Rows, load
from trimtab.serving.loaders.compiled import load_compiled
from trimtab.serving.loaders.lean import arrow_without_pandas
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.replica import warm_up
from trimtab.serving.routes import Signature

_MAX_TRACEBACKS = 20
_TYPES: dict[str, Any] = {
    "BOOL": pa.bool_(),
    "INT8": pa.int8(),
    "INT16": pa.int16(),
    "INT32": pa.int32(),
    "INT64": pa.int64(),
    "UINT8": pa.uint8(),
    "UINT16": pa.uint16(),
    "UINT32": pa.uint32(),
    "UINT64": pa.uint64(),
    "FP16": pa.float32(),
    "FP32": pa.float32(),
    "FP64": pa.float64(),
}


class Bulk:
    """Predicts batches of one table with one loaded model."""

    def __init__(
        self,
        model: Model,
        signature: Signature | None,
        *,
        inputs: Sequence[str] = (),
        probabilities: bool = False,
    ) -> None:
        self._model = model
        self._signature = signature
        self._inputs = inputs
        self._want = PREDICTIONS | (PROBABILITIES if probabilities else 0)
        self._intake: Intake | None = None
        self._tracebacks = 0

    def answer(self, order: Order) -> Reply:
        """Return the predictions for a batch, or which row and column kept it from being predicted."""
        with pa.ipc.open_stream(pa.py_buffer(order.batch)) as reader:
            batch = reader.read_next_batch()
        try:
            rows, kept, refusals = self._take(batch)
        except Invalid as error:
            return Reply(b"", fault="input", column=error.field or "", message=error.message)
        if refusals and not order.skip:
            first = refusals[0]
            message = f"column {first.column!r}, row {order.first_row + first.row}: {first.reason}"
            return Reply(b"", fault="input", column=first.column, message=message)
        try:
            outputs = self._model.predict(rows, self._want) if rows.count else []
            return Reply(_encode(outputs), refusals)
        except Exception as error:  # noqa: BLE001 - a model may raise anything; which row made it so is found below
            self._tell(error)
            reason = self._reason(error)
        answer = self._apart(order, rows, kept, refusals)
        if answer.fault is None and not order.skip:  # no row fails alone: they depend on one another
            last = order.first_row + batch.num_rows - 1
            return Reply(b"", fault="model", message=f"rows {order.first_row} to {last}: {reason}")
        return answer

    def _take(self, batch: pa.RecordBatch) -> tuple[Rows, np.ndarray, list[Refusal]]:
        if self._intake is None:
            signature = self._signature
            names = self._model.names or tuple(batch.schema.names)
            fields = fields_of(signature, names)
            tensor = signature is not None and signature.tensor
            columns = match(fields, batch.schema, inputs=self._inputs, tensor=tensor)
            self._intake = Intake(fields, columns, names, packed=self._model.packed and signature is not None)
        return self._intake.take(batch)

    def _apart(self, order: Order, rows: Rows, kept: np.ndarray, refusals: list[Refusal]) -> Reply:
        """Predict what the model does predict, by halves; rows which it fails on alone are refused."""
        found: list[list[Output]] = []
        refused = list(refusals)
        hopeless: dict[bytes, str] = {}
        waiting = [np.arange(rows.count)]
        while waiting:
            places = waiting.pop()
            if hopeless:
                places = self._without(rows, places, kept, hopeless, refused)
                if not len(places):
                    continue
            part = _select(rows, places)
            try:
                found.append(self._model.predict(part, self._want))
            except Exception as error:  # noqa: BLE001 - as above
                if len(places) > 1:
                    half = len(places) // 2
                    waiting += [places[half:], places[:half]]  # the first half is next
                    continue
                at = int(kept[places[0]])
                reason = self._reason(error)
                if not order.skip:
                    fault = "input" if isinstance(error, self._model.input_errors) else "model"
                    told = reason.replace("row 0", f"row {order.first_row + at}")
                    if told == reason:
                        told = f"row {order.first_row + at}: {reason}"
                    return Reply(b"", fault=fault, message=told)
                refused.append(Refusal(at, "", reason.replace(", row 0", "")))
                if "takes no missing values" in reason:  # every row that lacks the same columns fails alike
                    hopeless[_gaps(part)[0].tobytes()] = reason.replace(", row 0", "")
        refused.sort(key=lambda refusal: refusal.row)
        return Reply(_encode(_joined(found)), refused)

    def _without(
        self,
        rows: Rows,
        places: np.ndarray,
        kept: np.ndarray,
        hopeless: dict[bytes, str],
        refused: list[Refusal],
    ) -> np.ndarray:
        gaps = _gaps(_select(rows, places))
        lost = np.zeros(len(places), dtype=bool)
        for pattern, reason in hopeless.items():
            alike = (gaps == np.frombuffer(pattern, dtype=bool)).all(axis=1)
            refused += [Refusal(int(at), "", reason) for at in kept[places[alike & ~lost]]]
            lost |= alike
        return places[~lost]

    def _reason(self, error: Exception) -> str:
        line = (str(error) or type(error).__name__).strip().splitlines()[0][:500]
        return line if isinstance(error, self._model.input_errors) else f"{type(error).__name__}: {line}"

    def _tell(self, error: Exception) -> None:
        self._tracebacks += 1
        if self._tracebacks <= _MAX_TRACEBACKS:
            traceback.print_exception(error, file=sys.stderr)
            sys.stderr.flush()


def _select(rows: Rows, places: np.ndarray) -> Rows:
    if rows.matrix is not None:
        return Rows(len(places), matrix=rows.matrix[places])
    picked = places.tolist()
    columns = {name: [values[at] for at in picked] for name, values in (rows.columns or {}).items()}
    return Rows(len(places), columns=columns)


def _gaps(rows: Rows) -> np.ndarray:
    """Return which values are missing, as flags (rows, columns)."""
    if rows.matrix is not None:
        return np.isnan(rows.matrix)
    columns = [[value is None for value in values] for values in (rows.columns or {}).values()]
    return np.array(columns, dtype=bool).T


def _joined(parts: list[list[Output]]) -> list[Output]:
    """Return the outputs of several calls as those of one."""
    if len(parts) < 2:
        return parts[0] if parts else []
    joined: list[Output] = []
    for pieces in zip(*parts, strict=True):
        first = pieces[0]
        data: list[Any] = []
        for piece in pieces:
            data += list(piece.data)
        shape = [sum(piece.shape[0] for piece in pieces), *first.shape[1:]]
        joined.append(Output(first.name, first.datatype, shape, data))
    return joined


def _encode(outputs: Sequence[Output]) -> bytes:
    """Return outputs as an Arrow stream of one batch; nothing where there are none."""
    if not outputs:
        return b""
    names = ["prediction" if output.name == "predictions" else output.name for output in outputs]
    batch = pa.RecordBatch.from_arrays([_array(output) for output in outputs], names=names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _array(output: Output) -> "pa.Array[Any]":
    kind = _TYPES.get(output.datatype)
    if len(output.shape) > 2:
        return pa.array(nest(list(output.data), output.shape))
    values = pa.array(output.data, kind)
    if len(output.shape) == 2:
        return pa.FixedSizeListArray.from_arrays(values, output.shape[1])
    return values


def opened(folder: ModelFolder, compiled: Path | None, *, allow_pickle: bool) -> Model:
    """Return the compiled form of a model where there is one that loads here, else the model itself."""
    if compiled is not None:
        try:
            return load_compiled(compiled, folder.signature)
        except ModelNotLoaded as error:
            sys.stderr.write(f"the compiled form cannot be used: {error.message}\n")
    model = load(folder, allow_pickle=allow_pickle)
    warm_up(model, folder)
    return model


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trimtab.serving.bulk.process", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder with an MLmodel file")
    parser.add_argument("--channel", type=int, required=True, help="descriptor of a connected socket")
    parser.add_argument("--parent", type=int, required=True, help="process id of the starter")
    parser.add_argument("--allow-pickle", action="store_true", help="load formats that run code")
    parser.add_argument("--compiled", type=Path, help="folder with what the model was compiled to")
    parser.add_argument("--probabilities", action="store_true", help="answer class probabilities too")
    parser.add_argument("--inputs", default="[]", help="columns in the order of the signature, as JSON")
    parser.add_argument("--nice", type=int, default=0, help="how far to stand back behind other processes")
    arguments = parser.parse_args()
    no_new_privileges()
    isolate(allow_network=False)
    die_with_parent(parent=arguments.parent)  # after leaving the network, which may forget it
    os.nice(arguments.nice)
    channel = socket.socket(fileno=arguments.channel)
    try:
        folder = ModelFolder(arguments.model)
        model = opened(folder, arguments.compiled, allow_pickle=arguments.allow_pickle)
    except ModelNotLoaded as error:
        line = {"event": "load-failed", "code": error.code, "message": error.message}
        sys.stderr.write(json.dumps(line) + "\n")
        return EXIT_NOT_LOADED
    pa.set_cpu_count(1)
    arrow_without_pandas()
    bulk = Bulk(
        model,
        folder.signature,
        inputs=json.loads(arguments.inputs),
        probabilities=arguments.probabilities,
    )
    messages.send(channel, Greeting(tuple(model.names), model.flavor, os.getpid()))
    while (body := messages.receive(channel)) is not None:
        messages.send(channel, bulk.answer(messages.decode_order(body)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
