"""A table of its own for the tests of the machinery, and empty databases."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from trimtab.infra import db as databases
from trimtab.infra.db import Database
from trimtab.infra.db.queries import statement

INSERT = statement("insert", "insert into scratch (id, value) values (:id, :value)")
EVERY = statement("every", "select id, value from scratch order by id")
COUNT = statement("count", "select count(*) from scratch")
UPDATE = statement("update", "update scratch set value = :value where id = :id")
MAKE = "create table scratch (id text not null primary key, value bigint)"


@pytest.fixture
def scratch(db: Database) -> Iterator[Database]:
    """A database with an empty table ``scratch``, once of each kind."""
    with db.write() as tx:
        tx.script([MAKE])
    yield db
    with db.write() as tx:
        tx.script(["drop table scratch"])


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a schema, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    url = request.getfixturevalue("postgresql_url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop schema public cascade")
        connection.execute("create schema public")
    return url


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    """A database without a schema, once of each kind."""
    database = databases.connect(empty_url)
    yield database
    database.close()
