"""What a rollout does next, as a pure function of its plan, its steps, the judge's last word and the time."""

import math
from typing import Any, Literal

import msgspec

from trimtab.domains.deploy.model import Rollout
from trimtab.domains.deploy.rollouts.plans import COMPARED, Plan
from trimtab.science.allocation import share_of_best

_LEAST_MOVE = 1.0
"""A bandit's split is left alone where it would move by less than this many percent."""


class Act(msgspec.Struct, frozen=True):
    """The next act: another share for the challenger, or an end; ``pass`` ends a shadow, which changes nothing."""

    kind: Literal["step", "promote", "rollback", "pass"]
    reason: str
    weight: float = 0.0


def decide(rollout: Rollout, now_us: int) -> Act | None:
    """Return what is due, None where the rollout has to go on as it is. Harm goes before everything."""
    plan, verdict = rollout.plan, rollout.verdict
    if rollout.phase != "step" or not rollout.steps:
        return None
    if verdict.action == "rollback":
        return Act("rollback", verdict.reason)
    if plan.patience_us is not None and now_us >= rollout.started_us + plan.patience_us:
        return Act("rollback", "nothing was decided in the time that was given; the champion stays")
    step = rollout.steps[-1]
    baked = now_us >= step.at_us + plan.bake_us
    if plan.strategy in COMPARED:
        if verdict.action == "promote" and plan.finish != "person":
            return Act("promote", verdict.reason)
        return _another_split(rollout) if plan.strategy == "bandit" and baked else None
    tried = verdict.action == "promote" or seen(rollout) - step.seen >= plan.min_requests
    return _after_baking(rollout) if baked and tried else None


def _after_baking(rollout: Rollout) -> Act | None:
    plan, verdict = rollout.plan, rollout.verdict
    if len(rollout.steps) < len(plan.steps):
        weight = plan.steps[len(rollout.steps)]
        return Act("step", f"{rollout.steps[-1].weight:g} % did no harm that could be shown", weight)
    if plan.finish == "person" or (plan.finish != "time" and verdict.action != "promote"):
        return None
    reason = verdict.reason if verdict.action == "promote" else "baked, and no harm was found"
    return Act("pass" if plan.strategy == "shadow" else "promote", reason)


def traffic(rollout: Rollout, weight: float) -> tuple[dict[str, float], dict[str, float], str | None]:
    """Return (weights, copies, champion) of a step: who answers, who sees copies, and who is the champion if it changes."""
    old, new = rollout.champion, rollout.challenger
    match rollout.plan.strategy:
        case "shadow":
            return {old: 100.0}, {new: weight}, None
        case "blue-green":
            return {new: 100.0}, {old: weight}, new
        case _:
            return {old: 100.0 - weight, new: weight}, {}, None


def due_us(rollout: Rollout) -> int | None:
    """Return when the rollout should be looked at next though nothing else happens, None for never."""
    if rollout.phase != "step" or not rollout.steps:
        return None
    plan = rollout.plan
    last = rollout.steps[-1].at_us + plan.bake_us
    limit = None if plan.patience_us is None else rollout.started_us + plan.patience_us
    times = [at for at in (last, limit) if at is not None]
    return min(times)


def seen(rollout: Rollout) -> int:
    """Return how many of the challenger's requests the judge has seen."""
    return max((int(one.get("n_challenger") or 0) for one in rollout.judge), default=0)


def _another_split(rollout: Rollout) -> Act | None:
    quality = next((one for one in rollout.judge if one.get("name") == rollout.target), None)
    if quality is None or quality.get("champion") is None or quality.get("challenger") is None:
        return None
    rows = float(quality["n_champion"]), float(quality["n_challenger"])
    losses = float(quality["champion"]), float(quality["challenger"])
    bad = rows[0] * losses[0], rows[1] * losses[1]
    good = rows[0] - bad[0], rows[1] - bad[1]
    weight = round(share_of_best(good, bad, floor=rollout.plan.floor), 1)
    if abs(weight - rollout.steps[-1].weight) < _LEAST_MOVE:
        return None
    return Act("step", f"mean loss {losses[0]:.4g} against {losses[1]:.4g}", weight)


def requests_needed(plan: Plan, policy: dict[str, Any], *, variance: float | None = None) -> int | None:
    """Return about how many labelled requests an A/B rollout needs to tell a difference of the margin; None for others.

    A rule of thumb for a chance of 80 %, confirmed in ``bench/bench_judge.py``: the log e-value grows by
    ``effect^2 / (2 variance)`` with each effective pair, and has to pay for ``1 / alpha``, for the effect that nobody
    knows and for looking at any time. Without the ``variance`` of the losses it takes that of losses that are 0 or 1,
    the worst case.
    """
    if plan.strategy not in COMPARED:
        return None
    kind = policy.get("target", "quality")
    loss = float(policy.get("expected_loss" if kind == "quality" else "expected_error_rate", 0.2))
    limit = policy.get(kind) or {}
    effect = float(limit.get("margin") or 0.03)
    alpha = float(policy.get("alpha", 0.05))
    share = plan.steps[0] / 100
    spread = loss * (1.0 - loss) if variance is None else variance
    pairs = 2.0 * spread * (math.log(1 / alpha) + 4.5) / effect**2
    return math.ceil(pairs / (share * (1.0 - share)))
