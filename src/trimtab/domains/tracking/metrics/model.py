"""What a metric point is, how points travel in columns, and what is told of a metric beside its curve."""

import math
from collections.abc import Iterable, Sequence
from enum import IntEnum

import msgspec

from trimtab.domains.tracking.names import check_key
from trimtab.kernel.errors import Invalid

LARGEST = 1.7976931348623157e308
MOST_US = 2**63 - 1
_MOST_STEP = 2**63


class ValueKind(IntEnum):
    """What a stored value stands for where a column or a cursor holds finite numbers only."""

    FINITE = 0
    NAN = 1
    INFINITE = 2


class Point(msgspec.Struct, frozen=True):
    """A value of a metric at a step. It may also belong to a logged model and be measured on a data set."""

    key: str
    value: float
    at_us: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class PointColumns(msgspec.Struct, frozen=True):
    """Points side by side, as the store takes them: four lists of one length.

    ``of_models`` are those that also belong to logged models, once more and whole.
    """

    keys: Sequence[str]
    values: Sequence[float]
    at_us: Sequence[int]
    steps: Sequence[int]
    of_models: Sequence[Point] = ()

    def __len__(self) -> int:
        return len(self.keys)

    def points(self) -> list[Point]:
        """Return the points one by one."""
        rows = zip(self.keys, self.values, self.at_us, self.steps, strict=True)
        return [Point(*row) for row in rows]


class History(msgspec.Struct, frozen=True):
    """A page of a metric's points, and the cursor of the next page where there is one."""

    columns: PointColumns
    next_cursor: str | None = None


class Latest(msgspec.Struct, frozen=True):
    """The value of a metric at its last step, which may be NaN or infinite, and what is known of all its values.

    ``least`` and ``greatest`` leave NaN out; ``points`` counts a point that was sent twice until the curve is compacted.
    """

    value: float
    step: int
    at_us: int
    least: float | None = None
    greatest: float | None = None
    points: int = 1


class Curve(msgspec.Struct, frozen=True):
    """A metric's points as [step, at_us, value], in the order of their steps; value is None where it is not finite."""

    key: str
    points: list[tuple[int, int, float | None]]
    total: int
    downsampled: bool


class RunCurve(msgspec.Struct, frozen=True):
    """One of several curves: the run that it belongs to, and the curve."""

    run_id: str
    key: str
    points: list[tuple[int, int, float | None]]
    total: int
    downsampled: bool


def columns_of(points: Iterable[Point]) -> PointColumns:
    """Return points as columns."""
    listed = list(points)
    return PointColumns(
        [one.key for one in listed],
        [one.value for one in listed],
        [one.at_us for one in listed],
        [one.step for one in listed],
        [one for one in listed if one.model_id is not None],
    )


def check_columns(columns: PointColumns) -> None:
    """Raise Invalid, with the place of the first bad point, for points that cannot be kept."""
    if not columns.keys or (_in_range(columns) and _good_keys(set(columns.keys))):
        return
    for index, (key, at_us, step) in enumerate(zip(columns.keys, columns.at_us, columns.steps, strict=True)):
        check_point(key, at_us, step, f"metrics[{index}]." if len(columns) > 1 else "")


def _in_range(columns: PointColumns) -> bool:
    return (
        min(columns.at_us) >= 0
        and max(columns.at_us) <= MOST_US
        and min(columns.steps) >= -_MOST_STEP
        and max(columns.steps) < _MOST_STEP
    )


def _good_keys(keys: Iterable[str]) -> bool:
    try:
        for key in keys:
            check_key(key, "name")
    except Invalid:
        return False
    return True


def check_point(key: str, at_us: int, step: int, prefix: str = "") -> None:
    """Raise Invalid for a point that cannot be kept; ``prefix`` is the place of its fields in the request."""
    check_key(key, f"{prefix}name")
    if not 0 <= at_us <= MOST_US:
        raise Invalid(
            f"Invalid value {at_us // 1000} for parameter '{prefix}timestamp' supplied: metric '{key}'. "
            "Timestamp must be a nonnegative long (64-bit integer)",
            field=f"{prefix}timestamp",
        )
    if not -_MOST_STEP <= step < _MOST_STEP:
        raise Invalid(
            f"Invalid value for parameter '{prefix}step' supplied: Step must be a valid long (64-bit integer).",
            field=f"{prefix}step",
        )


def encode(value: float) -> tuple[float, ValueKind]:
    """Return a value as a finite number and its kind."""
    if math.isnan(value):
        return 0.0, ValueKind.NAN
    if math.isinf(value):
        return math.copysign(LARGEST, value), ValueKind.INFINITE
    return float(value), ValueKind.FINITE


def decode(value: float, kind: int) -> float:
    """Return the value that a finite number and a kind stand for."""
    if kind == ValueKind.FINITE:
        return value
    return math.nan if kind == ValueKind.NAN else math.copysign(math.inf, value)


def finite(value: float | None) -> float | None:
    """Return the value for JSON, which knows no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None
