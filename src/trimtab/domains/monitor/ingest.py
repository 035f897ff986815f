"""Takes in the prediction log: keeps the rows, joins late labels, counts windows, and moves the alarms and judges on.

One job at a time does this, in a worker process. All that a batch changes is committed in one transaction together
with the names of its segments, so that a batch counts once however often it is tried.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trimtab.domains.monitor import alarms, performance, store, trials
from trimtab.domains.monitor.columns import (
    NEW_REQUEST,
    NEW_ROW,
    NOTHING_NEW,
    PartCache,
    Rows,
    flatten,
    inputs,
    read_part,
    write_part,
)
from trimtab.domains.monitor.model import Losses, Monitor, Part, Trial, Window, window_start
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Where
from trimtab.kernel import refs
from trimtab.kernel.events import Event
from trimtab.kernel.time import DAY_US, now_us
from trimtab.science import plain
from trimtab.science.drift import sketch
from trimtab.science.sequential.difference import on_knots
from trimtab.serving import segments
from trimtab.serving.segments import Feedback, Prediction

_MOST_SEGMENTS = 64
_MOST_BYTES = 16 << 20
"""Read at once: numbers take some four times the space in memory."""
_PAST_PARTS, _MOST_PAST_PARTS = 10, 300
_PAST_SCORES = 2000
_AHEAD_US = DAY_US  # by so much the clock of a caller may be ahead
_ACTOR = "system:monitor"


class Changed(Exception):
    """A monitor was changed while its batch was counted; the job is tried again."""


class _Batch:
    """What one job read, and what it will write."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.predictions: dict[str, list[Prediction]] = {}
        self.feedback: list[Feedback] = []
        for file in files:
            for record in segments.read(file):
                if isinstance(record, Prediction):
                    self.predictions.setdefault(record.endpoint, []).append(record)
                else:
                    self.feedback.append(record)
        self.parts: list[Part] = []
        self.windows: dict[tuple[str, int], Window] = {}
        self.losses: dict[tuple[str, int], Losses] = {}
        self.monitors: dict[str, Monitor] = {}
        self.read_at: dict[str, int] = {}
        self.trials: list[Trial] = []
        self.events: list[tuple[Event, str]] = []


