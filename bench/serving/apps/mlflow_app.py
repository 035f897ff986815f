"""Writes a model as MLflow keeps it, into BENCH_TARGET, with a signature of named columns."""

import os
from pathlib import Path

import joblib
import mlflow
import pandas as pd
from loading import FOLDER, KIND
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

target = Path(os.environ["BENCH_TARGET"])
columns = os.environ["BENCH_COLUMNS"].split(",")
signature = ModelSignature(Schema([ColSpec("double", name) for name in columns]))
if KIND == "python":

    class Scorecard(mlflow.pyfunc.PythonModel):
        def predict(self, _context, model_input: pd.DataFrame):
            from scorecard import chances

            return chances(model_input.to_numpy())

    code = [str(Path(__file__).parent / "scorecard.py")]
    mlflow.pyfunc.save_model(target, python_model=Scorecard(), signature=signature, code_paths=code)
else:
    # As an estimator XGBoost's model can be asked for chances; its own flavour predicts classes only.
    mlflow.sklearn.save_model(
        joblib.load(FOLDER / "model.joblib"),
        target,
        signature=signature,
        pyfunc_predict_fn="predict_proba",
        serialization_format="cloudpickle",
    )
