"""How two versions differ: columns, rows, nulls, and how far each distribution moved (PSI), from stored sketches.

Runs in the server on some kilobytes of sketches, so it is plain arithmetic without numpy.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Literal

import msgspec

from trimtab.domains.data.model import Column

Change = Literal["same", "added", "removed", "retyped"]
Level = Literal["alike", "moderate", "large"]

_CELLS = 10
_FEW_VALUES = 30
_MODERATE, _LARGE = 0.1, 0.25  # the customary limits, see trimtab.science.drift.distances.psi


class Digest(msgspec.Struct, frozen=True):
    """Weighted points of a distribution by rising mean, as ``trimtab.science.profile.digest`` leaves them."""

    means: list[float] = []
    weights: list[float] = []
    low: float = 0.0
    high: float = 0.0


class Frequent(msgspec.Struct, frozen=True):
    """Counts of the most frequent values; all of them and exact where nothing was ``missed``."""

    counts: dict[str, int] = {}
    missed: int = 0


class ColumnSketch(msgspec.Struct, frozen=True):
    """What the comparison reads of a column's sketch."""

    name: str
    type: str
    count: int
    nulls: int
    mean: float
    digest: Digest
    frequent: Frequent


class TableSketch(msgspec.Struct, frozen=True):
    name: str
    rows: int
    columns: list[ColumnSketch]


class Sketches(msgspec.Struct, frozen=True):
    """The sketches of every table of a version, and the columns' types as stored."""

    tables: list[TableSketch]
    columns: list[Column]

    @classmethod
    def read(cls, raw: bytes, columns: list[Column]) -> "Sketches":
        return cls(msgspec.json.decode(raw, type=list[TableSketch]), columns)

    def type_of(self, table: str, name: str) -> str | None:
        return next((one.type for one in self.columns if one.table == table and one.name == name), None)


class ColumnChange(msgspec.Struct, frozen=True):
    """One column in both versions. ``psi`` is None where one of them has no values to compare."""

    name: str
    change: Change
    type_from: str | None
    type_to: str | None
    null_share_from: float | None
    null_share_to: float | None
    mean_from: float | None
    mean_to: float | None
    psi: float | None
    level: Level | None


class TableChange(msgspec.Struct, frozen=True):
    """One table in both versions; rows are None where it is not in that version."""

    table: str
    rows_from: int | None
    rows_to: int | None
    columns: list[ColumnChange]


class DataComparison(msgspec.Struct, frozen=True):
    """How a later version differs from an earlier one."""

    name: str
    from_version: int
    to_version: int
    tables: list[TableChange]


def compare(name: str, old: tuple[int, Sketches], new: tuple[int, Sketches]) -> DataComparison:
    """Return how two versions differ, table by table; two single tables are the same one whatever their files."""
    pairs = _pairs(old[1].tables, new[1].tables)
    return DataComparison(
        name, old[0], new[0], [_table(before, after, old[1], new[1]) for before, after in pairs]
    )


def _pairs(
    old: Sequence[TableSketch], new: Sequence[TableSketch]
) -> list[tuple[TableSketch | None, TableSketch | None]]:
    if len(old) == len(new) == 1:
        return [(old[0], new[0])]
    before = {table.name: table for table in old}
    after = {table.name: table for table in new}
    return [(before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])]


def _table(
    before: TableSketch | None, after: TableSketch | None, old: Sketches, new: Sketches
) -> TableChange:
    first = {column.name: column for column in before.columns} if before else {}
    second = {column.name: column for column in after.columns} if after else {}
    columns: list[ColumnChange] = []
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name), second.get(name)
        type_from = old.type_of(before.name, name) if before and one else None
        type_to = new.type_of(after.name, name) if after and other else None
        distance = psi(one, other) if one and other else None
        columns.append(
            ColumnChange(
                name=name,
                change=_change(type_from, type_to),
                type_from=type_from,
                type_to=type_to,
                null_share_from=_null_share(one),
                null_share_to=_null_share(other),
                mean_from=_mean(one),
                mean_to=_mean(other),
                psi=distance,
                level=None if distance is None else _level(distance),
            )
        )
    name = after.name if after else before.name if before else ""
    return TableChange(name, before.rows if before else None, after.rows if after else None, columns)


