"""Sketches of a table: a reference that fixes bins for every column, and windows counted into those bins.

A numeric column gets bins between quantiles of the reference, finer in the tails; a categorical one its most
frequent values and "other"; both count missing values apart. A window is nothing but counts, so windows merge
by addition.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trimtab.science import clustering
from trimtab.science import columns as table

LEVELS = (0.01, 0.025, *(i / 20 for i in range(1, 20)), 0.975, 0.99)
"""Quantile levels between the bins of a numeric column: 24 bins, ties merged."""


@dataclass(frozen=True)
class ColumnSketch:
    """One column of the reference. `counts` has a cell for each bin and, last, one for missing values.

    Numeric: `edges` (E,) rise; bin i of E + 1 holds edges[i-1] < value <= edges[i]. Categorical: `values`
    (V,), most frequent first, then one bin for all others. `clustering`: intraclass correlation of each of
    the column's `summaries` within groups of rows (days, say), and `group_rows` the size of such a group;
    empty and 1 if rows are independent.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    edges: tuple[float, ...]
    values: tuple[str, ...]
    counts: tuple[int, ...]
    clustering: tuple[float, ...] = ()
    group_rows: float = 1.0
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    std: float | None = None

    @property
    def cells(self) -> int:
        """Number of cells, the one for missing values included."""
        return len(self.counts)

    @property
    def labels(self) -> tuple[str, ...]:
        """A name for each cell, for people."""
        if self.kind == "categorical":
            return (*self.values, "(other)", "(missing)")
        ends = [f"{edge:g}" for edge in self.edges]
        inner = [f"{left} .. {right}" for left, right in pairwise(ends)]
        if not ends:
            return ("(any)", "(missing)")
        return (f"<= {ends[0]}", *inner, f"> {ends[-1]}", "(missing)")


@dataclass(frozen=True)
class Reference:
    """What the data looked like when all was well: `rows` and a sketch of each column."""

    rows: int
    columns: tuple[ColumnSketch, ...]

    def column(self, name: str) -> ColumnSketch:
        """The sketch of one column; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True)
class Window:
    """Counts of some rows in the cells of a reference, by column name."""

    rows: int
    counts: dict[str, tuple[int, ...]]


def build(
    data: Mapping[str, Any],
    *,
    kinds: Mapping[str, table.Kind] | None = None,
    groups: Any = None,
    top: int = 20,
    levels: Sequence[float] = LEVELS,
) -> Reference:
    """The reference of a table given as columns (numpy, lists, Arrow or pandas), all of one length.

    `kinds` overrides what `columns.kind_of` guesses. `groups` (n,), for example the day of each row, lets the
    sketch learn how far groups differ when nothing is wrong (`clustering`), so that days with weather of
    their own are not taken for drift. `top`: values kept of a categorical column.

    >>> reference = build({"hour": [5, 6, 6, 7], "carrier": ["UA", "AA", "UA", None]})
    >>> reference.column("carrier").values, reference.column("carrier").counts
    (('UA', 'AA'), (2, 1, 0, 1))
    >>> reference.column("hour").edges, reference.column("hour").counts
    ((5.0, 6.0, 7.0), (1, 2, 1, 0, 0))
    """
    lengths = {len(values) for values in data.values()}
    if len(lengths) > 1:
        raise ValueError("columns differ in length")
    group_of: NDArray[np.intp] | None = None
    if groups is not None:
        _, group_of = np.unique(np.asarray(groups), return_inverse=True)
    found: list[ColumnSketch] = []
    for name, values in data.items():
        kind = (kinds or {}).get(name) or table.kind_of(values)
        if kind == "numeric":
            sketch = _numeric(name, table.numbers(values), levels)
        else:
            sketch = _categorical(name, values, top)
        if group_of is not None and group_of.size:
            sketch = _clustered(sketch, cell_of(sketch, values), group_of)
        found.append(sketch)
    return Reference(rows=lengths.pop() if lengths else 0, columns=tuple(found))


def count(reference: Reference, data: Mapping[str, Any]) -> Window:
    """The window of a table's rows. A column that `data` lacks is left out, and so is one with texts where the
    reference has numbers (hashed or masked ones, say), or with lists; one the reference lacks is ignored.

    >>> reference = build({"hour": [5, 6, 6, 7], "carrier": ["UA", "AA", "UA", None]})
    >>> count(reference, {"hour": [6, 23], "carrier": ["DL", "UA"]})
    Window(rows=2, counts={'hour': (0, 1, 0, 1, 0), 'carrier': (1, 0, 1, 0)})
    """
    counts: dict[str, tuple[int, ...]] = {}
    rows = 0
    for column in reference.columns:
        if column.name not in data:
            continue
        values = data[column.name]
        rows = max(rows, len(values))
        try:
            if column.kind == "numeric":
                counts[column.name] = _numeric_counts(table.numbers(values), column.edges)
            else:
                counts[column.name] = _categorical_counts(column.values, values)
        except (TypeError, ValueError, NotImplementedError):  # the last is how Arrow refuses to count lists
            continue
    return Window(rows=rows, counts=counts)


def merge(windows: Iterable[Window]) -> Window:
    """The window of all rows together (all of one reference).

    >>> merge([Window(1, {"a": (1, 0)}), Window(2, {"a": (0, 2)})])
    Window(rows=3, counts={'a': (1, 2)})
    """
    rows, sums = 0, dict[str, tuple[int, ...]]()
    for window in windows:
        rows += window.rows
        for name, counts in window.counts.items():
            before = sums.get(name, (0,) * len(counts))
            sums[name] = tuple(a + b for a, b in zip(before, counts, strict=True))
    return Window(rows=rows, counts=sums)


def cell_of(column: ColumnSketch, values: Any) -> NDArray[np.intp]:
    """The cell (n,) each value of a column falls into."""
    if column.kind == "numeric":
        return _numeric_cells(table.numbers(values), column.edges)
    places = {value: i for i, value in enumerate(column.values)}
    other, missing = len(column.values), len(column.values) + 1
    items = values.tolist() if hasattr(values, "tolist") else list(values)
    cells = (missing if table.is_missing(v) else places.get(table.label(v), other) for v in items)
    return np.fromiter(cells, dtype=np.intp, count=len(items))


def summaries(column: ColumnSketch) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names (S,) of a column's summaries and the value in [0, 1] (S, cells) each gives to a row of each cell.

    Numeric: mean rank in the reference ("location"), distance of the rank from the middle ("spread"), whether
    it lies in the outer tenth ("tails"), whether it is missing. Categorical: the share of each cell.

    >>> names, scores = summaries(build({"x": list(range(1, 11)) * 10}).column("x"))
    >>> names, scores[0].round(2).tolist()[:3]
    (('location', 'spread', 'tails', 'missing'), [0.05, 0.15, 0.25])
    """
    counts = np.asarray(column.counts, dtype=np.float64)
    if column.kind == "categorical":
        return tuple(f"share of {label}" for label in column.labels), np.eye(counts.size)
    known = counts[:-1]
    share = known / max(float(known.sum()), 1.0)
    ranks = np.clip(np.cumsum(share) - share / 2, 0.0, 1.0)
    off_middle = np.abs(2 * ranks - 1)
    outer = (off_middle >= 0.9).astype(np.float64)
    missing = np.zeros(counts.size)
    missing[-1] = 1.0
    # A missing value says nothing on the others: it gets the reference's mean.
    with_mean = [np.append(scores, float(scores @ share)) for scores in (ranks, off_middle, outer)]
    return ("location", "spread", "tails", "missing"), np.stack([*with_mean, missing])


