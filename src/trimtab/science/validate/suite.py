"""Expectations on a table, and their check against a profile of it.

An expectation is plain data: a kind, a column (None for the whole table) and the few numbers it needs.
Checking reads only the profile (`science.profile`), so it costs nothing beside the one pass that made it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from trimtab.science.profile.column import ColumnProfile
from trimtab.science.profile.table import TableProfile

ExpectationKind = Literal["columns", "rows", "type", "range", "values", "nulls", "unique", "length", "mean"]


@dataclass(frozen=True)
class Expectation:
    """One requirement; which fields count depends on `kind`.

    - "columns": `values` are all present, and with `only` no others;
    - "rows": between `low` and `high`;
    - "type": `values` are the types allowed; "values": the values allowed (as text, null aside);
    - "range": numbers between `low` and `high`; "length": texts' lengths; "mean": the mean;
    - "nulls": a share of at most `high`; "unique": no value twice.

    A bound that is None does not bind. `severity` "warning" reports without failing the table.
    """

    kind: ExpectationKind
    column: str | None = None
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()
    only: bool = False
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True)
class Suite:
    """The expectations on a table."""

    expectations: tuple[Expectation, ...]


@dataclass(frozen=True)
class Result:
    """What became of one expectation; `observed` and `expected` are JSON values."""

    expectation: ExpectationKind
    column: str | None
    passed: bool
    observed: Any
    expected: Any
    message: str
    severity: Literal["error", "warning"]


def check(suite: Suite, profile: TableProfile) -> tuple[Result, ...]:
    """One result for each expectation, in order.

    >>> from trimtab.science.profile import table
    >>> suite = Suite((Expectation("range", "x", low=0, high=10), Expectation("nulls", "x", high=0.0)))
    >>> [(one.expectation, one.passed, one.message) for one in check(suite, table.profile({"x": [1, 2, 30]}))]
    [('range', False, 'x runs from 1 to 30, expected 0 to 10'), ('nulls', True, 'x has no nulls')]
    """
    return tuple(_checked(one, profile) for one in suite.expectations)


def passed(results: tuple[Result, ...]) -> bool:
    """Whether nothing failed but warnings."""
    return all(one.passed or one.severity == "warning" for one in results)


def _checked(one: Expectation, profile: TableProfile) -> Result:
    if one.kind == "columns":
        return _columns(one, profile)
    if one.kind == "rows":
        fine = _inside(profile.rows, one)
        return _result(one, f"{profile.rows} rows", "", fine=fine, observed=profile.rows, expected=_band(one))
    found = profile.column(one.column or "")
    if found is None:
        return Result(
            one.kind, one.column, False, None, None, f"there is no column {one.column}", one.severity
        )
    return _CHECKS[one.kind](one, found)


def _columns(one: Expectation, profile: TableProfile) -> Result:
    present = [column.name for column in profile.columns]
    lacking = [name for name in one.values if name not in present]
    extra = [name for name in present if name not in one.values] if one.only else []
    said = [f"missing: {', '.join(lacking)}"] if lacking else []
    said += [f"not expected: {', '.join(extra)}"] if extra else []
    message = "; ".join(said) or "all columns are there"
    return Result("columns", None, not said, present, list(one.values), message, one.severity)


def _type(one: Expectation, column: ColumnProfile) -> Result:
    # Whole numbers are numbers, and a column without values has no wrong type.
    fine = column.type in one.values or column.type == "empty"
    fine = fine or (column.type == "integer" and "number" in one.values)
    return _result(
        one,
        f"{column.name} is {column.type}",
        " or ".join(one.values),
        fine=fine,
        observed=column.type,
        expected=list(one.values),
    )


def _range(one: Expectation, column: ColumnProfile) -> Result:
    if column.min is None or column.max is None:
        fine = column.type == "empty"
        return _result(
            one, f"{column.name} has no numbers", _said(one), fine=fine, observed=None, expected=_band(one)
        )
    fine = _inside(column.min, one) and _inside(column.max, one) and not column.infinite
    observed = {"min": column.min, "max": column.max}
    infinite = f", {column.infinite} values are infinite" if column.infinite else ""
    message = f"{column.name} runs from {column.min:g} to {column.max:g}{infinite}"
    return _result(one, message, _said(one), fine=fine, observed=observed, expected=_band(one))


def _values(one: Expectation, column: ColumnProfile) -> Result:
    allowed = set(one.values)
    seen = column.values or tuple(top.value for top in column.top)
    strange = [value for value in seen if value not in allowed]
    # An incomplete list of values means more of them than any list of allowed ones we could have kept.
    more = not column.values and column.distinct > len(allowed)
    fine = not strange and not more
    if strange:
        shown = ", ".join(repr(value) for value in strange[:5])
        message = f"{column.name} has {len(strange)} values not allowed: {shown}" + (
            " ..." if strange[5:] else ""
        )
    else:
        message = f"{column.name} has {column.distinct} distinct values"
    return _result(
        one,
        message,
        f"{len(allowed)} allowed values" if more else "",
        fine=fine,
        observed=strange[:20],
        expected=list(one.values),
    )


def _nulls(one: Expectation, column: ColumnProfile) -> Result:
    share = column.nulls / column.count if column.count else 0.0
    fine = share <= (1.0 if one.high is None else one.high)
    message = (
        f"{column.name} has {column.nulls} nulls ({share:.2%})"
        if column.nulls
        else f"{column.name} has no nulls"
    )
    return _result(
        one,
        message,
        f"at most {one.high:.2%}" if one.high is not None else "",
        fine=fine,
        observed=share,
        expected=_band(one),
    )


def _unique(one: Expectation, column: ColumnProfile) -> Result:
    known = column.count - column.nulls
    # An estimated count cannot prove a duplicate: allow for three standard errors of the estimate.
    fine = column.distinct >= (known if column.distinct_exact else 0.95 * known)
    message = f"{column.name} has {column.distinct} distinct values in {known} rows"
    if not column.distinct_exact:
        message += " (estimated)"
    return _result(one, message, "no value twice", fine=fine, observed=column.distinct, expected=known)


def _length(one: Expectation, column: ColumnProfile) -> Result:
    if column.shortest is None or column.longest is None:
        return _result(
            one,
            f"{column.name} has no texts",
            _said(one),
            fine=column.type == "empty",
            observed=None,
            expected=_band(one),
        )
    fine = _inside(column.shortest, one) and _inside(column.longest, one)
    observed = {"shortest": column.shortest, "longest": column.longest}
    message = f"texts of {column.name} have {column.shortest} to {column.longest} characters"
    return _result(one, message, _said(one), fine=fine, observed=observed, expected=_band(one))


def _mean(one: Expectation, column: ColumnProfile) -> Result:
    if column.mean is None:
        return _result(
            one,
            f"{column.name} has no mean",
            _said(one),
            fine=column.type == "empty",
            observed=None,
            expected=_band(one),
        )
    message = f"the mean of {column.name} is {column.mean:g}"
    return _result(
        one, message, _said(one), fine=_inside(column.mean, one), observed=column.mean, expected=_band(one)
    )


_CHECKS: dict[str, Callable[[Expectation, ColumnProfile], Result]] = {
    "type": _type,
    "range": _range,
    "values": _values,
    "nulls": _nulls,
    "unique": _unique,
    "length": _length,
    "mean": _mean,
}


def _result(
    one: Expectation, message: str, wanted: str, *, fine: bool, observed: Any, expected: Any
) -> Result:
    said = wanted or (_said(one) if one.kind == "rows" else "")
    text = message if fine or not said else f"{message}, expected {said}"
    return Result(one.kind, one.column, fine, observed, expected, text, one.severity)


def _inside(value: float, one: Expectation) -> bool:
    return (one.low is None or value >= one.low) and (one.high is None or value <= one.high)


def _band(one: Expectation) -> dict[str, float | None]:
    return {"low": one.low, "high": one.high}


def _said(one: Expectation) -> str:
    if one.low is None:
        return f"at most {one.high:g}" if one.high is not None else "anything"
    return f"{one.low:g} to {one.high:g}" if one.high is not None else f"at least {one.low:g}"
