"""Recurrence: cron in UTC whatever the machine's zone, fixed periods, and no pile-up after a pause."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from trimtab.infra.db import Database
from trimtab.infra.db.queries import statement
from trimtab.infra.jobs import Jobs
from trimtab.infra.jobs.model import next_time_us
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import SECOND_US, iso, now_us, parse

HOUR_US = 3600 * SECOND_US
NEXT = statement("next", "select next_us from jobs_schedule where name = :name")


@pytest.fixture(params=["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine's own time zone, which must not matter."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def comings(cron: str, after: str, count: int) -> list[str]:
    at, found = parse(after), []
    for _ in range(count):
        at = next_time_us(at, cron=cron, every_us=None)
        found.append(iso(at))
    return found


def test_cron_is_in_utc_across_the_changes_of_summer_time(zone: str) -> None:
    for start in (
        "2025-03-08T00:00:00Z",
        "2025-03-29T00:00:00Z",
        "2025-10-25T00:00:00Z",
        "2025-11-01T00:00:00Z",
    ):
        begun = parse(start)
        days = [parse(text) for text in comings("30 2 * * *", start, 4)]
        assert [day - begun for day in days] == [
            24 * HOUR_US * day + int(2.5 * HOUR_US) for day in range(4)
        ], zone
        hours = [parse(text) for text in comings("0 * * * *", start, 60)]
        assert [hour - begun for hour in hours] == [HOUR_US * (hour + 1) for hour in range(60)]


def test_cron_expressions(zone: str) -> None:
    assert comings("*/20 9-10 * * MON-FRI", "2025-01-03T10:30:00Z", 3) == [
        "2025-01-03T10:40:00Z",
        "2025-01-06T09:00:00Z",
        "2025-01-06T09:20:00Z",
    ]
    assert comings("0 0 29 2 *", "2025-01-01T00:00:00Z", 1) == ["2028-02-29T00:00:00Z"]
    assert comings("0 0 1 * *", "2025-01-01T00:00:00Z", 1) == ["2025-02-01T00:00:00Z"], "strictly after"


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "61 * * * *", "* * * * MONDAY", "@hourly", "0 0 30 2 *", "nonsense"]
)
def test_bad_expressions_are_refused(db: Database, cron: str) -> None:
    jobs = Jobs(db)
    with pytest.raises(Invalid) as caught, db.write() as tx:
        jobs.schedule(tx, "s", kind="k", cron=cron)
    assert caught.value.field == "cron"
    assert jobs.tick() == 0
    assert jobs.find() == []


def test_a_schedule_needs_a_recurrence() -> None:
    for every_us in (0, -1):
        with pytest.raises(Invalid, match="positive"):
            next_time_us(0, cron=None, every_us=every_us)
    with pytest.raises(Invalid, match="cron expression or a period"):
        next_time_us(0, cron=None, every_us=None)


@pytest.fixture
def jobs(db: Database) -> Jobs:
    return Jobs(db)


def due_in(db: Database, name: str) -> float:
    with db.read() as tx:
        row = tx.one(NEXT, name=name)
    assert row is not None
    return (row[0] - now_us()) / SECOND_US


def make_due(db: Database, name: str, ago_us: int) -> None:
    with db.write() as tx:
        tx.run(
            statement("past", "update jobs_schedule set next_us = :at where name = :name"),
            name=name,
            at=now_us() - ago_us,
        )


def test_what_is_due_is_enqueued_once_however_long_the_pause(db: Database, jobs: Jobs) -> None:
    with db.write() as tx:
        jobs.schedule(tx, "s", kind="k", payload={"a": 1}, every_us=10 * SECOND_US, queue="heavy")
    assert jobs.tick() == 0
    make_due(db, "s", 24 * HOUR_US)
    assert jobs.tick() == 1
    (job,) = jobs.find()
    assert (job.kind, job.queue, job.payload) == ("k", "heavy", {"a": 1})
    assert 9 < due_in(db, "s") <= 10
    assert jobs.tick() == 0
    make_due(db, "s", 1)
    jobs.tick()
    assert len(jobs.find()) == 1, "while the last one still waits, no further one is added"


def test_tickers_at_once_enqueue_once(db: Database, jobs: Jobs) -> None:
    with db.write() as tx:
        jobs.schedule(tx, "s", kind="k", every_us=HOUR_US)
    make_due(db, "s", 1)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: jobs.tick(), range(6)))
    assert len(jobs.find()) == 1
    assert due_in(db, "s") > 3590


def test_saying_the_same_again_keeps_its_place(db: Database, jobs: Jobs) -> None:
    def say(every_us: int | None, cron: str | None = None) -> None:
        with db.write() as tx:
            jobs.schedule(tx, "s", kind="k", every_us=every_us, cron=cron)

    say(HOUR_US)
    make_due(db, "s", 5 * SECOND_US)
    say(HOUR_US)
    assert due_in(db, "s") < 0, "a restart does not put off what is due"
    say(2 * HOUR_US)
    assert due_in(db, "s") > 7000
    say(None, "0 0 1 1 *")
    newyear = datetime.now(UTC).replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    newyear = newyear.replace(year=newyear.year + 1)
    assert abs(newyear - datetime.now(UTC) - timedelta(seconds=due_in(db, "s"))) < timedelta(seconds=5)


def test_a_schedule_can_end(db: Database, jobs: Jobs) -> None:
    with db.write() as tx:
        jobs.schedule(tx, "s", kind="k", every_us=1)
        assert jobs.unschedule(tx, "s")
        assert not jobs.unschedule(tx, "s")
    assert jobs.tick() == 0