def _numeric(name: str, numbers: NDArray[np.float64], levels: Sequence[float]) -> ColumnSketch:
    known = numbers[np.isfinite(numbers)]
    edges: tuple[float, ...] = ()
    if known.size:
        found = np.unique(np.quantile(known, levels, method="inverted_cdf"))
        # Few distinct values: close the last bin at the maximum, so that "beyond" is a bin of its own.
        if found.size < len(levels):
            found = np.unique(np.append(found, known.max()))
        edges = tuple(found.tolist())
    cells = _numeric_cells(numbers, edges)
    counts = np.bincount(cells, minlength=len(edges) + 2)
    return ColumnSketch(
        name=name,
        kind="numeric",
        edges=edges,
        values=(),
        counts=tuple(counts.tolist()),
        low=float(known.min()) if known.size else None,
        high=float(known.max()) if known.size else None,
        mean=float(known.mean()) if known.size else None,
        std=float(known.std()) if known.size else None,
    )


def _numeric_cells(numbers: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.intp]:
    cells = np.searchsorted(np.asarray(edges, dtype=np.float64), numbers, side="left")
    cells[np.isnan(numbers)] = len(edges) + 1
    return cells


def _numeric_counts(numbers: NDArray[np.float64], edges: Sequence[float]) -> tuple[int, ...]:
    """How many values each cell has. Sorting them takes a third of the time of finding each one's cell."""
    rising = np.sort(numbers)  # NaN comes last
    known = rising.size - int(np.count_nonzero(np.isnan(rising)))
    upto = np.searchsorted(rising, np.asarray(edges, dtype=np.float64), side="right")
    ends: list[int] = [0, *upto.tolist(), known, rising.size]
    return tuple(end - start for start, end in pairwise(ends))


def _categorical(name: str, values: Any, top: int) -> ColumnSketch:
    counted, _ = table.labels(values)
    # Ties by name: the same data gives the same sketch.
    kept = tuple(value for value, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:top])
    return ColumnSketch(
        name=name, kind="categorical", edges=(), values=kept, counts=_categorical_counts(kept, values)
    )


def _categorical_counts(kept: tuple[str, ...], values: Any) -> tuple[int, ...]:
    counted, missing = table.labels(values)
    of_kept = [counted.pop(value, 0) for value in kept]
    return (*of_kept, sum(counted.values()), missing)


def _clustered(column: ColumnSketch, cells: NDArray[np.intp], group_of: NDArray[np.intp]) -> ColumnSketch:
    size = int(group_of.max()) + 1
    by_group = np.bincount(group_of * column.cells + cells, minlength=size * column.cells).reshape(size, -1)
    rows = by_group.sum(1).astype(np.float64)
    _, scores = summaries(column)
    shares = by_group / rows[:, None]
    found = clustering.correlations(rows, scores @ shares.T, (scores * scores) @ shares.T)
    typical = float((rows * rows).sum() / rows.sum())
    return replace(column, clustering=tuple(found.tolist()), group_rows=typical)
