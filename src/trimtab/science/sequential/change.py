"""Alarm when a mean in [0, 1] rises over its reference by more than a margin, with a stated false-alarm rate.

An e-detector (Shiryaev-Roberts): at every step a new gambler enters with one unit and all of them bet that
observations are above `reference + margin`; the alarm sounds when their joint wealth, averaged over a grid of
bet sizes, reaches `arl`. While the mean stays at or below that level, the expected number of steps before a
false alarm is at least `arl`, whatever the distribution. A step is one `update`: with one update a day and
`arl` = 1000, a false alarm in 1000 days or more on average; the chance of one in the first k steps is at most
k / `arl`. CUSUM runs beside it and dates the change.

Source: Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
NEJSDS 2 (2024).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trimtab.science.clustering import effective_rows
from trimtab.science.sequential.difference import on_knots

_GRID = tuple(i / 64 for i in range(65))


@dataclass(frozen=True)
class ChangeDetector:
    """State of the alarm; plain numbers, see `science.plain`.

    `level`: reference + margin in the direction watched (mirrored for "fall"). Per bet size (J,): `wealth`
    (log, all gamblers), `best` (log, best single gambler), and since that one entered: `since` (step),
    `rows`, `total`.
    """

    reference: float
    margin: float
    direction: Literal["rise", "fall"]
    arl: float
    steps: int
    bets: tuple[float, ...]
    wealth: tuple[float, ...]
    best: tuple[float, ...]
    since: tuple[int, ...]
    rows: tuple[float, ...]
    total: tuple[float, ...]
    clustering: float = 0.0
    alarmed_at: int | None = None

    @property
    def level(self) -> float:
        """The mean from which on an alarm is due, in the mirrored scale for "fall"."""
        return _level(self.reference, self.margin, self.direction)


@dataclass(frozen=True)
class Alarm:
    """What the detector says now. `evidence` / `arl` >= 1 is an alarm; `steps` counts updates.

    `changed_at`: estimated step of the change; `recent`: mean of the rows since then (None without rows).
    """

    alarm: bool
    evidence: float
    threshold: float
    steps: int
    alarmed_at: int | None
    changed_at: int
    recent: float | None
    level: float


def start(
    *,
    reference: float,
    margin: float = 0.0,
    arl: float = 1000.0,
    direction: Literal["rise", "fall"] = "rise",
    clustering: float = 0.0,
    bets: int = 9,
) -> ChangeDetector:
    """A fresh detector for a mean that should stay at `reference`, give or take `margin`.

    `margin` should cover the error of the reference itself (about two standard errors) and what nobody minds.
    `arl`: average number of updates to a false alarm, at least. `clustering`: correlation of rows within an
    update, where updates are groups (days) with moods of their own; `science.clustering.correlation`
    estimates it.
    """
    if not 0.0 <= reference <= 1.0 or margin < 0.0 or arl < 1.0 or bets < 1:
        raise ValueError("reference lies in [0, 1], margin >= 0, arl >= 1, bets >= 1")
    if not 0.0 <= clustering <= 1.0:
        raise ValueError("clustering lies in [0, 1]")
    level = _level(reference, margin, direction)
    sizes = tuple(0.9 / level * 0.5**j for j in range(bets))
    zeros = (0.0,) * bets
    return ChangeDetector(
        reference=reference,
        margin=margin,
        direction=direction,
        arl=arl,
        steps=0,
        bets=sizes,
        wealth=zeros,
        best=zeros,
        since=(0,) * bets,
        rows=zeros,
        total=zeros,
        clustering=clustering,
    )


def update(state: ChangeDetector, values: ArrayLike) -> ChangeDetector:
    """The state after one step with observations (n,) in [0, 1]; a step without any is no step.

    >>> state = start(reference=0.2, margin=0.02, arl=1000)
    >>> for _ in range(5):
    ...     state = update(state, [0, 0, 1, 0, 0] * 40)
    >>> report(state).alarm
    False
    >>> for _ in range(5):
    ...     state = update(state, [1, 0, 1, 0, 0] * 40)
    >>> now = report(state)
    >>> now.alarm, now.changed_at, round(now.recent, 2)
    (True, 6, 0.4)
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    if x.size and not (x.min() >= 0.0 and x.max() <= 1.0):
        raise ValueError("values lie in [0, 1]")
    if x.size <= len(_GRID):
        return update_mass(state, np.ones(x.size), x)
    return update_mass(state, on_knots(x, _GRID), _GRID)


