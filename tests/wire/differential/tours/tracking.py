"""A day of tracking with the fluent API and the client: runs, nested runs, histories, inputs, artifacts, search, trash."""

import os
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType

WORD = os.environ["RECORDING_WORD"]


def main() -> None:
    client = MlflowClient()
    experiment = mlflow.set_experiment(f"tour-{WORD}")
    mlflow.set_experiment_tags({"team": "risk", "mlflow.note.content": "# A tour"})
    with mlflow.start_run(run_name="parent", tags={"kind": "tour"}, description="first") as parent:
        mlflow.log_params({"lr": 0.1, "depth": 3, "kind": "Tree"})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step, timestamp=1_700_000_000_000 + step)
        mlflow.log_metrics({"acc": 0.5, "f1": float("nan")}, step=1, timestamp=1_700_000_000_000)
        mlflow.set_tags({"a/b": "1", "empty": ""})
        frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0.0, 1.0]})
        mlflow.log_input(mlflow.data.from_pandas(frame, name="points", targets="y"), context="training")
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"a": [1, 2]}, "config.json")
        mlflow.log_table({"question": ["q"], "answer": ["a"]}, "table.json")
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_metric("loss", 5, timestamp=1_700_000_000_000)
    run_id = parent.info.run_id
    client.log_batch(
        run_id,
        metrics=[Metric("loss", 0.01, 1_700_000_000_009, 9), Metric("loss", 0.01, 1_700_000_000_009, 9)],
        params=[Param("depth", "3"), Param("width", "4")],
        tags=[RunTag("kind", "changed")],
    )
    print(client.get_metric_history(run_id, "loss"))
    print([one.path for one in client.list_artifacts(run_id)], client.list_artifacts(run_id, "notes"))
    with tempfile.TemporaryDirectory() as folder:
        print(Path(client.download_artifacts(run_id, "config.json", folder)).read_text())
        print(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="notes", dst_path=folder))
    print(mlflow.load_table("table.json", run_ids=[run_id]))
    print(mlflow.search_runs([experiment.experiment_id], "metrics.loss < 1", order_by=["metrics.loss DESC"]))
    print(mlflow.search_experiments(filter_string=f"name = 'tour-{WORD}'"))
    client.set_terminated(run_id, "FAILED", 1_700_000_100_000)
    client.update_run(run_id, status="FINISHED", name="renamed")
    client.delete_tag(run_id, "empty")
    for attempt in (lambda: client.log_param(run_id, "lr", 0.2), lambda: client.get_run("0" * 32)):
        try:
            attempt()
        except mlflow.exceptions.MlflowException as error:
            print(error.error_code)
    client.delete_run(run_id)
    print(client.search_runs([experiment.experiment_id], run_view_type=ViewType.DELETED_ONLY))
    client.restore_run(run_id)
    client.rename_experiment(experiment.experiment_id, f"renamed-{WORD}")
    client.delete_experiment(experiment.experiment_id)
    client.restore_experiment(experiment.experiment_id)


if __name__ == "__main__":
    main()
