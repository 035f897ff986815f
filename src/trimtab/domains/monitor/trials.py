"""Feeds the judge of a running rollout with what both versions did, one batch of the prediction log at a time."""

import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trimtab.domains.monitor import performance, store
from trimtab.domains.monitor.columns import class_name
from trimtab.domains.monitor.events import TrialJudged
from trimtab.domains.monitor.labels import NEW_REQUEST
from trimtab.domains.monitor.model import Trial
from trimtab.domains.monitor.requests import NOTHING, SHADOW, Requests
from trimtab.infra.db import Database, Where
from trimtab.kernel import refs
from trimtab.kernel.events import Event
from trimtab.science import plain
from trimtab.science.sequential import classes as science_classes
from trimtab.science.sequential import difference, divergence
from trimtab.science.sequential import judge as science

Floats = NDArray[np.float64]
_ENOUGH_SCORES = 200
_NO_BINS = (sys.float_info.max,)
"""Edges of a trial whose champion has predicted nothing before that bins could be made of; nothing is counted over them."""

_OF_ORDER, _OF_PREDICTIONS = ("prediction-mean",), ("predictions", "prediction-mean")
"""Kinds of evidence that classes, which have no order, cannot give; and answers that are neither numbers nor classes."""


class Past(NamedTuple):
    """What a version predicted, row by row: scores, NaN where it gave no number, and classes as `Requests` has them, or 0."""

    scores: Floats
    classes: NDArray[np.int64]


class Running(msgspec.Struct, frozen=True):
    """A rollout that is under way. ``policy`` overrides fields of the judge's.

    ``copies``: one version answers and the other sees copies of the same requests. ``reward`` "label" takes labels in
    0..1 for what was gained, whatever was predicted.
    """

    rollout: str
    endpoint: str
    champion: str
    challenger: str
    started_us: int
    policy: dict[str, Any]
    copies: bool = False
    reward: str = "loss"


def judge(
    moved: list[Trial],
    events: list[tuple[Event, str]],
    db: Database,
    running: list[Running],
    past: Callable[[str, str], Past],
    requests: dict[str, Requests],
    labels: dict[str, pa.Table],
) -> None:
    """Move the judges of running rollouts on, and add their new states and events to the lists."""
    for rollout in running:
        arrived = requests.get(rollout.endpoint, NOTHING)
        fresh = arrived.take(np.flatnonzero(arrived.at_us >= rollout.started_us))
        known = labels.get(rollout.endpoint)
        if known is not None:  # only what was split at random can be compared
            known = known.filter(pa.array(known.column("at_us").to_numpy() >= rollout.started_us))
        with db.read() as tx:
            stored = store.trials(tx, where=Where().equals(rollout=rollout.rollout))
        if stored and stored[0].action == "rollback":
            continue  # what is found harmful is not tried again; what may be promoted is watched on its further steps
        versions = rollout.champion, rollout.challenger
        answers = [_evident(rollout, version, fresh) for version in versions]
        losses = [_losses(rollout, version, known) for version in versions]
        if not any(map(len, (*answers, *losses))):
            continue
        if stored:
            state = plain.load(science.Judge, stored[0].state)
        else:
            state = science.start(policy_of(rollout.policy, copies=rollout.copies), score_edges=_NO_BINS)
        if not any(difference.rows(state.scores.ranks)):
            state = _with_bins(state, past(rollout.endpoint, rollout.champion))
        champion, challenger = (
            _tally(each, lost, state.scores) for each, lost in zip(answers, losses, strict=True)
        )
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
            event_us=int(fresh.event_us.max(initial=0)),
        )
        events.append((event, refs.make("endpoint", rollout.endpoint)))


def _with_bins(state: science.Judge, past: Past) -> science.Judge:
    """Return a trial whose bins of predictions, without evidence, fit what the champion predicted before the first of it.

    They are kept with its state and stay as they are: bins that knew the evidence they sort would void the judge's promise.
    Where there are none the predictions of this batch are the past of the next one. A champion that has answered much, but
    nothing that bins could be made of, is not judged by it.
    """
    named, known = past.classes > 0, np.isfinite(past.scores)
    if 2 * named.sum() > (named | known).sum():
        found = science_classes.start(np.abs(past.classes[past.classes != 0]))
        if found is not None:
            return replace(state, scores=found, without=_OF_ORDER)
    elif known.any():
        return replace(state, scores=_number_bins(past.scores), without=())
    hopeless = past.scores.size >= _ENOUGH_SCORES
    return replace(state, scores=divergence.start(_NO_BINS), without=_OF_PREDICTIONS if hopeless else ())


