"""How many replicas a version needs on Ray Serve: as many as keep requests from queueing longer than is allowed.

The rule is that of `trimtab.domains.deploy.scaling`, by Little's law: with ``L`` requests at a replica that answers one
at a time, a request takes ``W`` seconds, is worked on for ``S = W / max(1, L)`` of them, and queues for the rest. Ray
copies the policy into its controller, where this package is not: it imports nothing but the standard library.
"""

import math
from collections import deque
from typing import Any

_LOOK_BACK_S = 5.0
_BUSY = 0.7


class Load:
    """One replica's load over the last seconds."""

    def __init__(self) -> None:
        self._ended: deque[tuple[float, float]] = deque()
        self._in_flight = 0

    def began(self, now_s: float) -> float:
        """Count a call that begins; returns its start, which `ended` wants."""
        self._in_flight += 1
        return now_s

    def ended(self, now_s: float, started_s: float) -> None:
        """Count a call that ended."""
        self._in_flight -= 1
        self._ended.append((now_s, now_s - started_s))
        self._forget(now_s)

    def told(self, now_s: float) -> dict[str, float]:
        """Return how long calls queued, in milliseconds, and for which share of the time the replica worked."""
        self._forget(now_s)
        if not self._ended:
            return {"delay_ms": 0.0, "busy": 1.0 if self._in_flight else 0.0}
        took_s = sum(took for _, took in self._ended) / len(self._ended)
        waiting = max(float(self._in_flight), len(self._ended) * took_s / _LOOK_BACK_S)
        worked_s = took_s / max(1.0, waiting)
        busy = min(1.0, len(self._ended) * worked_s / _LOOK_BACK_S)
        return {"delay_ms": (took_s - worked_s) * 1000, "busy": busy}

    def _forget(self, now_s: float) -> None:
        while self._ended and self._ended[0][0] < now_s - _LOOK_BACK_S:
            self._ended.popleft()


class QueueDelay:
    """The autoscaling policy that an exported ``serve.yaml`` names for its application.

    Bounds and pauses are those of each deployment's ``autoscaling_config``. What tells no queue delay, which is the
    router, gets a replica for so many requests in flight.
    """

    def __init__(self, target_delay_ms: float = 20.0, router_requests: float = 32.0) -> None:
        self._target_delay_ms = target_delay_ms
        self._router_requests = router_requests

    def __call__(self, contexts: dict[Any, Any]) -> tuple[dict[Any, int], dict[Any, dict[str, Any]]]:
        """Return how many replicas each deployment should have, and no state."""
        return {one: self.wanted(context) for one, context in contexts.items()}, {}

    def wanted(self, context: Any) -> int:
        """Return how many replicas one deployment should have."""
        present, requests = context.target_num_replicas, context.total_num_requests
        told = context.aggregated_metrics or {}
        delays, busy = list(told.get("delay_ms", {}).values()), list(told.get("busy", {}).values())
        if not delays:
            return max(1, math.ceil(requests / self._router_requests)) if present else 0
        if present == 0:
            return 1 if requests > 0 else 0
        needed = math.ceil(sum(busy) / _BUSY)
        if sum(delays) / len(delays) > self._target_delay_ms:
            return max(present + 1, needed)
        least = 1 if requests > 0 else 0
        return min(present, max(needed, present - 1, least))