def update_counts(state: ChangeDetector, ones: float, rows: float) -> ChangeDetector:
    """The state after one step with `rows` flags of which `ones` are set."""
    return update_mass(state, [rows - ones, ones], [0.0, 1.0])


def update_mass(state: ChangeDetector, mass: ArrayLike, knots: ArrayLike) -> ChangeDetector:
    """The state after one step with `mass` (K,) on values `knots` (K,); see `difference.on_knots`."""
    weight, at = np.asarray(mass, dtype=np.float64), np.asarray(knots, dtype=np.float64)
    rows = float(weight.sum())
    if rows <= 0.0:
        return state
    if weight.min() < 0.0:
        raise ValueError("mass is not negative: more ones than rows?")
    total = float(weight @ at)
    gain = (at if state.direction == "rise" else 1.0 - at) - state.level
    bets = np.asarray(state.bets)
    worth = effective_rows(rows, state.clustering) / rows
    growth = worth * (np.log1p(bets[:, None] * gain[None, :]) @ weight)
    if state.clustering > 0.0:
        # Groups have heavier tails than the correlation knows: one of them alone never convinces.
        growth = np.minimum(growth, (math.log(state.arl) + math.log(bets.size)) / 3)
    # wealth is the logarithm of 1 + all gamblers, the 1 being the one who enters at the next step.
    wealth = np.logaddexp(np.asarray(state.wealth) + growth, 0.0)
    best = np.asarray(state.best)
    fresh = best <= 0.0
    best = np.maximum(best, 0.0) + growth
    step = state.steps + 1
    since = tuple(step if new else old for new, old in zip(fresh.tolist(), state.since, strict=True))
    moved = replace(
        state,
        steps=step,
        wealth=tuple(wealth.tolist()),
        best=tuple(best.tolist()),
        since=since,
        rows=tuple(np.where(fresh, rows, np.asarray(state.rows) + rows).tolist()),
        total=tuple(np.where(fresh, total, np.asarray(state.total) + total).tolist()),
    )
    if moved.alarmed_at is None and _log_evidence(moved) >= math.log(state.arl):
        return replace(moved, alarmed_at=step)
    return moved


def report(state: ChangeDetector) -> Alarm:
    """What is known now. An alarm stays until `restart`."""
    leader = int(np.argmax(state.best))
    rows = state.rows[leader]
    level = state.level
    return Alarm(
        alarm=state.alarmed_at is not None,
        evidence=math.exp(min(_log_evidence(state), 700.0)) if state.steps else 0.0,
        threshold=state.arl,
        steps=state.steps,
        alarmed_at=state.alarmed_at,
        changed_at=state.since[leader],
        recent=state.total[leader] / rows if rows else None,
        level=level if state.direction == "rise" else 1.0 - level,
    )


def restart(state: ChangeDetector, *, reference: float | None = None) -> ChangeDetector:
    """The same alarm from the start, perhaps with a new reference (after a retraining)."""
    return start(
        reference=state.reference if reference is None else reference,
        margin=state.margin,
        arl=state.arl,
        direction=state.direction,
        clustering=state.clustering,
        bets=len(state.bets),
    )


def _level(reference: float, margin: float, direction: str) -> float:
    mirrored = reference if direction == "rise" else 1.0 - reference
    return min(max(mirrored + margin, 1e-4), 1.0)


def _log_evidence(state: ChangeDetector) -> float:
    """Log of the average over bets of the gamblers' joint wealth (the entering unit taken off again)."""
    logs: NDArray[np.float64] = np.asarray(state.wealth)
    joint = np.expm1(np.minimum(logs, 700.0))
    return math.log(max(float(joint.mean()), 1e-300))