def _number_bins(past: Floats) -> divergence.Divergence:
    known = past[np.isfinite(past)]
    if known.size < _ENOUGH_SCORES and ((known >= 0.0) & (known <= 1.0)).all():
        return divergence.start(science.PROBABILITY_EDGES)
    edges = divergence.edges_from(past)
    return divergence.start(edges, shares=divergence.shares_of(past, edges))


def _codes(scores: Floats, classes: NDArray[np.int64] | None, at: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return the class of each row; a batch without any has numbers, which are the names of theirs."""
    if classes is not None:
        return np.abs(classes[at])
    return np.asarray([science_classes.code(class_name(one)) for one in scores.tolist()], np.int64)


def policy_of(given: dict[str, Any], *, copies: bool = False) -> science.Policy:
    """Return the judge's policy with the given fields in place of the defaults; raises ValueError for others.

    A copy is timed without its way from and to the caller, so that latencies are compared only where it is asked for.
    """
    merged: dict[str, Any] = plain.dump(science.Policy())
    if copies:
        merged["latency"] = None
    for name, value in given.items():
        known = merged.get(name) or getattr(science.Policy(), name, None)
        if isinstance(value, dict) and known is not None:
            known = known if isinstance(known, dict) else plain.dump(known)
            value = {**known, **value}  # noqa: PLW2901 - what is left out of a limit keeps its default
        merged[name] = value
    return plain.load(science.Policy, merged)


def _evident(rollout: Running, version: str, requests: Requests) -> Requests:
    """Return a version's answers that are evidence on it."""
    seen = enumerate(zip(requests.versions, requests.roles, requests.routes, requests.ids, strict=True))
    return requests.take(
        [at for at, (by, *how) in seen if by == version and _counts(rollout, *how)]  # role, route and id
    )


def _tally(requests: Requests, losses: Floats, bins: divergence.Divergence) -> science.Tally:
    """Return what a version did. Requests, not rows, were split at random, so that one row of each is taken.

    Where the champion was known to give numbers, an answer that is none is one more way to differ. That it was known
    before, and not seen in this batch, is what the judge's promise asks for: see `divergence`.
    """
    answered = requests.take(np.flatnonzero(requests.counts))
    chosen = [
        first + _chosen(prediction_id, rows)
        for prediction_id, first, rows in zip(
            answered.ids, answered.first.tolist(), answered.counts.tolist(), strict=True
        )
    ]
    at = np.asarray(chosen, np.intp)
    scores = answered.scores[at]
    if bins.classes is not None:
        scores = science_classes.places(bins, _codes(scores, answered.classes, at)).astype(np.float64)
    return science.tally(
        rows=len(requests),
        errors=int((requests.status >= 500).sum()),
        latency_us=answered.latency_us.tolist(),
        scores=scores if bins.edges != _NO_BINS else (),
        losses=losses,
        score_edges=bins.edges,
    )


def _counts(rollout: Running, role: str, route: str, prediction_id: str) -> bool:
    """Whether an answer is evidence on its version: only what the split chose by itself was randomised.

    Where both versions answered a request, a coin says for which of them it counts: the tests take the rows of the two
    for independent, and two answers to one question are not.
    """
    if route != "split":
        return False
    if not rollout.copies:
        return role in ("champion", "challenger")
    heads = blake2b(prediction_id.encode(), digest_size=8).digest()[0] & 1
    return role in ((SHADOW,) if heads else ("champion", "challenger"))


def _losses(rollout: Running, version: str, labels: pa.Table | None) -> Floats:
    if labels is None:
        return np.empty(0)
    scores, truth = labels.column("score").to_numpy(), labels.column("label").to_numpy()
    keep = np.zeros(labels.num_rows, bool)
    seen: set[str] = set()
    names = ("prediction_id", "version", "role", "route", "news")
    columns = [labels.column(name).to_pylist() for name in names]
    for position, (prediction_id, by, role, route, news) in enumerate(zip(*columns, strict=True)):
        if by != version or news != NEW_REQUEST or prediction_id in seen:
            continue
        if _counts(rollout, role, route, prediction_id):
            seen.add(prediction_id)
            keep[position] = True
    keep &= np.isfinite(truth)
    if rollout.reward == "label":
        return 1.0 - np.clip(truth[keep], 0.0, 1.0)
    keep &= np.isfinite(scores)
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
        "safe_e_value": one.safe_e_value,
        "safe_e_needed": one.safe_e_needed,
        "better_e_value": one.better_e_value,
        "better_e_needed": one.better_e_needed,
    }
