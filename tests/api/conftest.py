"""A server with one of everything on it, which the tests of a module send nonsense to."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.objects import fill
from tests.processes import Server, running
from trimtab.sdk.client import Client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    flags = ("--log-level", "warning")
    with running(tmp_path_factory.mktemp("api") / "home", *flags) as server:
        yield server


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


@pytest.fixture(scope="module")
def known(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The names of what is on the server."""
    folder: Path = tmp_path_factory.mktemp("objects")
    return fill(client, folder, wait_s=None)
