"""Runs the background jobs of an App in the test's own process until none is left."""

import time

from trimtab.app import App
from trimtab.infra.jobs.model import Queue
from trimtab.infra.jobs.runner import Runner


def work_off(app: App, *queues: Queue, timeout_s: float = 60.0) -> None:
    """Do every job of the queues (light by default), retries too, and return when none waits or runs."""
    names: tuple[Queue, ...] = queues or ("light",)
    runners = [Runner(app.db, app.jobs, queue=queue, threads=2) for queue in names]
    for runner in runners:
        runner.start()
    deadline = time.monotonic() + timeout_s
    try:
        while any(queue in names and state in ("queued", "running") for queue, state, _ in app.jobs.counts()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"jobs are left: {app.jobs.find()}")
            time.sleep(0.02)
    finally:
        for runner in runners:
            runner.stop()
