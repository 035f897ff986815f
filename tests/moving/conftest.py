"""A server to move runs to, and stores of MLflow to move them from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.processes import serving
from trimtab.moving import import_mlflow
from trimtab.sdk.client import Client

EVENTS = Path(__file__).parent / "events"
T_MS = 1_600_000_000_000


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that all tests of moving share; each brings names of its own."""
    with serving(tmp_path_factory.mktemp("moving") / "home") as address:
        yield address


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as one:
        yield one


class Store(NamedTuple):
    """A store of MLflow that its own client wrote, and the ids of what is in it."""

    folder: Path
    parent: str
    child: str
    gone: str
    model: str


@pytest.fixture(scope="session")
def mlruns(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A folder store with everything that it can hold."""
    folder = tmp_path_factory.mktemp("store") / "mlruns"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        return fill(MlflowClient(tracking_uri=str(folder), registry_uri=str(folder)), folder)


@pytest.fixture(scope="session")
def imported(url: str, mlruns: Store) -> Any:
    """What was told when the folder store was imported, with what is in its trash."""
    with Client(url) as client:
        return import_mlflow(mlruns.folder, deleted=True, client=client)


def fill(mlflow: Any, folder: Path) -> Store:
    from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput

    experiment = mlflow.create_experiment("flights", tags={"team": "a", "mlflow.note.content": "about"})
    tags = {"mlflow.note.content": "a note", "mlflow.source.git.commit": "abc"}
    parent = mlflow.create_run(experiment, run_name="parent", start_time=T_MS, tags=tags).info.run_id
    for key, value in {"lr": "0.1", "opt/name": "adam", "empty": "", "long": "x" * 5000}.items():
        mlflow.log_param(parent, key, value)
    for step in range(5):
        mlflow.log_metric(parent, "loss", 1 / (step + 1), step=step, timestamp=T_MS + step)
    for step, value in enumerate((float("nan"), float("inf"), float("-inf"), 1e300, 0.0)):
        mlflow.log_metric(parent, "val/odd", value, step=step - 2, timestamp=T_MS)
    mlflow.log_text(parent, "hello", "notes/a b.txt")
    mlflow.log_dict(parent, {"flavors": {"python_function": {}}}, "model/MLmodel.yaml")
    data = Dataset("set", "digest", "local", '{"uri": "x"}', schema='{"s": 1}', profile='{"p": 2}')
    mlflow.log_inputs(parent, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
    model = mlflow.create_logged_model(
        experiment, name="tree", source_run_id=parent, tags={"t": "1"}, params={"p": "2"}, model_type="clf"
    ).model_id
    mlflow.log_metric(
        parent,
        "auc",
        0.9,
        step=1,
        timestamp=T_MS,
        model_id=model,
        dataset_name="set",
        dataset_digest="digest",
    )
    files = folder.parent / "model"
    files.mkdir()
    (files / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n")
    mlflow.log_model_artifacts(model, str(files))
    mlflow.finalize_logged_model(model, "READY")
    mlflow.log_outputs(parent, [LoggedModelOutput(model, 2)])
    child = mlflow.create_run(experiment, run_name="child", tags={"mlflow.parentRunId": parent}).info.run_id
    mlflow.set_terminated(child, "FAILED")
    mlflow.set_terminated(parent, end_time=T_MS + 9000)
    gone = mlflow.create_run(experiment, run_name="gone").info.run_id
    mlflow.delete_run(gone)
    trashed = mlflow.create_experiment("trashed")
    mlflow.create_run(trashed)
    mlflow.delete_experiment(trashed)
    mlflow.create_registered_model("clf", tags={"a": "b"}, description="of flights")
    uri = f"{folder}/{experiment}/{parent}/artifacts/model"
    files = f"{folder}/{experiment}/models/{model}/artifacts"
    mlflow.create_model_version("clf", files, run_id=parent, tags={"x": "y"}, description="first")
    for _ in range(2):
        mlflow.create_model_version("clf", uri, run_id=parent)
    mlflow.delete_model_version("clf", "2")
    mlflow.set_registered_model_alias("clf", "champion", "1")
    mlflow.transition_model_version_stage("clf", "3", "Production")
    return Store(folder, parent, child, gone, model)


def history(client: Client, run_id: str, key: str) -> list[tuple[int, int, str]]:
    """Return every point of a metric as (step, time, value as text)."""
    series = client.get(f"/runs/{run_id}/history/{key}")["series"]
    values = [str(float(value)) for value in series["values"]]
    return sorted(zip(series["steps"], series["at_us"], values, strict=True))
