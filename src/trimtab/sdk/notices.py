"""What a run tells of its own troubles: warnings, each of them once, which never stop a training."""

import sys
import warnings
from collections.abc import Callable

from trimtab.sdk.spool import Spool

_MOST_WARNINGS = 20


class Notices:
    """The warnings of one run."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def guard(self, what: str, work: Callable[[], None]) -> None:
        """Do work that must not stop a training, and tell what went wrong with it."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - logging never fails a training
            self.tell(f"{what} was not logged: {error}")

    def tell(self, message: str) -> None:
        """Warn whoever called the run, once of each trouble."""
        if message in self._told or len(self._told) >= _MOST_WARNINGS:
            return
        self._told.add(message)
        try:
            # Four up is who called the method of the run that tells this.
            warnings.warn(message, RuntimeWarning, stacklevel=4)
        except Warning:  # warnings are errors here, and the training shall go on all the same
            print(f"trimtab: {message}", file=sys.stderr)  # noqa: T201


def still_to_send(run_id: str, waiting: int, kept: Spool | None) -> str:
    """Return what to tell of entries that the server does not have when a run ends."""
    where = f"in {kept.folder}" if kept is not None and kept.folder is not None else "in memory"
    return (
        f"{waiting} entries of run {run_id} are still to be sent. They are kept {where}; the next trimtab.run() or "
        "'trimtab runs sync' sends them."
    )
