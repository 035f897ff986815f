"""Lays out MLServer's folder for a model in BENCH_TARGET: its own runtimes, and one by hand for a Python model."""

import json
import os
import shutil
from pathlib import Path

from loading import BATCHING, FOLDER, KIND, PORT

RUNTIME = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse
from scorecard import chances


class Scorecard(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("predict_proba", chances(rows))
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
"""
IMPLEMENTATIONS = {
    "logistic": ("mlserver_sklearn.SKLearnModel", "model.joblib"),
    "forest": ("mlserver_sklearn.SKLearnModel", "model.joblib"),
    "xgboost": ("mlserver_xgboost.XGBoostModel", "model.ubj"),
    "python": ("runtime.Scorecard", "scorecard.py"),
}

target = Path(os.environ["BENCH_TARGET"])
target.mkdir(parents=True, exist_ok=True)
implementation, file = IMPLEMENTATIONS[KIND]
shutil.copy(FOLDER / file, target / file)
if KIND == "python":
    (target / "runtime.py").write_text(RUNTIME)
settings = {
    "host": "127.0.0.1",
    "http_port": PORT,
    "grpc_port": PORT + 1,
    "metrics_port": PORT + 2,
    "parallel_workers": 1,
    "debug": False,
    "access_log": False,
}
model = {
    "name": "flights",
    "implementation": implementation,
    "parameters": {"uri": f"./{file}", "version": "1"},
}
if BATCHING:
    model |= {"max_batch_size": 64, "max_batch_time": 0.002}
(target / "settings.json").write_text(json.dumps(settings))
(target / "model-settings.json").write_text(json.dumps(model))
