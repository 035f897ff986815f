"""What one job of taking the log in has read, and what it will write: gathered here, committed at once."""

import gc
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from trimtab.domains.monitor import store
from trimtab.domains.monitor.columns import Logged
from trimtab.domains.monitor.model import Losses, Monitor, Part, Trial, Window
from trimtab.infra.db import Database, Where
from trimtab.kernel.events import Event
from trimtab.serving import segments
from trimtab.serving.records import Feedback, Prediction


class Batch:
    """Some segments' records by endpoint, and the present state of whatever they move."""

    def __init__(self, db: Database, files: list[Path]) -> None:
        self.files = files
        self.logged: dict[str, list[Logged]] = {}
        self.feedback: list[Feedback] = []
        for file in files:
            for record, fields in segments.stored(file):
                if isinstance(record, Prediction):
                    self.logged.setdefault(record.endpoint, []).append((record, fields))
                else:
                    self.feedback.append(record)
        self.parts: list[Part] = []
        self.windows: dict[tuple[str, int], Window] = {}
        self.losses: dict[tuple[str, int], Losses] = {}
        self.monitors: dict[str, Monitor] = {}
        self.read_at: dict[str, int] = {}
        self.trials: list[Trial] = []
        self.events: list[tuple[Event, str]] = []
        self._db = db
        with db.read() as tx:
            for monitor in store.monitors(tx, where=Where()):
                self.monitors[monitor.name] = monitor
                self.read_at[monitor.name] = monitor.updated_us

    def of(self, endpoint: str) -> Iterable[Monitor]:
        """Return the monitors that watch an endpoint."""
        return [monitor for monitor in self.monitors.values() if monitor.endpoint == endpoint]

    def window(self, monitor: Monitor, start: int) -> Window:
        """Return a monitor's window that begins at a moment, as this batch has moved it."""
        key = (monitor.name, start)
        if key not in self.windows:
            with self._db.read() as tx:
                found = store.windows(tx, where=Where().equals(monitor=monitor.name, start_us=start), limit=1)
            self.windows[key] = (
                found[0]
                if found
                else Window(monitor.name, start, start + monitor.policy.window_us, monitor.reference)
            )
        return self.windows[key]

    def step(self, monitor: Monitor, start: int) -> Losses:
        """Return the losses of labels that became known in the window of time from a moment on."""
        key = (monitor.name, start)
        if key not in self.losses:
            with self._db.read() as tx:
                found = store.losses(tx, where=Where().equals(monitor=monitor.name, start_us=start))
            self.losses[key] = found[0] if found else Losses(monitor.name, start)
        return self.losses[key]

    def load_open(self, monitor: Monitor) -> None:
        """Bring a monitor's windows that are not closed and steps that are not taken."""
        with self._db.read() as tx:
            open_windows = Where().equals(monitor=monitor.name, closed=0)
            for window in store.windows(tx, where=open_windows, limit=10_000):
                self.windows.setdefault((monitor.name, window.start_us), window)
            for step in store.losses(tx, where=Where().equals(monitor=monitor.name, used=0)):
                self.losses.setdefault((monitor.name, step.start_us), step)


@contextmanager
def uncollected() -> Generator[None]:
    """Have no cycles looked for: records have none, and looking through ever more of them takes as long as reading them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