class Ingest:
    """Keeps the caches that make one batch after the other cheap; belongs to one worker process."""

    def __init__(
        self, db: Database, bus: Bus, blobs: Blobs, *, rollouts: Callable[[], list[trials.Running]]
    ) -> None:
        self._db = db
        self._bus = bus
        self._blobs = blobs
        self._rollouts = rollouts
        self._cache = PartCache(blobs)

    def run(self, folder: Path) -> int:
        """Take in what is complete in the folder and return how many segments."""
        segments.adopt(folder)
        files = self._fresh(_some(segments.sealed(folder)))
        if not files:
            return 0
        batch = _Batch(files)
        with self._db.read() as tx:
            for monitor in store.monitors(tx, where=Where()):
                batch.monitors[monitor.name] = monitor
                batch.read_at[monitor.name] = monitor.updated_us
        arrived: dict[str, Rows] = {}
        for endpoint, predictions in batch.predictions.items():
            rows, table = flatten(predictions)
            arrived[endpoint] = rows
            if table.num_rows:
                part = write_part(self._blobs, endpoint, "predictions", table)
                batch.parts.append(part)
                self._cache.put(part, rows)
            for monitor in _of(batch, endpoint):
                self._count(batch, monitor, predictions, rows, table)
        running = self._rollouts()
        labelled, judged = self._join(batch, copied={one.endpoint for one in running if one.copies})
        for endpoint, table in labelled.items():
            for monitor in _of(batch, endpoint):
                self._score(batch, monitor, table)
        trials.judge(
            batch.trials,
            batch.events,
            self._db,
            running,
            self._past_scores,
            batch.predictions,
            judged,
        )
        for monitor in list(batch.monitors.values()):
            self._close(batch, monitor)
        self._commit(batch)
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _past_scores(self, endpoint: str, version: str) -> NDArray[np.float64]:
        """Return what a version predicted lately, before this batch; NaN where it gave no number.

        A few files cover some time where there are many requests; where there are few, each file has one or two.
        """
        with self._db.read() as tx:
            parts = store.newest_parts(tx, endpoint=endpoint, limit=_MOST_PAST_PARTS)
        found, known = [np.empty(0)], 0
        for number, part in enumerate(parts):
            if number >= _PAST_PARTS and known >= _PAST_SCORES:
                break
            rows = self._cache.get(part)
            found.append(rows.scores[np.asarray(rows.versions) == version])
            known += int(np.isfinite(found[-1]).sum())
        return np.concatenate(found)

    def _fresh(self, files: list[Path]) -> list[Path]:
        """Return the files that were not taken in before; a worker that died after its commit left some behind."""
        fresh: list[Path] = []
        with self._db.read() as tx:
            for file in files:
                if store.has_segment(tx, name=file.name):
                    file.unlink(missing_ok=True)
                else:
                    fresh.append(file)
        return fresh

    def _count(
        self, batch: _Batch, monitor: Monitor, predictions: list[Prediction], rows: Rows, table: pa.Table
    ) -> None:
        """Add a batch's rows to the windows that hold their event times."""
        width = monitor.policy.window_us
        for one in predictions:
            if one.role == "shadow":
                continue
            window = self._window(batch, monitor, window_start(one.event_us, width))
            if one.status == 200:
                window.rows += one.rows
                window.versions[one.version] = window.versions.get(one.version, 0) + one.rows
                window.routes[one.route] = window.routes.get(one.route, 0) + one.rows
            elif one.status >= 500:
                window.errors += 1
        if not rows.ids:
            return
        starts = rows.event_us - rows.event_us % width
        live = np.asarray([role != "shadow" for role in rows.roles])
        reference = plain.load(sketch.Reference, monitor.sketch) if monitor.sketch else None
        for start in np.unique(starts[live]).tolist():
            window = self._window(batch, monitor, start)
            if reference is None or window.closed or window.reference != monitor.reference:
                continue
            counted = sketch.count(reference, inputs(table, live & (starts == start)))
            window.counted += counted.rows
            for name, cells in counted.counts.items():
                before = window.counts.get(name, [0] * len(cells))
                window.counts[name] = [a + b for a, b in zip(before, cells, strict=True)]
        newest = _newest(rows.event_us[live], monitor.watermark_us)
        batch.monitors[monitor.name] = msgspec.structs.replace(
            batch.monitors[monitor.name], watermark_us=newest
        )

    def _join(self, batch: _Batch, *, copied: set[str]) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
        """Return the labels that found their prediction, by endpoint, with its version, score and event time.

        The second tables are those for judges: at the endpoints in ``copied`` they have what shadows predicted, too.
        """
        if not batch.feedback:
            return {}, {}
        wanted = sorted({one.prediction_id for one in batch.feedback})
        where = Where().equals(kind="predictions")
        where.add("max_id >= :first", first=wanted[0]).add("min_id <= :last", last=wanted[-1])
        with self._db.read() as tx:
            parts = store.parts(tx, where=where)
        parts += [part for part in batch.parts if part.kind == "predictions"]
        found: dict[str, list[tuple[Any, ...]]] = {}
        shadowed: dict[str, list[tuple[Any, ...]]] = {}
        for one in batch.feedback:
            answered = False
            for part in parts:
                if not part.min_id <= one.prediction_id <= part.max_id:
                    continue
                rows = self._cache.get(part)
                at = None if answered else rows.find(one.prediction_id, one.row)
                if at is not None:
                    answered = True
                    found.setdefault(part.endpoint, []).append(_labelled(rows, at, one))
                if part.endpoint in copied:
                    shadowed.setdefault(part.endpoint, []).extend(
                        _labelled(rows, at, one) for at in rows.find_copies(one.prediction_id, one.row)
                    )
                elif answered:
                    break
        tables: dict[str, pa.Table] = {}
        judged: dict[str, pa.Table] = {}
        for endpoint in found.keys() | shadowed.keys():
            answers, copies = found.get(endpoint, []), shadowed.get(endpoint, [])
            if not answers and not copies:
                continue
            told = self._told(endpoint, wanted)
            judged[endpoint] = _label_table([*answers, *copies], told)
            if answers:
                tables[endpoint] = _label_table(answers, told)
                kept = tables[endpoint].drop_columns(["route", "news"])
                batch.parts.append(write_part(self._blobs, endpoint, "labels", kept))
        return tables, judged

    def _told(self, endpoint: str, wanted: list[str]) -> set[tuple[str, int]]:
        """Return the rows whose label was told before, of predictions with these ids, which rise."""
        where = Where().equals(endpoint=endpoint, kind="labels")
        where.add("max_id >= :first", first=wanted[0]).add("min_id <= :last", last=wanted[-1])
        told: set[tuple[str, int]] = set()
        among = set(wanted)
        with self._db.read() as tx:
            parts = store.parts(tx, where=where)
        for part in parts:
            at = bisect_left(wanted, part.min_id)
            if wanted[at : at + 1] > [part.max_id]:
                continue  # it lies between two of them
            table = read_part(self._blobs, part, ["prediction_id", "row"])
            keys = zip(
                table.column("prediction_id").to_pylist(), table.column("row").to_pylist(), strict=True
            )
            told.update(key for key in keys if key[0] in among)
        return told

    def _score(self, batch: _Batch, monitor: Monitor, labels: pa.Table) -> None:
        """Measure the windows that labels arrived for, and add the champion's losses to the alarm's steps."""
        width = monitor.policy.window_us
        starts = sorted({window_start(us, width) for us in labels.column("event_us").to_pylist()})
        known = self._known_labels(batch, monitor.endpoint, starts, width)
        event_us = known.column("event_us").to_numpy()
        for start in starts:
            window = self._window(batch, monitor, start)
            inside = known.filter(pa.array((event_us >= start) & (event_us < start + width)))
            self._measure(monitor, window, inside)
        fresh = labels.column("news").to_numpy() > NOTHING_NEW
        self._add_losses(batch, monitor, labels.filter(pa.array(fresh)))

    def _measure(self, monitor: Monitor, window: Window, labels: pa.Table) -> None:
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

    def _add_losses(self, batch: _Batch, monitor: Monitor, labels: pa.Table) -> None:
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
            step = self._step(batch, monitor, start)
            if step.used:
                continue  # it came after its step was taken
            before = step.mass or [0.0] * len(alarms.LOSS_GRID)
            step.mass = [a + b for a, b in zip(before, mass.tolist(), strict=True)]
            step.rows += int(inside.sum())

    def _close(self, batch: _Batch, monitor: Monitor) -> None:
        """Decide on the windows that no more rows are expected for, and take the alarm's steps."""
        with self._db.read() as tx:
            open_windows = Where().equals(monitor=monitor.name, closed=0)
            for window in store.windows(tx, where=open_windows, limit=10_000):
                batch.windows.setdefault((monitor.name, window.start_us), window)
            for step in store.losses(tx, where=Where().equals(monitor=monitor.name, used=0)):
                batch.losses.setdefault((monitor.name, step.start_us), step)
        mine = [window for (name, _), window in sorted(batch.windows.items()) if name == monitor.name]
        steps = [step for (name, _), step in sorted(batch.losses.items()) if name == monitor.name]
        moved, events = alarms.advance(batch.monitors[monitor.name], mine, steps)
        batch.monitors[monitor.name] = moved
        batch.events += [(event, refs.make("monitor", monitor.name)) for event in events]

    def _commit(self, batch: _Batch) -> None:
        now = now_us()
        with self._db.write() as tx:
            for file in batch.files:
                store.claim_segment(tx, name=file.name, now_us=now)
            for part in batch.parts:
                store.insert_part(tx, part)
            tx.lock("monitor.monitors")
            current = {monitor.name: monitor.updated_us for monitor in store.monitors(tx, where=Where())}
            if current != batch.read_at:
                raise Changed("a monitor was changed meanwhile")
            for window in batch.windows.values():
                store.put_window(tx, window)
            for step in batch.losses.values():
                store.put_losses(tx, step)
            for monitor in batch.monitors.values():
                store.update_monitor(tx, msgspec.structs.replace(monitor, updated_us=now))
            for trial in batch.trials:
                store.put_trial(tx, trial)
            for event, subject in batch.events:
                self._bus.emit(tx, event, subject=subject, actor=_ACTOR)

    def _window(self, batch: _Batch, monitor: Monitor, start: int) -> Window:
        key = (monitor.name, start)
        if key not in batch.windows:
            with self._db.read() as tx:
                found = store.windows(tx, where=Where().equals(monitor=monitor.name, start_us=start), limit=1)
            batch.windows[key] = (
                found[0]
                if found
                else Window(monitor.name, start, start + monitor.policy.window_us, monitor.reference)
            )
        return batch.windows[key]

    def _step(self, batch: _Batch, monitor: Monitor, start: int) -> Losses:
        key = (monitor.name, start)
        if key not in batch.losses:
            with self._db.read() as tx:
                found = store.losses(tx, where=Where().equals(monitor=monitor.name, start_us=start))
            batch.losses[key] = found[0] if found else Losses(monitor.name, start)
        return batch.losses[key]

    def _known_labels(self, batch: _Batch, endpoint: str, starts: list[int], width: int) -> pa.Table:
        """Return every label of predictions in some windows; of two for one row the later counts.

        Nothing is read of the time between: one label that comes a month late must not bring a month's labels along.
        """
        where = Where().equals(endpoint=endpoint, kind="labels")
        where.add("max_event_us >= :from_us", from_us=starts[0])
        where.add("min_event_us < :to_us", to_us=starts[-1] + width)
        with self._db.read() as tx:
            parts = [
                part
                for part in store.parts(tx, where=where)
                if any(part.min_event_us < start + width and part.max_event_us >= start for start in starts)
            ]
        parts += [part for part in batch.parts if part.endpoint == endpoint and part.kind == "labels"]
        table = pa.concat_tables([read_part(self._blobs, part) for part in parts])
        keys = list(
            zip(table.column("prediction_id").to_pylist(), table.column("row").to_pylist(), strict=True)
        )
        newest = {key: position for position, key in enumerate(keys)}
        return table if len(newest) == len(keys) else table.take(pa.array(sorted(newest.values())))


