"""The durable queue: claimed once, kept by leases, tried again, buried, and brought back."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from trimtab.infra import db as databases
from trimtab.infra.db import Database
from trimtab.infra.db.queries import statement
from trimtab.infra.jobs import Job, JobContext, Jobs, Permanent, runner, store
from trimtab.infra.jobs.model import Interrupted, retry_delay_us
from trimtab.infra.jobs.queue import JobNotFound, LeaseLost
from trimtab.infra.jobs.runner import Runner, owner_name, release_dead_owners
from trimtab.kernel.errors import Conflict
from trimtab.kernel.time import SECOND_US, now_us


@pytest.fixture
def jobs(db: Database) -> Jobs:
    return Jobs(db)


def enqueue(jobs: Jobs, db: Database, kind: str = "k", **more: Any) -> str:
    with db.write() as tx:
        return jobs.enqueue(tx, kind, more.pop("payload", {}), **more)


def claim(
    db: Database, *, owner: str = "me", lease_us: int = 30 * SECOND_US, queue: str = "light"
) -> Job | None:
    now = now_us()
    with db.write() as tx:
        return store.claim(tx, queue=queue, owner=owner, now_us=now, lease_until_us=now + lease_us)


def work(db: Database, jobs: Jobs, *, threads: int = 2, timeout_s: float = 30.0) -> None:
    """Run the queue until nothing waits or runs."""
    running = Runner(db, jobs, queue="light", threads=threads)
    running.start()
    try:
        until(lambda: not any(state in ("queued", "running") for _, state, _ in jobs.counts()), timeout_s)
    finally:
        running.stop()


def until(holds: Any, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


def test_a_job_is_done_once(db: Database, jobs: Jobs) -> None:
    seen: list[Job] = []
    jobs.handler("k", lambda job, context: seen.append(job))
    job_id = enqueue(jobs, db, payload={"x": [1, "ü", None]})
    work(db, jobs)
    assert [(job.id, job.kind, job.payload, job.attempt) for job in seen] == [
        (job_id, "k", {"x": [1, "ü", None]}, 1)
    ]
    record = jobs.get(job_id)
    assert (record.state, record.attempts, record.error) == ("done", 1, None)
    assert record.started_us is not None
    assert record.ended_us is not None
    with pytest.raises(JobNotFound):
        jobs.get("job_none")


def test_it_goes_back_with_its_transaction(db: Database, jobs: Jobs) -> None:
    with pytest.raises(KeyError), db.write() as tx:
        jobs.enqueue(tx, "k", {})
        raise KeyError
    assert jobs.find() == []


def test_the_oldest_that_is_due_comes_first(db: Database, jobs: Jobs) -> None:
    now = now_us()
    later = enqueue(jobs, db, due_us=now + 60 * SECOND_US)
    second, first = enqueue(jobs, db, due_us=now - 5), enqueue(jobs, db, due_us=now - 9)
    other = enqueue(jobs, db, queue="heavy")
    assert [job.id for job in (claim(db), claim(db)) if job] == [first, second]
    assert claim(db) is None
    assert (jobs.get(later).state, jobs.get(other).state) == ("queued", "queued")
    heavy = claim(db, queue="heavy")
    assert heavy is not None
    assert heavy.id == other


def test_claimers_at_once_never_get_the_same_job(db: Database, jobs: Jobs, database_url: str) -> None:
    """Two connections (on PostgreSQL two servers), four threads each, and every job goes out exactly once."""
    with db.write() as tx:
        ids = {jobs.enqueue(tx, "k", {}) for _ in range(200)}
    other = databases.connect(database_url)
    together = threading.Barrier(8)

    def take(number: int) -> list[str]:
        mine: list[str] = []
        together.wait()
        while job := claim(db if number % 2 else other, owner=f"w{number}"):
            mine.append(job.id)
        return mine

    try:
        with ThreadPoolExecutor(8) as pool:
            taken = [job_id for mine in pool.map(take, range(8)) for job_id in mine]
    finally:
        other.close()
    assert Counter(taken) == Counter(ids)


def test_failures_are_tried_again_later_and_then_buried(db: Database, jobs: Jobs) -> None:
    attempts: list[tuple[int, int]] = []

    def fail(job: Job, _: JobContext) -> None:
        attempts.append((job.attempt, now_us()))
        raise RuntimeError("no luck")

    jobs.handler("k", fail)
    job_id = enqueue(jobs, db, max_attempts=3)
    work(db, jobs)
    assert [attempt for attempt, _ in attempts] == [1, 2, 3]
    assert attempts[1][1] - attempts[0][1] >= SECOND_US // 4
    assert attempts[2][1] - attempts[1][1] >= SECOND_US // 2
    record = jobs.get(job_id)
    assert (record.state, record.error) == ("dead", "RuntimeError: no luck")
    assert [one.id for one in jobs.find(state="dead")] == [job_id]


def test_back_off_doubles_up_to_five_minutes() -> None:
    for attempt, ceiling_s in ((1, 0.5), (2, 1), (3, 2), (8, 64), (30, 300)):
        delays = [retry_delay_us(attempt) for _ in range(200)]
        assert ceiling_s * SECOND_US / 2 <= min(delays) <= max(delays) <= ceiling_s * SECOND_US
        assert len(set(delays)) > 100, "jitter keeps failures from coming back together"


def test_what_cannot_be_helped_is_buried_at_once(db: Database, jobs: Jobs) -> None:
    def give_up(_: Job, __: JobContext) -> None:
        raise Permanent("nothing there")

    jobs.handler("k", give_up)
    known, unknown = enqueue(jobs, db), enqueue(jobs, db, kind="unheard-of")
    work(db, jobs)
    assert [(jobs.get(known).state, jobs.get(known).attempts, jobs.get(known).error)] == [
        ("dead", 1, "nothing there")
    ]
    assert "no handler for jobs of kind unheard-of" in (jobs.get(unknown).error or "")


def test_a_dead_letter_is_brought_back_with_all_its_attempts(db: Database, jobs: Jobs) -> None:
    broken = True

    def sometimes(_: Job, __: JobContext) -> None:
        if broken:
            raise RuntimeError

    jobs.handler("k", sometimes)
    job_id = enqueue(jobs, db, max_attempts=1)
    work(db, jobs)
    assert jobs.get(job_id).state == "dead"
    broken = False
    jobs.retry(job_id)
    record = jobs.get(job_id)
    assert (record.state, record.attempts, record.error, record.ended_us) == ("queued", 0, None, None)
    work(db, jobs)
    assert jobs.get(job_id).state == "done"
    with pytest.raises(Conflict):
        jobs.retry(job_id)


def test_a_key_keeps_jobs_from_piling_up(db: Database, jobs: Jobs) -> None:
    first = enqueue(jobs, db, dedupe_key="a")
    assert enqueue(jobs, db, dedupe_key="a") == first
    assert enqueue(jobs, db, dedupe_key="b") != first
    assert enqueue(jobs, db, kind="other", dedupe_key="a") != first
    assert claim(db) is not None
    assert enqueue(jobs, db, dedupe_key="a") == first, "while it runs, too"
    with db.write() as tx:
        store.finish(tx, job_id=first, owner="me", state="done", due_us=0, error=None, ended_us=now_us())
    again = enqueue(jobs, db, dedupe_key="a")
    assert again != first
    assert jobs.get(again).state == "queued"


def test_many_who_enqueue_with_a_key_agree(db: Database, jobs: Jobs) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: enqueue(jobs, db, dedupe_key="a"), range(40)))
    assert len(set(made)) == 1
    assert len(jobs.find()) == 1


def test_a_job_in_the_way_that_ends_just_now_is_no_hindrance(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the refused insert and the look at what is in the way, that job may end on another connection."""
    first = enqueue(jobs, db, dedupe_key="a")
    claim(db)
    look = store.active_by_key
    ended: list[str] = []

    def end_then_look(tx: Any, **key: str) -> str | None:
        if not ended:
            ended.append(first)
            store.finish(tx, job_id=first, owner="me", state="done", due_us=0, error=None, ended_us=1)
        return look(tx, **key)

    monkeypatch.setattr(store, "active_by_key", end_then_look)
    second = enqueue(jobs, db, dedupe_key="a")
    assert second != first
    assert jobs.get(second).state == "queued"


