"""Starts worker processes while heavy jobs wait; they leave by themselves when there is nothing more to do."""

import logging
import subprocess
import sys
import threading
from collections.abc import Mapping

from trimtab.infra.db import Database
from trimtab.infra.jobs import store
from trimtab.infra.jobs.model import Queue
from trimtab.infra.jobs.queue import Jobs
from trimtab.kernel.errors import TrimtabError
from trimtab.kernel.time import now_us

log = logging.getLogger(__name__)

_POLL_S = 0.25


class WorkerPool:
    """At most ``most`` processes that run ``python -m trimtab.worker`` for one queue."""

    def __init__(
        self, db: Database, jobs: Jobs, *, queue: Queue, most: int, environment: Mapping[str, str]
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._queue: Queue = queue
        self._most = most
        self._environment = dict(environment)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"{queue}-pool", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ask the workers to finish, and end those that do not in time; their jobs are done again."""
        self._stopping.set()
        self._jobs.wake()
        self._thread.join(timeout_s)
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            try:
                worker.wait(timeout_s)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _watch(self) -> None:
        # Workers die with the thread that started them, so this thread lives as long as the server.
        while not self._stopping.is_set():
            try:
                self._start_missing()
            except TrimtabError as error:
                log.warning("worker pool cannot read the queue", extra={"error": str(error)})
            self._jobs.wait(_POLL_S)

    def _start_missing(self) -> None:
        self._workers = [worker for worker in self._workers if worker.poll() is None]
        if len(self._workers) >= self._most:
            return
        with self._db.read() as tx:
            waiting = store.count_due(tx, queue=self._queue, now_us=now_us())
            busy = store.count_running(tx, queue=self._queue) if waiting else 0
        if waiting > max(0, len(self._workers) - busy):
            command = [sys.executable, "-m", "trimtab.worker", self._queue]
            self._workers.append(subprocess.Popen(command, env=self._environment, stdin=subprocess.DEVNULL))
