"""SQLite behind the database port: WAL, one writer whose waiting threads share a commit, free readers."""

import sqlite3
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trimtab.infra.db.port import Dialect, Duplicate, Row
from trimtab.infra.db.queries import Query
from trimtab.kernel.errors import Unavailable

_BUSY_TIMEOUT_S = 30.0
_MOST_IN_A_COMMIT = 256
_MOST_IDLE_READERS = 8


class SQLiteTx:
    """A transaction, or one member of a group of them that will be committed together."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.calls: list[Callable[[], None]] = []

    def all(self, query: Query, /, **params: Any) -> list[Row]:
        return self._connection.execute(query.sqlite, params).fetchall()

    def one(self, query: Query, /, **params: Any) -> Row | None:
        rows = self._execute(query, params).fetchall()
        return rows[0] if rows else None

    def run(self, query: Query, /, **params: Any) -> int:
        return self._execute(query, params).rowcount

    def many(self, query: Query, params: Sequence[Mapping[str, Any]], /) -> None:
        try:
            self._connection.executemany(query.sqlite, params)
        except sqlite3.IntegrityError as error:
            raise _duplicate(error) from error

    def script(self, statements: Sequence[str], /) -> None:
        for statement in statements:
            self._connection.execute(statement)

    def lock(self, name: str, /) -> None:
        """Nothing to do: there is one writer."""

    def after_commit(self, call: Callable[[], None], /) -> None:
        self.calls.append(call)

    def _execute(self, query: Query, params: dict[str, Any]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(query.sqlite, params)
        except sqlite3.IntegrityError as error:
            raise _duplicate(error) from error


def _duplicate(error: sqlite3.IntegrityError) -> Exception:
    if error.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        return Duplicate("An object with this key exists already.")
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
            except BaseException:
                self._writer.execute("ROLLBACK TO member")
                raise
            finally:
                self._local.writing = False
                self._writer.execute("RELEASE member")
                if self._waiting == 0 or group.members >= _MOST_IN_A_COMMIT:
                    self._commit(group)
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

    def _commit(self, group: _Group) -> None:
        try:
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:
            group.error = error
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        finally:
            self._group = None
            group.done.set()

    def close(self) -> None:
        with self._turn:
            self._writer.close()
        while self._idle:
            self._idle.pop().close()