def test_a_heartbeat_shows_progress_and_keeps_the_lease(db: Database, jobs: Jobs) -> None:
    job_id = enqueue(jobs, db)
    job = claim(db, lease_us=1000)
    assert job is not None
    context = JobContext(db, job, "me")
    context.heartbeat(progress=0.4, note="reads")
    context.heartbeat()
    record = jobs.get(job_id)
    assert (record.progress, record.note) == (0.4, "reads")
    time.sleep(0.01)
    assert release_dead_owners_of(db) == 0


def release_dead_owners_of(db: Database) -> int:
    """Release what has outlived its lease, and nothing for the process's death: the owner is no process."""
    with db.write() as tx:
        return store.release(tx, owner="", now_us=now_us())


def test_what_outlives_its_lease_is_done_again_and_its_holder_told(db: Database, jobs: Jobs) -> None:
    job_id = enqueue(jobs, db)
    job = claim(db, owner="slow", lease_us=1)
    assert job is not None
    time.sleep(0.01)
    assert release_dead_owners_of(db) == 1
    again = claim(db, owner="quick")
    assert again is not None
    assert (again.id, again.attempt) == (job_id, 2)
    with pytest.raises(LeaseLost):
        JobContext(db, job, "slow").heartbeat()
    with db.write() as tx:
        late = store.finish(tx, job_id=job_id, owner="slow", state="done", due_us=0, error=None, ended_us=1)
    assert (late, jobs.get(job_id).state) == (False, "running"), "the result of the slow one does not count"


