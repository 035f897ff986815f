"""The database port on both engines: durable writes, snapshots, locks, and what is said of failures."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.infra.conftest import COUNT, EVERY, INSERT, UPDATE
from trimtab.infra import db as databases
from trimtab.infra.db import Database, Duplicate
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Invalid, Unavailable


def rows(db: Database) -> list[tuple[str, int]]:
    with db.read() as tx:
        return tx.all(EVERY)  # type: ignore[return-value]


def test_a_write_is_there_when_its_block_is_left(scratch: Database) -> None:
    with scratch.write() as tx:
        assert tx.run(INSERT, id="a", value=1) == 1
        assert tx.all(EVERY) == [("a", 1)], "a transaction sees its own changes"
        assert rows(scratch) == [], "others do not yet"
    assert rows(scratch) == [("a", 1)]
    with scratch.read() as tx:
        assert tx.one(COUNT) == (1,)
        assert tx.one(statement("none", "select id from scratch where id = :id"), id="z") is None


def test_an_exception_takes_all_of_it_back(scratch: Database) -> None:
    called: list[str] = []
    with pytest.raises(KeyError), scratch.write() as tx:
        tx.run(INSERT, id="a", value=1)
        tx.before_commit(lambda: called.append("before"))
        tx.after_commit(lambda: called.append("after"))
        raise KeyError
    assert (rows(scratch), called) == ([], [])


def test_calls_come_before_and_after_the_commit(scratch: Database) -> None:
    called: list[object] = []
    with scratch.write() as tx:
        tx.after_commit(lambda: called.append(rows(scratch)))
        tx.before_commit(lambda: called.append(tx.run(INSERT, id="late", value=2)))
        tx.run(INSERT, id="early", value=1)
        called.append("block")
    assert called == ["block", 1, [("early", 1), ("late", 2)]]


def test_a_failure_before_the_commit_takes_all_of_it_back(scratch: Database) -> None:
    def fail() -> None:
        raise KeyError

    with pytest.raises(KeyError), scratch.write() as tx:
        tx.run(INSERT, id="a", value=1)
        tx.before_commit(fail)
    assert rows(scratch) == []


def test_a_taken_key_is_a_duplicate(scratch: Database) -> None:
    with scratch.write() as tx:
        tx.run(INSERT, id="a", value=1)
    with pytest.raises(Duplicate), scratch.write() as tx:
        tx.run(INSERT, id="b", value=2)
        tx.run(INSERT, id="a", value=3)
    with pytest.raises(Duplicate), scratch.write() as tx:
        tx.many(INSERT, [{"id": "c", "value": 1}, {"id": "a", "value": 1}])
    assert rows(scratch) == [("a", 1)]


def test_many_rows_and_null(scratch: Database) -> None:
    with scratch.write() as tx:
        tx.many(INSERT, [{"id": f"{number:04}", "value": None} for number in range(2000)])
        tx.many(INSERT, [])
    assert len(rows(scratch)) == 2000
    assert rows(scratch)[0] == ("0000", None)


def test_mistakes_in_statements_are_not_called_unavailable(scratch: Database) -> None:
    with pytest.raises(Exception, match="nowhere") as caught, scratch.read() as tx:
        tx.all(statement("wrong", "select * from nowhere"))
    assert not isinstance(caught.value, Unavailable)
    assert rows(scratch) == [], "and the connection is still good"


def test_reads_change_nothing(scratch: Database) -> None:
    with pytest.raises(Exception, match=r"read.?only"), scratch.read() as tx:
        tx.run(INSERT, id="a", value=1)
    assert rows(scratch) == []


def test_readers_keep_their_snapshot(scratch: Database) -> None:
    with scratch.write() as tx:
        tx.run(INSERT, id="a", value=1)
    with scratch.read() as tx:
        before = tx.all(EVERY)
        for number in range(3):
            with scratch.write() as other:
                other.run(INSERT, id=f"new {number}", value=number)
                other.run(UPDATE, id="a", value=100)
        assert tx.all(EVERY) == before == [("a", 1)]
    assert len(rows(scratch)) == 4


def test_an_open_writer_does_not_block_readers(scratch: Database) -> None:
    with ThreadPoolExecutor(4) as pool, scratch.write() as tx:
        tx.run(INSERT, id="a", value=1)
        seen = [pool.submit(rows, scratch) for _ in range(12)]
        assert [one.result(timeout=5) for one in seen] == [[]] * 12


def test_named_locks_make_read_then_write_safe(scratch: Database) -> None:
    with scratch.write() as tx:
        tx.run(INSERT, id="counter", value=0)
    get = statement("get", "select value from scratch where id = 'counter'")

    def increment(_: int) -> None:
        with scratch.write() as tx:
            tx.lock("scratch.counter")
            row = tx.one(get)
            assert row is not None
            tx.run(UPDATE, id="counter", value=row[0] + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(80)))
    assert rows(scratch) == [("counter", 80)]


def test_threads_that_write_at_once_all_succeed(scratch: Database) -> None:
    """Every row of every thread is there, but for those of the members that failed."""

    def write(thread: int) -> int:
        kept = 0
        for number in range(25):
            try:
                with scratch.write() as tx:
                    tx.run(INSERT, id=f"{thread}/{number}", value=thread)
                    if number % 5 == 4:
                        tx.run(INSERT, id=f"{thread}/0", value=thread)
            except Duplicate:
                continue
            kept += 1
        return kept

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(8))) == [20] * 8
    found = rows(scratch)
    assert len(found) == 160
    assert {name for name, _ in found} == {
        f"{thread}/{number}" for thread in range(8) for number in range(25) if number % 5 != 4
    }


def test_what_was_committed_is_there_for_others(scratch: Database, database_url: str) -> None:
    with scratch.write() as tx:
        tx.run(INSERT, id="a", value=1)
    other = databases.connect(database_url)
    try:
        assert rows(other) == [("a", 1)]
        with other.write() as tx:
            tx.run(INSERT, id="b", value=2)
        assert rows(scratch) == [("a", 1), ("b", 2)]
    finally:
        other.close()


def test_a_writer_of_another_process_is_waited_for(scratch: Database, database_url: str) -> None:
    other = databases.connect(database_url)
    try:
        with ThreadPoolExecutor(1) as pool:
            with other.write() as tx:
                tx.lock("scratch")
                tx.run(INSERT, id="first", value=1)
                waiting = pool.submit(_insert_under_lock, scratch)
                assert not _done_within(waiting.done, 0.3)
            waiting.result(timeout=10)
    finally:
        other.close()
    assert [name for name, _ in rows(scratch)] == ["first", "second"]


def _insert_under_lock(db: Database) -> None:
    with db.write() as tx:
        tx.lock("scratch")
        tx.run(INSERT, id="second", value=2)


def _done_within(done: Callable[[], bool], seconds: float) -> bool:
    threading.Event().wait(seconds)
    return done()


def test_unknown_engines_are_named() -> None:
    with pytest.raises(Invalid, match="Did you mean 'sqlite'"):
        databases.connect("sqlit:///x")


def test_a_server_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    from trimtab.infra.db import postgres

    monkeypatch.setattr(postgres, "_CONNECT_TIMEOUT_S", 0.5)
    with pytest.raises(Unavailable, match="PostgreSQL"):
        databases.connect("postgresql://nobody@127.0.0.1:9/nothing")
