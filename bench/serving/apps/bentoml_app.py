"""BentoML with one worker; BENCH_BATCHING=1 has it gather requests."""

import bentoml
import numpy as np
from loading import BATCHING, load


@bentoml.service(workers=1, traffic={"timeout": 60})
class Flights:
    def __init__(self) -> None:
        self.model = load()

    @bentoml.api(batchable=BATCHING, max_batch_size=64 * 1000, max_latency_ms=1000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model(rows)
