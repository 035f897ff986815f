"""Autologging of the libraries that people train with: what they log must be there, and the models must load."""

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(120, 4))
Y = (X[:, 0] + 0.3 * RANDOM.normal(size=120) > 0).astype(int)


@pytest.fixture(autouse=True)
def _no_inference_of_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saving a model starts a process that finds its imports, which takes seconds and says nothing of the server."""
    monkeypatch.setattr("mlflow.utils.environment._infer_requirements", lambda *_, **__: ["numpy"])


def _logged() -> Run:
    run = mlflow.last_active_run()
    assert run is not None
    seen = MlflowClient().get_run(run.info.run_id)
    assert seen.info.status == "FINISHED"
    return seen


def _predicts(run: Run) -> None:
    (output,) = run.outputs.model_outputs
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert len(model.predict(X)) == len(X)


def test_scikit_learn(server: str, experiment: str) -> None:
    from sklearn.ensemble import RandomForestClassifier

    mlflow.sklearn.autolog()
    try:
        RandomForestClassifier(n_estimators=5, max_depth=3).fit(X, Y)
    finally:
        mlflow.sklearn.autolog(disable=True)
    run = _logged()
    assert (run.data.params["n_estimators"], run.data.params["max_depth"]) == ("5", "3")
    assert run.data.metrics["training_accuracy_score"] > 0.8
    assert run.data.tags["estimator_name"] == "RandomForestClassifier"
    assert run.inputs.dataset_inputs
    _predicts(run)


def test_scikit_learn_search(server: str, experiment: str) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    mlflow.sklearn.autolog(log_models=False, max_tuning_runs=3)
    try:
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, cv=2).fit(X, Y)
    finally:
        mlflow.sklearn.autolog(disable=True)
    run = _logged()
    children = MlflowClient().search_runs([experiment], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
    assert {child.data.params["C"] for child in children} == {"0.1", "1.0", "10.0"}
    assert "best_cv_score" in run.data.metrics


def test_xgboost(server: str, experiment: str) -> None:
    import xgboost

    mlflow.xgboost.autolog()
    try:
        data = xgboost.DMatrix(X, label=Y)
        xgboost.train(
            {"objective": "binary:logistic", "max_depth": 2, "nthread": 1},
            data,
            num_boost_round=8,
            evals=[(data, "train")],
            verbose_eval=False,
        )
    finally:
        mlflow.xgboost.autolog(disable=True)
    run = _logged()
    assert run.data.params["max_depth"] == "2"
    history = MlflowClient().get_metric_history(run.info.run_id, "train-logloss")
    assert [point.step for point in history] == list(range(8))
    assert any("feature_importance" in one.path for one in MlflowClient().list_artifacts(run.info.run_id))
    (output,) = run.outputs.model_outputs
    assert mlflow.xgboost.load_model(f"models:/{output.model_id}").num_boosted_rounds() == 8


def test_lightgbm(server: str, experiment: str) -> None:
    import lightgbm

    mlflow.lightgbm.autolog()
    try:
        data = lightgbm.Dataset(X, label=Y)
        lightgbm.train(
            {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1},
            data,
            num_boost_round=6,
            valid_sets=[data],
            valid_names=["train"],
        )
    finally:
        mlflow.lightgbm.autolog(disable=True)
    run = _logged()
    assert run.data.params["num_leaves"] == "4"
    assert len(MlflowClient().get_metric_history(run.info.run_id, "train-binary_logloss")) == 6
    _predicts(run)
