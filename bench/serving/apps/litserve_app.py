"""LitServe with one worker; BENCH_BATCHING=1 has it gather requests."""

from typing import Any

import litserve as ls
import numpy as np
from loading import BATCHING, PORT, load


class Flights(ls.LitAPI):
    def setup(self, device: str) -> None:
        del device
        self.model = load()

    def decode_request(self, request: dict[str, Any]) -> np.ndarray:
        return np.array(request["rows"])

    def batch(self, inputs: list[np.ndarray]) -> tuple[np.ndarray, list[int]]:
        return np.concatenate(inputs), np.cumsum([len(one) for one in inputs])[:-1].tolist()

    def predict(self, x: Any) -> Any:
        if BATCHING:
            rows, cuts = x
            return self.model(rows), cuts
        return self.model(x)

    def unbatch(self, output: tuple[np.ndarray, list[int]]) -> list[np.ndarray]:
        return np.split(*output)

    def encode_response(self, output: np.ndarray) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    flights = Flights(max_batch_size=64, batch_timeout=0.002) if BATCHING else Flights()
    server = ls.LitServer(flights, accelerator="cpu", workers_per_device=1, timeout=60)
    server.run(port=PORT, num_api_servers=1, generate_client_file=False, log_level="warning")
