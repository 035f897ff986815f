"""Replays a year as live traffic: requests in the order of their event time, whether answers come or not, and labels
days of event time later.
"""

import asyncio
import heapq
import threading
import time
from array import array
from collections.abc import Iterable
from urllib.parse import quote

import msgspec

from trimtab.demo.clock import Clock
from trimtab.demo.connections import Answer, Connections
from trimtab.demo.flights import DAY_US
from trimtab.demo.traffic import Request

MAX_LABELS = 10_000
"""What one feedback request may carry."""
LABELS_EVERY_US = DAY_US // 4
"""Labels that became known are posted together this often, in event time."""
_KEPT_PROBLEMS = 20


class Progress(msgspec.Struct):
    """What has happened so far. A failure is any answer but 2xx, or none; a failed prediction is never sent again.

    The labels of a feedback request that failed wait for the next one: ``labels_resent`` counts them. ``behind_s`` is
    how long the clock was held back in all because the server did not keep up.
    """

    sent: int = 0
    answered: int = 0
    failed: int = 0
    rows: int = 0
    labels: int = 0
    label_requests: int = 0
    label_requests_failed: int = 0
    labels_resent: int = 0
    behind_s: float = 0.0
    versions: dict[str, int] = {}
    problems: list[str] = []


class Served(msgspec.Struct, frozen=True):
    """An answered request: which version answered, and the chance that it gave to each of the request's rows."""

    prediction_id: str
    version: str
    event_us: int
    latency_us: int
    rows: list[int]
    chances: list[float]


class _Output(msgspec.Struct):
    name: str
    data: list[float]


class _Body(msgspec.Struct):
    outputs: list[_Output]


_body = msgspec.json.Decoder(_Body).decode


class Replay:
    """An open-loop player. `run` belongs to an event loop, `start` makes one; the rest may be called from any thread.

    The clock runs at its pace whether answers come or not; only with ``in_flight`` requests unanswered it is held back.
    """

    def __init__(
        self,
        traffic: Iterable[Request],
        *,
        url: str,
        endpoint: str,
        days_per_s: float,
        token: str | None = None,
        in_flight: int = 32,
    ) -> None:
        self.clock = Clock(days_per_s=days_per_s)
        self.progress = Progress()
        self.served: list[Served] = []
        self._traffic = iter(traffic)
        self._url = url
        name = quote(endpoint, safe="")
        self._infer, self._feedback = f"/v2/models/{name}/infer", f"/endpoints/{name}/feedback"
        self._headers = {"authorization": f"Bearer {token}"} if token else {}
        self._in_flight = in_flight
        self._due: list[tuple[int, str, int]] = []
        self._all_sent = False

    def start(self) -> threading.Thread:
        """Run in a thread of its own and return that; join it to wait for the end."""
        thread = threading.Thread(target=lambda: asyncio.run(self.run()), name="replay", daemon=True)
        thread.start()
        return thread

    def latency_ms(self, quantile: float) -> float:
        """The latency below which this share of the answers came; NaN before the first."""
        found = array("q", sorted(one.latency_us for one in self.served))
        return found[min(int(quantile * len(found)), len(found) - 1)] / 1000 if found else float("nan")

    async def run(self) -> Progress:
        """Play until traffic and labels are used up, or the clock is stopped."""
        first = next(self._traffic, None)
        if first is None:
            return self.progress
        self.clock.begin(first.event_us)
        connections = Connections(self._url, limit=self._in_flight + 1)  # one for the labels
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._send_all(connections, first))
                both.create_task(self._label_all(connections, first.event_us))
        finally:
            connections.close()
        return self.progress

    async def _send_all(self, connections: Connections, first: Request) -> None:
        places = asyncio.Semaphore(self._in_flight)
        request: Request | None = first
        async with asyncio.TaskGroup() as under_way:
            while request is not None and await self.clock.reach(request.event_us):
                await places.acquire()
                self.progress.behind_s += self.clock.hold_back(request.event_us)
                task = under_way.create_task(self._predict(connections, request))
                task.add_done_callback(lambda _: places.release())
                request = next(self._traffic, None)
        self._all_sent = True

    async def _predict(self, connections: Connections, request: Request) -> None:
        headers = {**self._headers, "x-event-time": str(request.event_us)}
        self.progress.sent += 1
        started = time.perf_counter_ns()
        answer = await connections.post(self._infer, request.body, headers)
        latency_us = (time.perf_counter_ns() - started) // 1000
        chances = _chances(answer, len(request.rows))
        if chances is None:
            self.progress.failed += 1
            self._note(answer)
            return
        prediction = answer.headers.get(b"x-prediction-id", b"").decode()
        version = answer.headers.get(b"x-model-version", b"").decode()
        self.progress.answered += 1
        self.progress.rows += len(request.rows)
        self.progress.versions[version] = self.progress.versions.get(version, 0) + 1
        self.served.append(Served(prediction, version, request.event_us, latency_us, request.rows, chances))
        for row, (label, known_us) in enumerate(zip(request.labels, request.known_us, strict=True)):
            if label is not None:
                heapq.heappush(self._due, (known_us, f"{prediction}/{row}", label))

    async def _label_all(self, connections: Connections, start_us: int) -> None:
        at_us = start_us
        while not self._all_sent or self._due:
            at_us += LABELS_EVERY_US
            if not await self.clock.reach(at_us):
                return
            while self._due and self._due[0][0] <= at_us and not self.clock.stopped:
                if not await self._post_labels(connections, at_us):
                    break

    async def _post_labels(self, connections: Connections, at_us: int) -> bool:
        ready: list[tuple[int, str, int]] = []
        while self._due and self._due[0][0] <= at_us and len(ready) < MAX_LABELS:
            ready.append(heapq.heappop(self._due))
        items = [{"prediction_id": row, "label": label, "event_time": us} for us, row, label in ready]
        answer = await connections.post(self._feedback, msgspec.json.encode(items), self._headers)
        self.progress.label_requests += 1
        if answer.good:
            self.progress.labels += len(ready)
            return True
        self.progress.label_requests_failed += 1
        self.progress.labels_resent += len(ready)
        self._note(answer)
        for one in ready:
            heapq.heappush(self._due, one)
        return False

    def _note(self, answer: Answer) -> None:
        if len(self.progress.problems) < _KEPT_PROBLEMS:
            self.progress.problems.append(f"{answer.status}: {answer.body[:300].decode(errors='replace')}")


def _chances(answer: Answer, rows: int) -> list[float] | None:
    """Return one number a row, or None where the answer is not what was asked for."""
    if not answer.good:
        return None
    try:
        outputs = _body(answer.body).outputs
    except msgspec.MsgspecError:
        return None
    return next((one.data for one in outputs if one.name == "predictions" and len(one.data) == rows), None)
