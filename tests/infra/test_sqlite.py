"""What is special to SQLite: the shared commit of waiting threads, its failures, and what survives kill -9."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.conftest import EVERY, INSERT, MAKE
from trimtab.infra.db import Duplicate, mark, sqlite
from trimtab.infra.db.queries import statement
from trimtab.infra.db.sqlite import SQLiteDatabase
from trimtab.kernel.errors import Unavailable


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/scratch.db"


@pytest.fixture
def db(url: str) -> Iterator[SQLiteDatabase]:
    database = SQLiteDatabase(url)
    with database.write() as tx:
        tx.script([MAKE])
    yield database
    database.close()


def names(db: SQLiteDatabase) -> list[str]:
    with db.read() as tx:
        return [name for name, _ in tx.all(EVERY)]


class Commits:
    """Counts the commits of a database's writer."""

    def __init__(self, db: SQLiteDatabase) -> None:
        self.count = 0
        db._writer.set_trace_callback(self._see)

    def _see(self, text: str) -> None:
        self.count += text == "COMMIT"


class Queue:
    """Threads that wait for the writer while the test holds it, so that they must share a commit."""

    def __init__(self, db: SQLiteDatabase) -> None:
        self._db = db
        self._threads: list[threading.Thread] = []
        self.outcomes: dict[str, object] = {}

    def add(self, name: str, *, fails: str = "") -> None:
        def work() -> None:
            try:
                with self._db.write() as tx:
                    tx.run(INSERT, id=name, value=1)
                    tx.after_commit(lambda: self.outcomes.__setitem__(f"{name} called", True))
                    if fails:
                        tx.run(statement("fails", fails))
            except Exception as error:  # noqa: BLE001 - the test looks at what each member was told
                self.outcomes[name] = error
            else:
                self.outcomes[name] = "done"

        waiting = self._db._waiting
        thread = threading.Thread(target=work)
        thread.start()
        self._threads.append(thread)
        while self._db._waiting == waiting:
            time.sleep(0.001)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)


def test_waiting_threads_share_a_commit(db: SQLiteDatabase) -> None:
    commits, queue = Commits(db), Queue(db)
    with db.write() as tx:
        tx.run(INSERT, id="first", value=0)
        for number in range(5):
            queue.add(f"t{number}")
    queue.join()
    assert names(db) == ["first", "t0", "t1", "t2", "t3", "t4"]
    assert commits.count == 1
    assert all(queue.outcomes[f"t{number} called"] for number in range(5))


def test_a_member_that_fails_hurts_nobody_else(db: SQLiteDatabase) -> None:
    queue = Queue(db)
    with db.write() as tx:
        tx.run(INSERT, id="first", value=0)
        queue.add("good")
        queue.add("bad", fails="insert into scratch (id) values ('first')")
        queue.add("wrong", fails="select * from nowhere")
        queue.add("last")
    queue.join()
    assert names(db) == ["first", "good", "last"]
    assert isinstance(queue.outcomes["bad"], Duplicate)
    assert isinstance(queue.outcomes["wrong"], sqlite3.OperationalError)
    assert "bad called" not in queue.outcomes


def test_the_last_member_may_fail_and_the_rest_is_committed(db: SQLiteDatabase) -> None:
    queue = Queue(db)
    with pytest.raises(KeyError), db.write() as tx:
        tx.run(INSERT, id="first", value=0)
        queue.add("good")
        queue.add("bad", fails="select * from nowhere")
        raise KeyError
    queue.join()
    assert names(db) == ["good"]


def test_when_the_commit_fails_every_member_is_told(db: SQLiteDatabase) -> None:
    queue = Queue(db)

    def refuse(action: int, what: object, *_: object) -> int:
        denied = refusing and action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    refusing = False
    db._writer.set_authorizer(refuse)
    with pytest.raises(Unavailable, match="could not commit"), db.write() as tx:
        tx.run(INSERT, id="first", value=0)
        queue.add("other")
        refusing = True
    queue.join()
    assert isinstance(queue.outcomes["other"], Unavailable)
    assert "other called" not in queue.outcomes
    refusing = False
    with db.write() as tx:
        tx.run(INSERT, id="later", value=1)
    assert names(db) == ["later"]


