"""The profile of one column: counts, range, moments, quantiles, histogram or most frequent values.

`start`, then `add` chunk by chunk (or `merge` what others added), then `finish`. Texts are counted, numbers
and times are measured as well; times are microseconds since the epoch.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.science import columns as table
from trimtab.science.profile import digest, distinct, frequent
from trimtab.science.profile.digest import Digest
from trimtab.science.profile.distinct import Distinct
from trimtab.science.profile.frequent import Frequent

Type = Literal["integer", "number", "time", "flag", "text", "empty", "mixed"]

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 20
TOP = 20

_HUGE = 1e150
"""Deviations count as no larger than this: their squares must stay finite."""

_LISTED = 50
"""Most distinct numbers a profile lists one by one; texts go up to the sketch's capacity."""


@dataclass(frozen=True)
class ColumnState:
    """What has been seen of a column so far; plain numbers, see `science.plain`.

    `unique_in_chunk`: distinct values of the only chunk so far, exact; None once there are several.
    """

    name: str
    type: Type = "empty"
    count: int = 0
    nulls: int = 0
    infinite: int = 0
    finite: int = 0
    mean: float = 0.0
    squares: float = 0.0
    digest: Digest = field(default_factory=Digest)
    distinct: Distinct = field(default_factory=Distinct)
    frequent: Frequent = field(default_factory=Frequent)
    chunks: int = 0
    unique_in_chunk: int | None = None
    shortest: int | None = None
    longest: int | None = None


@dataclass(frozen=True)
class Histogram:
    """`counts` (B,) of values between `edges` (B + 1,); the last bin holds its upper edge."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ValueCount:
    """A value, as text, and its number of rows."""

    value: str
    count: int


@dataclass(frozen=True)
class ColumnProfile:
    """A column as people and `science.validate` read it. `count` includes `nulls`; `distinct` does not count
    null.

    Measures are None where they make no sense; `top` holds the most frequent values, `complete` whether these
    are all, exactly; `distinct` is within some per cent unless `distinct_exact`; `values` lists them all
    where they are few enough.
    """

    name: str
    type: Type
    count: int
    nulls: int
    distinct: int
    distinct_exact: bool
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    infinite: int = 0
    quantiles: dict[str, float] = field(default_factory=dict[str, float])
    histogram: Histogram | None = None
    top: tuple[ValueCount, ...] = ()
    complete: bool = False
    values: tuple[str, ...] = ()
    shortest: int | None = None
    longest: int | None = None


def start(name: str) -> ColumnState:
    """The state of a column of which nothing has been seen."""
    return ColumnState(name=name)


def add(state: ColumnState, values: Any) -> ColumnState:
    """The state with one more chunk (numpy, list, Arrow or pandas).

    >>> found = finish(add(start("x"), [3, 1, None, 2]))
    >>> found.type, found.count, found.nulls, found.distinct, found.min, found.max, found.mean
    ('integer', 4, 1, 3, 1.0, 3.0, 2.0)
    """
    size = len(values)
    if size == 0:
        return state
    if table.kind_of(values) == "numeric":
        return merge(state, _measured(state.name, table.numbers(values), size, _numeric_type(values)))
    return merge(state, _counted(state.name, values, size))


def merge(first: ColumnState, second: ColumnState) -> ColumnState:
    """The state of the rows of both."""
    if not first.count or not second.count:
        return second if not first.count else first
    n, m = first.finite, second.finite
    total = max(n + m, 1)
    gap = second.mean - first.mean
    return ColumnState(
        name=first.name,
        type=_joined(first.type, second.type),
        count=first.count + second.count,
        nulls=first.nulls + second.nulls,
        infinite=first.infinite + second.infinite,
        finite=n + m,
        mean=first.mean + gap * (m / total),
        squares=min(first.squares + second.squares + min(abs(gap), _HUGE) ** 2 * n * m / total, _HUGE**2),
        digest=digest.merge(first.digest, second.digest),
        distinct=distinct.merge(first.distinct, second.distinct),
        frequent=frequent.merge(first.frequent, second.frequent),
        chunks=first.chunks + second.chunks,
        unique_in_chunk=None,
        shortest=_least(first.shortest, second.shortest, -1),
        longest=_least(first.longest, second.longest, 1),
    )


def finish(state: ColumnState) -> ColumnProfile:
    """The profile of what has been seen."""
    counts, exact = state.frequent.counts, state.frequent.exact
    if exact:
        unique, sure = len(counts), True
    elif state.unique_in_chunk is not None:
        unique, sure = state.unique_in_chunk, True
    else:
        unique, sure = min(distinct.estimate(state.distinct), state.count - state.nulls), False
    found = ColumnProfile(
        name=state.name,
        type=state.type,
        count=state.count,
        nulls=state.nulls,
        distinct=unique,
        distinct_exact=sure,
        infinite=state.infinite,
        top=tuple(ValueCount(value, count) for value, count in list(counts.items())[:TOP]),
        complete=exact and len(counts) <= TOP,
        values=tuple(counts) if exact and (not state.finite or len(counts) <= _LISTED) else (),
        shortest=state.shortest,
        longest=state.longest,
    )
    if not state.finite or state.type == "mixed":
        return found
    levels = _quantiles(state)
    return replace(
        found,
        min=state.digest.low,
        max=state.digest.high,
        mean=state.mean,
        std=math.sqrt(max(state.squares, 0.0) / state.finite),
        quantiles={f"{level:g}": value for level, value in zip(LEVELS, levels, strict=True)},
        histogram=_histogram(state),
    )


def _measured(name: str, x: NDArray[np.float64], size: int, kind: Type) -> ColumnState:
    missing = np.isnan(x)
    known = x[np.isfinite(x)] if missing.any() or np.isinf(x).any() else x
    nulls = int(missing.sum())
    if nulls == size:
        return ColumnState(name=name, count=size, nulls=nulls, chunks=1, unique_in_chunk=0)
    values, counts = np.unique(known, return_counts=True)
    if kind == "number" and known.size and bool((values == np.floor(values)).all()):
        kind = "integer"
    mean, squares = _moments(known)
    if values.size <= frequent.CAPACITY:
        tops = Frequent(_named(values, counts))
    else:
        # Numbers of many values: the frequent ones are worth knowing only if they repeat.
        often = np.argsort(-counts, kind="stable")[: frequent.CAPACITY]
        tops = Frequent(_named(values[often], counts[often]), missed=int(counts[often[-1]]))
    return ColumnState(
        name=name,
        type=kind,
        count=size,
        nulls=nulls,
        infinite=size - nulls - int(known.size),
        finite=int(known.size),
        mean=mean,
        squares=squares,
        digest=digest.add(Digest(), known),
        distinct=distinct.add_numbers(Distinct(), values),
        frequent=tops,
        chunks=1,
        unique_in_chunk=int(values.size),
    )


def _counted(name: str, values: Any, size: int) -> ColumnState:
    counted, nulls = table.labels(values)
    lengths = [len(value) for value in counted]
    kind: Type = "empty"
    if counted:
        kind = "flag" if set(counted) <= {"true", "false"} else "text"
    return ColumnState(
        name=name,
        type=kind,
        count=size,
        nulls=nulls,
        distinct=distinct.add_texts(Distinct(), counted),
        frequent=frequent.add(Frequent(), counted),
        chunks=1,
        unique_in_chunk=len(counted),
        shortest=min(lengths) if lengths and kind == "text" else None,
        longest=max(lengths) if lengths and kind == "text" else None,
    )


def _numeric_type(values: Any) -> Type:
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if kind in ("m", "M") or str(getattr(values, "type", "")).startswith(("timestamp", "date", "time")):
        return "time"
    if not hasattr(values, "dtype") or kind == "O":
        first = next((value for value in values if not table.is_missing(value)), None)
        if hasattr(first, "timestamp") or isinstance(first, np.datetime64):
            return "time"
    return "number"


def _joined(first: Type, second: Type) -> Type:
    if first == "empty":
        return second
    if second in (first, "empty"):
        return first
    return "number" if {first, second} == {"integer", "number"} else "mixed"


def _least(first: int | None, second: int | None, sign: int) -> int | None:
    known = [value for value in (first, second) if value is not None]
    return (max(known) if sign > 0 else min(known)) if known else None


def _moments(known: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and sum of squared deviations, kept inside the range of JSON numbers."""
    if not known.size:
        return 0.0, 0.0
    mean = float((known / known.size).sum())
    away = np.minimum(np.abs(known - mean), _HUGE / math.sqrt(known.size))
    return mean, float((away * away).sum())


