"""Turns the tail into blocks in the background, a run at a time, while runs are logged to and read."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from trimtab.domains.tracking.keys import Keys
from trimtab.domains.tracking.metrics import store
from trimtab.domains.tracking.metrics.model import columns_of
from trimtab.domains.tracking.metrics.recent import Recent
from trimtab.domains.tracking.metrics.settling import settle
from trimtab.infra.db import Database, Tx
from trimtab.kernel.errors import Unavailable

log = logging.getLogger(__name__)

MANY_ROWS = 256
MANY_POINTS = 100_000
FEW_ROWS = 8
_QUIET_S = 60.0
_FORGOTTEN_S = 3600.0
_TURN_S = 10.0
_ROWS_IN_A_TURN = 512
_OLD_POINTS_AT_ONCE = 50_000

Places = Sequence[tuple[Any, ...]]


def compact(db: Database, run_no: int) -> None:
    """Turn the whole tail of a run into blocks. Several processes may do so at once: only one of them succeeds."""
    settle(db)
    while True:
        with db.read() as tx:
            tail = store.folded_tail(tx, run_no, most_rows=_ROWS_IN_A_TURN)
            if not tail:
                return
            old, made, counts = _made(tx, run_no, [row for _, row in tail])
        numbers = [number for number, _ in tail]
        with db.write() as tx:
            if not store.replace(tx, tail=numbers, blocks=old, made=made, counts=counts):
                raise _Overtaken


class _Overtaken(Exception):
    """The rows were compacted or removed by somebody else meanwhile; nothing was changed."""


def _made(
    tx: Tx, run_no: int, rows: Sequence[bytes]
) -> tuple[list[int], list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the blocks to remove, those to insert, and how many points each metric has after that."""
    from trimtab.domains.tracking.metrics import blocks, series, tails

    fresh = tails.unpack([(run_no, row) for row in rows]).by_step()
    starts = fresh.groups()
    ends = [*starts[1:].tolist(), len(fresh)]
    places: dict[int, list[tuple[Any, ...]]] = {}
    for place in store.block_places(tx, run_no):
        places.setdefault(place[1], []).append(place)
    parts: dict[int, list[series.Series]] = {}
    old: list[int] = []
    kept: dict[int, int] = {}
    for start, end in zip(starts.tolist(), ends, strict=True):
        part = fresh.take(slice(start, end))
        key_no = int(part.key[0])
        parts[key_no] = [part]
        known = places.get(key_no, [])
        touched = _touched(known, int(part.step[0]), int(part.at_us[0]), full=blocks.MOST_POINTS)
        old += [place[0] for place in touched]
        kept[key_no] = sum(place[2] for place in known) - sum(place[2] for place in touched)
    for _, key_no, block in store.blocks_among(tx, old):
        parts[key_no].append(blocks.Block(run_no, key_no, block).whole())
    made: list[dict[str, Any]] = []
    counts: list[dict[str, Any]] = []
    for key_no, together in parts.items():
        whole = series.within(together, None)
        assert whole is not None
        made += [
            _block(run_no, key_no, whole.take(slice(first, first + blocks.MOST_POINTS)))
            for first in range(0, len(whole), blocks.MOST_POINTS)
        ]
        counts.append({"run_no": run_no, "key_no": key_no, "points": kept[key_no] + len(whole)})
    return old, made, counts


def _touched(places: Places, step: int, at_us: int, *, full: int) -> Places:
    """Return the blocks that points from a place on have to be merged with: what reaches there, and a small last one."""
    touched = [place for place in places if (place[5], place[6]) >= (step, at_us)]
    if not touched and places and places[-1][2] < full // 2:
        return places[-1:]
    return touched


def _block(run_no: int, key_no: int, part: Any) -> dict[str, Any]:
    from trimtab.domains.tracking.metrics import blocks

    return {
        "run_no": run_no,
        "key_no": key_no,
        "points": len(part),
        "first_step": int(part.step[0]),
        "first_us": int(part.at_us[0]),
        "last_step": int(part.step[-1]),
        "last_us": int(part.at_us[-1]),
        "columns": blocks.encode(part.step, part.at_us, part.value),
    }


class Compactor:
    """A thread that compacts the tails that grew long, and those that have been left alone for a minute.

    A tail of few rows stays: for a short run it takes less space than blocks would, and is read as fast.
    """

    def __init__(self, db: Database, *, keys: Keys) -> None:
        self._db = db
        self._keys = keys
        self.recent = Recent()
        self._changed = threading.Condition()
        self._waiting: dict[int, list[float]] = {}  # rows, points and the time of the last, of each run
        self._long: set[int] = set()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def noticed(self, run_no: int, points: int) -> None:
        """Hear that a run's tail has another row."""
        with self._changed:
            entry = self._waiting.setdefault(run_no, [0, 0, 0.0])
            entry[0] += 1
            entry[1] += points
            entry[2] = time.monotonic()
            if entry[0] >= MANY_ROWS or entry[1] >= MANY_POINTS:
                self._long.add(run_no)
                self._changed.notify()

    def start(self) -> None:
        """Take over what earlier versions and earlier processes left, and begin."""
        self._adopt()
        self._thread = threading.Thread(target=self._work, name="metric-compaction", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the run at hand; the rest waits in the tail for the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _take_over(self) -> None:
        try:
            with self._db.read() as tx:
                left = store.waiting(tx, more_than=FEW_ROWS)
        except Unavailable as error:  # they wait for the next start, unless they are logged to before
            log.warning("tails of earlier runs not read", extra={"error": str(error)})
            return
        now = time.monotonic()
        with self._changed:
            for run_no, rows in left.items():
                self._waiting.setdefault(run_no, [0, 0, now])[0] += rows

    def _work(self) -> None:
        self._take_over()
        while True:
            with self._changed:
                if not self._long and not self._stopping:
                    self._changed.wait(_TURN_S)
                if self._stopping:
                    return
                due = self._due()
            for run_no in due:
                if not self._stopping:
                    self._compact(run_no)

    def _compact(self, run_no: int) -> None:
        try:
            compact(self._db, run_no)
        except _Overtaken:
            return
        except Exception as error:  # what ails one run must not keep the others waiting
            log.warning("metrics of a run wait to be compacted", extra={"run_no": run_no}, exc_info=True)
            if isinstance(error, Unavailable):
                with self._changed:
                    self._waiting.setdefault(run_no, [FEW_ROWS + 1, 0, time.monotonic()])

    def _due(self) -> list[int]:
        """Take out the runs to compact now, and forget those that were quiet for very long with a short tail."""
        now = time.monotonic()
        due = set(self._long)
        for run_no, (rows, _, last) in list(self._waiting.items()):
            quiet_s = now - last
            if rows > FEW_ROWS and quiet_s >= _QUIET_S:
                due.add(run_no)
            elif quiet_s >= _FORGOTTEN_S:
                del self._waiting[run_no]
        self._long.clear()
        for run_no in due:
            self._waiting.pop(run_no, None)
        return sorted(due)

    def _adopt(self) -> None:
        """Take the points of the first version's table, a row each, into the tail."""
        while True:
            with self._db.write() as tx:
                found = store.old_points(tx, limit=_OLD_POINTS_AT_ONCE)
                if found is None:
                    return
                run_no, points = found
                numbers = self._keys.intern(tx, {point.key for point in points})
                store.take_over(tx, run_no, columns_of(points), numbers)
