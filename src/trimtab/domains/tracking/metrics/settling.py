"""Brings latest values up to date with what was logged: at once for a reader, and along with the writers."""

import logging
import threading
import time

from trimtab.domains.tracking.metrics import store
from trimtab.infra.db import Database

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 512
_ROWS_IN_A_TURN = 64
"""Few, since whoever writes waits for a turn: some 30 ms where rows are whole runs."""
_TURN_S = 1.0
_REST = 2.0
"""How long to rest while many rows wait, in times of what the last turn took."""
_AFTER_A_FAULT_S = 60.0


def settle(db: Database) -> None:
    """Fold every point that was logged before this call into the latest values; later ones do not hold it up."""
    with db.read() as tx:
        newest = store.newest_unfolded(tx)
    while newest is not None:
        with db.write() as tx:
            upto = store.fold(tx, most_rows=_ROWS_AT_ONCE)
        if upto is None or upto >= newest:
            return


def pay(db: Database, *, rows: int) -> None:
    """Fold as many rows as somebody just added, where those are many: the next reader should not wait for them."""
    while rows > _ROWS_IN_A_TURN:
        with db.write() as tx:
            if store.fold(tx, most_rows=_ROWS_AT_ONCE) is None:
                return
        rows -= _ROWS_AT_ONCE


class Settler:
    """A thread that folds along with what is logged, so that a search seldom finds much left to fold."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._work, name="metric-settling", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the turn at hand; readers fold the rest."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _work(self) -> None:
        rest_s = _TURN_S
        while not self._stopping.wait(rest_s):
            try:
                rest_s = self._turn()
            except Exception:  # the next reader folds, and hears of what ails it
                log.warning("latest metrics wait for a reader", exc_info=True)
                rest_s = _AFTER_A_FAULT_S

    def _turn(self) -> float:
        """Fold some of what waits; returns how many seconds to rest before the next turn."""
        began = time.monotonic()
        with self._db.read() as tx:
            newest = store.newest_unfolded(tx)
        if newest is None:
            return _TURN_S
        with self._db.write() as tx:
            upto = store.fold(tx, most_rows=_ROWS_IN_A_TURN)
        behind = upto is not None and newest - upto >= _ROWS_IN_A_TURN
        return _REST * (time.monotonic() - began) if behind else _TURN_S
