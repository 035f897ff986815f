"""The worker process: does the jobs of one queue and leaves when idle, so that the server stays lean."""

import signal
import sys
import threading
import time
from typing import get_args

from trimtab.app import build
from trimtab.infra.jobs.model import Queue
from trimtab.infra.jobs.runner import Runner
from trimtab.infra.telemetry import configure_logging
from trimtab.kernel.process import die_with_parent
from trimtab.settings import load

_IDLE_S = 30.0


def main(queue: Queue) -> int:
    """Run until there has been nothing to do for half a minute, or a signal to stop."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    settings, _ = load()
    configure_logging(settings.log_level)
    app = build(settings)
    threads = (
        settings.workers if queue == "pipelines" else 1
    )  # a run's own work is done by its step processes
    runner = Runner(app.db, app.jobs, queue=queue, threads=threads)
    runner.start()
    while not stopping.wait(0.5):
        if not runner.busy and time.monotonic() - runner.last_active > _IDLE_S:
            break
    runner.stop()
    app.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(next(queue for queue in get_args(Queue) if [queue] == sys.argv[1:])))
