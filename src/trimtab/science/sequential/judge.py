"""The judge of a rollout: all evidence on challenger against champion, at any time, as one verdict.

Traffic is split at random between two versions; every so often the judge gets a summary of each version's
rows (`tally`) and says "continue", "promote" or "rollback". Evidence: error rate, latency (a quantile),
predictions (distance of their distribution, and shift of their mean rank) and quality, when labels arrive.

- Rollback: some kind of evidence shows harm beyond its `harm` limit. Alpha is split among the kinds by
  `weight`, so that the chance of ever rolling back a challenger that does no harm is at most `alpha`, however
  often one looks.
- Promote, with the goal "harmless": every required kind shows that the challenger is inside its `margin`, each at level `alpha` (all
  must hold, so nothing needs to be split), and both versions have `min_rows`. The chance of ever promoting a
  challenger beyond a margin is at most `alpha`.
- Promote, with the goal "better": the `target` shows that the challenger is better than the champion; the chance of
  ever promoting one that is not is at most `alpha`. Where the target shows that the challenger is not better by as
  much as the margin, nothing is left to find, and the champion stays ("rollback").

Everything is a pure function of the state, a frozen dataclass that JSON keeps (`science.plain`).

Sources: `difference`, `divergence` and `quantile` name the papers of their e-processes; Ramdas, Gruenwald,
Vovk & Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statist. Sci. 38 (2023) for
stopping at will.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trimtab.science.interval import Interval
from trimtab.science.sequential import difference, divergence, quantile
from trimtab.science.sequential.difference import Difference
from trimtab.science.sequential.divergence import Divergence

Kind = Literal["errors", "latency", "predictions", "prediction-mean", "quality"]
KINDS: tuple[Kind, ...] = ("errors", "latency", "predictions", "prediction-mean", "quality")

PROBABILITY_EDGES = tuple(i / 20 for i in range(1, 20))
"""Edges of prediction bins when nothing is known but that scores are probabilities."""


@dataclass(frozen=True)
class Limit:
    """What counts as harm and as harmless for one kind of evidence.

    Unit: difference of rates ("errors"), of mean loss ("quality"), ratio of quantiles ("latency"),
    Kolmogorov-Smirnov distance ("predictions"), shift of mean rank in [-1, 1] ("prediction-mean").
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
class Tally:
    """Summary of one version's rows in one batch; add up tallies with `merge`. Anything may be empty.

    `latencies`: counts over `quantile.LATENCY_EDGES_US`; `scores`: counts over the judge's score edges;
    `losses`: mass on `difference.LOSS_KNOTS` (rows labelled in this batch, whenever they were predicted).
    """

    rows: int = 0
    errors: int = 0
    latencies: tuple[int, ...] = ()
    scores: tuple[int, ...] = ()
    losses: tuple[float, ...] = ()


@dataclass(frozen=True)
class Judge:
    """State of one rollout's trial. `peaks`: largest log e-value for harm so far, by kind.

    `better_peak`, `not_better_peak`: of the target, for "better than the champion" and "not better by its margin".
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


@dataclass(frozen=True)
class Evidence:
    """One kind of evidence: `finding` "harm", "safe" or "open"; `value` in the unit of its `Limit`.

    `low`..`high` covers the truth at all times at the level this kind has for harm. `e_value` is against "no
    harm", `p_value` its always-valid p-value (1 / largest e-value so far); harm is found when `e_value` >=
    `e_needed`. `safe_e_value` is against "beyond the margin", `better_e_value` (the target of the goal "better" alone)
    against "not better".
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


@dataclass(frozen=True)
class Verdict:
    """What to do now, why in one sentence, and all the evidence."""

    action: Literal["continue", "promote", "rollback"]
    reason: str
    evidence: tuple[Evidence, ...]


