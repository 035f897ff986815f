"""Predicts a table from its first row to its last: reads, asks the model's processes, writes parts, counts.

Heavy: imported only where it runs, in a worker process or by the command line.
"""

import fcntl
import os
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from trimtab.domains.data.tables import plain
from trimtab.domains.deploy.batch.errors import RowRefused
from trimtab.domains.deploy.batch.model import Options, Progress, RowCounts, Summary, check_written
from trimtab.domains.deploy.batch.parts import Parts, PartWriter
from trimtab.domains.deploy.batch.pool import Pool
from trimtab.domains.deploy.batch.processes import Loading, Start, start
from trimtab.domains.deploy.batch.rules import UNTOLD, TableRules
from trimtab.domains.deploy.batch.sources import Table, cut
from trimtab.kernel.errors import Invalid, Unavailable, did_you_mean
from trimtab.science import plain as states
from trimtab.science.profile import column as distribution
from trimtab.science.profile.column import ColumnState
from trimtab.serving.bulk.columns import fields_of, match
from trimtab.serving.bulk.messages import Reply
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.processes import OWN, Interpreter

ROW = "row"
_COUNTED_ROWS = 262_144
Tell = Callable[[Progress], None]


class Finished(msgspec.Struct, frozen=True):
    """What a run leaves: its parts in order, and what came out."""

    parts: int
    summary: Summary


