"""The outbox: events with the transaction, deliveries after it, at least once, in spite of crashes."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.infra.conftest import COUNT, EVERY, INSERT
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database
from trimtab.infra.db.queries import statement
from trimtab.infra.jobs import Jobs
from trimtab.infra.jobs.runner import Runner, release_dead_owners
from trimtab.kernel.events import Event, EventRecord
from trimtab.kernel.time import now_us

_EVENTS = statement("events", "select seq from bus_event")


class Happened(Event, frozen=True, tag="test.happened"):
    what: str
    times: int = 1


class Other(Event, frozen=True, tag="test.other"):
    pass


@pytest.fixture
def jobs(scratch: Database) -> Jobs:
    return Jobs(scratch)


@pytest.fixture
def bus(scratch: Database, jobs: Jobs) -> Bus:
    return Bus(scratch, jobs)


def deliver(db: Database, jobs: Jobs, *, timeout_s: float = 20.0) -> None:
    """Run the queue until nothing waits or runs."""
    runner = Runner(db, jobs, queue="light", threads=2)
    runner.start()
    deadline = time.monotonic() + timeout_s
    while any(state in ("queued", "running") for _, state, _ in jobs.counts()):
        assert time.monotonic() < deadline, jobs.find()
        time.sleep(0.01)
    runner.stop()


def emit(db: Database, bus: Bus, what: str) -> str:
    with db.write() as tx:
        return bus.emit(tx, Happened(what), subject="run:r", actor="me")


def test_subscribers_hear_what_was_committed(scratch: Database, bus: Bus, jobs: Jobs) -> None:
    heard: list[tuple[str, EventRecord]] = []
    bus.subscribe(Happened, "first", lambda record: heard.append(("first", record)))
    bus.subscribe(Happened, "second", lambda record: heard.append(("second", record)))
    bus.subscribe(Other, "other", lambda record: heard.append(("other", record)))
    event_id = emit(scratch, bus, "it")
    deliver(scratch, jobs)
    assert sorted(name for name, _ in heard) == ["first", "second"]
    (record,) = bus.after(0)
    assert heard[0][1] == record
    assert (record.id, record.kind, record.subject, record.actor) == (
        event_id,
        "test.happened",
        "run:r",
        "me",
    )
    assert record.data == {"what": "it", "times": 1}


def test_event_and_deliveries_go_back_with_the_transaction(scratch: Database, bus: Bus, jobs: Jobs) -> None:
    bus.subscribe(Happened, "first", lambda record: None)
    with pytest.raises(KeyError), scratch.write() as tx:
        tx.run(INSERT, id="a", value=1)
        bus.emit(tx, Happened("never"), subject="run:r", actor="me")
        raise KeyError
    assert (bus.after(0), bus.last_seq(), jobs.find()) == ([], 0, [])


def test_a_failing_subscriber_is_asked_again_and_the_others_once(
    scratch: Database, bus: Bus, jobs: Jobs
) -> None:
    heard: list[str] = []

    def fails_twice(_: EventRecord) -> None:
        heard.append("fails")
        if heard.count("fails") < 3:
            raise ConnectionError

    bus.subscribe(Happened, "fails", fails_twice)
    bus.subscribe(Happened, "works", lambda record: heard.append("works"))
    emit(scratch, bus, "it")
    deliver(scratch, jobs)
    assert sorted(heard) == ["fails", "fails", "fails", "works"]


def test_a_delivery_without_subscriber_is_a_dead_letter(scratch: Database, bus: Bus, jobs: Jobs) -> None:
    bus.subscribe(Happened, "gone", lambda record: None)
    emit(scratch, bus, "it")
    later = Jobs(scratch)
    Bus(scratch, later)  # the next version has nobody of that name
    deliver(scratch, later)
    (dead,) = later.find(state="dead")
    assert "nothing subscribes as 'gone'" in (dead.error or "")


def test_names_of_subscribers_are_taken_once(bus: Bus) -> None:
    bus.subscribe(Happened, "a", lambda record: None)
    bus.subscribe(Other, "a", lambda record: None)
    with pytest.raises(ValueError, match=r"subscribes to test\.happened twice"):
        bus.subscribe(Happened, "a", lambda record: None)


def test_followers_miss_nothing(scratch: Database, bus: Bus) -> None:
    """Whoever follows by number sees every event of concurrent writers exactly once and in order."""
    seen: list[EventRecord] = []
    done = threading.Event()

    def follow() -> None:
        seq = 0
        while True:
            last = done.is_set()
            for record in bus.after(seq):
                seq = record.seq
                seen.append(record)
            if last:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: emit(scratch, bus, str(number)), range(90)))
    done.set()
    follower.join(20)
    assert sorted(int(str(record.data["what"])) for record in seen) == list(range(90))
    assert [record.seq for record in seen] == sorted({record.seq for record in seen})


def test_transactions_that_lock_in_another_order_do_not_wait_in_a_circle(scratch: Database, bus: Bus) -> None:
    both = threading.Barrier(2, timeout=5)

    def first_the_lock() -> None:
        with scratch.write() as tx:
            tx.lock("something")
            if scratch.dialect == "postgresql":  # SQLite has one writer, who cannot wait for another
                both.wait()
            bus.emit(tx, Happened("a"), subject="run:r", actor="me")

    def first_the_event() -> None:
        with scratch.write() as tx:
            bus.emit(tx, Happened("b"), subject="run:r", actor="me")
            if scratch.dialect == "postgresql":
                both.wait()
            tx.lock("something")

    with ThreadPoolExecutor(2) as pool:
        for waiting in [pool.submit(first_the_lock), pool.submit(first_the_event)]:
            waiting.result(timeout=20)
    assert len(bus.after(0)) == 2


def test_waiting_ends_with_a_commit(scratch: Database, bus: Bus) -> None:
    started = time.monotonic()
    timer = threading.Timer(0.1, emit, args=(scratch, bus, "it"))
    timer.start()
    bus.wait(20)
    timer.join()
    assert time.monotonic() - started < 10


def test_old_events_expire_and_their_deliveries_say_so(scratch: Database, bus: Bus, jobs: Jobs) -> None:
    bus.subscribe(Happened, "late", lambda record: None)
    emit(scratch, bus, "old")
    moment = now_us()
    emit(scratch, bus, "new")
    assert bus.expire(before_us=moment) == 1
    assert [record.data["what"] for record in bus.after(0)] == ["new"]
    deliver(scratch, jobs)
    assert [job.error for job in jobs.find(state="dead")] == ["the event has expired"]


CHILD = """
import os, signal, sys, time
from tests.infra.conftest import INSERT
from tests.infra.test_bus import Happened
from trimtab.infra import db as databases
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Jobs
from trimtab.infra.jobs.runner import Runner

