"""The public inference port as one application, with as little as possible between bytes and model.

A model that runs in this process answers without a task, a future or a hop; all others are asked over their links.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, perf_counter_ns
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, TrimtabError
from trimtab.kernel.time import now_us
from trimtab.serving import addresses, records, segments
from trimtab.serving.addresses import Target
from trimtab.serving.asked import Asked
from trimtab.serving.batch import Batch, Output, predictions
from trimtab.serving.descriptions import describe
from trimtab.serving.errors import FeedbackLost, NoReplica, Overloaded
from trimtab.serving.frames import PREDICTIONS, PROBABILITIES
from trimtab.serving.http import JSON, Answer, Request, plain_body, refusal, status_of
from trimtab.serving.protocols import feedback
from trimtab.serving.table import LiveTable, LiveVersion

MAX_SHADOWS_WAITING = 256
"""How many copies may wait for one shadow before further ones are dropped."""

MAX_READING = 32
"""How many large bodies may wait to be read before further ones are refused: each is kept in memory meanwhile."""

_READERS = 2
_MAX_REROUTES = 3
_MAX_KNOWN_TARGETS = 4096
_MAX_QUESTION_BYTES = 64 * 1024
_ASKS_A_MODEL = frozenset(("infer", "feedback"))
_NAMES_MODELS = frozenset(
    ("model", "index", "names", "status", "metadata", "hosted", "deployments", "openapi")
)
_encode = msgspec.json.Encoder().encode


class Front:
    """Answers the public routes from the live table and writes down what it answered."""

    def __init__(self, table: LiveTable, log: segments.SegmentWriter) -> None:
        self.draining = False
        self.shadows_dropped = 0
        self._table = table
        self._log = log
        self._targets: dict[tuple[bytes, str], Target] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading = 0
        self._readers = ThreadPoolExecutor(_READERS, "bodies")

    def admit(self, request: Request) -> int:
        """Return how much body a request may have, after looking whether its sender may ask at all."""
        target = request.target = self._target(request)
        action = target.address.action
        if action in _ASKS_A_MODEL:
            access = self._table.access
            who = request.who = access.check(request.headers, write=action == "feedback")
            endpoint = self._table.named(target.name)
            if who.endpoints is not None:
                access.check_scope(who, endpoint.name)
            guard = endpoint.guard
            if guard is not None and guard.counts and action == "infer":
                guard.admit(who.id or who.principal, monotonic(), now_us())
            return endpoint.max_body_bytes
        if action in _NAMES_MODELS:
            who = request.who = self._table.access.check(request.headers)
            if who.endpoints is not None and target.name is not None:
                self._table.access.check_scope(who, self._table.named(target.name).name)
        return _MAX_QUESTION_BYTES

    def handle(self, request: Request) -> Answer | Coroutine[Any, Any, Answer]:
        """Answer a request that was admitted."""
        target: Target = request.target
        if target.address.action == "infer":
            return self._infer(request, target)
        try:
            if target.address.action == "feedback":
                return self._feedback(request, target)
            return describe(self._table, request, target, draining=self.draining)
        except TrimtabError as error:
            return self.refuse(request, error)

    def refuse(self, request: Request | None, error: TrimtabError) -> Answer:
        """Return an error in the words of the protocol whose address was asked."""
        status, headers = refusal(error)
        target: Target | None = request.target if request is not None else None
        if target is not None:
            protocol = target.address.protocol
        else:
            protocol = addresses.protocol_of(request.path if request is not None else "")
        return Answer(status, protocol.encode_error(status, error.message), headers=headers)

    def _target(self, request: Request) -> Target:
        key = (request.method, request.path)
        target = self._targets.get(key)
        if target is None:
            path = self._table.aliases.get(request.path, request.path)
            target = addresses.find(request.method.decode("latin-1"), path)
            if len(self._targets) >= _MAX_KNOWN_TARGETS:
                self._targets.clear()
            self._targets[key] = target
        return target

    def _infer(self, request: Request, target: Target) -> Answer | Coroutine[Any, Any, Answer]:
        headers = request.headers
        try:
            endpoint = self._table.named(target.name)
        except TrimtabError as error:  # it left the table while the body came
            return self.refuse(request, error)
        asked = Asked(request, target, endpoint.name, endpoint)
        try:
            if b"content-encoding" in headers:
                plain_body(headers)
            if b"x-event-time" in headers:
                asked.event_us = _event_us(headers[b"x-event-time"])
            decoded = target.address.protocol.decode(endpoint.schema, request.body, headers)
            if not isinstance(decoded, Batch):
                return self._infer_later(asked, decoded)
            batch = asked.batch = decoded
            version = asked.version = self._version(asked)
            if endpoint.guard is not None:
                remembered = asked.remembered()
                if remembered is not None:
                    return self._answer(asked, remembered, None)
            compiled = version.compiled
            if compiled is None or batch.explain or not compiled.is_quick(batch.rows):
                return self._infer_aside(asked)
            outputs = compiled.predict(endpoint.schema, batch, asked.want())
        except TrimtabError as error:
            return self._answer(asked, [], error)
        return self._answer(asked, outputs, None)

    async def _infer_later(self, asked: Asked, decoding: Callable[[], Batch]) -> Answer:
        """Answer a prediction whose body takes longer to read than one turn of the loop."""
        try:
            if self._reading >= MAX_READING:
                raise Overloaded(f"{MAX_READING} large bodies wait to be read already")
            self._reading += 1
            try:
                asked.batch = await asyncio.get_running_loop().run_in_executor(self._readers, decoding)
            finally:
                self._reading -= 1
            asked.version = self._version(asked)
        except TrimtabError as error:
            return self._answer(asked, [], error)
        remembered = asked.remembered()
        if remembered is not None:
            return self._answer(asked, remembered, None)
        return await self._infer_aside(asked)

    async def _infer_aside(self, asked: Asked) -> Answer:
        """Answer a prediction that takes longer than one turn of the loop."""
        batch = asked.batch
        assert batch is not None
        schema, want = asked.endpoint.schema, asked.want()
        try:
            if asked.endpoint.in_flight >= asked.endpoint.max_in_flight:
                self._table.shed[asked.name] = self._table.shed.get(asked.name, 0) + 1
                raise Overloaded(
                    f"{asked.endpoint.max_in_flight} requests wait for endpoint {asked.name!r} already"
                )
            for attempt in range(_MAX_REROUTES):
                if attempt:
                    self._reroute(asked)
                version = asked.version
                assert version is not None
                try:
                    outputs = await version.infer(
                        schema, batch, want=want, timeout_s=asked.endpoint.timeout_s
                    )
                except NoReplica:
                    # The table may have changed while this request waited: ask the present one, if it is another.
                    present = self._table.endpoint(asked.name)
                    if present is asked.endpoint or attempt == _MAX_REROUTES - 1:
                        raise
                    asked.endpoint = present
                else:
                    return self._answer(asked, outputs, None)
        except TrimtabError as error:
            return self._answer(asked, [], error)
        raise AssertionError("the last attempt answers or raises")

    def _version(self, asked: Asked) -> LiveVersion:
        endpoint = asked.endpoint
        if asked.target.version:
            asked.route = "pinned"
            return endpoint.version(asked.target.version)
        chosen = asked.request.headers.get(b"x-model-version")
        if chosen:  # a proxy before this gateway splits the requests, in every protocol
            asked.route = "pinned"
            return endpoint.version(chosen.decode("latin-1"))
        key = asked.routing_key() if endpoint.is_split else None
        if key is None:
            return endpoint.choose(asked.id)
        version, first = endpoint.choose_for(key)
        if not first:
            asked.route = "key"
        return version

    def _reroute(self, asked: Asked) -> None:
        """Choose anew after the table changed; whoever stands in for another version was not chosen for the request."""
        before, route = asked.version, asked.route
        asked.version = self._version(asked)
        if route != "pinned":
            asked.route = route if asked.version is before else "rerouted"

    def _answer(self, asked: Asked, outputs: list[Output], error: TrimtabError | None) -> Answer:
        """Return the answer to a prediction; count it, write it down, and have shadows copy it."""
        version, batch, protocol = asked.version, asked.batch, asked.target.address.protocol
        shown = version.route.version if version is not None else ""
        status, problem, extra = 200, None, ()
        content, content_type = b"", JSON
        if error is None:
            assert batch is not None
            try:
                content, content_type, extra = protocol.encode(
                    outputs, endpoint=asked.name, version=shown, prediction_id=asked.id, batch=batch
                )
            except TrimtabError as refused:
                error = refused
        if error is not None:
            status, extra = refusal(error)
            problem, outputs = error.message, []
            content = protocol.encode_error(status, problem)
            problem = asked.kept(error)
        if asked.endpoint.guard is not None:
            extra = (*extra, *asked.settle(outputs if error is None else None))
        latency_us = (perf_counter_ns() - asked.started_ns) // 1000
        if version is None or batch is None:
            self._table.invalid[asked.name] = self._table.invalid.get(asked.name, 0) + 1
        else:
            _count(version, status, latency_us, batch.rows, asked.at_us)
        self._write(asked, version, latency_us, outputs, status=status, problem=problem)
        if status == 200 and asked.endpoint.shadows and asked.target.version is None:
            self._shadow(asked)
        headers = ((b"x-prediction-id", asked.id.encode()), (b"x-model-version", shown.encode()), *extra)
        return Answer(status, content, content_type, headers)

    def _write(
        self,
        asked: Asked,
        version: LiveVersion | None,
        latency_us: int,
        outputs: list[Output],
        *,
        status: int,
        problem: str | None,
    ) -> None:
        batch, served = asked.batch, version.route if version is not None else None
        packed, layout = None, 0
        columns: dict[str, list[Any]] = {}
        if batch is not None:
            packed, columns = batch.packed, batch.columns
            schema, guard = asked.endpoint.schema, asked.endpoint.guard
            if guard is not None and guard.anonymiser is not None:
                rules = guard.anonymiser
                packed, columns = rules.columns(batch, schema.fields)
                outputs = rules.outputs(outputs)
                if packed is not None:
                    layout = rules.layout = rules.layout or self._log.layout(rules.untouched)
            elif packed is not None:
                columns = {}
                layout = schema.layout = schema.layout or self._log.layout(schema.fields)
        arrays = None
        if batch is not None and batch.rows >= records.MANY_ROWS:
            # What a rule changed need not be what the schema says it is.
            same = [
                f for f in asked.endpoint.schema.fields if columns.get(f.name) is batch.columns.get(f.name)
            ]
            columns, outputs, arrays = records.as_arrays(columns, outputs, same)
        probabilities = None
        for output in outputs:
            if output.name == "probabilities":
                probabilities = output.by_row()
        said = outputs and (arrays is None or arrays.outputs is None)
        self._log.append(
            records.Prediction(
                asked.id,
                asked.name,
                served.version if served is not None else "",
                served.role if served is not None else "",
                asked.at_us,
                asked.event_us,
                latency_us,
                batch.rows if batch is not None else 0,
                columns,
                predictions(outputs) if said else [],
                status,
                problem,
                probabilities,
                packed,
                layout,
                asked.route,
                arrays,
            )
        )

    def _shadow(self, asked: Asked) -> None:
        for version in asked.endpoint.shadowed_by(asked.id):
            if version.shadows_waiting >= MAX_SHADOWS_WAITING:
                self.shadows_dropped += 1
                continue
            version.shadows_waiting += 1
            task = asyncio.get_running_loop().create_task(self._infer_shadow(asked, version))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _infer_shadow(self, asked: Asked, version: LiveVersion) -> None:
        batch = asked.batch
        assert batch is not None
        started_ns = perf_counter_ns()
        status, problem = 200, None
        outputs: list[Output] = []
        try:
            outputs = await version.infer(
                asked.endpoint.schema,
                batch,
                # What the caller's answer has, and no more: a judge compares the two.
                want=asked.want() & (PREDICTIONS | PROBABILITIES),
                timeout_s=asked.endpoint.timeout_s,
            )
        except TrimtabError as error:
            status, problem = status_of(error), asked.kept(error)
        finally:
            version.shadows_waiting -= 1
        latency_us = (perf_counter_ns() - started_ns) // 1000
        _count(version, status, latency_us, batch.rows, asked.at_us)
        self._write(asked, version, latency_us, outputs, status=status, problem=problem)

    def _feedback(self, request: Request, target: Target) -> Answer:
        plain_body(request.headers)
        name = self._table.named(target.name).name
        labels = feedback.decode(request.body, request.headers)
        at_us = now_us()
        for label in labels:
            event_us = at_us if label.event_us is None else label.event_us
            self._log.append(
                records.Feedback(label.prediction_id, label.row, label.label, at_us, event_us, endpoint=name)
            )
        if not self._log.flush():
            raise FeedbackLost("the labels could not be written down; send them again later")
        return Answer(200, _encode({"accepted": len(labels)}))

    async def finish(self) -> None:
        """Wait for the shadows that are still under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)


def _event_us(given: bytes) -> int:
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
