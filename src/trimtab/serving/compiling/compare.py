"""Sets a compiled model against the native one: every value of every reference row, and the time that each takes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trimtab.serving.batch import Output
from trimtab.serving.compiling.verdict import Difference, Timing, Tolerance
from trimtab.serving.frames import PREDICTIONS, PROBABILITIES
from trimtab.serving.loaders import Model, Rows

_BOTH = PREDICTIONS | PROBABILITIES
_TIMED_S = 0.3
_MOST_CALLS = 300
_NEGLIGIBLE = 1e-300


class Comparison:
    """Collects what was compared and where the difference was largest."""

    def __init__(self, native: Callable[[Rows], list[Output]], compiled: Callable[[Rows], list[Output]], *,
                 tolerance: Tolerance, refusals: tuple[type[Exception], ...]) -> None:  # fmt: skip
        self._native = native
        self._compiled = compiled
        self._refusals = refusals
        self.tolerance = tolerance
        self.rows: dict[str, int] = {}
        self.refused = 0
        self.ties = 0
        self.largest: Difference | None = None
        self.problem = ""

    @property
    def differs(self) -> bool:
        return bool(self.problem) or (self.largest is not None and self.largest.share > 1)

    def take(self, kind: str, rows: Rows) -> None:
        """Compare both models' answers to the rows."""
        try:
            wanted = self._native(rows)
        except self._refusals:
            self._refused(kind, rows)
            return
        self.rows[kind] = self.rows.get(kind, 0) + rows.count
        try:
            given = self._compiled(rows)
        except (ValueError, TypeError) as error:
            self.problem = self.problem or f"it refuses rows ({kind}) that the native model answers: {error}"
            return
        names = [one.name for one in given]
        if names != [one.name for one in wanted]:
            self.problem = self.problem or f"it answers {', '.join(names)}"
            return
        even = even_rows(wanted, given, self.tolerance)
        for native, compiled in zip(wanted, given, strict=True):
            self._output(kind, rows, native, compiled, even)

    def _refused(self, kind: str, rows: Rows) -> None:
        """What the native model refuses must be refused; where it refuses several rows, each is tried alone."""
        if rows.count > 1:
            for at in range(rows.count):
                self.take(kind, one_row(rows, at))
            return
        try:
            self._compiled(rows)
        except (ValueError, TypeError):
            self.refused += 1
            return
        self.problem = (
            self.problem or f"it answers a row ({kind}) that the native model refuses: {_row(rows, 0)}"
        )

    def _output(self, kind: str, rows: Rows, native: Output, compiled: Output, even: np.ndarray) -> None:
        if native.shape != compiled.shape or len(native.data) != len(compiled.data):
            self.problem = self.problem or f"{native.name} has the shape {compiled.shape}, not {native.shape}"
            return
        width = max(1, len(native.data) // rows.count)
        shares = differences(native, compiled, self.tolerance)
        if len(shares) == len(even) and _is_label(native):
            self.ties += int(np.isinf(shares[even]).sum())
            shares[even] = 0
        at = int(np.argmax(shares))
        if self.largest is None or shares[at] > self.largest.share:
            self.largest = Difference(
                output=native.name,
                share=float(min(shares[at], 1e300)),
                native=_plain(native.data[at]),
                compiled=_plain(compiled.data[at]),
                kind=kind,
                row=_row(rows, at // width),
                position=at % width if width > 1 else None,
            )


def differences(native: Output, compiled: Output, tolerance: Tolerance) -> np.ndarray:
    """Return the difference of each value as a multiple of what is allowed; labels differ infinitely or not at all."""
    if native.datatype in ("FP16", "FP32", "FP64"):
        wanted, given = np.array(native.data, dtype=np.float64), np.array(compiled.data, dtype=np.float64)
        with np.errstate(invalid="ignore"):
            off = np.abs(given - wanted)
            allowed = tolerance.absolute + tolerance.relative * np.abs(wanted)
            shares = off / np.maximum(allowed, _NEGLIGIBLE)
        same = (wanted == given) | (np.isnan(wanted) & np.isnan(given))
        return np.where(same, 0.0, np.where(np.isnan(shares), np.inf, shares))
    same = [
        type(one) is type(other) and one == other
        for one, other in zip(native.data, compiled.data, strict=True)
    ]
    return np.where(same, 0.0, np.inf)


def even_rows(native: Sequence[Output], compiled: Sequence[Output], tolerance: Tolerance) -> np.ndarray:
    """Return for which rows the native model finds its own class and the compiled one's equally likely.

    Where two classes are apart by less than numbers may be, the label may be either.
    """
    both = [
        next((one for one in outputs if one.name == "probabilities"), None) for outputs in (native, compiled)
    ]
    if both[0] is None or both[1] is None or both[0].shape != both[1].shape or len(both[0].shape) != 2:
        return np.zeros(0, dtype=bool)
    wanted, given = (
        np.array(one.data, dtype=np.float64).reshape(one.shape) for one in both if one is not None
    )
    best, chosen = wanted.max(axis=1), given.argmax(axis=1)
    near = best - wanted[np.arange(len(wanted)), chosen] <= tolerance.absolute + tolerance.relative * best
    return near & (chosen != wanted.argmax(axis=1))


def _is_label(output: Output) -> bool:
    return output.name == "predictions" and output.datatype not in ("FP16", "FP32", "FP64")


def one_row(rows: Rows, at: int) -> Rows:
    if rows.matrix is not None:
        return Rows(1, matrix=rows.matrix[at : at + 1])
    return Rows(1, columns={name: values[at : at + 1] for name, values in (rows.columns or {}).items()})


def _row(rows: Rows, at: int) -> dict[str, Any]:
    if rows.columns is not None:
        return {name: _plain(values[at]) for name, values in rows.columns.items()}
    assert rows.matrix is not None
    return {str(column): _plain(float(value)) for column, value in enumerate(rows.matrix[at])}


def _plain(value: Any) -> Any:
    """Return a value that JSON has."""
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def timings(
    native: Callable[[Rows], Any],
    compiled: Callable[[Rows], Any],
    batches: Sequence[tuple[Sequence[Rows], Sequence[Rows]]],
) -> list[Timing]:
    """Return the median time of one call of each; a batch holds the same rows as either takes them.

    Calls go through several batches of one size, since a processor learns the way of a row that comes again.
    """
    found: list[Timing] = []
    for for_native, for_compiled in batches:
        native_us, compiled_us = median_us(native, for_native), median_us(compiled, for_compiled)
        found.append(Timing(for_native[0].count, round(native_us, 2), round(compiled_us, 2)))
    return found


def median_us(call: Callable[[Rows], Any], batches: Sequence[Rows]) -> float:
    call(batches[0])
    taken: list[int] = []
    ends = time.perf_counter() + _TIMED_S
    while len(taken) < 5 or (len(taken) < _MOST_CALLS and time.perf_counter() < ends):
        rows = batches[len(taken) % len(batches)]
        started_ns = time.perf_counter_ns()
        call(rows)
        taken.append(time.perf_counter_ns() - started_ns)
    return float(np.median(taken)) / 1000


def answering(model: Model, packing: Callable[[Rows], Rows] | None) -> Callable[[Rows], list[Output]]:
    """Return what predicts rows of columns with everything a model has, in the form in which it takes them."""
    if packing is None:
        return lambda rows: model.predict(rows, _BOTH)
    return lambda rows: model.predict(packing(rows), _BOTH)
