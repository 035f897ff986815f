"""The worker process: does the jobs of one queue and leaves when idle, so that the server stays lean."""

import os
import signal
import sys
import time
from typing import get_args

from trimtab.app import build
from trimtab.infra.jobs.model import Queue
from trimtab.infra.jobs.runner import Runner
from trimtab.infra.telemetry import configure_logging
from trimtab.kernel.process import die_with_parent
from trimtab.settings import load

_IDLE_S = 30.0
_TURN_S = 0.2
_NICE = 5
"""A third of the processor where there is not enough: whoever waits for a prediction comes first."""


def main(queue: Queue) -> int:
    """Run until there has been nothing to do for half a minute, or a signal to stop."""
    asked: list[int] = []  # an Event's lock could be taken when the signal comes, or comes a second time
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    os.nice(_NICE)
    settings, _ = load()
    configure_logging(settings.log_level)
    app = build(settings)
    threads = (
        settings.workers if queue == "pipelines" else 1
    )  # a run's own work is done by its step processes
    runner = Runner(app.db, app.jobs, queue=queue, threads=threads)
    runner.start()
    while not asked:
        time.sleep(_TURN_S)
        if not runner.busy and time.monotonic() - runner.last_active > _IDLE_S:
            break
    runner.stop()
    app.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(next(queue for queue in get_args(Queue) if [queue] == sys.argv[1:])))
