"""The real client, pointed at a server process."""

import os
from collections.abc import Iterator

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"

mlflow = pytest.importorskip("mlflow")


@pytest.fixture(params=["sqlite", "postgresql"])
def each_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server, once on each engine, at which the client points."""
    yield from _pointed(request.getfixturevalue(f"{request.param}_server"))


@pytest.fixture
def server(sqlite_server: str) -> Iterator[str]:
    """The address of the server on SQLite, at which the client points."""
    yield from _pointed(sqlite_server)


def _pointed(url: str) -> Iterator[str]:
    mlflow.set_tracking_uri(url)
    mlflow.set_registry_uri(url)
    # The client would go on with that of another test, on another server.
    mlflow.set_experiment(experiment_id="0")
    yield url
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def experiment(server: str, request: pytest.FixtureRequest) -> str:
    """The id of a fresh experiment, which is the active one."""
    return mlflow.set_experiment(request.node.nodeid).experiment_id
