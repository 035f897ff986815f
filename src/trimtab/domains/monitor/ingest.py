"""Takes in the prediction log: keeps the rows, joins late labels, counts windows, and moves the alarms and judges on.

One job at a time does this, in a worker process. All that a batch changes is committed in one transaction together
with the names of its segments, so that a batch counts once however often it is tried.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from trimtab.domains.monitor import store, trials, windows
from trimtab.domains.monitor.batch import Batch, uncollected
from trimtab.domains.monitor.columns import flatten
from trimtab.domains.monitor.labels import Labels
from trimtab.domains.monitor.model import Monitor, window_start
from trimtab.domains.monitor.parts import PartCache, write_part
from trimtab.domains.monitor.requests import Requests
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Where
from trimtab.kernel.time import now_us
from trimtab.serving import segments

_MOST_SEGMENTS = 64
_MOST_BYTES = 16 << 20
"""Read at once: numbers take twice the space in memory, lists some four times."""
_PAST_PARTS, _MOST_PAST_PARTS = 10, 300
_PAST_SCORES = 2000
_ACTOR = "system:monitor"


class Changed(Exception):
    """A monitor was changed while its batch was counted; the job is tried again."""


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
        self._labels = Labels(db, blobs, self._cache)

    def run(self, folder: Path) -> int:
        """Take in what is complete in the folder and return how many segments."""
        segments.adopt(folder)
        files = self._fresh(_some(segments.sealed(folder)))
        if not files:
            return 0
        with uncollected():
            batch = Batch(self._db, files)
            arrived = self._keep(batch)
        running = self._rollouts()
        copied = {one.endpoint for one in running if one.copies}
        labelled, judged = self._labels.join(batch.feedback, batch.parts, copied=copied)
        for endpoint, table in labelled.items():
            for monitor in batch.of(endpoint):
                self._score(batch, monitor, table)
        trials.judge(
            batch.trials,
            batch.events,
            self._db,
            running,
            self._past,
            arrived,
            judged,
        )
        for monitor in list(batch.monitors.values()):
            windows.close(batch, monitor)
        self._commit(batch)
        for file in files:
            file.unlink(missing_ok=True)
        return len(files)

    def _keep(self, batch: Batch) -> dict[str, Requests]:
        """Write down the rows of each endpoint and count them; return its requests."""
        arrived: dict[str, Requests] = {}
        for endpoint, logged in batch.logged.items():
            requests, table = flatten(logged)
            arrived[endpoint] = requests
            logged.clear()  # they are in the table now, and take as much memory as it does
            if table.num_rows:
                part = write_part(self._blobs, endpoint, "predictions", table)
                batch.parts.append(part)
                self._cache.put(part, requests)
            for monitor in batch.of(endpoint):
                windows.count(batch, monitor, requests, table)
        return arrived

    def _score(self, batch: Batch, monitor: Monitor, labels: pa.Table) -> None:
        width = monitor.policy.window_us
        starts = sorted({window_start(us, width) for us in labels.column("event_us").to_pylist()})
        known = self._labels.known(monitor.endpoint, starts, width, fresh=batch.parts)
        windows.score(batch, monitor, labels, known, starts)

    def _past(self, endpoint: str, version: str) -> trials.Past:
        """Return what a version predicted lately, before this batch.

        A few files cover some time where there are many requests; where there are few, each file has one or two.
        """
        with self._db.read() as tx:
            parts = store.newest_parts(tx, endpoint=endpoint, limit=_MOST_PAST_PARTS)
        scores, classes, known = [np.empty(0)], [np.empty(0, np.int64)], 0
        for number, part in enumerate(parts):
            if number >= _PAST_PARTS and known >= _PAST_SCORES:
                break
            requests = self._cache.get(part)
            rows = np.repeat(np.asarray(requests.versions) == version, requests.counts)
            scores.append(requests.scores[rows])
            classes.append(
                np.zeros(len(scores[-1]), np.int64) if requests.classes is None else requests.classes[rows]
            )
            known += int((np.isfinite(scores[-1]) | (classes[-1] > 0)).sum())
        return trials.Past(np.concatenate(scores), np.concatenate(classes))

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

    def _commit(self, batch: Batch) -> None:
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


def _some(files: list[Path]) -> list[Path]:
    """Return as many files from the beginning as one batch holds, one at least."""
    size = 0
    for count, file in enumerate(files[:_MOST_SEGMENTS]):
        size += file.stat().st_size
        if size > _MOST_BYTES:
            return files[: max(1, count)]
    return files[:_MOST_SEGMENTS]
