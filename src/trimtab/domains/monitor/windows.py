"""Counts what was predicted into windows of event time, and measures them by the labels that arrived."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trimtab.domains.monitor import alarms, performance
from trimtab.domains.monitor.batch import Batch
from trimtab.domains.monitor.columns import inputs
from trimtab.domains.monitor.labels import NOTHING_NEW
from trimtab.domains.monitor.model import Monitor, Window
from trimtab.domains.monitor.requests import SHADOW, Requests
from trimtab.kernel import refs
from trimtab.kernel.time import DAY_US, now_us
from trimtab.science import plain
from trimtab.science.drift import sketch
from trimtab.science.sequential.difference import on_knots

_AHEAD_US = DAY_US  # by so much the clock of a caller may be ahead


def count(batch: Batch, monitor: Monitor, requests: Requests, table: pa.Table) -> None:
    """Add a batch's rows to the windows that hold their event times."""
    width = monitor.policy.window_us
    starts = requests.event_us - requests.event_us % width
    live = np.fromiter((role != SHADOW for role in requests.roles), np.bool_, len(requests.roles))
    _count_requests(batch, monitor, requests, starts=starts, live=live)
    if not requests.rows:
        return
    answered = live & (requests.counts > 0)
    reference = plain.load(sketch.Reference, monitor.sketch) if monitor.sketch else None
    for start in np.unique(starts[answered]).tolist():
        window = batch.window(monitor, start)
        if reference is None or window.closed or window.reference != monitor.reference:
            continue
        mine = live & (starts == start)
        counted = sketch.count(
            reference, inputs(table, None if mine.all() else np.repeat(mine, requests.counts))
        )
        window.counted += counted.rows
        for name, cells in counted.counts.items():
            before = window.counts.get(name, [0] * len(cells))
            window.counts[name] = [a + b for a, b in zip(before, cells, strict=True)]
    newest = _newest(requests.event_us[answered], monitor.watermark_us)
    batch.monitors[monitor.name] = msgspec.structs.replace(batch.monitors[monitor.name], watermark_us=newest)


def _count_requests(
    batch: Batch,
    monitor: Monitor,
    requests: Requests,
    *,
    starts: NDArray[np.int64],
    live: NDArray[np.bool_],
) -> None:
    rows: dict[tuple[int, str, str], int] = {}
    errors: dict[int, int] = {}
    seen = zip(
        live.tolist(),
        starts.tolist(),
        requests.versions,
        requests.routes,
        requests.status.tolist(),
        requests.counts.tolist(),
        strict=True,
    )
    for is_live, start, version, route, status, answered in seen:
        if not is_live:
            continue
        errors.setdefault(start, 0)
        if status == 200:
            key = (start, version, route)
            rows[key] = rows.get(key, 0) + answered
        elif status >= 500:
            errors[start] += 1
    for start, failed in errors.items():
        batch.window(monitor, start).errors += failed
    for (start, version, route), answered in rows.items():
        window = batch.window(monitor, start)
        window.rows += answered
        window.versions[version] = window.versions.get(version, 0) + answered
        window.routes[route] = window.routes.get(route, 0) + answered


def score(batch: Batch, monitor: Monitor, labels: pa.Table, known: pa.Table, starts: Sequence[int]) -> None:
    """Measure the windows that labels arrived for, and add the champion's losses to the alarm's steps.

    ``labels`` are those that arrived, ``known`` all there are of the windows that begin at ``starts``.
    """
    width = monitor.policy.window_us
    event_us = known.column("event_us").to_numpy()
    for start in starts:
        window = batch.window(monitor, start)
        inside = known.filter(pa.array((event_us >= start) & (event_us < start + width)))
        _measure(monitor, window, inside)
    fresh = labels.column("news").to_numpy() > NOTHING_NEW
    _add_losses(batch, monitor, labels.filter(pa.array(fresh)))


def close(batch: Batch, monitor: Monitor) -> None:
    """Decide on the windows that no more rows are expected for, and take the alarm's steps."""
    batch.load_open(monitor)
    mine = [window for (name, _), window in sorted(batch.windows.items()) if name == monitor.name]
    steps = [step for (name, _), step in sorted(batch.losses.items()) if name == monitor.name]
    moved, events = alarms.advance(batch.monitors[monitor.name], mine, steps)
    batch.monitors[monitor.name] = moved
    batch.events += [(event, refs.make("monitor", monitor.name)) for event in events]


def _measure(monitor: Monitor, window: Window, labels: pa.Table) -> None:
    scores = labels.column("score").to_numpy()
    truth = labels.column("label").to_numpy()
    versions = np.asarray(labels.column("version").to_pylist())
    window.labelled = labels.num_rows
    baseline = monitor.baseline.metrics if monitor.baseline else {}
    metrics = performance.report(scores, truth)
    for name, one in metrics.items():
        one["reference"] = baseline.get(name)
    window.performance = {
        "metrics": metrics,
        "rows": labels.num_rows,
        "versions": {
            version: performance.report(scores[versions == version], truth[versions == version])
            for version in sorted(set(versions.tolist()))
        },
    }


def _add_losses(batch: Batch, monitor: Monitor, labels: pa.Table) -> None:
    if monitor.champion is None:
        return
    width = monitor.policy.window_us
    scores, truth = labels.column("score").to_numpy(), labels.column("label").to_numpy()
    known_us = labels.column("label_us").to_numpy()
    champion = np.asarray(labels.column("version").to_pylist()) == monitor.champion
    usable = champion & np.isfinite(scores) & np.isfinite(truth)
    newest = _newest(known_us, monitor.label_watermark_us)
    updated = msgspec.structs.replace(batch.monitors[monitor.name], label_watermark_us=newest)
    batch.monitors[monitor.name] = updated
    for start in np.unique(known_us[usable] - known_us[usable] % width).tolist():
        inside = usable & (known_us >= start) & (known_us < start + width)
        mass = on_knots(performance.losses(scores[inside], truth[inside]), alarms.LOSS_GRID)
        step = batch.step(monitor, start)
        if step.used:
            continue  # it came after its step was taken
        before = step.mass or [0.0] * len(alarms.LOSS_GRID)
        step.mass = [a + b for a, b in zip(before, mass.tolist(), strict=True)]
        step.rows += int(inside.sum())


def _newest(times_us: NDArray[np.int64], known_us: int) -> int:
    """Return the newest moment seen. One that is still to come is a slip: it would close every window until then."""
    return max(known_us, int(times_us[times_us <= now_us() + _AHEAD_US].max(initial=0)))
