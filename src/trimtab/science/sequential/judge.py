"""The judge of a rollout: all evidence on challenger against champion, at any time, as one verdict.

Traffic is split at random between two versions; every so often the judge gets a summary of each version's
rows (`tally`) and says "continue", "promote" or "rollback". Evidence: error rate, latency (a quantile),
predictions (distance of their distribution, and shift of their mean rank) and quality, when labels arrive.

- Rollback: some kind of evidence shows harm beyond its `harm` limit. Alpha is split among the kinds by
  `weight`, so that the chance of ever rolling back a challenger that does no harm is at most `alpha`, however
  often one looks.
- Promote, with the goal "harmless": every required kind shows that the challenger is inside its `margin`, each at level `alpha` (all
  must hold, so nothing needs to be split), and both versions have `min_rows`. The chance of ever promoting a
  challenger beyond a margin is at most `alpha`. Kinds on which the champion's answers can give no evidence (classes
  have no mean rank) are not waited for.
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
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from trimtab.science.sequential import difference, divergence, quantile
from trimtab.science.sequential.evidence import (
    KINDS,
    WORDS,
    Evidence,
    Judge,
    Kind,
    Limit,
    Policy,
    log_e,
    sentence,
    weigh,
)

PROBABILITY_EDGES = tuple(i / 20 for i in range(1, 20))
"""Edges of prediction bins when nothing is known but that scores are probabilities."""


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
            harm, safe = log_e(moved, kind, limit)
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
        weigh(state, kind, limit, policy.alpha * limit.weight / shares if shares else 0.0)
        for kind, limit in judged
    )
    for one in evidence:
        if one.finding == "harm":
            return Verdict("rollback", sentence(one), evidence)
    waiting = [
        one.kind
        for one, (_, limit) in zip(evidence, judged, strict=True)
        if limit.required and one.finding != "safe" and one.kind not in state.without
    ]
    rows = min(difference.rows(state.errors))
    if policy.goal == "better":
        return _compared(state, evidence, rows)
    if rows < policy.min_rows:
        return Verdict("continue", f"{rows} of at least {policy.min_rows} rows on the smaller side", evidence)
    if waiting:
        return Verdict("continue", f"not yet decided: {', '.join(waiting)}", evidence)
    reason = "inside the margin of every required kind of evidence"
    missed = [kind for kind, limit in judged if limit.required and kind in state.without]
    if missed:
        reason += f"; these answers give none on {', '.join(missed)}"
    return Verdict("promote", reason, evidence)


def _compared(state: Judge, evidence: tuple[Evidence, ...], rows: int) -> Verdict:
    """The verdict where the question is whether the challenger is better, and no harm was found."""
    policy, needed = state.policy, -math.log(state.policy.alpha)
    what = WORDS[policy.target]
    if rows < policy.min_rows:
        return Verdict("continue", f"{rows} of at least {policy.min_rows} rows on the smaller side", evidence)
    if state.better_peak >= needed:
        p = f"p = {math.exp(-state.better_peak):.2g}"
        return Verdict("promote", f"{what} is lower than the champion's ({p})", evidence)
    limit = policy.limit(policy.target)
    if limit is not None and limit.margin > 0 and state.not_better_peak >= needed:
        return Verdict("rollback", f"{what} is not lower by {limit.margin:g}: the champion stays", evidence)
    return Verdict("continue", f"not yet decided whether {what} is lower", evidence)


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