class Run:
    """One model over one table. ``carry_out`` may be called again with the same folder after any interruption."""

    def __init__(
        self,
        table: Table,
        model: Path,
        *,
        model_digest: str,
        options: Options,
        folder: Path,
        compiled: Path | None = None,
        interpreter: Interpreter = OWN,
        nice: int = 0,
        rules: Mapping[str, FieldRule] | None = None,
        hash_key: bytes = b"",
        start: Start = start,
    ) -> None:
        """Compare the table with the model's signature; raises MissingColumn or WrongType before anything is done.

        ``rules`` say what is done to the model's inputs before they are written, with ``hash_key`` for hashes.
        ``start`` starts the processes.
        """
        self._table = table
        self._model = model
        self._options = options
        self._folder = folder
        self._compiled = compiled
        self._interpreter = interpreter
        self._nice = nice
        self._start = start
        taken = _inputs(ModelFolder(model), table, options)
        self._inputs = [*dict.fromkeys(taken.values())]
        self._rules = TableRules(rules or {}, hash_key, inputs=taken)
        self._kept = [name for name in _kept(table, self._inputs, options) if not self._rules.drops(name)]
        self._numbered = not self._kept
        self._read = [*dict.fromkeys([*(self._inputs or table.schema.names), *self._kept])]
        # What is left to the machine, or only says how fast it goes, is no part of what the predictions are.
        identity = msgspec.structs.replace(options, workers=0, allow_pickle=False)
        self.parts = Parts(
            folder,
            identity=[
                model_digest,
                compiled is not None,
                table.digest,
                msgspec.to_builtins(identity),
                *([msgspec.to_builtins(dict(rules))] if rules else []),
            ],
            rows=options.whole_part_rows,
        )

    def carry_out(self, tell: Tell) -> Finished:
        """Predict what is not done yet and return what came out; ``tell`` is called after each batch and may raise.

        Raises RowRefused, ModelNotLoaded, ModelProcessFailed, BadTable, OutputLost, and Unavailable while another
        process is at the same.
        """
        with _alone(self._folder):
            return self._carry_out(tell)

    def _carry_out(self, tell: Tell) -> Finished:
        started = time.monotonic()
        done = self.parts.finished()
        counts = RowCounts()
        found: dict[str, ColumnState] = {}
        for part in done:
            counts = counts.plus(part.counts)
            _merge(found, {name: states.load(ColumnState, one) for name, one in part.states.items()})
        resumed, number = counts.rows, len(done)
        tell(Progress(counts, self._table.rows, resumed, 0.0))
        # A part that is not full was the last one.
        short = bool(done) and done[-1].counts.rows < self._options.whole_part_rows
        if not short and resumed != self._table.rows:
            for more, its in self._rest(number, counts, tell):
                counts = counts.plus(more)
                _merge(found, its)
                number += 1
        if number == 0:
            self._nothing()
            number = 1
        return Finished(number, _summary(counts, resumed, time.monotonic() - started, found))

    def _rest(
        self, number: int, before: RowCounts, tell: Tell
    ) -> Generator[tuple[RowCounts, dict[str, ColumnState]]]:
        """Write the parts from a number on, and yield what is in each."""
        options, total = self._options, self._table.rows
        workers = options.workers or len(os.sched_getaffinity(0))
        if total is not None:  # no more processes than there are batches
            workers = max(1, min(workers, -(-(total - before.rows) // options.rows_at_once)))
        part: _Open | None = None
        loading = Loading(
            self._model,
            allow_pickle=options.allow_pickle,
            probabilities=options.probabilities,
            inputs=options.inputs,
            compiled=self._compiled,
            interpreter=self._interpreter,
            nice=self._nice,
        )
        log = self._folder / "processes.log"
        with Pool(loading, workers=workers, log=log, start=self._start) as pool:
            pool.greeting()
            started = time.monotonic()
            counts = before

            def look() -> None:
                seconds = max(time.monotonic() - started, 1e-6)
                tell(Progress(counts, total, before.rows, (counts.rows - before.rows) / seconds))

            try:
                for first_row, batch, reply in pool.predict(
                    self._batches(before.rows), skip=options.on_error == "skip", idle=look
                ):
                    if part is None:
                        part = _Open(self.parts.begin(number))
                        number += 1
                    counts = counts.plus(self._write(part, first_row, batch, reply))
                    look()
                    if part.counts.rows >= options.whole_part_rows:
                        yield part.finish()
                        part = None
                if part is not None:
                    yield part.finish()
                    part = None
            finally:
                if part is not None:
                    part.writer.drop()

    def _batches(self, skip: int) -> Generator[tuple[int, pa.RecordBatch, pa.RecordBatch]]:
        first_row = skip
        for batch in cut(self._table.batches(self._read, skip=skip), self._options.rows_at_once):
            yield first_row, batch.select(self._inputs) if self._inputs else batch, batch
            first_row += batch.num_rows

    def _write(self, part: "_Open", first_row: int, batch: pa.RecordBatch, reply: Reply) -> RowCounts:
        """Write what came of one batch, and return how many rows that were."""
        if reply.fault is not None:
            what = "the model failed: " if reply.fault == "model" else ""
            raise RowRefused(what + (UNTOLD if self._rules else reply.message), field=reply.column or None)
        refused = np.array([refusal.row for refusal in reply.refusals], dtype=np.int64)
        kept = np.delete(np.arange(batch.num_rows), refused)
        table = self._rules.apply(_taken(batch.select(self._kept), kept))
        if self._numbered:
            table = pa.table({ROW: pa.array(first_row + kept, pa.int64())})
        if reply.predictions:
            with pa.ipc.open_stream(pa.py_buffer(reply.predictions)) as reader:
                predicted = reader.read_next_batch()
            check_written(table.column_names, predicted.schema.names)
            for name, values in zip(predicted.schema.names, predicted.columns, strict=True):
                table = table.append_column(name, values)
                if not pa.types.is_nested(values.type):
                    part.count(name, plain(values))
        part.writer.add(table, self._refused(first_row, batch, refused, reply) if len(refused) else None)
        counts = RowCounts(batch.num_rows, len(refused))
        part.counts = part.counts.plus(counts)
        return counts

    def _refused(self, first_row: int, batch: pa.RecordBatch, rows: np.ndarray, reply: Reply) -> pa.Table:
        """Return the refused rows with their place in the data, the column at fault and why."""
        names = [name for name in batch.schema.names if name not in (ROW, "column", "reason")]
        reasons = [UNTOLD if self._rules else refusal.reason for refusal in reply.refusals]
        return (
            self._rules.apply(_taken(batch.select(names), rows))
            .add_column(0, "reason", [reasons])
            .add_column(0, "column", [[refusal.column for refusal in reply.refusals]])
            .add_column(0, ROW, pa.array(first_row + rows, pa.int64()))
        )

    def _nothing(self) -> None:
        """Write a part without rows, for data without rows."""
        schema = pa.schema([self._table.schema.field(name) for name in self._kept])
        part = _Open(self.parts.begin(0))
        part.writer.add(
            pa.table({ROW: pa.array([], pa.int64())}) if self._numbered else schema.empty_table(), None
        )
        part.finish()


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Keep other processes from writing the same parts: the lock dies with this one."""
    with (folder / "lock").open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable(f"Another process writes to {folder}.") from None
        yield


class _Open:
    """A part that is being written, and what is in it so far."""

    def __init__(self, writer: PartWriter) -> None:
        self.writer = writer
        self.counts = RowCounts()
        self._states: dict[str, ColumnState] = {}
        self._held: dict[str, list[pa.Array[Any]]] = {}

    def count(self, name: str, values: "pa.Array[Any]") -> None:
        """Count predictions into their distribution, many at a time: a few cost as much as many."""
        held = self._held.setdefault(name, [])
        held.append(values.cast(held[0].type) if held else values)
        if sum(map(len, held)) >= _COUNTED_ROWS:
            self._count(name)

    def finish(self) -> tuple[RowCounts, dict[str, ColumnState]]:
        for name in self._held:
            self._count(name)
        dumped: dict[str, Any] = {name: states.dump(state) for name, state in self._states.items()}
        self.writer.finish(self.counts, dumped)
        return self.counts, self._states

    def _count(self, name: str) -> None:
        if not self._held[name]:
            return
        values = pa.concat_arrays(self._held[name])
        self._held[name] = []
        state = self._states.get(name) or distribution.start(name)
        self._states[name] = distribution.add(state, values)


def _inputs(folder: ModelFolder, table: Table, options: Options) -> dict[str, str]:
    """Return the data's column for each of the model's inputs, none where only the loaded model knows."""
    signature = folder.signature
    if signature is None:
        return {}
    fields = fields_of(signature, ())
    return match(fields, table.schema, inputs=options.inputs, tensor=signature.tensor)


def _kept(table: Table, inputs: Sequence[str], options: Options) -> list[str]:
    """Return the data's columns that are written beside the predictions."""
    names = table.schema.names
    for name in options.columns:
        if name not in names:
            raise Invalid(
                f"There is no column {name!r} in the data.{did_you_mean(name, names)}", field="columns"
            )
    kept = options.columns or [name for name in names if inputs and name not in inputs]
    if options.keep:
        kept = [*names]
    check_written(kept, ["prediction", *(["probabilities"] if options.probabilities else [])])
    return kept


def _taken(batch: pa.RecordBatch, rows: np.ndarray) -> pa.Table:
    table = pa.Table.from_batches([batch])
    return table if len(rows) == batch.num_rows else table.take(pa.array(rows))


def _merge(into: dict[str, ColumnState], more: dict[str, ColumnState]) -> None:
    for name, state in more.items():
        into[name] = distribution.merge(into[name], state) if name in into else state


def _summary(counts: RowCounts, resumed: int, seconds: float, found: dict[str, ColumnState]) -> Summary:
    return Summary(
        counts=counts,
        resumed=resumed,
        seconds=round(seconds, 3),
        rows_per_s=round((counts.rows - resumed) / max(seconds, 1e-6), 1),
        distribution=[msgspec.to_builtins(distribution.finish(state)) for state in found.values()],
    )
