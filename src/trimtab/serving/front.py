"""The public inference routes as one raw ASGI application, with as little as possible between bytes and model."""

import asyncio
import sys
import traceback
from collections.abc import Mapping
from time import perf_counter_ns
from typing import Protocol

import msgspec

from trimtab.kernel.errors import Invalid, NotFound, TrimtabError
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.serving import segments
from trimtab.serving.batch import Batch, Output, predictions
from trimtab.serving.errors import FeedbackLost, NoReplica
from trimtab.serving.frames import PREDICTIONS, PROBABILITIES
from trimtab.serving.http import (
    ClientGone,
    MethodNotAllowed,
    Receive,
    Scope,
    Send,
    answer,
    read_body,
    refusal,
    status_of,
)
from trimtab.serving.protocols import feedback, mlflow, v2
from trimtab.serving.schema import Schema
from trimtab.serving.table import LiveEndpoint, LiveTable, LiveVersion

MAX_SHADOWS_WAITING = 256
"""How many copies may wait for one shadow before further ones are dropped."""

_MAX_REROUTES = 3
_encode = msgspec.json.Encoder().encode


class Adapter(Protocol):
    """A wire protocol of prediction: a module of pure functions."""

    @staticmethod
    def decode(schema: Schema, body: bytes, content_type: bytes = ..., /) -> Batch: ...

    @staticmethod
    def encode(
        outputs: list[Output], *, endpoint: str, version: str, prediction_id: str, batch: Batch
    ) -> bytes: ...

    @staticmethod
    def encode_error(status: int, message: str, /) -> bytes: ...


