"""The real client, pointed at a server, for libraries that log by themselves; each is skipped by name where it is missing."""

import os
from collections.abc import Callable, Iterator

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

mlflow = pytest.importorskip("mlflow")

from mlflow import MlflowClient  # noqa: E402 - after the check that it is there
from mlflow.entities import Run  # noqa: E402


@pytest.fixture(autouse=True)
def _no_inference_of_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving a model starts a process that finds its imports, which takes seconds and says nothing of the server."""
    monkeypatch.setattr("mlflow.utils.environment._infer_requirements", lambda *_, **__: ["numpy"])


@pytest.fixture
def experiment(sqlite_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The id of a fresh experiment on the server, which is the active one."""
    mlflow.set_tracking_uri(sqlite_server)
    mlflow.set_registry_uri(sqlite_server)
    os.environ["MLFLOW_TRACKING_URI"] = sqlite_server  # for callbacks that read it themselves
    yield mlflow.set_experiment(request.node.nodeid).experiment_id
    while mlflow.active_run():
        mlflow.end_run()
    del os.environ["MLFLOW_TRACKING_URI"]


@pytest.fixture
def logged(experiment: str) -> Callable[[], Run]:
    """Return the newest finished run of the experiment that has no parent."""

    def newest() -> Run:
        runs = MlflowClient().search_runs(
            [experiment], "tags.mlflow.parentRunId IS NULL", order_by=["attributes.start_time DESC"]
        )
        assert runs, "nothing was logged"
        run = MlflowClient().get_run(runs[0].info.run_id)
        assert run.info.status == "FINISHED"
        return run

    return newest
