"""Feeds the judge of a running rollout with what both versions did, one batch of the prediction log at a time."""

import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trimtab.domains.monitor import performance, store
from trimtab.domains.monitor.columns import scores_of
from trimtab.domains.monitor.events import TrialJudged
from trimtab.domains.monitor.model import Trial
from trimtab.infra.db import Database, Where
from trimtab.kernel import refs
from trimtab.kernel.events import Event
from trimtab.science import plain
from trimtab.science.sequential import divergence
from trimtab.science.sequential import judge as science
from trimtab.serving.segments import Prediction

Floats = NDArray[np.float64]
_ENOUGH_SCORES = 200


class Running(msgspec.Struct, frozen=True):
    """A rollout that is under way. ``policy`` overrides fields of the judge's."""

    rollout: str
    endpoint: str
    champion: str
    challenger: str
    started_us: int
    policy: dict[str, Any]


def judge(
    moved: list[Trial],
    events: list[tuple[Event, str]],
    db: Database,
    running: list[Running],
    past_scores: Callable[[str, str], Floats],
    predictions: dict[str, list[Prediction]],
    labels: dict[str, pa.Table],
) -> None:
    """Move the judges of running rollouts on, and add their new states and events to the lists."""
    for rollout in running:
        fresh = [one for one in predictions.get(rollout.endpoint, ()) if one.at_us >= rollout.started_us]
        known = labels.get(rollout.endpoint)
        if known is not None:  # only what was split at random can be compared
            known = known.filter(pa.array(known.column("at_us").to_numpy() >= rollout.started_us))
        with db.read() as tx:
            stored = store.trials(tx, where=Where().equals(rollout=rollout.rollout))
        if stored and stored[0].action != "continue":
            continue
        if stored:
            state = plain.load(science.Judge, stored[0].state)
        else:
            state = _start(rollout, past_scores(rollout.endpoint, rollout.champion))
        champion = _tally(rollout.champion, fresh, known, state.scores.edges)
        challenger = _tally(rollout.challenger, fresh, known, state.scores.edges)
        if not (champion.rows or challenger.rows or champion.losses or challenger.losses):
            continue
        state = science.update(state, champion, challenger)
        found = science.verdict(state)
        moved.append(
            Trial(
                rollout.rollout,
                rollout.endpoint,
                rollout.champion,
                rollout.challenger,
                plain.dump(state),
                found.action,
            )
        )
        event = TrialJudged(
            rollout=rollout.rollout,
            endpoint=rollout.endpoint,
            action=found.action,
            reason=found.reason,
            evidence=[_evidence(one) for one in found.evidence],
            event_us=max((one.event_us for one in fresh), default=0),
        )
        events.append((event, refs.make("endpoint", rollout.endpoint)))


def _start(rollout: Running, past: Floats) -> science.Judge:
    """Return a trial without evidence, whose bins of predictions fit what the champion predicted before it."""
    policy = policy_of(rollout.policy)
    if past.size < _ENOUGH_SCORES:
        return science.start(policy)
    return science.start(policy, score_edges=divergence.edges_from(past))


def policy_of(given: dict[str, Any]) -> science.Policy:
    """Return the judge's policy with the given fields in place of the defaults; raises ValueError for others."""
    merged = {**plain.dump(science.Policy()), **given}
    return plain.load(science.Policy, merged)


def _tally(
    version: str, predictions: list[Prediction], labels: pa.Table | None, edges: tuple[float, ...]
) -> science.Tally:
    """Return what a version did. Requests, not rows, were split at random, so that one row of each is taken."""
    mine = [one for one in predictions if one.version == version and one.role in ("champion", "challenger")]
    answered = [one for one in mine if one.status == 200 and one.rows]
    scores = np.asarray([scores_of(one)[_chosen(one.id, one.rows)] for one in answered], np.float64)
    return science.tally(
        rows=len(mine),
        errors=sum(one.status >= 500 for one in mine),
        latency_us=[one.latency_us for one in answered],
        scores=scores[np.isfinite(scores)],
        losses=_losses(version, labels),
        score_edges=edges,
    )


def _losses(version: str, labels: pa.Table | None) -> Any:
    if labels is None:
        return ()
    scores, truth = labels.column("score").to_numpy(), labels.column("label").to_numpy()
    mine = np.asarray(labels.column("version").to_pylist()) == version
    keep = np.zeros(labels.num_rows, bool)
    seen: set[str] = set()
    for position, prediction_id in enumerate(labels.column("prediction_id").to_pylist()):
        if mine[position] and prediction_id not in seen:
            seen.add(prediction_id)
            keep[position] = True
    keep &= np.isfinite(scores) & np.isfinite(truth)
    return performance.losses(scores[keep], truth[keep])


def _chosen(prediction_id: str, rows: int) -> int:
    return zlib.crc32(prediction_id.encode()) % rows


def _evidence(one: science.Evidence) -> dict[str, Any]:
    return {
        "name": one.kind,
        "verdict": one.finding,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "harm": one.harm,
        "margin": one.margin,
        "e_value": one.e_value,
        "e_needed": one.e_needed,
        "n_champion": one.rows_champion,
        "n_challenger": one.rows_challenger,
        "champion": one.champion,
        "challenger": one.challenger,
    }
