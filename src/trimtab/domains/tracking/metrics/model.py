"""What a metric point is, how values that are no finite number are kept, and how long curves are drawn."""

import math
from collections.abc import Sequence
from enum import IntEnum

import msgspec

from trimtab.domains.tracking.names import check_key
from trimtab.kernel.errors import Invalid

LARGEST = 1.7976931348623157e308
MOST_US = 2**63 - 1
_MOST_STEP = 2**63


class ValueKind(IntEnum):
    """What a stored value stands for, so that columns hold finite numbers only."""

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


class Latest(msgspec.Struct, frozen=True):
    """The value of a metric at its last step; ``value`` may be NaN or infinite."""

    value: float
    step: int
    at_us: int


class Curve(msgspec.Struct, frozen=True):
    """A metric's points as [step, at_us, value], in the order of their steps; value is None where it is not finite."""

    key: str
    points: list[tuple[int, int, float | None]]
    total: int
    downsampled: bool


def check_point(point: Point, field: str = "") -> None:
    """Raise Invalid for a point that cannot be kept."""
    prefix = f"{field}." if field else ""
    check_key(point.key, f"{prefix}name")
    if not 0 <= point.at_us <= MOST_US:
        raise Invalid(
            f"Invalid value {point.at_us // 1000} for parameter '{prefix}timestamp' supplied: metric '{point.key}'. "
            "Timestamp must be a nonnegative long (64-bit integer)",
            field=f"{prefix}timestamp",
        )
    if not -_MOST_STEP <= point.step < _MOST_STEP:
        raise Invalid(
            f"Invalid value for parameter '{prefix}step' supplied: Step must be a valid long (64-bit integer).",
            field=f"{prefix}step",
        )


def encode(value: float) -> tuple[float, ValueKind]:
    """Return a value as its two columns hold it."""
    if math.isnan(value):
        return 0.0, ValueKind.NAN
    if math.isinf(value):
        return math.copysign(LARGEST, value), ValueKind.INFINITE
    return float(value), ValueKind.FINITE


def decode(value: float, kind: int) -> float:
    """Return the value that the two columns hold."""
    if kind == ValueKind.FINITE:
        return value
    return math.nan if kind == ValueKind.NAN else math.copysign(math.inf, value)


def finite(value: float) -> float | None:
    """Return the value for JSON, which knows no NaN and no infinity."""
    return value if math.isfinite(value) else None


def downsample(points: Sequence[tuple[int, int, float]], most: int) -> list[tuple[int, int, float]]:
    """Return at most ``most`` points that keep the first, the last and every visible extreme.

    Points are (step, at_us, value) in order. Each of ``most / 2`` spans of equal length gives its least and its
    greatest value, so a curve drawn from them covers the same pixels.
    """
    if len(points) <= most:
        return list(points)
    if most < 4:
        return [points[0], points[-1]][:most]
    inner = points[1:-1]
    spans = (most - 2) // 2
    kept = [points[0]]
    for span in range(spans):
        part = inner[span * len(inner) // spans : (span + 1) * len(inner) // spans]
        if not part:
            continue
        numbers = [point for point in part if not math.isnan(point[2])] or part
        low = min(numbers, key=lambda point: point[2])
        high = max(numbers, key=lambda point: point[2])
        kept += [low] if low is high else sorted((low, high), key=lambda point: (point[0], point[1]))
    kept.append(points[-1])
    return kept
