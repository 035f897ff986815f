"""Which figures there are of traces, spans and assessments, and the arithmetic that SQL does not do alike everywhere."""

import math
from collections.abc import Sequence
from typing import Literal

import msgspec

from trimtab.kernel.errors import Invalid

View = Literal["TRACES", "SPANS", "ASSESSMENTS"]
VIEWS: tuple[View, ...] = ("TRACES", "SPANS", "ASSESSMENTS")
Kind = Literal["COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX"]
KINDS: tuple[Kind, ...] = ("COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX")

MOST_POINTS = 1000
_JEFFREYS = 0.5


class Aggregation(msgspec.Struct, frozen=True):
    """A way to make one number of many; ``percentile`` from 0 to 100 for PERCENTILE alone."""

    kind: Kind
    percentile: float | None = None

    @property
    def label(self) -> str:
        return f"P{self.percentile}" if self.kind == "PERCENTILE" else self.kind


class Measure(msgspec.Struct, frozen=True):
    """A figure: what is added up, how it may be, and by what it may be broken down."""

    sql: str
    kinds: tuple[Kind, ...]
    dimensions: tuple[str, ...]


class Point(msgspec.Struct, frozen=True):
    """The numbers of one group; ``dimensions`` name it."""

    metric_name: str
    dimensions: dict[str, str]
    values: dict[str, float]


class Correlation(msgspec.Struct, frozen=True):
    """How often two properties of traces go together: from -1, never, over 0, by chance, to 1, always; may be NaN."""

    npmi: float
    npmi_smoothed: float
    filter1_count: int
    filter2_count: int
    joint_count: int
    total_count: int


_COUNTED: tuple[Kind, ...] = ("COUNT",)
_SPREAD: tuple[Kind, ...] = ("AVG", "MIN", "MAX", "PERCENTILE")
_SUMMED: tuple[Kind, ...] = ("SUM", *_SPREAD)
_MODELS = ("span_model_name", "span_model_provider")

MEASURES: dict[View, dict[str, Measure]] = {
    "TRACES": {
        "trace_count": Measure("t.id", _COUNTED, ("trace_name", "trace_status")),
        "session_count": Measure("distinct t.session", _COUNTED, ()),
        "latency": Measure("(t.duration_us / 1000)", _SPREAD, ("trace_name",)),
        "input_tokens": Measure("t.input_tokens", _SUMMED, ("trace_name",)),
        "output_tokens": Measure("t.output_tokens", _SUMMED, ("trace_name",)),
        "total_tokens": Measure("t.total_tokens", _SUMMED, ("trace_name",)),
        "cache_read_input_tokens": Measure("t.cache_read_tokens", _SUMMED, ("trace_name",)),
        "cache_creation_input_tokens": Measure("t.cache_write_tokens", _SUMMED, ("trace_name",)),
    },
    "SPANS": {
        "span_count": Measure("s.id", _COUNTED, ("span_name", "span_type", "span_status", *_MODELS)),
        "latency": Measure("((s.ended_ns - s.started_ns) / 1000000)", _SPREAD, ("span_name", "span_status")),
        "input_cost": Measure("s.input_cost", _SUMMED, _MODELS),
        "output_cost": Measure("s.output_cost", _SUMMED, _MODELS),
        "total_cost": Measure("s.total_cost", _SUMMED, _MODELS),
    },
    "ASSESSMENTS": {
        "assessment_count": Measure("a.id", _COUNTED, ("assessment_name", "assessment_value")),
        "assessment_value": Measure("a.number", _SPREAD, ("assessment_name",)),
    },
}
DIMENSIONS = {
    "trace_name": "t.name",
    "trace_status": "t.state",
    "span_name": "s.name",
    "span_type": "s.type",
    "span_status": "s.status",
    "span_model_name": "s.model",
    "span_model_provider": "s.provider",
    "assessment_name": "a.name",
    "assessment_value": "a.value",
}


def measure(view: View, name: str, aggregations: Sequence[Aggregation], dimensions: Sequence[str]) -> Measure:
    """Return the figure of a name; raises Invalid where it is unknown or cannot be made so."""
    known = MEASURES[view]
    if name not in known:
        raise Invalid(f"metric_name must be one of {sorted(known)}, got '{name[:100]}'", field="metric_name")
    found = known[name]
    wrong = sorted({one.kind for one in aggregations} - set(found.kinds))
    if wrong:
        raise Invalid(
            f"Found invalid aggregation_type(s): {wrong}. Supported aggregation types: {sorted(found.kinds)}",
            field="aggregations",
        )
    unknown = sorted(set(dimensions) - set(found.dimensions))
    if unknown:
        raise Invalid(
            f"Found invalid dimension(s): {unknown}. Supported dimensions: {sorted(found.dimensions)}",
            field="dimensions",
        )
    for one in aggregations:
        if one.kind != "PERCENTILE":
            if one.percentile is not None:
                raise Invalid(
                    "Percentile value is only allowed for PERCENTILE aggregation type.", field="aggregations"
                )
        elif one.percentile is None or not 0 <= one.percentile <= 100:
            raise Invalid("Percentile value must be between 0 and 100.", field="aggregations")
    return found


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value below which so many percent lie, linear between neighbours (Hyndman and Fan's method 7).

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.5
    """
    place = percent / 100 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def correlation(*, joint: int, first: int, second: int, total: int) -> Correlation:
    """Return the normalised pointwise mutual information of two properties, plain and with Jeffreys' prior.

    Bouma, G. (2009): Normalized (pointwise) mutual information in collocation extraction.
    """
    cells = (joint, first - joint, second - joint, total - first - second + joint)
    plain = smoothed = math.nan
    if total > 0 and first and second and min(cells) >= 0:
        plain = -1.0 if joint == 0 else _npmi(cells, 0.0)
        smoothed = _npmi(cells, _JEFFREYS)
    return Correlation(plain, smoothed, first, second, joint, total)


def _npmi(cells: tuple[int, int, int, int], prior: float) -> float:
    both, only_first, only_second, neither = (cell + prior for cell in cells)
    total = both + only_first + only_second + neither
    first, second = both + only_first, both + only_second
    if first <= 0 or second <= 0 or both <= 0:
        return math.nan
    if cells[1:] == (0, 0, 0):
        return 1.0
    information = (math.log(both) + math.log(total)) - (math.log(first) + math.log(second))
    return max(-1.0, min(1.0, information / (math.log(total) - math.log(both))))
