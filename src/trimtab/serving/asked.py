"""One prediction under way, and what the policies of its endpoint make of it."""

from time import monotonic, perf_counter_ns

from trimtab.kernel.errors import TrimtabError
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.serving.addresses import Target
from trimtab.serving.batch import Batch, Output
from trimtab.serving.frames import EXPLANATIONS, PREDICTIONS, PROBABILITIES
from trimtab.serving.http import Header, Request
from trimtab.serving.policies.cache import feature_key
from trimtab.serving.records import Route
from trimtab.serving.table import LiveEndpoint, LiveVersion


class Asked:
    """One prediction under way: what was asked of whom, and when."""

    __slots__ = (
        "at_us",
        "batch",
        "cache_key",
        "endpoint",
        "event_us",
        "id",
        "name",
        "request",
        "route",
        "started_ns",
        "target",
        "version",
    )

    def __init__(self, request: Request, target: Target, name: str, endpoint: LiveEndpoint) -> None:
        self.started_ns = perf_counter_ns()
        self.at_us = self.event_us = now_us()
        self.id = new_id()
        self.request = request
        self.target = target
        self.name = name
        self.endpoint = endpoint
        self.cache_key: bytes | None = None
        self.route: Route = "split"
        self.batch: Batch | None = None
        self.version: LiveVersion | None = None

    def want(self) -> int:
        """Return what to ask of the model: probabilities cost extra, so only where the answer shows them."""
        assert self.batch is not None
        shown = self.batch.outputs
        if shown is None:
            want = PREDICTIONS | (PROBABILITIES if self.target.address.protocol.probabilities else 0)
        else:
            want = PREDICTIONS | (PROBABILITIES if "probabilities" in shown else 0)
        return want | EXPLANATIONS if self.batch.explain else want

    def routing_key(self) -> bytes | None:
        """Return by what a request asks to be answered by the same version again: a header, or a column's first value."""
        key = self.request.headers.get(b"x-routing-key")
        guard, batch = self.endpoint.guard, self.batch
        if key is not None or guard is None or not guard.sticky_by or batch is None:
            return key
        value = batch.first(guard.sticky_by, self.endpoint.schema.fields)
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # 5 and 5.0 are the same key, whatever the client's language writes
        return None if value is None else str(value).encode("utf-8", "surrogatepass")

    def remembered(self) -> list[Output] | None:
        """Return the answer to the same features where one is kept."""
        guard, batch, version = self.endpoint.guard, self.batch, self.version
        if guard is None or guard.cache is None or batch is None or version is None:
            return None
        route, schema, now = version.route, self.endpoint.schema, monotonic()
        want = self.want()
        self.cache_key = feature_key(route.model, route.version, want, schema, batch)
        if self.cache_key is None:
            return None
        outputs = guard.cache.get(self.cache_key, now)
        if outputs is not None:
            self.route = "cached"
        elif self.route == "split" and self.endpoint.is_split:
            # A version with a small share has fewer answers kept: what it alone has to work on must not be compared.
            for other in self.endpoint.split:
                key = feature_key(other.route.model, other.route.version, want, schema, batch)
                if key is not None and guard.cache.holds(key, now):
                    self.route = "repeat"
        return outputs

    def settle(self, outputs: list[Output] | None) -> tuple[Header, ...]:
        """Keep an answer for the next one who asks the same, and return what the caller is told of limits and cache."""
        headers: tuple[Header, ...] = ()
        guard = self.endpoint.guard
        if guard is None:
            return headers
        who = self.request.who
        if guard.counts and who is not None:
            headers = guard.headers(who.id or who.principal, monotonic(), now_us())
        if guard.cache is not None and self.cache_key is not None:
            cached = self.route == "cached"
            if outputs is not None and not cached:
                guard.cache.put(self.cache_key, outputs, monotonic())
            headers = (*headers, (b"x-cache", b"hit" if cached else b"miss"))
        return headers

    def kept(self, error: TrimtabError) -> str:
        """Return what the log keeps of an error: its text may quote what it is forbidden to keep."""
        guard = self.endpoint.guard
        return error.message if guard is None or guard.anonymiser is None else error.code
