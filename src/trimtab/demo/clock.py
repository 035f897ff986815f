"""Event time that runs at a pace of its own against the wall clock, and can be held, hurried and slowed at any time."""

import asyncio
import threading
import time

from trimtab.demo.flights import DAY_US

_TOLERATED_S = 0.1


class Clock:
    """The clock of a replay. Coroutines of one event loop wait on it; the rest may be called from any thread."""

    def __init__(self, *, days_per_s: float) -> None:
        self._days_per_s = days_per_s
        self._lock = threading.Lock()
        self._event_us, self._wall_s = 0.0, time.monotonic()
        self._hold_us: int | None = None
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed: asyncio.Event | None = None

    @property
    def days_per_s(self) -> float:
        """The pace, in days of event time a second."""
        return self._days_per_s

    @property
    def stopped(self) -> bool:
        """Whether nobody should wait any longer."""
        return self._stopped

    @property
    def now_us(self) -> int:
        """The event time now."""
        with self._lock:
            return int(self._now())

    def set_pace(self, days_per_s: float) -> None:
        """Go on at another pace; 0 stands still."""
        self._change(days_per_s=days_per_s)

    def hold_at(self, event_us: int | None) -> None:
        """Stand still once this event time is reached; None lifts that."""
        with self._lock:
            now = self._now()
            self._hold_us = event_us
        self._change(event_us=now)

    def stop(self) -> None:
        """Let everyone who waits go."""
        self._stopped = True
        self._change()

    def begin(self, event_us: int) -> None:
        """Set the time; called in the event loop that will wait."""
        self._loop, self._changed = asyncio.get_running_loop(), asyncio.Event()
        self._change(event_us=event_us)

    def hold_back(self, event_us: int) -> float:
        """Set the clock back to an event that happens only now, and return how many seconds that was late.

        A little lateness is no matter, and caught up with.
        """
        with self._lock:
            pace = self._days_per_s * DAY_US
            late_s = (self._now() - event_us) / pace if pace else 0.0
        if late_s < _TOLERATED_S:
            return 0.0
        self._change(event_us=event_us)
        return late_s

    async def reach(self, event_us: int) -> bool:
        """Wait until it is that late; False if the clock was stopped meanwhile."""
        assert self._changed is not None, "begin() comes first"
        while not self._stopped:
            self._changed.clear()
            wait_s = self._seconds_until(event_us)
            if wait_s is not None and wait_s <= 0:
                return True
            try:
                await asyncio.wait_for(self._changed.wait(), wait_s)
            except TimeoutError:
                continue
        return False

    def _seconds_until(self, event_us: int) -> float | None:
        """Return the seconds to go, or None while it will never be that late."""
        with self._lock:
            left = event_us - self._now()
            if left <= 0:
                return 0.0
            if self._days_per_s <= 0 or (self._hold_us is not None and event_us > self._hold_us):
                return None
            return left / (self._days_per_s * DAY_US)

    def _now(self) -> float:
        now = self._event_us + (time.monotonic() - self._wall_s) * self._days_per_s * DAY_US
        return now if self._hold_us is None else max(self._event_us, min(now, self._hold_us))

    def _change(self, *, event_us: float | None = None, days_per_s: float | None = None) -> None:
        with self._lock:
            self._event_us = self._now() if event_us is None else event_us
            self._wall_s = time.monotonic()
            if days_per_s is not None:
                self._days_per_s = days_per_s
        if self._loop is not None and self._changed is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)
