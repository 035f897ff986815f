"""The main path of the real client on both engines: experiments, runs, metrics, inputs, deletion."""

import math
import time
import uuid
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import RestException


def _fresh(prefix: str = "e") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def test_a_run_from_start_to_end(each_server: str, tmp_path: Path) -> None:
    name = _fresh()
    mlflow.set_experiment(name)
    with mlflow.start_run(run_name="first", tags={"team": "risk"}, description="notes") as run:
        mlflow.log_param("depth", 3)
        mlflow.log_params({"lr": 0.1, "kind": "boosting"})
        for step in range(5):
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
        mlflow.log_metrics({"auc": 0.9, "nan": math.nan})
        mlflow.set_tags({"a": "1", "b": "2"})
        mlflow.delete_tag("b")
        frame = pd.DataFrame({"x": [1, 2], "y": [0, 1]})
        mlflow.log_input(mlflow.data.from_pandas(frame, name="tiny", targets="y"), context="training")
        (tmp_path / "note.txt").write_text("hello")
        mlflow.log_artifact(str(tmp_path / "note.txt"), "notes")
        mlflow.log_dict({"k": [1, 2]}, "config/deep/settings.json")
        mlflow.log_text("", "empty.txt")
    client = MlflowClient()
    seen = client.get_run(run.info.run_id)
    assert seen.info.status == "FINISHED"
    assert seen.info.run_name == "first"
    assert seen.info.end_time >= seen.info.start_time > 1_500_000_000_000
    assert seen.data.params == {"depth": "3", "lr": "0.1", "kind": "boosting"}
    assert seen.data.metrics["loss"] == pytest.approx(0.2)
    assert math.isnan(seen.data.metrics["nan"])
    assert seen.data.tags["team"] == "risk"
    assert seen.data.tags["mlflow.note.content"] == "notes"
    assert "b" not in seen.data.tags
    (given,) = seen.inputs.dataset_inputs
    assert (given.dataset.name, given.tags[0].key, given.tags[0].value) == (
        "tiny",
        "mlflow.data.context",
        "training",
    )
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(step, 1.0 / (step + 1)) for step in range(5)]
    assert client.get_metric_history(run.info.run_id, "never") == []
    assert sorted(one.path for one in client.list_artifacts(run.info.run_id)) == [
        "config",
        "empty.txt",
        "notes",
    ]
    assert [one.path for one in client.list_artifacts(run.info.run_id, "config")] == ["config/deep"]
    assert mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/config/deep/settings.json") == {"k": [1, 2]}
    found = mlflow.search_runs(
        experiment_names=[name], filter_string="params.depth = '3' and metrics.auc > 0.5"
    )
    assert list(found["run_id"]) == [run.info.run_id]


def test_batches_and_pages_of_history(each_server: str) -> None:
    client = MlflowClient()
    experiment_id = client.create_experiment(_fresh(), tags={"x": "1"})
    run = client.create_run(experiment_id)
    now = int(time.time() * 1000)
    points = [Metric("m", float(step), now + step, step) for step in range(900)]
    client.log_batch(run.info.run_id, points, [Param("a", "1")], [RunTag("t", "x")])
    client.log_batch(run.info.run_id, points, [Param("a", "1")], [RunTag("t", "y")])
    assert [point.value for point in client.get_metric_history(run.info.run_id, "m")] == [
        float(i) for i in range(900)
    ]
    store = client._tracking_client.store
    first = store.get_metric_history(run.info.run_id, "m", max_results=500)
    second = store.get_metric_history(run.info.run_id, "m", max_results=500, page_token=first.token)
    assert (len(first), len(second), second.token) == (500, 400, None)
    assert client.get_run(run.info.run_id).data.tags["t"] == "y"
    assert client.get_experiment(experiment_id).tags == {"x": "1"}


def test_the_trash_and_back(each_server: str) -> None:
    client = MlflowClient()
    name = _fresh()
    experiment_id = client.create_experiment(name)
    keep, drop = client.create_run(experiment_id), client.create_run(experiment_id)
    client.delete_run(drop.info.run_id)
    assert client.get_run(drop.info.run_id).info.lifecycle_stage == "deleted"
    assert [run.info.run_id for run in client.search_runs([experiment_id])] == [keep.info.run_id]
    deleted = client.search_runs([experiment_id], run_view_type=ViewType.DELETED_ONLY)
    assert [run.info.run_id for run in deleted] == [drop.info.run_id]
    with pytest.raises(RestException, match="must be in the 'active' state"):
        client.log_metric(drop.info.run_id, "m", 1.0)
    client.restore_run(drop.info.run_id)
    client.log_metric(drop.info.run_id, "m", 1.0)
    client.rename_experiment(experiment_id, f"{name}-renamed")
    client.delete_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
    with pytest.raises(RestException, match="RESOURCE_ALREADY_EXISTS"):
        client.create_experiment(f"{name}-renamed")
    with pytest.raises(RestException, match="must be in the 'active' state"):
        client.create_run(experiment_id)
    client.restore_experiment(experiment_id)
    assert client.get_experiment_by_name(f"{name}-renamed").experiment_id == experiment_id
    assert len(client.search_runs([experiment_id])) == 2
    assert client.get_experiment_by_name("nothing has this name") is None


def test_experiments_are_searched_and_paged(each_server: str) -> None:
    client = MlflowClient()
    mark = _fresh("Mark")
    made = [
        client.create_experiment(f"{mark}-{number}", tags={"group": mark, "n": str(number)})
        for number in range(5)
    ]
    newest = ["experiment_id DESC"]
    first = client.search_experiments(filter_string=f"tags.group = '{mark}'", order_by=newest, max_results=3)
    second = client.search_experiments(
        filter_string=f"tags.group = '{mark}'", order_by=newest, max_results=3, page_token=first.token
    )
    assert [one.experiment_id for one in [*first, *second]] == made[::-1]
    assert second.token is None
    by_name = client.search_experiments(filter_string=f"name LIKE '{mark}%'", order_by=["name ASC"])
    assert [one.experiment_id for one in by_name] == made
    assert client.search_experiments(filter_string=f"name LIKE '{mark.lower()}%'") == []
    assert (
        len(client.search_experiments(filter_string=f"name ILIKE '{mark.lower()}%' AND tags.n != '2'")) == 4
    )


def test_a_nested_run_and_its_children(each_server: str) -> None:
    mlflow.set_experiment(_fresh())
    with mlflow.start_run() as parent:
        for _ in range(2):
            with mlflow.start_run(nested=True):
                mlflow.log_metric("m", 1)
    children = mlflow.search_runs(
        filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'", output_format="list"
    )
    assert len(children) == 2
    with mlflow.start_run(run_id=parent.info.run_id):
        mlflow.log_metric("late", 2)
    assert MlflowClient().get_run(parent.info.run_id).data.metrics == {"late": 2.0}