def tally(
    *,
    rows: int | None = None,
    errors: ArrayLike | int = 0,
    latency_us: ArrayLike = (),
    scores: ArrayLike = (),
    losses: ArrayLike = (),
    score_edges: Sequence[float] = PROBABILITY_EDGES,
) -> Tally:
    """The summary of a batch from its raw values.

    `errors`: a count or flags (n,); `latency_us` in microseconds; `scores`: one number a prediction;
    `losses`: loss in [0, 1] of the rows that were labelled (0/1 error, Brier score, ...). `rows` defaults to
    the number of latencies, or scores.

    >>> one = tally(errors=[False, True], latency_us=[900, 1200], scores=[0.1, 0.7])
    >>> one.rows, one.errors, sum(one.scores), one.losses
    (2, 1, 2, ())
    """
    flags = np.asarray(errors)
    failed = int(flags.sum())
    times, predicted, lost = np.asarray(latency_us), np.asarray(scores), np.asarray(losses)
    counted = rows if rows is not None else max(times.size, predicted.size, flags.size if flags.ndim else 0)
    return Tally(
        rows=int(counted),
        errors=failed,
        latencies=tuple(quantile.counts(times).tolist()) if times.size else (),
        scores=tuple(divergence.counts(predicted, score_edges).tolist()) if predicted.size else (),
        losses=tuple(difference.on_knots(lost).tolist()) if lost.size else (),
    )


def merge(*tallies: Tally) -> Tally:
    """The tally of all the rows together."""
    return Tally(
        rows=sum(one.rows for one in tallies),
        errors=sum(one.errors for one in tallies),
        latencies=_add([one.latencies for one in tallies]),
        scores=_add([one.scores for one in tallies]),
        losses=_add([one.losses for one in tallies]),
    )


def start(
    policy: Policy | None = None,
    *,
    score_edges: Sequence[float] = PROBABILITY_EDGES,
    score_shares: Sequence[float] | None = None,
) -> Judge:
    """A trial without evidence.

    `score_edges`: rising edges of the prediction bins, best from the champion's past
    (`divergence.edges_from`), with `score_shares` its share of predictions at or below each edge if known.
    The defaults suit probabilities.
    """
    chosen = policy or Policy()
    bins = len(quantile.LATENCY_EDGES_US) + 1
    return Judge(
        policy=chosen,
        errors=difference.start(centre=_inside(chosen.expected_error_rate)),
        latency_champion=(0,) * bins,
        latency_challenger=(0,) * bins,
        scores=divergence.start(score_edges, shares=score_shares),
        quality=difference.start(knots=difference.LOSS_KNOTS, centre=_inside(chosen.expected_loss)),
    )


def update(state: Judge, champion: Tally, challenger: Tally) -> Judge:
    """The state after a batch of both versions; a side, or any part of it, may be empty.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> trial = start()
    >>> for _ in range(10):
    ...     champion = tally(latency_us=rng.gamma(9, 200, 90), scores=rng.beta(2, 5, 90))
    ...     per_cent = tally(latency_us=rng.gamma(9, 200, 10), scores=100 * rng.beta(2, 5, 10))
    ...     trial = update(trial, champion, per_cent)
    >>> found = verdict(trial)
    >>> found.action, found.evidence[2].kind, found.evidence[2].finding
    ('rollback', 'predictions', 'harm')
    """
    moved = replace(
        state,
        batches=state.batches + 1,
        errors=difference.update(state.errors, _flags(champion), _flags(challenger)),
        latency_champion=_add([state.latency_champion, champion.latencies]),
        latency_challenger=_add([state.latency_challenger, challenger.latencies]),
    )
    if champion.scores or challenger.scores:
        bins = len(state.scores.edges) + 1
        moved = replace(
            moved,
            scores=divergence.update(
                state.scores, _padded(champion.scores, bins), _padded(challenger.scores, bins)
            ),
        )
    if champion.losses or challenger.losses:
        knots = len(difference.LOSS_KNOTS)
        moved = replace(
            moved,
            quality=difference.update(
                state.quality, _padded(champion.losses, knots), _padded(challenger.losses, knots)
            ),
        )
    peaks, safe_peaks = dict(state.peaks), dict(state.safe_peaks)
    for kind in KINDS:
        limit = state.policy.limit(kind)
        if limit is not None:
            harm, safe = _log_e(moved, kind, limit)
            peaks[kind] = max(peaks.get(kind, 0.0), harm)
            safe_peaks[kind] = max(safe_peaks.get(kind, 0.0), safe)
    better, not_better = state.better_peak, state.not_better_peak
    if state.policy.goal == "better" and (limit := state.policy.limit(state.policy.target)) is not None:
        compared = moved.errors if state.policy.target == "errors" else moved.quality
        better = max(better, float(difference.log_e_below(compared, 0.0)[0]))
        not_better = max(not_better, float(difference.log_e_above(compared, -limit.margin)[0]))
    return replace(moved, peaks=peaks, safe_peaks=safe_peaks, better_peak=better, not_better_peak=not_better)


