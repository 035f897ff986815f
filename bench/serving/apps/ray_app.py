"""Ray Serve with one replica; BENCH_BATCHING=1 has it gather requests."""

import signal
from typing import Any

import numpy as np
import ray
from loading import BATCHING, PORT, load
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=128)
class Flights:
    def __init__(self) -> None:
        self.model = load()

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.002)
    async def gather(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        cuts = np.cumsum([len(one) for one in inputs])[:-1]
        return np.split(self.model(np.concatenate(inputs)), cuts)

    async def __call__(self, request: Request) -> dict[str, Any]:
        rows = np.array((await request.json())["rows"])
        chances = await self.gather(rows) if BATCHING else self.model(rows)
        return {"predictions": chances.tolist()}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000)
    serve.start(http_options={"host": "127.0.0.1", "port": PORT, "access_log": False})
    serve.run(Flights.bind(), logging_config={"enable_access_log": False})
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
