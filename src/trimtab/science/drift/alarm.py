"""Drift alarm over windows as they come, with a stated average time to a false alarm.

For each column some summaries with values in [0, 1] are watched: of numbers the mean rank (location), the
mean distance of the rank from the middle (spread), the share in the outer tenth (tails) and of missing
values; of categories the share of each value. Bets that a mean has left its reference by more than
`tolerance` (an effect nobody minds, plus three standard errors of the reference itself) grow when they are
right; new bettors join at every window, as in `sequential.change` (Shiryaev-Roberts e-detector). The average
over summaries, directions and bet sizes is one e-detector for the column, the average over columns one for
the table: while nothing drifts by more than `tolerance`, the expected number of windows to a false alarm of
the table is at least `arl`, and the chance of one in k windows at most k / `arl`.

Where windows differ by nature (each day has its weather), rows are not independent. Then the correlation
learned by `sketch.build(groups=...)` scales the evidence of a window, taken as one group, down to that of the
independent rows it is worth, which is exact for group means that are normal; and as real ones have heavier
tails, one window alone never convinces: what it can add is cut to a third of what an alarm needs.

Source: Shin, Ramdas & Rinaldo, "E-detectors: a nonparametric framework for sequential change detection",
NEJSDS 2 (2024).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trimtab.science.clustering import effective_rows
from trimtab.science.drift.sketch import ColumnSketch, Reference, Window, summaries

Floats = NDArray[np.float64]

BETS = 6

GROUPS_TO_CONVINCE = 3
"""Windows an alarm takes at least where rows cluster: a day of blizzard is no change of climate."""


@dataclass(frozen=True)
class ColumnAlarm:
    """State of one column. `wealth`: log(1 + joint wealth), 2 directions x summaries x bets, flat."""

    name: str
    wealth: tuple[float, ...]
    alarmed_at: int | None = None


@dataclass(frozen=True)
class DriftAlarm:
    """State of the alarm. `windows` counts the updates so far."""

    arl: float
    tolerance: float
    min_rows: int
    windows: int
    columns: tuple[ColumnAlarm, ...]
    alarmed_at: int | None = None


@dataclass(frozen=True)
class ColumnReport:
    """One column: `evidence` / `threshold` >= 1 blames it on its own. `leading`: the summary that says most,
    with its `current` mean in the last window and the `reference` one.
    """

    name: str
    evidence: float
    threshold: float
    alarm: bool
    leading: str
    direction: str
    reference: float
    current: float | None


@dataclass(frozen=True)
class Report:
    """The table: `alarm` once `evidence` reached `threshold` (the `arl`); most suspect columns first."""

    alarm: bool
    alarmed_at: int | None
    windows: int
    evidence: float
    threshold: float
    columns: tuple[ColumnReport, ...]


def start(
    reference: Reference, *, arl: float = 1000.0, tolerance: float = 0.01, min_rows: int = 50
) -> DriftAlarm:
    """A fresh alarm for windows of `reference`.

    `arl`: windows to a false alarm on average, at least; `tolerance`: shift of a share or mean rank, in [0,
    1), that nobody minds (0.01 of mean rank is a shift of 0.035 standard deviations); windows of fewer than
    `min_rows` are saved up by the caller.
    """
    if arl < 1 or not 0 <= tolerance < 1:
        raise ValueError("arl is at least 1, tolerance lies in [0, 1)")
    columns = tuple(
        ColumnAlarm(column.name, (0.0,) * (2 * len(summaries(column)[0]) * BETS))
        for column in reference.columns
        if sum(column.counts) > 0
    )
    return DriftAlarm(arl=arl, tolerance=tolerance, min_rows=min_rows, windows=0, columns=columns)


def update(state: DriftAlarm, reference: Reference, window: Window) -> DriftAlarm:
    """The state after one window; one with fewer than `min_rows` rows changes nothing.

    >>> import numpy as np
    >>> from trimtab.science.drift import sketch
    >>> rng = np.random.default_rng(0)
    >>> reference = sketch.build({"x": rng.normal(size=20_000)})
    >>> alarm = start(reference)
    >>> for day in range(20):
    ...     scale = 1.0 if day < 10 else 1.2
    ...     alarm = update(alarm, reference, sketch.count(reference, {"x": scale * rng.normal(size=1000)}))
    >>> found = report(alarm, reference)
    >>> found.alarm, 10 < found.alarmed_at < 16, found.columns[0].name
    (True, True, 'x')
    """
    if window.rows < state.min_rows:
        return state
    sketches = {column.name: column for column in reference.columns}
    moved: list[ColumnAlarm] = []
    for column in state.columns:
        counts = window.counts.get(column.name)
        if counts is None or sum(counts) == 0:
            moved.append(column)
        else:
            moved.append(_moved(column, sketches[column.name], counts, state))
    after = replace(state, windows=state.windows + 1, columns=tuple(moved))
    logs = [_evidence(column.wealth) for column in after.columns]
    if not logs:
        return after
    goal = math.log(state.arl) + math.log(len(logs))
    blamed = tuple(
        replace(column, alarmed_at=after.windows) if column.alarmed_at is None and log >= goal else column
        for column, log in zip(after.columns, logs, strict=True)
    )
    sounded = after.alarmed_at
    if sounded is None and _log_mean(np.asarray(logs)) >= math.log(state.arl):
        sounded = after.windows
    return replace(after, columns=blamed, alarmed_at=sounded)


def report(state: DriftAlarm, reference: Reference, window: Window | None = None) -> Report:
    """What is known now; `window`, the last one, adds its means. An alarm stays until a fresh `start`."""
    sketches = {column.name: column for column in reference.columns}
    logs = [_evidence(column.wealth) for column in state.columns]
    threshold = state.arl * max(len(logs), 1)
    found: list[ColumnReport] = []
    for column, log in zip(state.columns, logs, strict=True):
        names, scores = summaries(sketches[column.name])
        wealth = np.expm1(np.minimum(np.asarray(column.wealth), 700.0)).reshape(2, len(names), BETS).mean(2)
        direction, leading = np.unravel_index(int(np.argmax(wealth)), wealth.shape)
        counts = None if window is None else window.counts.get(column.name)
        current = None
        if counts is not None and sum(counts) > 0:
            current = float(scores[leading] @ np.asarray(counts, dtype=float) / sum(counts))
        mass = np.asarray(sketches[column.name].counts, dtype=float)
        found.append(
            ColumnReport(
                name=column.name,
                evidence=math.exp(min(log, 700.0)),
                threshold=threshold,
                alarm=column.alarmed_at is not None,
                leading=names[leading],
                direction="rise" if direction == 0 else "fall",
                reference=float(scores[leading] @ mass / mass.sum()),
                current=current,
            )
        )
    return Report(
        alarm=state.alarmed_at is not None,
        alarmed_at=state.alarmed_at,
        windows=state.windows,
        evidence=math.exp(min(_log_mean(np.asarray(logs)), 700.0)) if logs else 0.0,
        threshold=state.arl,
        columns=tuple(sorted(found, key=lambda one: -one.evidence)),
    )


def _moved(
    column: ColumnAlarm, sketch: ColumnSketch, counts: tuple[int, ...], state: DriftAlarm
) -> ColumnAlarm:
    _, scores = summaries(sketch)
    mass = np.asarray(sketch.counts, dtype=np.float64)
    share = mass / mass.sum()
    means = scores @ share
    variances = np.maximum((scores * scores) @ share - means**2, 0.0)
    clustered = sketch.clustering or (0.0,) * means.size
    # Three standard errors of the reference, or three rows for shares it has hardly seen.
    worth = np.asarray([effective_rows(sketch.group_rows, one) for one in clustered]) / sketch.group_rows
    slack = np.maximum(3.0 * np.sqrt(variances / (mass.sum() * worth)), 3.0 / (mass.sum() * worth))
    both = np.stack([scores, 1.0 - scores])
    levels = np.minimum(np.stack([means, 1.0 - means]) + state.tolerance + slack, 1.0)
    bets = 0.9 / levels[:, :, None] * 0.5 ** np.arange(BETS)
    gains = both - levels[:, :, None]
    rows = float(sum(counts))
    scale = np.asarray([effective_rows(rows, one) for one in clustered]) / rows
    growth = np.log1p(bets[:, :, :, None] * gains[:, :, None, :]) @ np.asarray(counts, dtype=np.float64)
    growth = growth * scale[None, :, None]
    if any(clustered):
        needed = math.log(state.arl) + math.log(len(state.columns) * growth.size)
        growth = np.minimum(growth, needed / GROUPS_TO_CONVINCE)
    wealth = np.logaddexp(np.asarray(column.wealth) + growth.ravel(), 0.0)
    return replace(column, wealth=tuple(wealth.tolist()))


def _evidence(wealth: tuple[float, ...]) -> float:
    """Log of the average joint wealth, the entering unit taken off."""
    logs = np.asarray(wealth)
    with np.errstate(divide="ignore"):
        # log(exp(w) - 1) without overflow
        joint = np.where(logs > 30.0, logs, np.log(np.expm1(np.minimum(logs, 30.0))))
    return _log_mean(joint)


def _log_mean(logs: Floats) -> float:
    top = float(logs.max())
    if top == -math.inf:
        return -math.inf
    return top + math.log(float(np.exp(logs - top).mean()))
