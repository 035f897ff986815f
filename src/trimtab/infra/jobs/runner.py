"""Claims jobs of one queue and runs them on threads, keeps their leases alive, and retries or buries failures."""

import contextlib
import logging
import os
import socket
import threading
import time
from pathlib import Path

from trimtab.infra.db import Database
from trimtab.infra.jobs import store
from trimtab.infra.jobs.model import HEARTBEAT_S, LEASE_US, Interrupted, Job, Permanent, Queue, retry_delay_us
from trimtab.infra.jobs.queue import JobContext, Jobs, LeaseLost
from trimtab.kernel.time import now_us

log = logging.getLogger(__name__)

_POLL_S = 0.2


def owner_name() -> str:
    """Return this process's name as a holder of leases: host, process id and when that process started."""
    return f"{socket.gethostname()}/{os.getpid()}/{_process_start(os.getpid())}"


def _process_start(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "gone"


def release_dead_owners(db: Database) -> int:
    """Give back the jobs of processes of this host that no longer live, and all leases that ran out."""
    here = socket.gethostname()
    released = 0
    with db.read() as tx:
        owners = store.running_owners(tx)
    dead = [""]
    for owner in owners:
        host, pid, started = owner.split("/")
        if host == here and _process_start(int(pid)) != started:
            dead.append(owner)
    with db.write() as tx:
        for owner in dead:
            released += store.release(tx, owner=owner, now_us=now_us())
    return released


class Runner:
    """Threads that do the jobs of one queue until they are stopped."""

    def __init__(self, db: Database, jobs: Jobs, *, queue: Queue, threads: int) -> None:
        self._db = db
        self._jobs = jobs
        self._queue: Queue = queue
        self._owner = owner_name()
        self._stopping = threading.Event()
        self._held: dict[str, Job] = {}
        self._held_lock = threading.Lock()
        self.last_active = time.monotonic()
        names = [f"{queue}-{number}" for number in range(threads)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        self._threads.append(threading.Thread(target=self._keep_leases, name=f"{queue}-leases", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Take no new job and wait for those at hand; what is cut off will be done again by its lease."""
        self._stopping.set()
        self._jobs.wake()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @property
    def busy(self) -> bool:
        return bool(self._held)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                job = self._claim()
            except Exception:  # a thread that ended would do no more jobs until the next start
                log.warning("queue not readable", extra={"queue": self._queue}, exc_info=True)
                self._stopping.wait(1.0)
                continue
            if job is None:
                self._jobs.wait(_POLL_S)
                continue
            with self._held_lock:
                self._held[job.id] = job
            try:
                self._run(job)
            finally:
                with self._held_lock:
                    self._held.pop(job.id, None)
                self.last_active = time.monotonic()

    def _claim(self) -> Job | None:
        now = now_us()
        with self._db.read() as tx:
            if not store.any_due(tx, queue=self._queue, now_us=now):
                return None
        with self._db.write() as tx:
            return store.claim(
                tx, queue=self._queue, owner=self._owner, now_us=now, lease_until_us=now + LEASE_US
            )

    def _run(self, job: Job) -> None:
        handle = self._jobs.handler_of(job.kind)
        try:
            if handle is None:
                raise Permanent(f"no handler for jobs of kind {job.kind}")
            handle(job, JobContext(self._db, job, self._owner, stopping=self._stopping))
        except LeaseLost:
            log.warning("lease lost", extra={"job": job.id, "kind": job.kind})
        except Interrupted:
            self._finish(job, "queued", None, at_once=True)
        except Permanent as error:
            self._finish(job, "dead", str(error))
        except Exception as error:  # a handler may fail in any way; the queue must live on
            log.warning(
                "job failed", extra={"job": job.id, "kind": job.kind, "attempt": job.attempt}, exc_info=True
            )
            last = job.attempt >= job.max_attempts
            self._finish(job, "dead" if last else "queued", f"{type(error).__name__}: {error}")
        else:
            self._finish(job, "done", None)

    def _finish(self, job: Job, state: str, error: str | None, *, at_once: bool = False) -> None:
        now = now_us()
        due = now + retry_delay_us(job.attempt) if state == "queued" and not at_once else now
        try:
            with self._db.write() as tx:
                store.finish(
                    tx,
                    job_id=job.id,
                    owner=self._owner,
                    state=state,
                    due_us=due,
                    error=error and error[:4000],
                    ended_us=None if state == "queued" else now,
                )
        except Exception:  # the lease runs out and the job is done again; this thread must go on
            log.warning("job outcome not stored", extra={"job": job.id}, exc_info=True)

    def _keep_leases(self) -> None:
        while not self._stopping.wait(HEARTBEAT_S):
            with self._held_lock:
                held = list(self._held.values())
            try:
                for job in held:
                    # One that was taken away is its handler's affair; the others must keep theirs.
                    with contextlib.suppress(LeaseLost):
                        JobContext(self._db, job, self._owner).heartbeat()
                release_dead_owners(self._db)
            except Exception:  # without this thread every long job would be done twice
                log.warning("leases not extended", exc_info=True)