db = databases.connect(sys.argv[1])
jobs = Jobs(db)
bus = Bus(db, jobs)

def handle(record):
    with db.write() as tx:
        tx.run(INSERT, id=f"begun by {os.getpid()}", value=record.seq)
    os.kill(os.getpid(), signal.SIGKILL)

bus.subscribe(Happened, "keeper", handle)
with db.write() as tx:
    bus.emit(tx, Happened("it"), subject="run:r", actor="me")
if sys.argv[2] == "after commit":
    os.kill(os.getpid(), signal.SIGKILL)
runner = Runner(db, jobs, queue="light", threads=1)
runner.start()
time.sleep(60)
"""


@pytest.mark.parametrize("crash", ["after commit", "in the handler"])
def test_a_crash_between_commit_and_delivery_loses_nothing(
    scratch: Database, bus: Bus, jobs: Jobs, database_url: str, crash: str
) -> None:
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, database_url, crash], cwd=root, timeout=60, check=False
    )
    assert ran.returncode == -signal.SIGKILL
    heard: list[EventRecord] = []
    bus.subscribe(Happened, "keeper", heard.append)
    with scratch.read() as tx:
        begun = tx.one(COUNT)
    assert begun == ((0,) if crash == "after commit" else (1,))
    assert release_dead_owners(scratch) == (0 if crash == "after commit" else 1)
    deliver(scratch, jobs)
    assert [record.data["what"] for record in heard] == ["it"]
    (job,) = jobs.find()
    assert (job.state, job.attempts) == ("done", 1 if crash == "after commit" else 2)


def test_the_rows_of_a_transaction_and_its_event_are_seen_together(scratch: Database, bus: Bus) -> None:
    pairs: list[tuple[int, int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            with scratch.read() as tx:
                rows = len(tx.all(EVERY))
                events = len(tx.all(_EVENTS))
            pairs.append((rows, events))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(30):
        with scratch.write() as tx:
            bus.emit(tx, Happened(str(number)), subject="run:r", actor="me")
            tx.run(INSERT, id=str(number), value=os.getpid())
    done.set()
    watcher.join(20)
    assert pairs
    assert all(rows == events for rows, events in pairs)
