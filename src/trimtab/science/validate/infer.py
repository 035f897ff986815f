"""A suite learned from the profile of a good table: strict on structure, with slack on what may vary."""

from trimtab.science.profile.column import ColumnProfile
from trimtab.science.profile.table import TableProfile
from trimtab.science.validate.suite import Expectation, Suite


def infer(profile: TableProfile, *, slack: float = 0.25, few: int = 50, rows_factor: float = 4.0) -> Suite:
    """Expectations that the profiled table meets, and that its like should.

    - Columns and types as they are (whole numbers may become numbers).
    - Numbers: the range widened by `slack` of its width on both sides; a range without negatives stays so.
      Times are left open to the future.
    - Texts of at most `few` values, each seen 20 times on average: those values only.
    - Nulls: twice the share seen, at least 1 %. Uniqueness where it is certain; then no range, as keys grow.
    - Rows: from 1 / `rows_factor` to `rows_factor` times as many.

    >>> from trimtab.science.profile import table
    >>> found = infer(table.profile({"id": [1, 2, 3, 4], "carrier": ["UA", "AA", "UA", "UA"]}))
    >>> [(one.kind, one.column) for one in found.expectations][:4]
    [('columns', None), ('rows', None), ('type', 'id'), ('nulls', 'id')]
    """
    expectations = [Expectation("columns", values=tuple(column.name for column in profile.columns))]
    if profile.rows:
        low, high = max(1, int(profile.rows / rows_factor)), int(profile.rows * rows_factor)
        expectations.append(Expectation("rows", low=low, high=high))
    for column in profile.columns:
        if column.type != "empty":
            expectations += _of_column(column, slack, few)
    return Suite(tuple(expectations))


def _of_column(column: ColumnProfile, slack: float, few: int) -> list[Expectation]:
    known = column.count - column.nulls
    types = ("integer", "number") if column.type in ("integer", "number") else (column.type,)
    found = [
        Expectation("type", column.name, values=types),
        Expectation("nulls", column.name, high=min(1.0, max(0.01, 2 * column.nulls / column.count))),
    ]
    # A dozen different prices are no key: whole numbers and texts only, and enough of them.
    key = known >= 100 and column.distinct_exact and column.distinct == known
    if key and column.type in ("integer", "text"):
        found.append(Expectation("unique", column.name))
        if column.type == "integer":
            return found  # keys grow: a range would soon fail
    if column.min is not None and column.max is not None:
        width = (column.max - column.min) or abs(column.max) or 1.0
        low: float = column.min - slack * width
        high: float | None = column.max + slack * width
        if column.min >= 0:
            low = max(low, 0.0)
        if column.type == "time":
            high = None
        found.append(Expectation("range", column.name, low=low, high=high))
    if column.type in ("text", "flag") and column.values and len(column.values) <= few:
        if column.type == "flag" or known >= 20 * len(column.values):
            found.append(Expectation("values", column.name, values=tuple(sorted(column.values))))
    elif column.type == "text" and column.shortest is not None and column.longest is not None:
        low_length, high_length = column.shortest // 2, column.longest * 2
        found.append(Expectation("length", column.name, low=low_length, high=high_length))
    return found
