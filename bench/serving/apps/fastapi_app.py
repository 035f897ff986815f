"""What one writes by hand: FastAPI with a pydantic body and the native model, or its ONNX graph (BENCH_ONNX=1)."""

import os

import numpy as np
import uvicorn
from fastapi import FastAPI
from loading import PORT, load, load_onnx
from pydantic import BaseModel

app = FastAPI()
predict = load_onnx() if os.environ.get("BENCH_ONNX") == "1" else load()


class Rows(BaseModel):
    rows: list[list[float]]


class Predictions(BaseModel):
    predictions: list[float]


@app.post("/predict")
async def answer(body: Rows) -> Predictions:
    """Predict on the loop: one worker, and a hop to a thread costs more than the model."""
    return Predictions(predictions=predict(np.array(body.rows)).tolist())


if __name__ == "__main__":
    uvicorn.run(app, port=PORT, log_level="warning", access_log=False)
