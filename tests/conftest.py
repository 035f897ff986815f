"""Fixtures that every test may use: real databases of both kinds, a wired App on each, and real server processes."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.postgres import Cluster
from trimtab.app import MIGRATED, App, build
from trimtab.http import asgi
from trimtab.infra import db as databases
from trimtab.infra.db import Database
from trimtab.infra.db.migrate import migrate
from trimtab.kernel.who import Principal
from trimtab.settings import Settings

_CLUSTER_VARIABLE = "TRIMTAB_TEST_CLUSTER"


def pytest_configure(config: pytest.Config) -> None:
    """Choose one folder for the PostgreSQL cluster which all test processes share, and one for what runs leave."""
    # A shell has what it starts in the background ignore interrupts, and the servers under test would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if _CLUSTER_VARIABLE not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="trimtab-test-"))
        folder.chmod(0o755)
        os.environ[_CLUSTER_VARIABLE] = str(folder)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ["TRIMTAB_SPOOL"] = str(folder / "spool")
        os.environ["TRIMTAB_SYSTEM_METRICS_S"] = "0"
        # Each takes a process of seconds: the tests of it ask for it.
        os.environ["TRIMTAB_COMPILE_MODELS"] = "never"


SLOW_FIRST = ("docs", "e2e", "sdk", "pipelines", "chaos", "web", "api", "wire", "serving", "science")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose files take longest, so that no process is left alone with one at the end."""

    def place(item: pytest.Item) -> int:
        folders = item.path.parts
        return next((at for at, name in enumerate(SLOW_FIRST) if name in folders), len(SLOW_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running PostgreSQL with a database that is already migrated, for others to be copied from."""
    running = Cluster(Path(os.environ[_CLUSTER_VARIABLE]))
    running.prepare_template(_migrate_url)
    yield running
    running.stop()


def _migrate_url(url: str) -> None:
    database = databases.connect(url)
    migrate(database, MIGRATED)
    database.close()


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    file = tmp_path_factory.mktemp("template") / "trimtab.db"
    _migrate_url(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """The URL of a fresh SQLite database."""
    target = tmp_path / "home" / "trimtab.db"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated_sqlite, target)
    return f"sqlite:///{target}"


@pytest.fixture
def postgresql_url(cluster: Cluster) -> Iterator[str]:
    """The URL of a PostgreSQL database that is as good as new."""
    with cluster.lent() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database, once of each kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database, once of each kind."""
    database = databases.connect(database_url)
    yield database
    database.close()


@pytest.fixture
def app(database_url: str, tmp_path: Path) -> Iterator[App]:
    """Every service wired on a fresh database, once of each kind; no background work runs."""
    wired = build(Settings(home=str(tmp_path / "home"), database=database_url, compile_models="never"))
    yield wired
    wired.close()


@pytest.fixture
def http(app: App) -> TestClient:
    """A client of the whole ASGI application on the App's database; the caller is the owner."""
    return TestClient(asgi(app), base_url="http://127.0.0.1:5000", raise_server_exceptions=False)


@pytest.fixture
def owner() -> Principal:
    return Principal(id="owner", name="owner", role="admin")


@pytest.fixture
def editor() -> Principal:
    return Principal(id="token:e", name="editor", role="editor")


@pytest.fixture
def viewer() -> Principal:
    return Principal(id="token:v", name="viewer", role="viewer")
