"""What autologging of Keras and TensorFlow logs."""

from collections.abc import Callable

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed: make autolog")
pytest.importorskip("keras", reason="Keras is not installed: make autolog")

import keras
import mlflow
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(64, 3)).astype("float32")
Y = X @ np.array([[1.0], [2.0], [-1.0]], dtype="float32")


def _model() -> keras.Model:
    keras.utils.set_random_seed(7)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss="mse", metrics=["mae"])
    return model


def test_keras(logged: Callable[[], Run]) -> None:
    mlflow.keras.autolog()
    try:
        _model().fit(X, Y, epochs=4, batch_size=16, validation_split=0.25, verbose=0)
    finally:
        mlflow.keras.autolog(disable=True)
    run = logged()
    assert (run.data.params["epochs"], run.data.params["batch_size"]) == ("4", "16")
    history = MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert len(history) >= 4
    (output,) = run.outputs.model_outputs
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert model.predict(X).shape == (64, 1)


def test_tensorflow(logged: Callable[[], Run]) -> None:
    mlflow.tensorflow.autolog()
    try:
        _model().fit(X, Y, epochs=4, batch_size=16, validation_split=0.25, verbose=0)
    finally:
        mlflow.tensorflow.autolog(disable=True)
    run = logged()
    assert run.data.params["epochs"] == "4"
    assert run.data.params["opt_name"].startswith("adam")
    assert len(MlflowClient().get_metric_history(run.info.run_id, "val_mae")) == 4
    (output,) = run.outputs.model_outputs
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert np.asarray(model.predict(X)).shape == (64, 1)
