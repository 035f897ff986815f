"""Real server processes on both engines."""

from collections.abc import Iterator

import pytest

from tests.postgres import Cluster
from tests.processes import serving


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on SQLite."""
    with serving(tmp_path_factory.mktemp("server") / "home") as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_server(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[str]:
    """The address of a server on PostgreSQL."""
    home = tmp_path_factory.mktemp("server") / "home"
    with cluster.database() as database, serving(home, "--database", database) as url:
        yield url
