"""What autologging of statsmodels logs."""

from collections.abc import Callable

import pytest

pytest.importorskip("statsmodels", reason="statsmodels is not installed: make autolog")

import mlflow
import numpy as np
import statsmodels.api as sm
from mlflow.entities import Run


def test_a_linear_model(logged: Callable[[], Run]) -> None:
    random = np.random.default_rng(7)
    x = sm.add_constant(random.normal(size=(60, 2)))
    mlflow.statsmodels.autolog()
    try:
        sm.OLS(x @ [1.0, 2.0, -1.0] + 0.1 * random.normal(size=60), x).fit(method="qr")
    finally:
        mlflow.statsmodels.autolog(disable=True)
    run = logged()
    assert run.data.params["method"] == "qr"
    assert run.data.metrics["rsquared"] > 0.9
    (output,) = run.outputs.model_outputs
    model = mlflow.statsmodels.load_model(f"models:/{output.model_id}")
    assert len(model.predict(x)) == 60
