"""Migrations: once, whole or not at all, in order, and never rewritten."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import pytest

from tests.postgres import Cluster
from trimtab.app import MIGRATED
from trimtab.infra import db as databases
from trimtab.infra.db import Database
from trimtab.infra.db.migrate import MigrationChanged, migrate, statements
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Conflict

Part = Callable[..., str]


@pytest.fixture
def part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Part:
    """Write a package with migrations and return its name; calling again rewrites its files."""
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))

    def write(**files: str) -> str:
        package = tmp_path / "packages" / "scratchpart"
        folder = package / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        for old in folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (folder / f"{name.lstrip('m')}.sql").write_text(text)
        sys.modules.pop("scratchpart", None)
        return "scratchpart"

    return write


FIRST = {"m0001_initial": "create table scratchpart_a (x bigint);"}
SECOND = {"m0002_more": "alter table scratchpart_a add column y text;\ncreate table scratchpart_b (z text);"}


def count(db: Database, table: str) -> int:
    with db.read() as tx:
        row = tx.one(statement("count", f"select count(*) from {table}"))
    assert row is not None
    return row[0]


def test_each_is_applied_once(db: Database, part: Part) -> None:
    assert migrate(db, [part(**FIRST)]) == ["scratchpart/0001_initial.sql"]
    assert migrate(db, [part(**FIRST)]) == []
    assert migrate(db, [part(**FIRST, **SECOND)]) == ["scratchpart/0002_more.sql"]
    assert migrate(db, [part(**FIRST, **SECOND)]) == []
    assert count(db, "scratchpart_b") == 0


def test_changed_history_is_refused(db: Database, part: Part) -> None:
    migrate(db, [part(**FIRST)])
    with pytest.raises(MigrationChanged, match=r"0001_initial\.sql was changed"):
        migrate(db, [part(m0001_initial="create table scratchpart_a (x text);")])
    assert issubclass(MigrationChanged, Conflict)


def test_a_database_from_a_newer_version_is_refused(db: Database, part: Part) -> None:
    migrate(db, [part(**FIRST, **SECOND)])
    with pytest.raises(MigrationChanged, match="this version of Trimtab is older"):
        migrate(db, [part(**FIRST)])


def test_a_gap_is_refused(db: Database, part: Part) -> None:
    with pytest.raises(ValueError, match="should have number 0001"):
        migrate(db, [part(**SECOND)])


def test_a_failure_leaves_nothing(db: Database, part: Part) -> None:
    broken = {"m0002_broken": "create table scratchpart_c (x bigint);\ninsert into nowhere values (1);"}
    with pytest.raises(Exception, match="nowhere"):
        migrate(db, [part(**FIRST, **broken)])
    with pytest.raises(Exception, match="scratchpart_a"):
        count(db, "scratchpart_a")
    assert len(migrate(db, [part(**FIRST, **SECOND)])) == 2


def test_processes_that_start_together_apply_each_once(database_url: str, part: Part) -> None:
    name = part(**FIRST, **SECOND)

    def start(_: int) -> list[str]:
        database = databases.connect(database_url)
        try:
            return migrate(database, [name])
        finally:
            database.close()

    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(start, range(4)))
    assert sorted(len(names) for names in applied) == [0, 0, 0, 2]


def test_an_empty_database_gets_everything(empty: Database) -> None:
    applied = migrate(empty, MIGRATED)
    assert len(applied) == sum(len(_files(package)) for package in MIGRATED)
    assert count(empty, "bus_event") == 0
    assert migrate(empty, MIGRATED) == []


def test_a_fresh_schema_is_that_of_a_migrated_one(
    empty: Database, fresh: Database, part: Part, tmp_path: Path
) -> None:
    """Bring a database up one migration of each part at a time, as releases did, and compare."""
    most = max(len(_files(package)) for package in MIGRATED)
    for step in range(1, most + 1):
        for package in MIGRATED:
            _release(tmp_path / "packages", package, step)
            name = f"release{step}.{package.rpartition('.')[2]}"
            migrate(empty, [name])
    assert _schema(empty) == _schema(fresh)
    assert migrate(empty, MIGRATED) == [], "and the history is the same"


@pytest.fixture
def fresh(empty: Database, migrated_sqlite: Path, cluster: Cluster) -> Iterator[Database]:
    """A database of the same kind with the newest schema."""
    with cluster.database() as postgresql_url:
        sqlite = empty.dialect == "sqlite"
        database = databases.connect(f"sqlite:///{migrated_sqlite}" if sqlite else postgresql_url)
        yield database
        database.close()


def _files(package: str) -> list[str]:
    folder = resources.files(package).joinpath("migrations")
    return sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))


def _release(packages: Path, package: str, step: int) -> None:
    """Write a package that has only the first migrations of another."""
    folder = packages / f"release{step}" / package.rpartition(".")[2] / "migrations"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    (folder.parent.parent / "__init__.py").touch()
    for name in _files(package)[:step]:
        text = resources.files(package).joinpath("migrations", name).read_text("utf-8")
        (folder / name).write_text(text, "utf-8")


def _schema(db: Database) -> list[object]:
    described = {
        "sqlite": "select type, name, tbl_name, sql from sqlite_master where name not like 'sqlite_%' order by type, name",
        "postgresql": """
            select c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                   pg_get_expr(d.adbin, d.adrelid), i.indexdef
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
            left join pg_indexes i on i.indexname = c.relname and i.schemaname = n.nspname
            where n.nspname = 'public' order by 1, 2, 3""",
    }
    with db.read() as tx:
        return list(tx.all(statement("schema", described[db.dialect], postgresql=described["postgresql"])))


def test_tokens_and_sections_are_for_their_dialect() -> None:
    text = """
-- a remark; with a semicolon
create table t (seq $identity, x text) $without_rowid;
-- @sqlite
create trigger a before update on t begin select 1; end;
-- @postgresql
create function f() returns trigger language plpgsql as $$
begin raise exception 'no';
end $$;
-- @all
create index i on t (x)
"""
    sqlite, postgresql = statements(text, "sqlite"), statements(text, "postgresql")
    assert sqlite[0] == "create table t (seq integer primary key autoincrement, x text) without rowid"
    assert sqlite[1].startswith("create trigger")
    assert postgresql[0].startswith(
        "create table t (seq bigint generated by default as identity primary key, x text)"
    )
    assert postgresql[1].endswith("end $$")
    assert sqlite[-1] == postgresql[-1] == "create index i on t (x)"
    assert len(sqlite) == len(postgresql) == 3
