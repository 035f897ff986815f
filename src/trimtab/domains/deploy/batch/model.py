"""Batch predictions as values: what is asked for, how far it is, and what came out."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from trimtab.kernel.errors import Invalid

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
OnError = Literal["fail", "skip"]

ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")
ROWS_AT_ONCE = 32_768
PART_ROWS = 262_144
_MOST_ROWS_AT_ONCE = 1_000_000
_MOST_PART_ROWS = 100_000_000
_MOST_WORKERS = 64


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a table is predicted and what of it is written beside the predictions.

    ``columns`` are the data's columns to be written; without any, those that the model does not take, and the number
    of the row where there are none. ``keep`` writes all of them. ``inputs`` names the data's columns in the order of
    the model's signature, where their names differ. ``rows_at_once`` is how many rows one call of the model gets,
    ``part_rows`` how many a file of the output is made of, ``workers`` how many processes predict; 0 leaves that to
    the machine. ``native`` leaves the compiled form aside, which the server uses where a model has one.
    """

    columns: list[str] = []
    keep: bool = False
    inputs: list[str] = []
    probabilities: bool = False
    on_error: OnError = "fail"
    rows_at_once: int = ROWS_AT_ONCE
    part_rows: int = PART_ROWS
    workers: int = 0
    allow_pickle: bool = False
    native: bool = False

    @property
    def whole_part_rows(self) -> int:
        """How many rows of the data a part covers: a multiple of ``rows_at_once``."""
        return max(1, self.part_rows // self.rows_at_once) * self.rows_at_once


class RowCounts(msgspec.Struct, frozen=True):
    """Rows of the data that were dealt with, and how many of them were refused."""

    rows: int = 0
    refused: int = 0

    def plus(self, other: "RowCounts") -> "RowCounts":
        return RowCounts(self.rows + other.rows, self.refused + other.refused)


class Progress(msgspec.Struct, frozen=True):
    """How far a run is. ``total`` is None where only reading all rows would tell; ``resumed`` rows were done before."""

    counts: RowCounts
    total: int | None
    resumed: int
    rows_per_s: float


class Summary(msgspec.Struct, frozen=True):
    """What came out of a run: how long it took without what was done before, and the distribution of each output.

    A ``distribution`` is a column's profile: count, nulls, min, max, mean, std, quantiles, histogram, top values.
    """

    counts: RowCounts
    resumed: int
    seconds: float
    rows_per_s: float
    distribution: list[dict[str, Any]]


class BatchPrediction(msgspec.Struct, frozen=True):
    """A registered version over a data version, in the background. ``rows_total`` is None until it is known.

    ``output_version`` and ``refused_version`` are versions of the datasets ``output`` and ``refused``.
    """

    id: str
    model: str
    model_version: int
    data: str
    data_version: int
    path: str
    output: str
    options: Options
    state: State
    rows_total: int | None
    rows_done: int
    rows_refused: int
    rows_per_s: float
    output_version: int | None
    refused_version: int | None
    summary: Summary | None
    error: str | None
    reason: str
    created_us: int
    created_by: str
    started_us: int | None = None
    ended_us: int | None = None

    @property
    def refused(self) -> str:
        """The dataset that gets the refused rows."""
        return f"{self.output}-refused"


def check_options(options: Options, *, most_workers: int = _MOST_WORKERS) -> Options:
    """Return options that make sense; raises Invalid naming the field."""
    if not 1 <= options.rows_at_once <= _MOST_ROWS_AT_ONCE:
        raise Invalid(f"rows_at_once is between 1 and {_MOST_ROWS_AT_ONCE}.", field="rows_at_once")
    if not 1 <= options.part_rows <= _MOST_PART_ROWS:
        raise Invalid(f"part_rows is between 1 and {_MOST_PART_ROWS}.", field="part_rows")
    if not 0 <= options.workers <= most_workers:
        raise Invalid(f"workers is between 0 and {most_workers}.", field="workers")
    for name in ("columns", "inputs"):
        given: list[str] = getattr(options, name)
        if len(set(given)) < len(given):
            twice = next(one for one in given if given.count(one) > 1)
            raise Invalid(f"{name} names {twice!r} twice.", field=name)
    return options


def check_written(kept: Sequence[str], predicted: Sequence[str]) -> None:
    """Raise Invalid where a column of the data would be written under the name of a prediction."""
    for name in predicted:
        if name in kept:
            raise Invalid(
                f"The data has a column {name!r}, as the predictions do: name the columns to write without it.",
                field="columns",
            )
