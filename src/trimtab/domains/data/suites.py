"""Expectation suites as people read and edit them: numbered, and checked before they are kept."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from trimtab.kernel.errors import Invalid

Kind = Literal["columns", "rows", "type", "range", "values", "nulls", "unique", "length", "mean"]

_WHOLE_TABLE = ("columns", "rows")
_BANDS = ("rows", "range", "length", "mean")
_LISTS = ("columns", "type", "values")
_MOST = 5000
_MOST_VALUES = 10_000


class Expectation(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One requirement, as ``trimtab.science.validate`` understands it.

    ``table`` is left out where versions hold a single table, whatever its files are called.
    """

    kind: Kind
    column: str | None = None
    low: float | None = None
    high: float | None = None
    values: list[str] = []
    only: bool = False
    severity: Literal["error", "warning"] = "error"
    table: str | None = None


class Suite(msgspec.Struct, frozen=True):
    """What later versions of a dataset are held to. ``inferred_from`` is the version it was learned from."""

    name: str
    version: int
    expectations: list[Expectation]
    created_us: int
    created_by: str
    inferred_from: int | None


def check_expectations(expectations: Sequence[Expectation]) -> list[Expectation]:
    """Return the expectations; raises Invalid that names the one which makes no sense."""
    if len(expectations) > _MOST:
        raise Invalid(f"A suite has at most {_MOST} expectations.", field="expectations")
    for place, one in enumerate(expectations):
        field = f"expectations[{place}]"
        if (one.column is None) != (one.kind in _WHOLE_TABLE):
            wanted = (
                "is about the whole table and takes no column"
                if one.kind in _WHOLE_TABLE
                else "needs a column"
            )
            raise Invalid(f"The expectation {one.kind!r} {wanted}.", field=f"{field}.column")
        if one.kind in _BANDS and one.low is None and one.high is None:
            raise Invalid(f"The expectation {one.kind!r} needs low or high.", field=f"{field}.low")
        if one.low is not None and one.high is not None and one.low > one.high:
            raise Invalid("low is greater than high.", field=f"{field}.low")
        if one.kind == "nulls" and not (one.high is not None and 0 <= one.high <= 1):
            raise Invalid("The expectation 'nulls' needs a share from 0 to 1 as high.", field=f"{field}.high")
        if one.kind in _LISTS and not one.values:
            raise Invalid(f"The expectation {one.kind!r} needs values.", field=f"{field}.values")
        if len(one.values) > _MOST_VALUES:
            raise Invalid(f"An expectation lists at most {_MOST_VALUES} values.", field=f"{field}.values")
    return list(expectations)