def _named(values: NDArray[np.float64], counts: NDArray[np.intp]) -> dict[str, int]:
    order = np.lexsort((values, -counts))
    texts = (table.label(value) for value in values[order].tolist())
    return dict(zip(texts, counts[order].tolist(), strict=True))


def _quantiles(state: ColumnState) -> list[float]:
    if not state.frequent.exact:
        return digest.quantiles(state.digest, LEVELS).tolist()
    values = np.asarray([float(value) for value in state.frequent.counts])
    order = np.argsort(values)
    reached = np.cumsum(np.asarray(list(state.frequent.counts.values()))[order])
    at = np.searchsorted(reached, np.asarray(LEVELS) * float(reached[-1]), side="left")
    return values[order][at].tolist()


def _histogram(state: ColumnState) -> Histogram:
    low, high = state.digest.low, state.digest.high
    if low == high:
        return Histogram((low, high), (state.finite,))
    if math.isinf(high - low):  # the width is more than the largest number
        edges = np.linspace(low / 2, high / 2, BINS + 1) * 2
    else:
        edges = np.linspace(low, high, BINS + 1)
    edges = np.maximum.accumulate(np.clip(edges, low, high))  # rounded steps may leave the range, or go back
    if state.frequent.exact:
        at = np.asarray([float(value) for value in state.frequent.counts])
        counts, _ = np.histogram(at, bins=edges, weights=np.asarray(list(state.frequent.counts.values())))
    else:
        counts = np.diff(np.round(digest.shares(state.digest, edges) * state.finite))
    return Histogram(tuple(edges.tolist()), tuple(int(count) for count in counts.tolist()))
