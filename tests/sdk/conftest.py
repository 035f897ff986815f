"""A real server process, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import serving
from trimtab.sdk.client import Client, connect


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server on SQLite."""
    with serving(tmp_path_factory.mktemp("server") / "home") as url:
        yield url


@pytest.fixture
def client(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of the server, which is also the one that the SDK finds by itself."""
    monkeypatch.setenv("TRIMTAB_URL", server)
    monkeypatch.setenv("TRIMTAB_CACHE", str(tmp_path / "cache"))
    with connect() as connection:
        yield connection
