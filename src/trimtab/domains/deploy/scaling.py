"""How many processes a version needs: as many as keep requests from queueing, none when nobody asks for long.

With ``L`` requests at it on average and ``n`` processes that answer one request at a time, a request takes ``W`` seconds
of which it is worked on for ``S = W * min(1, n / L)``, and queues for the rest (Little's law: L = arrival rate * W). More
are started while that queue delay is above what is allowed, and one is ended when the others would be busy for less than
70 % of the time without it. Up goes at once, in steps that would clear the queue; down goes slowly, so that a short lull
costs nothing.
"""

import math
from collections import deque

import msgspec

_LOOK_BACK_S = 5.0
_CALM_S = 60.0
_BUSY = 0.7


class Scale(msgspec.Struct, frozen=True, omit_defaults=True):
    """The bounds: ``least`` may be 0, then a version that nobody asked for ``idle_s`` seconds has no process."""

    least: int = 1
    most: int = 1
    delay_ms: int = 20
    idle_s: int = 600


class Reading(msgspec.Struct, frozen=True):
    """A version's counters at a moment; ``knocks`` counts requests that found it without a process."""

    at_s: float
    in_flight: int
    requests: int
    latency_s: float
    knocks: int = 0


class Scaler:
    """One version's number of processes over time. Feed it readings in order; ask `wanted` after each."""

    def __init__(self, scale: Scale, *, now_s: float) -> None:
        self.wanted = max(1, scale.least)
        self._scale = scale
        self._readings: deque[Reading] = deque()
        self._asked_s = now_s
        self._calm_since_s = now_s
        self._grew_s = -math.inf

    def rescale(self, scale: Scale) -> None:
        """Keep other bounds from now on."""
        if scale != self._scale:
            self._scale = scale
            self.wanted = min(max(self.wanted, scale.least), scale.most)

    def read(self, reading: Reading) -> int:
        """Take a reading in and return how many processes there should be."""
        last = self._readings[-1] if self._readings else None
        if last is not None and reading.requests < last.requests:  # the gateway began anew
            self._readings.clear()
            last = None
        self._readings.append(reading)
        while self._readings[0].at_s < reading.at_s - _LOOK_BACK_S:
            self._readings.popleft()
        if (
            reading.in_flight
            or last is None
            or reading.requests > last.requests
            or reading.knocks > last.knocks
        ):
            self._asked_s = reading.at_s
        if self.wanted == 0:
            if last is not None and reading.knocks > last.knocks:
                self._become(1, reading.at_s)
            return self.wanted
        if self._scale.least == 0 and reading.at_s - self._asked_s >= self._scale.idle_s:
            self._become(0, reading.at_s)
            return self.wanted
        self._follow(reading.at_s)
        return self.wanted

    def _follow(self, now_s: float) -> None:
        first, last = self._readings[0], self._readings[-1]
        answered = last.requests - first.requests
        if answered <= 0 or last.at_s <= first.at_s:
            return
        took_s = (last.latency_s - first.latency_s) / answered
        rate = answered / (last.at_s - first.at_s)
        load = max(rate * took_s, sum(one.in_flight for one in self._readings) / len(self._readings))
        worked_s = took_s * min(1.0, self.wanted / load) if load > 0 else took_s
        delay_s = took_s - worked_s
        needed = math.ceil(rate * worked_s / _BUSY)
        if delay_s * 1000 > self._scale.delay_ms and now_s - self._grew_s >= _LOOK_BACK_S:
            self._grew_s = now_s
            self._become(max(self.wanted + 1, needed), now_s)
        elif needed >= self.wanted:
            self._calm_since_s = now_s
        elif now_s - self._calm_since_s >= _CALM_S:
            self._become(self.wanted - 1, now_s)

    def _become(self, wanted: int, now_s: float) -> None:
        least = self._scale.least if wanted else 0
        self.wanted = min(max(wanted, least), self._scale.most)
        self._calm_since_s = now_s
