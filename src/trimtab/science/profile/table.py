"""The profile of a table, whole or chunk by chunk."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.science.profile import column
from trimtab.science.profile.column import ColumnProfile, ColumnState


@dataclass(frozen=True)
class TableState:
    """Rows and column states so far."""

    rows: int = 0
    columns: tuple[ColumnState, ...] = ()


@dataclass(frozen=True)
class TableProfile:
    """Number of rows and the profile of every column, in the table's order."""

    rows: int
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile | None:
        """The profile of one column, None if the table has none of that name."""
        return next((one for one in self.columns if one.name == name), None)


def profile(data: Mapping[str, Any]) -> TableProfile:
    """The profile of a table given as columns (numpy, lists, Arrow or pandas), all of one length.

    >>> found = profile({"carrier": ["UA", "AA", "UA", None], "delay": [2.0, 4.0, None, 9.5]})
    >>> found.rows, found.columns[0].top[0].value, found.columns[1].max
    (4, 'UA', 9.5)
    """
    return finish(add(TableState(), data))


def add(state: TableState, data: Mapping[str, Any]) -> TableState:
    """The state with one more chunk of rows. A column missing from a chunk counts as null there."""
    sizes = {len(values) for values in data.values()}
    if len(sizes) > 1:
        raise ValueError("columns differ in length")
    rows = sizes.pop() if sizes else 0
    chunk = tuple(column.add(column.start(name), values) for name, values in data.items())
    return merge([state, TableState(rows, chunk)])


def merge(states: Iterable[TableState]) -> TableState:
    """The state of all rows together."""
    rows, found = 0, dict[str, ColumnState]()
    for state in states:
        here = {one.name: one for one in state.columns}
        for name in [*found, *(name for name in here if name not in found)]:
            before = found.get(name) or _nulls(name, rows)
            after = here.get(name) or _nulls(name, state.rows)
            found[name] = column.merge(before, after)
        rows += state.rows
    return TableState(rows, tuple(found.values()))


def finish(state: TableState) -> TableProfile:
    """The profile of what has been seen."""
    return TableProfile(state.rows, tuple(column.finish(one) for one in state.columns))


def _nulls(name: str, rows: int) -> ColumnState:
    if not rows:
        return column.start(name)
    return ColumnState(name=name, count=rows, nulls=rows, chunks=1, unique_in_chunk=0)
