"""A model from its training to its alias: autologging, logged models, the registry, loading."""

import os

import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression, LogisticRegression

WORD = os.environ["RECORDING_WORD"]
X = np.random.default_rng(7).normal(size=(20, 2))
Y = (X[:, 0] > 0).astype(int)


def main() -> None:
    mlflow.utils.environment._infer_requirements = lambda *_, **__: ["scikit-learn"]
    client = MlflowClient()
    experiment = mlflow.set_experiment(f"models-{WORD}")
    mlflow.sklearn.autolog(log_datasets=True)
    LogisticRegression().fit(X, Y)
    mlflow.sklearn.autolog(disable=True)
    with mlflow.start_run(run_name="by hand"):
        regression = LinearRegression().fit(X, Y)
        logged = mlflow.sklearn.log_model(
            regression,
            name="regression",
            signature=infer_signature(X, Y),
            params={"alpha": 1},
            tags={"a": "1"},
        )
        mlflow.log_metric("rmse", 0.5, model_id=logged.model_id, timestamp=1_700_000_000_000)
    print(mlflow.get_logged_model(logged.model_id))
    print(
        mlflow.search_logged_models(
            [experiment.experiment_id], filter_string="name = 'regression'", output_format="list"
        )
    )
    print(
        mlflow.search_logged_models(
            [experiment.experiment_id],
            filter_string="metrics.rmse < 1",
            order_by=[{"field_name": "metrics.rmse", "ascending": True}],
            output_format="list",
        )
    )
    name = f"risk-{WORD}"
    for _ in range(2):
        mlflow.register_model(f"models:/{logged.model_id}", name, tags={"k": "v"})
    client.update_registered_model(name, "all of them")
    client.update_model_version(name, "1", "the first")
    client.set_registered_model_alias(name, "champion", "2")
    client.set_model_version_tag(name, "1", "checked", "yes")
    client.set_registered_model_tag(name, "team", "risk")
    print(client.get_model_version_by_alias(name, "champion"))
    print(
        client.search_model_versions(f"name = '{name}'"), client.search_registered_models(f"name = '{name}'")
    )
    print(mlflow.pyfunc.load_model(f"models:/{name}@champion").predict(X)[:2])
    client.delete_registered_model_alias(name, "champion")
    client.delete_model_version(name, "1")
    client.delete_registered_model(name)


if __name__ == "__main__":
    main()