def _change(type_from: str | None, type_to: str | None) -> Change:
    if type_from is None:
        return "added"
    if type_to is None:
        return "removed"
    return "same" if type_from == type_to else "retyped"


def _level(distance: float) -> Level:
    return "large" if distance >= _LARGE else "moderate" if distance >= _MODERATE else "alike"


def _null_share(column: ColumnSketch | None) -> float | None:
    return column.nulls / column.count if column is not None and column.count else None


def _mean(column: ColumnSketch | None) -> float | None:
    return column.mean if column is not None and column.digest.weights else None


def psi(old: ColumnSketch, new: ColumnSketch) -> float | None:
    """Return the population stability index between two columns, nulls as a cell of their own.

    Numbers of many values fall into the deciles of the old column, all else into its most frequent values and
    the rest. Half a row is added to every cell, so that an empty one does not make it infinite.
    """
    if not old.count or not new.count:
        return None
    if _measured(old) and _measured(new) and not (_few(old) and _few(new)):
        edges = sorted({_quantile(old, level / _CELLS) for level in range(1, _CELLS)})
        before, after = _banded(old, edges), _banded(new, edges)
    else:
        values = list(old.frequent.counts)[:_FEW_VALUES]
        before, after = _counted(old, values), _counted(new, values)
    if old.nulls or new.nulls:
        before, after = [*before, float(old.nulls)], [*after, float(new.nulls)]
    return _psi(before, after)


def _psi(before: Sequence[float], after: Sequence[float]) -> float:
    kept = [(one, other) for one, other in zip(before, after, strict=True) if one or other]
    first = sum(one for one, _ in kept) + 0.5 * len(kept)
    second = sum(other for _, other in kept) + 0.5 * len(kept)
    total = 0.0
    for one, other in kept:
        p, q = (one + 0.5) / first, (other + 0.5) / second
        total += (q - p) * math.log(q / p)
    return total


def _measured(column: ColumnSketch) -> bool:
    return bool(column.digest.weights) and column.type in ("integer", "number", "time")


def _few(column: ColumnSketch) -> bool:
    return column.frequent.missed == 0 and len(column.frequent.counts) <= _FEW_VALUES


def _counted(column: ColumnSketch, values: Sequence[str]) -> list[float]:
    counts = [float(column.frequent.counts.get(value, 0)) for value in values]
    return [*counts, max(0.0, column.count - column.nulls - sum(counts))]


def _banded(column: ColumnSketch, edges: Sequence[float]) -> list[float]:
    known = column.count - column.nulls
    reached = [known * _share(column, edge) for edge in edges]
    return [high - low for low, high in zip([0.0, *reached], [*reached, float(known)], strict=True)]


def _share(column: ColumnSketch, value: float) -> float:
    """Return the share of the column's numbers at or below a value."""
    if column.frequent.missed == 0:
        total = sum(column.frequent.counts.values())
        return sum(count for text, count in column.frequent.counts.items() if float(text) <= value) / total
    xs, shares = _curve(column.digest)
    if value < xs[0]:
        return 0.0
    if value >= xs[-1]:
        return 1.0
    at = bisect_right(xs, value)
    return _between(value, xs[at - 1], xs[at], shares[at - 1], shares[at])


def _quantile(column: ColumnSketch, level: float) -> float:
    xs, shares = _curve(column.digest)
    at = min(max(bisect_left(shares, level), 1), len(shares) - 1)
    return _between(level, shares[at - 1], shares[at], xs[at - 1], xs[at])


def _curve(digest: Digest) -> tuple[list[float], list[float]]:
    total = sum(digest.weights)
    shares, seen = [0.0], 0.0
    for weight in digest.weights:
        shares.append((seen + weight / 2) / total)
        seen += weight
    inside = [min(max(mean, digest.low), digest.high) for mean in digest.means]
    return [digest.low, *inside, digest.high], [*shares, 1.0]


def _between(at: float, low: float, high: float, first: float, last: float) -> float:
    return last if high <= low else first + (last - first) * (at - low) / (high - low)
