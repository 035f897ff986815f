"""The replicas of one version: calls go to the one with the fewest in flight.

Calls wait for a replica that is away a bounded while, and one that was cut off is made once more, since a prediction
changes nothing.
"""

import asyncio
import math
import sys
from collections.abc import Iterable

from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Batch, Output
from trimtab.serving.errors import CircuitOpen, ModelFailed, ModelTimeout, NoReplica
from trimtab.serving.frames import Answer
from trimtab.serving.links import LinkBroken, Replica, Replicas
from trimtab.serving.policies.circuits import Circuit
from trimtab.serving.policies.retries import RetryBudget
from trimtab.serving.policies.settings import DEFAULT, Policies
from trimtab.serving.schema import Schema, encode_columns

REPLICA_WAIT_S = 5.0
"""How long a request waits for a replica that is restarting."""

WAKE_WAIT_S = 60.0
"""How long one waits for a version that slept, whose model is loaded first."""


class Pool:
    """The replicas of one version."""

    def __init__(self, replicas: Replicas) -> None:
        self._all = replicas
        self._members: dict[str, Replica] = {}
        self._waiters: set[asyncio.Event] = set()
        self._suspects = asyncio.Lock()
        self._retries = RetryBudget(DEFAULT.retry_share, now=asyncio.get_running_loop().time())
        self.circuit = Circuit()
        self.retired = False
        self.retried = 0
        self.asleep = False
        self.knocks = 0
        """Requests that found the version asleep."""

    def protect(self, policies: Policies) -> None:
        """Keep an endpoint's policies of circuits and retries from now on."""
        if policies.retry_share != self._retries.share:
            self._retries = RetryBudget(policies.retry_share, now=asyncio.get_running_loop().time())
        open_s = policies.circuit_open_ms / 1000
        for circuit in (self.circuit, *(replica.circuit for replica in self._members.values())):
            circuit.configure(policies.circuit_failures, open_s=open_s)

    def set(self, paths: Iterable[str]) -> None:
        """Serve from exactly these sockets from now on."""
        wanted = dict.fromkeys(paths)
        for path in wanted:
            if path not in self._members:
                replica = self._members[path] = self._all.take(path)
                replica.watchers |= self._waiters
        for path in [path for path in self._members if path not in wanted]:
            replica = self._members.pop(path)
            replica.watchers -= self._waiters
            self._all.leave(path)
        for waiter in self._waiters:
            waiter.set()

    def up(self) -> dict[str, bool]:
        """Return for each socket whether its replica is connected."""
        return {path: replica.link is not None for path, replica in self._members.items()}

    @property
    def ready(self) -> bool:
        return any(replica.link is not None for replica in self._members.values())

    def retire(self) -> None:
        """Let go of all replicas; calls that wait for one are told so at once."""
        self.retired = True
        self.set(())

    async def infer(self, schema: Schema, batch: Batch, *, want: int, timeout_s: float) -> list[Output]:
        """Return the model's outputs; raises Invalid, ModelFailed, ModelTimeout, NoReplica or CircuitOpen."""
        loop = asyncio.get_running_loop()
        circuit = self.circuit
        if circuit.is_open:
            self._probe(circuit, loop.time())
        self._retries.asked()
        try:
            outputs = await self._infer(schema, batch, want=want, timeout_s=timeout_s)
        except ModelTimeout:
            if all(replica.circuit.is_open for replica in self._members.values() if replica.link is not None):
                # As long as one answers, it is not the version that fails.
                circuit.failed(loop.time(), certain=True)
            raise
        except NoReplica:
            if not self.retired:
                circuit.failed(loop.time())
            raise
        except (Invalid, ModelFailed):
            circuit.succeeded()  # it answers, whatever it thinks of the input
            raise
        circuit.succeeded()
        return outputs

    def _probe(self, circuit: Circuit, now: float) -> None:
        """Let a request try whether the version answers again; raises CircuitOpen where it is not yet time."""
        if any(r.link is not None and r.up_at > circuit.opened_at for r in self._members.values()):
            circuit.succeeded()  # a process that came after it opened has not failed anybody
        elif circuit.allows(now):
            circuit.begin(now)
        else:
            raise CircuitOpen(
                "the model failed several times in a row and is left alone for a moment",
                details={"retry_after_s": max(1, math.ceil(circuit.wait_s(now)))},
            )

    async def _infer(self, schema: Schema, batch: Batch, *, want: int, timeout_s: float) -> list[Output]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        try:
            answer = await self._once(schema, batch, want=want, deadline=deadline)
        except LinkBroken:
            if not self._retries.spend(loop.time()):
                raise NoReplica("the model's process ended while it worked on this request") from None
            self.retried += 1
            # Whatever ended the process is among the calls that it had. They are made once more one at a time, so that
            # the guilty one takes no other with it again.
            try:
                async with asyncio.timeout_at(deadline):
                    await self._suspects.acquire()
            except TimeoutError:
                raise ModelTimeout("the model did not answer in time") from None
            try:
                answer = await self._once(schema, batch, want=want, deadline=deadline)
            except LinkBroken:
                raise NoReplica("the model's process ended twice while it worked on this request") from None
            finally:
                self._suspects.release()
        if answer.fault is None:
            return answer.outputs
        raise Invalid(answer.message) if answer.fault == "input" else ModelFailed(answer.message)

    async def _once(self, schema: Schema, batch: Batch, *, want: int, deadline: float) -> Answer:
        """Make a call of the least busy replica, waiting a moment for one; raises LinkBroken, ModelTimeout, NoReplica."""
        loop = asyncio.get_running_loop()
        replica = self._pick()
        if replica is None:
            patience_s = WAKE_WAIT_S if self.asleep else REPLICA_WAIT_S
            replica = await self._wait(min(deadline, loop.time() + patience_s))
        link, circuit = replica.link, replica.circuit
        assert link is not None
        assert link.hello is not None
        if circuit.is_open:
            circuit.begin(loop.time())
        packed = batch.packed = schema.packed(batch)
        plain = packed is None or not link.hello.packed or link.hello.names != schema.names
        try:
            answer = await link.call(
                batch.rows,
                want,
                packed=None if plain else packed,
                columns=encode_columns(batch.by_name(schema.fields)) if plain else None,
                deadline=deadline,
            )
        except (ModelTimeout, LinkBroken):
            circuit.failed(loop.time())
            raise
        circuit.succeeded()
        return answer

    def _pick(self) -> Replica | None:
        """Return the connected replica with the fewest calls, one that failed lately only where there is no other."""
        best, failing = None, None
        fewest = fewest_failing = sys.maxsize
        for replica in self._members.values():
            link = replica.link
            if link is None:
                continue
            calls = len(link.waiting)
            if replica.circuit.is_open and not replica.circuit.allows(asyncio.get_running_loop().time()):
                if calls < fewest_failing:
                    failing, fewest_failing = replica, calls
            elif calls < fewest:
                best, fewest = replica, calls
        return best or failing

    async def _wait(self, until: float) -> Replica:
        loop = asyncio.get_running_loop()
        watcher = asyncio.Event()
        self._waiters.add(watcher)
        for replica in self._members.values():
            replica.watchers.add(watcher)
        try:
            if self.asleep:
                self.knocks += 1
            while (left := until - loop.time()) > 0 and (self._members or self.asleep):
                watcher.clear()
                replica = self._pick()
                if replica is not None:
                    return replica
                try:
                    await asyncio.wait_for(watcher.wait(), left)
                except TimeoutError:
                    break
        finally:
            self._waiters.discard(watcher)
            for replica in self._members.values():
                replica.watchers.discard(watcher)
        raise NoReplica("no replica of the model is up; it may be starting, try again shortly")