_LABEL_COLUMNS = (
    "prediction_id",
    "row",
    "version",
    "role",
    "route",
    "at_us",
    "event_us",
    "score",
    "label",
    "label_us",
)


def _labelled(rows: Rows, at: int, label: Feedback) -> tuple[Any, ...]:
    return (
        label.prediction_id,
        label.row or 0,
        rows.versions[at],
        rows.roles[at],
        rows.routes[at],
        int(rows.at_us[at]),
        int(rows.event_us[at]),
        float(rows.scores[at]),
        performance.label_number(label.label),
        label.event_us,
    )


def _label_table(values: list[tuple[Any, ...]], told: set[tuple[str, int]]) -> pa.Table:
    """Return labels as a table, each with its ``news``: the tests take every loss for one more observation."""
    columns = list(zip(*values, strict=True))
    table = pa.table({name: list(column) for name, column in zip(_LABEL_COLUMNS, columns, strict=True)})
    requests = {prediction_id for prediction_id, _ in told}
    seen: set[tuple[str, int, str]] = set()
    news: list[int] = []
    for prediction_id, row, version in zip(*columns[:3], strict=True):
        again = (prediction_id, row) in told or (prediction_id, row, version) in seen
        seen.add((prediction_id, row, version))
        news.append(NOTHING_NEW if again else NEW_ROW if prediction_id in requests else NEW_REQUEST)
    return table.append_column("news", pa.array(news, pa.int8()))


def _newest(times_us: NDArray[np.int64], known_us: int) -> int:
    """Return the newest moment seen. One that is still to come is a slip: it would close every window until then."""
    return max(known_us, int(times_us[times_us <= now_us() + _AHEAD_US].max(initial=0)))


def _of(batch: _Batch, endpoint: str) -> Iterable[Monitor]:
    return [monitor for monitor in batch.monitors.values() if monitor.endpoint == endpoint]


def _some(files: list[Path]) -> list[Path]:
    """Return as many files from the beginning as one batch holds, one at least."""
    size = 0
    for count, file in enumerate(files[:_MOST_SEGMENTS]):
        size += file.stat().st_size
        if size > _MOST_BYTES:
            return files[: max(1, count)]
    return files[:_MOST_SEGMENTS]