def test_a_job_whose_process_died_on_its_last_attempt_is_buried(db: Database, jobs: Jobs) -> None:
    job_id = enqueue(jobs, db, max_attempts=1)
    claim(db, lease_us=1)
    time.sleep(0.01)
    release_dead_owners_of(db)
    record = jobs.get(job_id)
    assert (record.state, record.error) == ("dead", "the process died on the last attempt")


def test_the_living_keep_their_jobs(db: Database, jobs: Jobs) -> None:
    enqueue(jobs, db)
    claim(db, owner=owner_name())
    assert release_dead_owners(db) == 0


CHILD = """
import sys, time
from trimtab.infra import db as databases
from trimtab.infra.jobs import Jobs
from trimtab.infra.jobs.runner import Runner

db = databases.connect(sys.argv[1])
jobs = Jobs(db)

def hang(job, context):
    print("begun", flush=True)
    time.sleep(60)

jobs.handler("k", hang)
Runner(db, jobs, queue="light", threads=1).start()
time.sleep(60)
"""


def test_the_job_of_a_killed_process_is_taken_up_at_once(db: Database, jobs: Jobs, database_url: str) -> None:
    job_id = enqueue(jobs, db)
    command = [sys.executable, "-c", CHILD, database_url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    assert release_dead_owners(db) == 0
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert release_dead_owners(db) == 1, "without waiting for the lease"
    jobs.handler("k", lambda job, context: None)
    work(db, jobs)
    assert (jobs.get(job_id).state, jobs.get(job_id).attempts) == ("done", 2)


def test_a_lost_lease_does_not_cost_the_others_theirs(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "HEARTBEAT_S", 0.05)
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def wait(_: Job, __: JobContext) -> None:
        begun.release()
        go_on.wait(20)

    jobs.handler("k", wait)
    ids = [enqueue(jobs, db) for _ in range(3)]
    running = Runner(db, jobs, queue="light", threads=3)
    running.start()
    try:
        for _ in ids:
            assert begun.acquire(timeout=10)
        leases = statement("leases", "select id, lease_until_us from jobs_job where owner = :owner")
        with db.write() as tx:
            tx.run(statement("take", "update jobs_job set owner = 'elsewhere/1/1' where id = :id"), id=ids[0])
        marks = dict(_all(db, leases, owner=owner_name()))
        assert set(marks) == set(ids[1:])
        until(lambda: all(until_us > marks[job] for job, until_us in _all(db, leases, owner=owner_name())))
    finally:
        go_on.set()
        running.stop()


def _all(db: Database, query: Any, **params: Any) -> list[tuple[Any, ...]]:
    with db.read() as tx:
        return tx.all(query, **params)


def test_the_threads_outlive_a_database_that_fails(db: Database, jobs: Jobs) -> None:
    """Even of a kind nobody thought of: the table is not there for a while."""
    jobs.handler("k", lambda job, context: None)
    running = Runner(db, jobs, queue="light", threads=2)
    with db.write() as tx:
        tx.script(["alter table jobs_job rename to jobs_gone"])
    running.start()
    try:
        time.sleep(0.5)
        with db.write() as tx:
            tx.script(["alter table jobs_gone rename to jobs_job"])
        job_id = enqueue(jobs, db)
        until(lambda: jobs.get(job_id).state == "done")
    finally:
        running.stop()


def test_whoever_is_asked_to_leave_hands_the_job_on(db: Database, jobs: Jobs) -> None:
    begun = threading.Event()

    def patient(_: Job, context: JobContext) -> None:
        begun.set()
        while not context.stopping:
            time.sleep(0.01)
        raise Interrupted

    jobs.handler("k", patient)
    job_id = enqueue(jobs, db)
    running = Runner(db, jobs, queue="light", threads=1)
    running.start()
    assert begun.wait(10)
    running.stop()
    record = jobs.get(job_id)
    assert (record.state, record.error) == ("queued", None)
    assert record.due_us <= now_us()


def test_a_runner_begins_at_once_when_woken(
    db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_POLL_S", 30.0)
    jobs.handler("k", lambda job, context: None)
    running = Runner(db, jobs, queue="light", threads=1)
    running.start()
    try:
        time.sleep(0.2)
        started = time.monotonic()
        job_id = enqueue(jobs, db)
        until(lambda: jobs.get(job_id).state == "done")
        assert time.monotonic() - started < 5
    finally:
        running.stop()


def test_listings_and_expiry(db: Database, jobs: Jobs) -> None:
    jobs.handler("k", lambda job, context: None)
    done = enqueue(jobs, db)
    work(db, jobs)
    waiting = enqueue(jobs, db, kind="other", due_us=now_us() + 60 * SECOND_US)
    assert [job.id for job in jobs.find()] == [waiting, done]
    assert [job.id for job in jobs.find(kind="k", state="done")] == [done]
    assert sorted(jobs.counts()) == [("light", "done", 1), ("light", "queued", 1)]
    assert jobs.expire(before_us=now_us() + SECOND_US) == 1
    assert [job.id for job in jobs.find()] == [waiting]


def test_two_handlers_of_a_kind_are_a_mistake(jobs: Jobs) -> None:
    jobs.handler("k", lambda job, context: None)
    with pytest.raises(ValueError, match="two handlers"):
        jobs.handler("k", lambda job, context: None)


def test_an_owner_is_a_process_and_when_it_began() -> None:
    host, pid, started = owner_name().split("/")
    assert host
    assert int(pid) == os.getpid()
    assert int(started) > 0


def test_a_dead_letter_does_not_go_beside_its_like(db: Database, jobs: Jobs) -> None:
    def breaks(_: Job, __: JobContext) -> None:
        raise RuntimeError

    jobs.handler("k", breaks)
    dead = enqueue(jobs, db, max_attempts=1, dedupe_key="one")
    work(db, jobs)
    waiting = enqueue(jobs, db, dedupe_key="one")
    with pytest.raises(Conflict, match=waiting):
        jobs.retry(dead)
