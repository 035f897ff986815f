"""The thread that brings a run's spool to the server while the training goes on."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from trimtab.kernel.errors import TrimtabError
from trimtab.sdk import replay
from trimtab.sdk.client import Client
from trimtab.sdk.delivery import Delivery, Outcome
from trimtab.sdk.spool import Head, Spool
from trimtab.sdk.spool_reader import Reader

_PERIOD_S = 0.5
_LONGEST_S = 10.0
_BARRED_S = 30.0
_SIBLINGS_S = 5.0
_DISK_S = 5.0
_GIVE_UP_S = 2.0
_REPLAY_S = 5.0


class Sender:
    """Sends in the background from ``start`` until ``finish``, and beyond it while the process lives."""

    def __init__(
        self,
        spool: Spool,
        client: Client,
        *,
        folder: Path | None,
        tell: Callable[[str], None],
        leftovers: bool,
    ) -> None:
        self.name: str | None = None
        self._spool = spool
        self._client = client
        self._folder = folder
        self._tell = tell
        self._leftovers = leftovers
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._ending = False
        self._closed = False
        self._delivered = 0
        self._outcome: Outcome | None = None
        self._away_since: float | None = None
        self._told: set[str] = set()
        self._replay: threading.Thread | None = None
        self._looked_at = self._synced_at = 0.0
        self._thread = threading.Thread(target=self._work, name="trimtab-run", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many entries the server does not have yet."""
        return max(0, self._spool.appended - self._delivered)

    @property
    def refused(self) -> bool:
        """Whether the server takes nothing for this run, so that waiting is of no use."""
        return self._outcome == "refused"

    def flush(self, timeout_s: float) -> bool:
        """Wait until the server has what was logged before, or cannot be reached; say whether it has it."""
        target = self._spool.appended
        return self._wait(lambda: self._outcome == "done" and self._delivered >= target, timeout_s)

    def finish(self, timeout_s: float) -> bool:
        """Wait until everything is sent and the spool is gone; say whether that is so."""
        self._ending = True
        started = time.monotonic()
        done = self._wait(lambda: self._closed, timeout_s)
        if done and self._replay is not None:
            self._replay.join(max(0.0, min(_REPLAY_S, timeout_s - (time.monotonic() - started))))
        return done

    def _wait(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        started = time.monotonic()
        self._wake.set()
        with self._changed:
            while not reached():
                now = time.monotonic()
                away = self._away_since
                hopeless = away is not None and now - max(away, started) > _GIVE_UP_S
                if now - started > timeout_s or hopeless or not self._thread.is_alive():
                    return False
                self._changed.wait(0.05)
        return True

    def _work(self) -> None:
        connection = self._client.again()
        reader = Reader(self._spool.folder, spool=self._spool) if self._spool.folder else None
        delivery = Delivery(self._spool.head, reader, connection, tell=self._tell)
        pause_s = 0.0
        while True:
            self._wake.wait(pause_s)
            self._wake.clear()
            ending = self._ending
            outcome = self._round(delivery, connection)
            self._note(delivery, outcome)
            if outcome == "done":
                pause_s = _PERIOD_S
                if ending and self.waiting == 0:
                    break
            elif outcome == "refused":
                break
            elif ending:
                pause_s = _PERIOD_S
            else:
                longest = _BARRED_S if outcome == "barred" else _LONGEST_S
                pause_s = min(longest, max(_PERIOD_S, pause_s * 2)) * random.uniform(0.8, 1.2)  # noqa: S311 - spread
        if reader is not None:
            reader.close()
        connection.close()
        if self._outcome == "done":
            self._spool.close(remove=True)
            self._closed = True
        with self._changed:
            self._changed.notify_all()

    def _round(self, delivery: Delivery, connection: Client) -> Outcome:
        try:
            if (self._leftovers and time.monotonic() - self._looked_at > _SIBLINGS_S) or self._ending:
                self._siblings(connection)
            if not delivery.has_memory:
                delivery.add_memory(self._spool.take_memory())
            outcome = delivery.pump()
            if self._leftovers and self._replay is None and outcome == "done" and not self._ending:
                self._replay = replay.in_background(
                    connection, folder=self._folder, but=self._spool.head.run_id
                )
            if outcome != "done" and time.monotonic() - self._synced_at > _DISK_S:
                self._spool.sync()
                self._synced_at = time.monotonic()
            return outcome
        except Exception as error:  # noqa: BLE001 - whatever it is, the training goes on and the spool stays
            self._once("broken", f"Sending failed and is tried again: {type(error).__name__}: {error}")
            return "away"

    def _siblings(self, connection: Client) -> None:
        """Send what other processes left of this run: its last crash, its forked children."""
        run_id = self._spool.head.run_id

        def wanted(head: Head) -> bool:
            return head.run_id == run_id and head.url == self._client.url

        self._looked_at = time.monotonic()
        try:
            replay.adopt(connection, folder=self._folder, wanted=wanted, tell=self._tell, resuming=run_id)
        except TrimtabError:
            return

    def _note(self, delivery: Delivery, outcome: Outcome) -> None:
        self.name = delivery.name or self.name
        if outcome == "barred":
            self._once("barred", f"The server does not let this be logged; it is kept. {delivery.reason}")
        elif outcome == "refused":
            run_id = self._spool.head.run_id
            self._once("refused", f"The server takes nothing for run {run_id}: {delivery.reason}")
        elif outcome == "away":
            self._once(
                "away", f"Logging goes on in {self._spool.folder} until it can be sent. {delivery.reason}"
            )
        with self._changed:
            self._outcome = outcome
            self._delivered = delivery.sent
            if outcome == "done":
                self._away_since = None
            elif self._away_since is None:
                self._away_since = time.monotonic()
            self._changed.notify_all()

    def _once(self, kind: str, message: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._tell(message)