def test_when_the_engine_gives_up_every_member_is_told(db: SQLiteDatabase) -> None:
    """``or rollback`` has SQLite end the whole transaction, as some disk errors do."""
    with db.write() as tx:
        tx.run(INSERT, id="there", value=0)
    queue = Queue(db)
    with pytest.raises(Unavailable), db.write() as tx:
        tx.run(INSERT, id="first", value=0)
        queue.add("bad", fails="insert or rollback into scratch (id) values ('there')")
        queue.add("later")
    queue.join()
    assert isinstance(queue.outcomes["bad"], Duplicate)
    survived = queue.outcomes["later"] == "done"  # where its turn came after that of the bad one
    assert survived or isinstance(queue.outcomes["later"], Unavailable)
    assert names(db) == (["later", "there"] if survived else ["there"])


def test_a_full_disk_is_unavailable_and_passes(db: SQLiteDatabase) -> None:
    pages = db._writer.execute("PRAGMA page_count").fetchone()[0]
    db._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(Unavailable, match="full"), db.write() as tx:
        for number in range(2000):
            tx.run(INSERT, id="x" * 100 + str(number), value=number)
    assert names(db) == []
    db._writer.execute("PRAGMA max_page_count = 100000")
    with db.write() as tx:
        tx.run(INSERT, id="a", value=1)
    assert names(db) == ["a"]


def test_a_writer_that_never_comes_free_is_unavailable(
    db: SQLiteDatabase, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_TIMEOUT_S", 0.1)
    impatient = SQLiteDatabase(url)
    try:
        with db.write() as tx:
            tx.run(INSERT, id="a", value=1)
            with pytest.raises(Unavailable, match="busy"), impatient.write():
                pass
        with impatient.write() as tx:
            tx.run(INSERT, id="b", value=1)
    finally:
        impatient.close()
    assert names(db) == ["a", "b"]


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(Unavailable):
        SQLiteDatabase(f"sqlite:///{tmp_path}/x.db")


def test_a_write_inside_a_write_is_a_mistake(db: SQLiteDatabase) -> None:
    with db.write() as tx:
        tx.run(INSERT, id="a", value=1)
        with pytest.raises(RuntimeError, match="pass its tx along"), db.write():
            pass
    assert names(db) == ["a"]


def test_idle_readers_are_kept_and_bounded(db: SQLiteDatabase) -> None:
    readers = [db.read() for _ in range(20)]
    for reader in readers:
        reader.__enter__()
    for reader in readers:
        reader.__exit__(None, None, None)
    assert len(db._idle) == 8


WRITER = """
import os, sys, threading
from tests.infra.conftest import INSERT
from trimtab.infra.db.sqlite import SQLiteDatabase

db = SQLiteDatabase(sys.argv[1])

def write(thread):
    for number in range(100_000):
        name = f"{thread}/{number}"
        with db.write() as tx:
            tx.run(INSERT, id=name, value=number)
        os.write(1, f"{name}\\n".encode())  # acknowledged

for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


@pytest.mark.parametrize("after", [1, 150, 700])
def test_kill_nine_loses_no_acknowledged_row(db: SQLiteDatabase, url: str, after: int) -> None:
    command = [sys.executable, "-c", WRITER, url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    acknowledged = b""
    while acknowledged.count(b"\n") < after:
        acknowledged += os.read(process.stdout.fileno(), 4096)
    process.send_signal(signal.SIGKILL)
    process.wait()
    acknowledged += process.stdout.read()
    process.stdout.close()
    told = acknowledged.decode().split("\n")[:-1]  # what follows the last line end may be cut off
    db.close()
    reopened = SQLiteDatabase(url)
    try:
        found = names(reopened)
        with reopened.read() as tx:
            assert tx.all(statement("check", "pragma integrity_check")) == [("ok",)]
        with reopened.write() as tx:
            tx.run(INSERT, id="and on it goes", value=1)
    finally:
        reopened.close()
    assert set(told) <= set(found)
    for thread in range(4):
        mine = sorted(int(name.split("/")[1]) for name in found if name.startswith(f"{thread}/"))
        assert mine == list(range(len(mine))), "no gap: each row was durable before the next was begun"


# marks


def test_a_mark_tells_whether_a_closed_database_was_changed(url: str) -> None:
    def write(name: str) -> None:
        database = SQLiteDatabase(url)
        with database.write() as tx:
            tx.script([MAKE.replace("create table", "create table if not exists")])
            tx.run(INSERT, id=name, value=1)
        database.close()

    write("ada")
    before = mark(url)
    reader = sqlite3.connect(url.removeprefix("sqlite:///"))
    assert reader.execute("select count(*) from sqlite_master").fetchone() > (0,)
    assert mark(url) == before  # reading changes nothing, not even while it lasts
    reader.close()
    assert mark(url) == before
    write("bob")
    assert mark(url) != before
    assert mark("postgresql://nobody@localhost/nothing") is None
    assert mark(f"{url}.other") != before
