"""What Optuna's callback logs of each trial."""

import pytest

pytest.importorskip("optuna", reason="Optuna is not installed: make autolog")
pytest.importorskip("optuna_integration", reason="Optuna's integrations are not installed: make autolog")

import optuna
from mlflow import MlflowClient
from optuna_integration.mlflow import MLflowCallback


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_trials(sqlite_server: str, experiment: str) -> None:
    callback = MLflowCallback(
        tracking_uri=sqlite_server,
        metric_name="cost",
        create_experiment=False,
        mlflow_kwargs={"experiment_id": experiment},
    )
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=7), study_name="parabola")
    study.optimize(lambda trial: (trial.suggest_float("x", -5, 5) - 2) ** 2, n_trials=5, callbacks=[callback])
    runs = MlflowClient().search_runs([experiment], order_by=["metrics.cost ASC"])
    assert len(runs) == 5
    assert runs[0].data.metrics["cost"] == pytest.approx(study.best_value)
    assert float(runs[0].data.params["x"]) == pytest.approx(study.best_params["x"])
    assert runs[0].data.tags["direction"] == "MINIMIZE"
    assert {run.info.status for run in runs} == {"FINISHED"}
