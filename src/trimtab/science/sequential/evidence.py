"""The evidence of a rollout, kind by kind: its limits, the state that gathers it, and how it is weighed.

`judge` says what follows from it; the sources stand with `difference`, `divergence` and `quantile`.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from trimtab.science.interval import Interval
from trimtab.science.sequential import difference, divergence, quantile
from trimtab.science.sequential.difference import Difference
from trimtab.science.sequential.divergence import Divergence

Kind = Literal["errors", "latency", "predictions", "prediction-mean", "quality"]
KINDS: tuple[Kind, ...] = ("errors", "latency", "predictions", "prediction-mean", "quality")


@dataclass(frozen=True)
class Limit:
    """What counts as harm and as harmless for one kind of evidence.

    Unit: difference of rates ("errors"), of mean loss ("quality"), ratio of quantiles ("latency"),
    Kolmogorov-Smirnov distance, of classes total variation ("predictions"), shift of mean rank in [-1, 1] ("prediction-mean").
    `required`: promotion waits for this kind. `weight`: its share of alpha for rollback; 0 = never roll back
    on it.
    """

    harm: float
    margin: float
    required: bool = True
    weight: float = 1.0


@dataclass(frozen=True)
class Policy:
    """When to promote and when to roll back; a kind of evidence set to None is not judged."""

    alpha: float = 0.05
    min_rows: int = 200
    latency_quantile: float = 0.95
    expected_error_rate: float = 0.01
    expected_loss: float = 0.2
    goal: Literal["harmless", "better"] = "harmless"
    target: Literal["errors", "quality"] = "quality"
    errors: Limit | None = Limit(harm=0.0, margin=0.01)
    latency: Limit | None = Limit(harm=1.5, margin=2.0)
    predictions: Limit | None = Limit(harm=0.2, margin=0.25)
    prediction_mean: Limit | None = Limit(harm=0.1, margin=0.15)
    quality: Limit | None = Limit(harm=0.0, margin=0.03, required=False)

    def limit(self, kind: Kind) -> Limit | None:
        """The limit of one kind of evidence, None if it is not judged."""
        return getattr(self, kind.replace("-", "_"))


@dataclass(frozen=True)
class Judge:
    """State of one rollout's trial. `peaks`: largest log e-value for harm so far, by kind.

    `better_peak`, `not_better_peak`: of the target, for "better than the champion" and "not better by its margin".
    `without`: kinds on which answers like the champion's give no evidence, so that promotion does not wait for it.
    """

    policy: Policy
    errors: Difference
    latency_champion: tuple[int, ...]
    latency_challenger: tuple[int, ...]
    scores: Divergence
    quality: Difference
    batches: int = 0
    peaks: dict[str, float] = field(default_factory=dict[str, float])
    safe_peaks: dict[str, float] = field(default_factory=dict[str, float])
    better_peak: float = 0.0
    not_better_peak: float = 0.0
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """One kind of evidence: `finding` "harm", "safe" or "open"; `value` in the unit of its `Limit`.

    `low`..`high` covers the truth at all times at the level this kind has for harm. E-values are the largest so far, at
    least 1: Ville's inequality bounds the chance that an e-process is ever that large, so that a finding stays though
    later batches speak against it. `e_value` is against "no harm", `p_value` its always-valid p-value (1 / `e_value`); harm
    is found when `e_value` >= `e_needed`. `safe_e_value` is against "beyond the margin", `better_e_value` (the target of
    the goal "better" alone) against "not better".
    """

    kind: Kind
    finding: Literal["harm", "safe", "open"]
    value: float | None
    low: float | None
    high: float | None
    harm: float
    margin: float
    e_value: float
    e_needed: float
    p_value: float
    rows_champion: int
    rows_challenger: int
    champion: float | None
    challenger: float | None
    safe_e_value: float = 1.0
    safe_e_needed: float = 20.0
    better_e_value: float | None = None
    better_e_needed: float | None = None


def weigh(state: Judge, kind: Kind, limit: Limit, alpha: float) -> Evidence:
    """Return what is known of one kind of evidence; `alpha` is its share for rollback."""
    peak, safe = state.peaks.get(kind, 0.0), state.safe_peaks.get(kind, 0.0)
    needed = -math.log(alpha) if alpha > 0 else math.inf
    finding: Literal["harm", "safe", "open"] = "open"
    if peak >= needed:
        finding = "harm"
    elif safe >= -math.log(state.policy.alpha):
        finding = "safe"
    level = alpha if alpha > 0 else state.policy.alpha
    found, first, second, rows = _measured(state, kind, level)
    known = rows[0] > 0 and rows[1] > 0
    compared = state.policy.goal == "better" and kind == state.policy.target
    return Evidence(
        kind=kind,
        finding=finding,
        value=_number(found.estimate) if known else None,
        low=_number(found.low) if known else None,
        high=_number(found.high) if known else None,
        harm=limit.harm,
        margin=limit.margin,
        e_value=math.exp(min(peak, 700.0)),
        e_needed=math.exp(min(needed, 700.0)),
        p_value=math.exp(-peak),
        rows_champion=rows[0],
        rows_challenger=rows[1],
        champion=_number(first),
        challenger=_number(second),
        safe_e_value=math.exp(min(safe, 700.0)),
        safe_e_needed=1 / state.policy.alpha,
        better_e_value=math.exp(min(state.better_peak, 700.0)) if compared else None,
        better_e_needed=1 / state.policy.alpha if compared else None,
    )


def log_e(state: Judge, kind: Kind, limit: Limit) -> tuple[float, float]:
    """Log e-values for harm and for being inside the margin, as they are now."""
    if kind in state.without:
        return 0.0, 0.0
    if kind == "latency":
        pair, p = (state.latency_champion, state.latency_challenger), state.policy.latency_quantile
        return (
            quantile.log_e_slower(*pair, p, ratio=limit.harm),
            quantile.log_e_not_slower(*pair, p, ratio=limit.margin),
        )
    if kind == "predictions":
        return divergence.log_e_distance(state.scores, limit.harm), divergence.log_e_near(
            state.scores, limit.margin
        )
    if kind == "prediction-mean":
        return divergence.log_e_shift(state.scores, limit.harm), divergence.log_e_steady(
            state.scores, limit.margin
        )
    compared = state.errors if kind == "errors" else state.quality
    return (
        float(difference.log_e_above(compared, limit.harm)[0]),
        float(difference.log_e_below(compared, limit.margin)[0]),
    )


def _measured(state: Judge, kind: Kind, alpha: float) -> tuple[Interval, float, float, tuple[int, int]]:
    """Value with interval, champion's and challenger's own figures, rows of both."""
    if kind in state.without:
        return Interval(math.nan, math.nan, math.nan), math.nan, math.nan, (0, 0)
    if kind == "latency":
        p = state.policy.latency_quantile
        first = quantile.interval(state.latency_champion, p, alpha=alpha / 2)
        second = quantile.interval(state.latency_challenger, p, alpha=alpha / 2)
        ratio = Interval(
            second.estimate / first.estimate if first.estimate > 0 else math.nan,
            second.low / first.high,
            second.high / first.low if first.low > 0 else math.inf,
        )
        rows = sum(state.latency_champion), sum(state.latency_challenger)
        return ratio, first.estimate, second.estimate, rows
    if kind == "predictions":
        return (
            divergence.distance(state.scores, alpha=alpha),
            math.nan,
            math.nan,
            difference.rows(state.scores.ranks),
        )
    if kind == "prediction-mean":
        compared, found = state.scores.ranks, divergence.rank_shift(state.scores, alpha=alpha)
    else:
        compared = state.errors if kind == "errors" else state.quality
        found = difference.interval(compared, alpha=alpha)
    first, second = difference.means(compared)
    return found, float(first[0]), float(second[0]), difference.rows(compared)


WORDS: dict[str, str] = {
    "errors": "the error rate",
    "latency": "the latency ratio",
    "predictions": "the distance between the prediction distributions",
    "prediction-mean": "the shift of the mean prediction rank",
    "quality": "the loss",
}


def sentence(one: Evidence) -> str:
    """Return in words that harm was found."""
    value = "" if one.value is None else f" at {one.value:.3g}"
    return (
        f"{WORDS[one.kind]} is beyond {one.harm:g}{value} "
        f"(p = {one.p_value:.2g}, {one.rows_champion} and {one.rows_challenger} rows)"
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
