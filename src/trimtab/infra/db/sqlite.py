"""SQLite behind the database port: WAL, one writer whose waiting threads share a commit, free readers."""

import sqlite3
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from trimtab.infra.db.port import Dialect, Duplicate, Row
from trimtab.infra.db.queries import Query
from trimtab.kernel.errors import Unavailable

_BUSY_TIMEOUT_S = 30.0
_MOST_IN_A_COMMIT = 256
_MOST_IDLE_READERS = 8
_INCREMENTAL = 2
_PAGES_AT_ONCE = 1000
_OUTSIDE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    }
)
"""Primary result codes that blame the disk or another process, not the statement."""


def _size(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return pages * size


def _free_pages(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA freelist_count").fetchone()[0]


class SQLiteTx:
    """A transaction, or one member of a group of them that will be committed together."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.last_calls: list[Callable[[], None]] = []
        self.calls: list[Callable[[], None]] = []

    def all(self, query: Query, /, **params: Any) -> list[Row]:
        return self._fetch(query, params)

    def one(self, query: Query, /, **params: Any) -> Row | None:
        rows = self._fetch(query, params)
        return rows[0] if rows else None

    def run(self, query: Query, /, **params: Any) -> int:
        try:
            return self._connection.execute(query.sqlite, params).rowcount
        except sqlite3.Error as error:
            raise _translated(error) from error

    def many(self, query: Query, params: Sequence[Mapping[str, Any]], /) -> None:
        try:
            self._connection.executemany(query.sqlite, params)
        except sqlite3.Error as error:
            raise _translated(error) from error

    def script(self, statements: Sequence[str], /) -> None:
        for statement in statements:
            self._connection.execute(statement)

    def lock(self, name: str, /, *, shared: bool = False) -> None:
        """Nothing to do: there is one writer."""

    def before_commit(self, call: Callable[[], None], /) -> None:
        self.last_calls.append(call)

    def after_commit(self, call: Callable[[], None], /) -> None:
        self.calls.append(call)

    def _fetch(self, query: Query, params: dict[str, Any]) -> list[Row]:
        try:
            return self._connection.execute(query.sqlite, params).fetchall()
        except sqlite3.Error as error:
            raise _translated(error) from error


def _translated(error: sqlite3.Error) -> Exception:
    """Return the error as the port has it: a taken key, trouble outside the statement, or a bug as it is."""
    code = getattr(error, "sqlite_errorcode", None)
    if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return Duplicate("An object with this key exists already.")
    if code is not None and code & 0xFF in _OUTSIDE:
        return Unavailable(f"The database is not available: {error}.")
    return error


class _Group:
    """Transactions that share one commit, and its outcome."""

    def __init__(self) -> None:
        self.members = 0
        self.done = threading.Event()
        self.error: Exception | None = None


class SQLiteDatabase:
    """A database file. Threads share one writing connection; each reader has a connection of its own.

    Durability is that of ``synchronous=FULL`` in WAL mode: what ``write`` has left is on the disk. Group commit:
    a member that finds other threads waiting leaves the commit to the last of them and waits for it.
    """

    dialect: Dialect = "sqlite"

    def __init__(self, url: str) -> None:
        self._path = Path(url.removeprefix("sqlite:///"))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._group: _Group | None = None
        self._local = threading.local()
        self._idle: list[sqlite3.Connection] = []
        try:
            self._writer = self._connect()
            self._writer.execute("PRAGMA auto_vacuum=INCREMENTAL")  # heeded in a new file only
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")
            self._writer.execute("PRAGMA wal_autocheckpoint=4000")
        except sqlite3.Error as error:
            raise Unavailable(f"SQLite cannot open {self._path}: {error}.") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        connection.execute("PRAGMA cache_size=-8000")
        connection.execute("PRAGMA temp_store=MEMORY")
        return connection

    @contextmanager
    def read(self) -> Generator[SQLiteTx]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
        try:
            connection.execute("BEGIN")
            yield SQLiteTx(connection)
        finally:
            connection.rollback()
            if len(self._idle) < _MOST_IDLE_READERS:
                self._idle.append(connection)
            else:
                connection.close()

    @contextmanager
    def write(self) -> Generator[SQLiteTx]:
        if getattr(self._local, "writing", False):
            raise RuntimeError("this thread already has a write transaction open; pass its tx along")
        with self._count:
            self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._count:
                self._waiting -= 1
        try:
            group = self._join()
            self._local.writing = True
            tx = SQLiteTx(self._writer)
            try:
                yield tx
                for call in tx.last_calls:
                    call()
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK TO member")
                raise
            finally:
                self._local.writing = False
                self._leave(group)
        finally:
            self._turn.release()
        group.done.wait()
        if group.error is not None:
            raise Unavailable(f"The database could not commit: {group.error}.") from group.error
        for call in tx.calls:
            call()

    def _join(self) -> _Group:
        """Open the shared transaction or join it, under a savepoint that makes each member atomic."""
        if self._group is None:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise Unavailable(f"The database is busy or not writable: {error}.") from error
            self._group = _Group()
        self._writer.execute("SAVEPOINT member")
        self._group.members += 1
        return self._group

    def _leave(self, group: _Group) -> None:
        """End a member; the last of those that wait ends the group."""
        if not self._writer.in_transaction:
            # The engine gave up the whole transaction, and with it the work of every member.
            self._finish(group, sqlite3.OperationalError("the transaction was rolled back"))
            return
        self._writer.execute("RELEASE member")
        if self._waiting == 0 or group.members >= _MOST_IN_A_COMMIT:
            self._commit(group)

    def _finish(self, group: _Group, error: Exception | None) -> None:
        group.error = error
        self._group = None
        group.done.set()

    def _commit(self, group: _Group) -> None:
        failure: Exception | None = None
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            failure = error
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        finally:
            self._finish(group, failure)

    def reclaim(self, *, whole: bool = False) -> int:
        try:
            with closing(self._connect()) as connection:
                before = _size(connection)
                if whole:
                    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
                    connection.execute("VACUUM")
                elif connection.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL:
                    left = _free_pages(connection)
                    while left:
                        connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
                        now = _free_pages(connection)
                        if now >= left:
                            break  # others write faster than this
                        left = now
                connection.execute("PRAGMA busy_timeout=1000")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                return max(before - _size(connection), 0)
        except sqlite3.Error as error:
            raise _translated(error) from error

    def close(self) -> None:
        with self._turn:
            self._writer.close()
        while self._idle:
            self._idle.pop().close()