class Front:
    """Answers the public routes from the live table and writes down what it answered."""

    def __init__(self, table: LiveTable, log: segments.SegmentWriter) -> None:
        self.draining = False
        self.shadows_dropped = 0
        self._table = table
        self._log = log
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts: list[str] = scope["path"].split("/")
        adapter: Adapter = mlflow if parts[1:2] == ["endpoints"] else v2
        try:
            match parts:
                case ["", "endpoints", name, "invocations"]:
                    await self._predict(scope, receive, send, mlflow, name, None)
                case ["", "v2", "models", name, "infer"]:
                    await self._predict(scope, receive, send, v2, name, None)
                case ["", "v2", "models", name, "versions", version, "infer"]:
                    await self._predict(scope, receive, send, v2, name, version)
                case ["", "endpoints", name, "feedback"]:
                    await self._feedback(scope, receive, send, name)
                case _:
                    await self._describe(scope, send, parts)
        except ClientGone:
            return
        except TrimtabError as error:
            status, headers = refusal(error)
            await answer(send, status, adapter.encode_error(status, error.message), headers)
        except Exception:  # noqa: BLE001 - the edge of the process
            # A bug answers in the protocol too, and the connection lives on.
            traceback.print_exc(file=sys.stderr)
            await answer(send, 500, adapter.encode_error(500, "the gateway met an error of its own"))

    async def _predict(
        self, scope: Scope, receive: Receive, send: Send, adapter: Adapter, name: str, pinned: str | None
    ) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(scope["method"], "POST")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        table = self._table
        table.access.check(headers)
        body = await read_body(receive, headers, table.endpoint(name).max_body_bytes)

        started_ns = perf_counter_ns()
        at_us = event_us = now_us()
        prediction_id = new_id()
        endpoint = table.endpoint(name)
        version: LiveVersion | None = None
        batch: Batch | None = None
        outputs: list[Output] = []
        status, problem, extra = 200, None, ()
        try:
            event_us = _event_us(headers, at_us)
            batch = adapter.decode(endpoint.schema, body, headers.get(b"content-type", b""))
            schema, want = endpoint.schema, _want(adapter, batch)
            for attempt in range(_MAX_REROUTES):
                version = endpoint.version(pinned) if pinned else endpoint.choose(prediction_id)
                counters = version.counters
                counters.in_flight += 1
                try:
                    outputs = await version.pool.infer(schema, batch, want=want, timeout_s=endpoint.timeout_s)
                    break
                except NoReplica:
                    # The table may have changed while this request waited: ask the present one, if it is another.
                    present = table.endpoint(name)
                    if present is endpoint or attempt == _MAX_REROUTES - 1:
                        raise
                    endpoint = present
                finally:
                    counters.in_flight -= 1
            assert version is not None
            content = adapter.encode(
                outputs,
                endpoint=name,
                version=version.route.version,
                prediction_id=prediction_id,
                batch=batch,
            )
        except TrimtabError as error:
            status, extra = refusal(error)
            problem, outputs = error.message, []
            content = adapter.encode_error(status, problem)

        shown = version.route.version if version is not None else ""
        await answer(
            send,
            status,
            content,
            ((b"x-prediction-id", prediction_id.encode()), (b"x-model-version", shown.encode()), *extra),
        )
        latency_us = (perf_counter_ns() - started_ns) // 1000
        if version is None or batch is None:
            table.invalid[name] = table.invalid.get(name, 0) + 1
        else:
            _count(version, status, latency_us, batch.rows, at_us)
        self._write(
            name,
            version,
            prediction_id,
            at_us,
            event_us,
            latency_us,
            batch,
            outputs,
            status=status,
            problem=problem,
        )
        if status == 200 and endpoint.shadows and pinned is None and batch is not None:
            self._shadow(endpoint, prediction_id, at_us, event_us, batch)

    def _write(
        self,
        endpoint: str,
        version: LiveVersion | None,
        prediction_id: str,
        at_us: int,
        event_us: int,
        latency_us: int,
        batch: Batch | None,
        outputs: list[Output],
        *,
        status: int,
        problem: str | None,
    ) -> None:
        probabilities = None
        for output in outputs:
            if output.name == "probabilities":
                probabilities = output.by_row()
        self._log.append(
            segments.Prediction(
                prediction_id,
                endpoint,
                version.route.version if version is not None else "",
                version.route.role if version is not None else "",
                at_us,
                event_us,
                latency_us,
                batch.rows if batch is not None else 0,
                batch.columns if batch is not None else {},
                predictions(outputs) if outputs else [],
                status,
                problem,
                probabilities,
            )
        )

    def _shadow(
        self, endpoint: LiveEndpoint, prediction_id: str, at_us: int, event_us: int, batch: Batch
    ) -> None:
        for version in endpoint.shadowed_by(prediction_id):
            if version.shadows_waiting >= MAX_SHADOWS_WAITING:
                self.shadows_dropped += 1
                continue
            version.shadows_waiting += 1
            task = asyncio.get_running_loop().create_task(
                self._infer_shadow(endpoint, version, prediction_id, at_us, event_us, batch)
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _infer_shadow(
        self,
        endpoint: LiveEndpoint,
        version: LiveVersion,
        prediction_id: str,
        at_us: int,
        event_us: int,
        batch: Batch,
    ) -> None:
        started_ns = perf_counter_ns()
        status, problem = 200, None
        outputs: list[Output] = []
        version.counters.in_flight += 1
        try:
            outputs = await version.pool.infer(
                endpoint.schema, batch, want=PREDICTIONS | PROBABILITIES, timeout_s=endpoint.timeout_s
            )
        except TrimtabError as error:
            status, problem = status_of(error), error.message
        finally:
            version.counters.in_flight -= 1
            version.shadows_waiting -= 1
        latency_us = (perf_counter_ns() - started_ns) // 1000
        _count(version, status, latency_us, batch.rows, at_us)
        self._write(
            endpoint.name,
            version,
            prediction_id,
            at_us,
            event_us,
            latency_us,
            batch,
            outputs,
            status=status,
            problem=problem,
        )

    async def _feedback(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(scope["method"], "POST")
        headers: dict[bytes, bytes] = dict(scope["headers"])
        self._table.access.check(headers, write=True)
        endpoint = self._table.endpoint(name)
        body = await read_body(receive, headers, endpoint.max_body_bytes)
        labels = feedback.decode(body, headers.get(b"content-type", b""))
        at_us = now_us()
        for label in labels:
            event_us = at_us if label.event_us is None else label.event_us
            self._log.append(
                segments.Feedback(label.prediction_id, label.row, label.label, at_us, event_us, endpoint=name)
            )
        if not self._log.flush():
            raise FeedbackLost("the labels could not be written down; send them again later")
        await answer(send, 200, _encode({"accepted": len(labels)}))

    async def _describe(self, scope: Scope, send: Send, parts: list[str]) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        table = self._table
        status = 200
        match parts:
            case ["", "health"]:
                content = b"OK"
            case ["", "v2"]:
                content = v2.server_metadata()
            case ["", "v2", "health", "live"]:
                content = _encode({"live": True})
            case ["", "v2", "health", "ready"]:
                # Ready means: it takes connections. A broken endpoint must not take the others off a load balancer.
                status = 503 if self.draining else 200
                content = _encode({"live": True, "ready": not self.draining})
            case ["", "v2", "models", name, "ready"]:
                ready = table.endpoint(name).ready
                status, content = 200 if ready else 503, _encode({"name": name, "ready": ready})
            case ["", "v2", "models", name, "versions", version, "ready"]:
                ready = table.endpoint(name).version(version).pool.ready
                status, content = 200 if ready else 503, _encode({"name": name, "ready": ready})
            case ["", "v2", "models", name]:
                table.access.check(headers)
                endpoint = table.endpoint(name)
                content = v2.model_metadata(name, list(endpoint.versions), endpoint.schema)
            case ["", "v2", "models", name, "versions", version]:
                table.access.check(headers)
                endpoint = table.endpoint(name)
                endpoint.version(version)
                content = v2.model_metadata(name, [version], endpoint.schema)
            case _:
                raise NotFound(
                    f"there is no {scope['path'][:200]!r} here; predictions go to /v2/models/ENDPOINT/infer "
                    "or /endpoints/ENDPOINT/invocations"
                )
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(scope["method"], "GET")
        await answer(send, status, content, text=parts[1] == "health")

    async def finish(self) -> None:
        """Wait for the shadows that are still under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)


def _want(adapter: Adapter, batch: Batch) -> int:
    """Return what to ask of the model: probabilities cost extra, so only where the answer shows them."""
    if adapter is mlflow:
        return PREDICTIONS
    if batch.outputs is None:
        return PREDICTIONS | PROBABILITIES
    return PREDICTIONS | (PROBABILITIES if "probabilities" in batch.outputs else 0)


def _event_us(headers: Mapping[bytes, bytes], at_us: int) -> int:
    given = headers.get(b"x-event-time")
    if given is None:
        return at_us
    try:
        return feedback.event_us(given.decode())
    except (ValueError, OverflowError):
        raise Invalid("x-event-time is RFC 3339 or microseconds since 1970", field="x-event-time") from None


def _count(version: LiveVersion, status: int, latency_us: int, rows: int, at_us: int) -> None:
    if status == 400:
        version.counters.rejected += 1
        return
    version.counters.answered(latency_us, rows, at_us)
    if status >= 500:
        version.counters.errors += 1
