"""The two sequential tests of a monitor, moved on by closed windows: drifting inputs, and losses that rise."""

from typing import Any

import msgspec

from trimtab.domains.monitor.events import MonitorAlarmed, WindowsClosed
from trimtab.domains.monitor.model import Losses, Monitor, Window
from trimtab.kernel.time import iso
from trimtab.science import plain
from trimtab.science.drift import alarm, sketch, window
from trimtab.science.sequential import change

LOSS_GRID = tuple(i / 64 for i in range(65))


def fresh_drift(monitor: Monitor) -> dict[str, Any] | None:
    """Return the drift test's state at its beginning, or None without a reference."""
    if monitor.sketch is None:
        return None
    reference = plain.load(sketch.Reference, monitor.sketch)
    policy = monitor.policy
    state = alarm.start(reference, arl=policy.arl, tolerance=policy.drift_tolerance, min_rows=policy.min_rows)
    return plain.dump(state)


def fresh_losses(monitor: Monitor) -> dict[str, Any] | None:
    """Return the loss test's state at its beginning, or None without a baseline."""
    if monitor.baseline is None:
        return None
    policy = monitor.policy
    state = change.start(
        reference=monitor.baseline.brier,
        margin=policy.loss_margin,
        arl=policy.arl,
        clustering=monitor.baseline.clustering,
    )
    return plain.dump(state)


def advance(
    monitor: Monitor, windows: list[Window], steps: list[Losses]
) -> tuple[Monitor, list[MonitorAlarmed | WindowsClosed]]:
    """Close what the watermarks passed, oldest first; return the monitor after it and the alarms that sounded.

    A window closes when rows of a later one have been seen; the windows and steps are changed in place.
    """
    events: list[MonitorAlarmed | WindowsClosed] = []
    closed = 0
    reference = plain.load(sketch.Reference, monitor.sketch) if monitor.sketch else None
    for one in windows:
        if one.closed or one.end_us > monitor.watermark_us:
            continue
        one.closed = True
        closed += 1
        if reference is not None and one.counted:
            monitor = _drift(monitor, reference, one, events)
    for step in steps:
        if step.used or step.start_us + monitor.policy.window_us > monitor.label_watermark_us:
            continue
        step.used = True
        if step.rows and monitor.loss_state is not None:
            monitor = _losses(monitor, step, events)
    if closed:
        events.append(
            WindowsClosed(
                monitor=monitor.name,
                endpoint=monitor.endpoint,
                windows=closed,
                watermark_us=monitor.watermark_us,
            )
        )
    return monitor, events


def _drift(
    monitor: Monitor, reference: sketch.Reference, one: Window, events: list[MonitorAlarmed | WindowsClosed]
) -> Monitor:
    counted = sketch.Window(one.counted, {name: tuple(cells) for name, cells in one.counts.items()})
    policy = monitor.policy
    rules = window.Policy(alpha=policy.alpha, min_psi=policy.min_psi, min_rows=policy.min_rows)
    decided = window.decide(reference, counted, rules)
    one.drift = {
        "score": decided.score,
        "enough": decided.enough,
        "alarm": decided.alarm,
        "features": {
            column.name: {
                "psi": column.psi,
                "statistic": column.statistic,
                "p_value": column.adjusted,
                "threshold": column.threshold,
                "noise_floor": column.noise_floor,
                "jensen_shannon": column.jensen_shannon,
                "wasserstein": column.wasserstein,
                "missing": column.missing_current,
                "alarm": column.alarm,
            }
            for column in decided.columns
        },
    }
    if monitor.drift_state is None:
        return monitor
    before = plain.load(alarm.DriftAlarm, monitor.drift_state)
    after = alarm.update(before, reference, counted)
    found = alarm.report(after, reference, counted)
    one.drift["evidence"] = found.evidence
    one.drift["evidence_needed"] = found.threshold
    monitor = msgspec.structs.replace(monitor, drift_state=plain.dump(after))
    if before.alarmed_at is None and after.alarmed_at is not None and "drift" in policy.alarm_on:
        monitor = msgspec.structs.replace(monitor, state="alarm")
        leading = [column for column in found.columns if column.evidence > 1][:3] or list(found.columns[:1])
        names = ", ".join(f"{column.name} ({column.leading} {column.direction}s)" for column in leading)
        events.append(
            MonitorAlarmed(
                monitor=monitor.name,
                endpoint=monitor.endpoint,
                champion=monitor.champion or "",
                cause="drift",
                event_us=one.end_us,
                title=f"Inputs of {monitor.endpoint} drifted",
                detail=f"By {iso(one.end_us)[:10]}, after {found.windows} windows: {names}. A false alarm comes at most"
                f" once in {found.threshold:g} windows.",
                evidence={
                    "evidence": found.evidence,
                    "threshold": found.threshold,
                    "windows": found.windows,
                    "features": [plain.dump(column) for column in leading],
                },
            )
        )
    return monitor


def _losses(monitor: Monitor, step: Losses, events: list[MonitorAlarmed | WindowsClosed]) -> Monitor:
    assert monitor.loss_state is not None, "checked by the caller"
    before = plain.load(change.ChangeDetector, monitor.loss_state)
    after = change.update_mass(before, step.mass, LOSS_GRID)
    found = change.report(after)
    monitor = msgspec.structs.replace(monitor, loss_state=plain.dump(after))
    sounded = before.alarmed_at is None and after.alarmed_at is not None
    if sounded and "performance" in monitor.policy.alarm_on:
        monitor = msgspec.structs.replace(monitor, state="alarm")
        event_us = step.start_us + monitor.policy.window_us
        recent = f"{found.recent:.3f}" if found.recent is not None else "unknown"
        events.append(
            MonitorAlarmed(
                monitor=monitor.name,
                endpoint=monitor.endpoint,
                champion=monitor.champion or "",
                cause="performance",
                event_us=event_us,
                title=f"Predictions of {monitor.endpoint} got worse",
                detail=f"By the labels known on {iso(event_us)[:10]} the Brier score is {recent}, above the"
                f" {after.reference:.3f} it was released with by more than {after.margin:g}. A false alarm comes at"
                f" most once in {after.arl:g} windows.",
                evidence={
                    "evidence": found.evidence,
                    "threshold": found.threshold,
                    "windows": found.steps,
                    "recent": found.recent,
                    "reference": after.reference,
                    "margin": after.margin,
                },
            )
        )
    return monitor