def verdict(state: Judge) -> Verdict:
    """What the evidence says now. Rollback goes before promotion; findings do not vanish once made."""
    policy = state.policy
    judged: list[tuple[Kind, Limit]] = [
        (kind, limit) for kind in KINDS if (limit := policy.limit(kind)) is not None
    ]
    shares = sum(limit.weight for _, limit in judged)
    evidence = tuple(
        _evidence(state, kind, limit, policy.alpha * limit.weight / shares if shares else 0.0)
        for kind, limit in judged
    )
    for one in evidence:
        if one.finding == "harm":
            return Verdict("rollback", _sentence(one), evidence)
    waiting = [
        one.kind
        for one, (_, limit) in zip(evidence, judged, strict=True)
        if limit.required and one.finding != "safe"
    ]
    rows = min(difference.rows(state.errors))
    if policy.goal == "better":
        return _compared(state, evidence, rows)
    if rows < policy.min_rows:
        return Verdict("continue", f"{rows} of at least {policy.min_rows} rows on the smaller side", evidence)
    if waiting:
        return Verdict("continue", f"not yet decided: {', '.join(waiting)}", evidence)
    return Verdict("promote", "inside the margin of every required kind of evidence", evidence)


def _compared(state: Judge, evidence: tuple[Evidence, ...], rows: int) -> Verdict:
    """The verdict where the question is whether the challenger is better, and no harm was found."""
    policy, needed = state.policy, -math.log(state.policy.alpha)
    what = _WORDS[policy.target]
    if rows < policy.min_rows:
        return Verdict("continue", f"{rows} of at least {policy.min_rows} rows on the smaller side", evidence)
    if state.better_peak >= needed:
        p = f"p = {math.exp(-state.better_peak):.2g}"
        return Verdict("promote", f"{what} is lower than the champion's ({p})", evidence)
    limit = policy.limit(policy.target)
    if limit is not None and limit.margin > 0 and state.not_better_peak >= needed:
        return Verdict("rollback", f"{what} is not lower by {limit.margin:g}: the champion stays", evidence)
    return Verdict("continue", f"not yet decided whether {what} is lower", evidence)


def _evidence(state: Judge, kind: Kind, limit: Limit, alpha: float) -> Evidence:
    log_e, log_e_safe = _log_e(state, kind, limit)
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
        e_value=math.exp(min(log_e, 700.0)),
        e_needed=math.exp(min(needed, 700.0)),
        p_value=math.exp(-peak),
        rows_champion=rows[0],
        rows_challenger=rows[1],
        champion=_number(first),
        challenger=_number(second),
        safe_e_value=math.exp(min(log_e_safe, 700.0)),
        safe_e_needed=1 / state.policy.alpha,
        better_e_value=math.exp(min(state.better_peak, 700.0)) if compared else None,
        better_e_needed=1 / state.policy.alpha if compared else None,
    )


def _log_e(state: Judge, kind: Kind, limit: Limit) -> tuple[float, float]:
    """Log e-values for harm and for being inside the margin."""
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


_WORDS: dict[str, str] = {
    "errors": "the error rate",
    "latency": "the latency ratio",
    "predictions": "the distance between the prediction distributions",
    "prediction-mean": "the shift of the mean prediction rank",
    "quality": "the loss",
}


def _sentence(one: Evidence) -> str:
    value = "" if one.value is None else f" at {one.value:.3g}"
    return (
        f"{_WORDS[one.kind]} is beyond {one.harm:g}{value} "
        f"(p = {one.p_value:.2g}, {one.rows_champion} and {one.rows_challenger} rows)"
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _inside(rate: float) -> float:
    return min(max(rate, 1e-4), 1 - 1e-4)


def _flags(one: Tally) -> tuple[int, int]:
    return one.rows - one.errors, one.errors


def _padded(counted: tuple[float, ...], size: int) -> tuple[float, ...]:
    return counted or (0.0,) * size


def _add(parts: Sequence[tuple[float, ...]]) -> tuple[int, ...]:
    filled = [part for part in parts if part]
    if not filled:
        return ()
    return tuple(np.sum(np.asarray(filled), axis=0).tolist())
