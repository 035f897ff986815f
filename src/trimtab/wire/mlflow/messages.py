"""The messages that several routes share, and the conversions of time and of values that are no finite number."""

import math
from typing import Annotated, Any

import msgspec

from trimtab.domains.tracking.metrics.model import LARGEST, Latest, Point, PointColumns
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.errors import missing

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_MOST_MS = (2**63 - 1) // 1000
VIEWS: dict[Any, str] = {
    "ACTIVE_ONLY": "active",
    "DELETED_ONLY": "deleted",
    "ALL": "all",
    1: "active",
    2: "deleted",
    3: "all",
}


class Empty(msgspec.Struct):
    """A message without fields."""


class Tag(msgspec.Struct):
    key: str | None = None
    value: str | None = None


class TagView(msgspec.Struct):
    key: str
    value: str


class Metric(msgspec.Struct):
    key: str | None = None
    value: float | None = None
    timestamp: Int64 | None = None
    step: Int64 | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


class MetricView(msgspec.Struct, omit_defaults=True):
    """A metric as answers show it. ``value`` is a number or ``"NaN"``."""

    key: str
    value: float | str
    timestamp: int
    step: int
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None


def tag_views(tags: dict[str, str]) -> list[TagView]:
    return [TagView(key, value) for key, value in tags.items()]


def tag_pairs(
    tags: list[Tag] | None, field: str = "tags", *, most: int | None = None
) -> list[tuple[str, str]]:
    """Return (key, value) of each tag or parameter; raises Invalid for one without a key.

    Values longer than ``most`` are cut, as MLflow's server does unless told otherwise.
    """
    pairs: list[tuple[str, str]] = []
    for index, tag in enumerate(tags or ()):
        if not tag.key:
            raise missing(f"{field}[{index}].key")
        pairs.append((tag.key, (tag.value or "")[:most]))
    return pairs


def point_of(metric: Metric, path: str = "") -> Point:
    """Return the point of a metric; raises Invalid where a field is missing or out of range."""
    if not metric.key:
        raise missing(f"{path}key")
    if metric.value is None:
        raise missing(f"{path}value")
    if metric.timestamp is None:
        raise missing(f"{path}timestamp")
    return Point(
        metric.key,
        metric.value,
        micros(metric.timestamp, f"{path}timestamp"),
        metric.step or 0,
        metric.model_id or None,
        metric.dataset_name or None,
        metric.dataset_digest or None,
    )


def point_columns(metrics: list[Metric], path: str = "metrics") -> PointColumns:
    """Return metrics as columns; raises Invalid for the first where a field is missing or out of range."""
    keys = [one.key for one in metrics]
    values = [one.value for one in metrics]
    times = [one.timestamp for one in metrics]
    if not all(keys) or None in values or None in times or not _fit(times):
        for index, metric in enumerate(metrics):
            point_of(metric, f"{path}[{index}]." if path else "")
    return PointColumns(
        keys,  # pyright: ignore[reportArgumentType] - none is None, as was just checked
        values,  # pyright: ignore[reportArgumentType]
        [time * 1000 for time in times],  # pyright: ignore[reportOptionalOperand]
        [one.step or 0 for one in metrics],
        [point_of(one) for one in metrics if one.model_id],
    )


def _fit(times: list[Any]) -> bool:
    return not times or (min(times) >= -_MOST_MS and max(times) <= _MOST_MS)


def number(value: float) -> float | str:
    """Return a value as MLflow's server writes it: NaN as text, infinities as the largest numbers."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else math.copysign(LARGEST, value)


def metric_view(key: str, value: float, at_us: int, step: int, **more: str | None) -> MetricView:
    return MetricView(key, number(value), millis(at_us), step, **more)


def latest_views(metrics: dict[str, Latest]) -> list[MetricView]:
    return [metric_view(key, latest.value, latest.at_us, latest.step) for key, latest in metrics.items()]


def micros(ms: int, field: str) -> int:
    """Return microseconds from MLflow's milliseconds; raises Invalid where they do not fit."""
    if not -_MOST_MS <= ms <= _MOST_MS:
        raise Invalid(f"Invalid value {ms} for parameter '{field}' supplied.", field=field)
    return ms * 1000


def millis(us: int) -> int:
    return us // 1000


def view_of(value: str | int | None) -> Any:
    """Return which states a search shows; active ones for a view that is unknown, which may be a newer client's."""
    key = int(value) if isinstance(value, str) and value.isdigit() else value
    return VIEWS.get(key, "active")


def page_size(value: int | None, *, default: int, most: int, field: str = "max_results") -> int:
    """Return how many results a page holds; raises Invalid outside 1..most."""
    if value is None:
        return default
    if value < 1:
        raise Invalid(
            f"Invalid value {value} for parameter '{field}' supplied. It must be a positive integer",
            field=field,
        )
    if value > most:
        raise Invalid(
            f"Invalid value {value} for parameter '{field}' supplied. It must be at most {most}", field=field
        )
    return value


def required(value: str | None, field: str, *, alias: str | None = None) -> str:
    """Return a text; raises Invalid where it is missing or empty.

    A field whose old name ``alias`` is given counts as there, though the route does not read it.
    """
    if not value and not alias:
        raise missing(field)
    return value or ""
