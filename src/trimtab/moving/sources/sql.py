"""Read-only connections to the databases in which MLflow keeps its tables."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from trimtab.kernel.errors import Invalid, NotFound, Unavailable

_AT_ONCE = 10_000
_DRIVER = re.compile(r"^(postgresql|postgres|mysql|mariadb)(\+\w+)?://", re.IGNORECASE)
Row = tuple[Any, ...]


class TablesUnreadable(Invalid):
    """The tables of a foreign database are damaged, or are not those of MLflow."""

    code = "tables-unreadable"


class Tables:
    """The rows of one database. Statements are written for SQLite; other engines get their own marks of parameters."""

    def __init__(self, connection: Any, *, mark: str, shown: str) -> None:
        self._connection = connection
        self._mark = mark
        self.shown = shown
        self._columns: dict[str, frozenset[str]] = {}

    def rows(self, statement: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Yield the rows of a query; ``?`` stands for each value. Raises TablesUnreadable."""
        cursor = self._connection.cursor()
        with closing(cursor):
            try:
                cursor.execute(statement.replace("?", self._mark), tuple(values))
                while found := cursor.fetchmany(_AT_ONCE):
                    yield from found
            except Exception as error:  # each driver has errors of its own
                raise TablesUnreadable(f"{self.shown} cannot be read: {str(error).strip()[:300]}") from error

    def columns(self, table: str) -> frozenset[str]:
        """Return the names of a table's columns; nothing where there is no such table."""
        if table not in self._columns:
            cursor = self._connection.cursor()
            try:
                with closing(cursor):
                    cursor.execute(f"select * from {table} where 1 = 0")
                    found = frozenset(str(column[0]) for column in cursor.description)
            except Exception:  # noqa: BLE001 - each driver has an error of its own for a table that is not there
                self._connection.rollback()
                found = frozenset[str]()
            self._columns[table] = found
        return self._columns[table]

    def close(self) -> None:
        self._connection.close()


def is_database(source: str) -> bool:
    """Tell whether a text names a database: a URL of one, or a SQLite file."""
    if source.startswith("sqlite:") or _DRIVER.match(source):
        return True
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(15) == b"SQLite format 3"


def connect(source: str) -> Tables:
    """Open a database for reading; raises NotFound, Unavailable, and Invalid for an engine that cannot be read."""
    if found := _DRIVER.match(source):
        url = source[found.end() :]
        if found[1].lower() in ("postgresql", "postgres"):
            return _postgresql(f"postgresql://{url}")
        return _mysql(f"mysql://{url}")
    return _sqlite(Path(re.sub(r"^sqlite:(///)?", "", source)))


def _sqlite(file: Path) -> Tables:
    if not file.is_file():
        raise NotFound(f"There is no database {file}.", field="source")
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(file.resolve()))}?mode=ro", uri=True, check_same_thread=False
        )
        connection.execute("pragma trusted_schema = off")
        connection.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise Invalid(f"{file} cannot be read as a SQLite database: {error}", field="source") from error
    connection.text_factory = _text
    return Tables(connection, mark="?", shown=f"sqlite:///{file.resolve()}")


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _postgresql(url: str) -> Tables:
    try:
        import psycopg
    except ImportError as error:
        raise Invalid(
            "Reading PostgreSQL needs psycopg: pip install 'trimtab[postgres]'.", field="source"
        ) from error
    try:
        connection = psycopg.connect(url, connect_timeout=10)
        connection.read_only = True
    except psycopg.Error as error:
        raise Unavailable(f"{shown(url)} does not answer: {str(error).strip().splitlines()[0]}") from error
    return Tables(connection, mark="%s", shown=shown(url))


def _mysql(url: str) -> Tables:
    try:
        from importlib import import_module

        driver: Any = import_module("pymysql")
    except ImportError as error:
        raise Invalid("Reading MySQL needs PyMySQL: pip install pymysql.", field="source") from error
    parts = urlsplit(url)
    try:
        connection = driver.connect(
            host=parts.hostname or "localhost",
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=parts.path.strip("/"),
            charset="utf8mb4",
            connect_timeout=10,
        )
        with closing(connection.cursor()) as cursor:
            cursor.execute("set session transaction read only")
    except driver.Error as error:
        raise Unavailable(f"{shown(url)} does not answer: {error}") from error
    return Tables(connection, mark="%s", shown=shown(url))


def shown(url: str) -> str:
    """Return a URL without its password.

    >>> shown("postgresql://me:secret@db/mlflow?sslmode=require")
    'postgresql://me@db/mlflow'
    """
    parts = urlsplit(url)
    place = parts.hostname or ""
    if parts.port:
        place += f":{parts.port}"
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{place}{parts.path}"
