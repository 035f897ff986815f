"""The route table at work: endpoints compiled for lookup, versions that keep their counters and replicas across swaps."""

import asyncio
import secrets
import zlib
from bisect import bisect_right
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from time import monotonic

from msgspec import structs

from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.time import SECOND_US, now_us
from trimtab.serving import routes
from trimtab.serving.access import Access
from trimtab.serving.batch import Batch, Output
from trimtab.serving.compiled import Compiled
from trimtab.serving.errors import EndpointNotFound, ModelNotLoaded, NoReplica, VersionNotFound
from trimtab.serving.files import write_atomically
from trimtab.serving.frames import EXPLANATIONS
from trimtab.serving.links import Replicas
from trimtab.serving.policies import settings
from trimtab.serving.policies.fields import hash_key
from trimtab.serving.policies.guard import Guard
from trimtab.serving.policies.quotas import Ledger
from trimtab.serving.pool import Pool
from trimtab.serving.protocols import mlflow
from trimtab.serving.routes import RouteTable
from trimtab.serving.schema import Schema
from trimtab.serving.stats import Counters, EndpointState, VersionState

_KEPT_US = 600 * SECOND_US
"""How long the counters of a version that left the table are still told."""

_KEY_BITS = 20
"""As many bits are kept of each version's routing keys: of a million keys, and of fewer the more there are."""


class LiveVersion:
    """One version as it is served: it lives on while the table is replaced around it."""

    __slots__ = (
        "compiled",
        "counters",
        "endpoint",
        "keys",
        "left_us",
        "pool",
        "problem",
        "route",
        "shadows_waiting",
        "signature",
    )

    def __init__(self, endpoint: str, route: routes.Version, replicas: Replicas) -> None:
        self.endpoint = endpoint
        self.route = route
        self.pool = Pool(replicas)
        self.compiled: Compiled | None = None
        self.problem = ""
        self.signature: routes.Signature | None = None
        self.counters = Counters()
        self.shadows_waiting = 0
        self.keys: bytearray | None = None
        self.left_us: int | None = None

    @property
    def ready(self) -> bool:
        return self.compiled is not None or self.pool.ready or self.pool.asleep

    async def infer(self, schema: Schema, batch: Batch, *, want: int, timeout_s: float) -> list[Output]:
        """Return the model's outputs; raises Invalid, ModelFailed, ModelTimeout or NoReplica."""
        self.counters.in_flight += 1
        try:
            if self.compiled is not None:
                if not want & EXPLANATIONS:
                    return await self.compiled.predict_aside(schema, batch, want)
                if not self.route.sockets:
                    raise Invalid(
                        f"explanations are off: trimtab endpoints set {self.endpoint} --explain on",
                        field="explain",
                    )
            return await self.pool.infer(schema, batch, want=want, timeout_s=timeout_s)
        finally:
            self.counters.in_flight -= 1

    def take(self, fresh: Compiled | str | None) -> None:
        """Run the compiled model that its route wants: a fresh one, the one from before, or, by a text, none and why."""
        if self.route.compiled is None:
            self.compiled, self.problem = None, ""
        elif isinstance(fresh, str):
            self.compiled, self.problem = None, fresh
        elif fresh is not None:
            self.compiled, self.problem = fresh, ""

    def state(self) -> VersionState:
        counters, route = self.counters, self.route
        return VersionState(
            version=route.version,
            model=route.model,
            role=route.role,
            weight=route.weight if self.left_us is None else 0.0,
            routed=self.left_us is None,
            in_flight=counters.in_flight,
            requests=counters.requests,
            errors=counters.errors,
            rejected=counters.rejected,
            rows=counters.rows,
            latency_counts=counters.counts,
            latency_sum_us=counters.sum_us,
            last_request_us=counters.last_us,
            replicas=self.pool.up(),
            compiled=self.compiled is not None,
            problem=self.problem,
            circuit="open" if self.pool.circuit.is_open else "closed",
            retried=self.pool.retried,
            knocks=self.pool.knocks,
        )


class LiveEndpoint:
    """One endpoint of one table: the split among its versions, its schema and limits."""

    def __init__(
        self,
        name: str,
        route: routes.Endpoint,
        versions: dict[str, LiveVersion],
        schema: Schema,
        *,
        guard: Guard | None = None,
    ) -> None:
        self.name = name
        self.schema = schema
        self.versions = versions
        self.max_body_bytes = route.max_body_bytes
        self.timeout_s = route.timeout_ms / 1000
        self.guard = guard
        self.max_in_flight = route.policies.max_in_flight
        live = list(versions.values())
        self._answering = [version for version in live if version.route.role != "shadow"]
        self.shadows = [v for v in live if v.route.role == "shadow" and v.route.weight > 0]
        self.split = [v for v in live if v.route.role in ("champion", "challenger") and v.route.weight > 0]
        total = sum(version.route.weight for version in self.split)
        reached = 0.0
        self._cuts: list[float] = []
        self._salt = blake2b(name.encode(), digest_size=16).digest()
        for version in self.split[:-1]:
            reached += version.route.weight
            self._cuts.append(reached / total * 2**32)
        self.is_split = bool(self._cuts)
        """Whether it matters by what a version is chosen."""

    def choose(self, prediction_id: str) -> LiveVersion:
        """Return the version for a prediction: by its id and the weights."""
        if not self._cuts:
            if not self.split:
                raise NoReplica(f"endpoint {self.name!r} has no version that takes traffic")
            return self.split[0]
        return self.split[bisect_right(self._cuts, zlib.crc32(prediction_id.encode()))]

    def choose_for(self, key: bytes) -> tuple[LiveVersion, bool]:
        """Return the version for a routing key, always the same one for the same weights, and whether it is new to it.

        Of keys only a bit each is kept, in memory, for as long as the same versions share the requests. A key whose bit
        another one has set already passes for known: that depends on nothing that its requests do.
        """
        # Callers' keys resemble each other, as ids do not, and nobody is to be on trial at all endpoints at once.
        point = int.from_bytes(blake2b(key, digest_size=4, salt=self._salt).digest())
        version = self.split[bisect_right(self._cuts, point)]
        if version.keys is None:
            version.keys = bytearray(1 << _KEY_BITS >> 3)
        place, bit = divmod(point & ((1 << _KEY_BITS) - 1), 8)
        first = not version.keys[place] >> bit & 1
        version.keys[place] |= 1 << bit
        return version, first

    @property
    def in_flight(self) -> int:
        """How many requests wait for its versions now; copies for shadows do not count."""
        return sum(version.counters.in_flight for version in self._answering)

    def shadowed_by(self, prediction_id: str) -> list[LiveVersion]:
        """Return the shadows that get a copy of a prediction."""
        # Not a CRC of anything: two CRCs of one id always differ by the same bits, so that copies would follow the split.
        digest = blake2b(prediction_id.encode(), digest_size=4).digest()
        point = int.from_bytes(digest) / 2**32 * 100
        return [version for version in self.shadows if point < version.route.weight]

    def version(self, version: str) -> LiveVersion:
        found = self.versions.get(version) or self._labelled(version)
        if found is None:
            hint = did_you_mean(version, self.versions)
            raise VersionNotFound(
                f"endpoint {self.name!r} has no version {version!r}.{hint}", field="version"
            )
        return found

    def _labelled(self, label: str) -> LiveVersion | None:
        """Return the version that has a role, where a label names one: ``@champion``, ``@stable``, ``@canary``."""
        if not label.startswith("@"):
            return None
        role = {"@stable": "champion", "@canary": "challenger"}.get(label, label[1:])
        return next((live for live in self.versions.values() if live.route.role == role), None)

    @property
    def ready(self) -> bool:
        return any(version.ready for version in self.split)


class LiveTable:
    """What is served now. Replacing it never touches a request that is under way."""

    def __init__(
        self, replicas: Replicas, folder: Path, *, load: Callable[[Path, routes.Signature | None], Compiled]
    ) -> None:
        self.generation = 0
        self.endpoints: dict[str, LiveEndpoint] = {}
        self.default: str | None = None
        self._load = load
        self.access = Access(routes.Auth(open=False))
        self.aliases: dict[str, str] = {}
        self.route_table: bytes = b""
        self.told = asyncio.Event()
        """Set when the first table has come since the gateway started."""
        self.invalid: dict[str, int] = {}
        self.shed: dict[str, int] = {}
        self._replicas = replicas
        self._path = folder / "routes.json"
        self._writing = asyncio.Lock()
        self._versions: dict[tuple[str, str], LiveVersion] = {}
        self._guards: dict[str, Guard] = {}
        self._hash_key = b""
        self.ledger = Ledger(folder / "quotas.json")

    async def load(self, *, is_open: bool | None = None) -> None:
        """Serve what was served when the gateway last ran, if it ever did.

        ``is_open`` says whether callers need a token, where that was changed since.
        """
        if self._path.exists():
            body = self._path.read_bytes()
            table = routes.decode(body)
            if is_open is not None:
                table = structs.replace(table, auth=structs.replace(table.auth, open=is_open))
            self._serve(table, body, await self._load_compiled(table))

    async def replace(self, body: bytes) -> str:
        """Check a new table, put it on disk, and serve it to all requests to come; raises Invalid.

        Returns why it could not be put on disk, or nothing: a full disk must not stand against a rollback.
        """
        table = routes.decode(body)
        async with self._writing:
            problem = ""
            try:
                await asyncio.to_thread(write_atomically, self._path, body)
            except OSError as error:
                problem = str(error)
            self._serve(table, body, await self._load_compiled(table))
        self.told.set()
        return problem

    async def _load_compiled(self, table: RouteTable) -> dict[tuple[str, str], Compiled | str]:
        """Load what the table wants in this process and what is not here yet; a text says why it cannot be."""
        loaded: dict[tuple[str, str], Compiled | str] = {}
        for name, endpoint in table.endpoints.items():
            for version in endpoint.versions:
                live = self._versions.get((name, version.version))
                if version.compiled is None or (
                    live is not None
                    and live.compiled is not None
                    and live.route.compiled == version.compiled
                    and live.signature == endpoint.signature
                ):
                    continue
                try:
                    loaded[name, version.version] = await asyncio.to_thread(
                        self._load, Path(version.compiled), endpoint.signature
                    )
                except ModelNotLoaded as error:
                    loaded[name, version.version] = error.message
        return loaded

    def endpoint(self, name: str) -> LiveEndpoint:
        found = self.endpoints.get(name)
        if found is None:
            raise EndpointNotFound(f"there is no endpoint {name!r}.{did_you_mean(name, self.endpoints)}")
        return found

    def named(self, name: str | None) -> LiveEndpoint:
        """Return an endpoint, or the default one for addresses that name none; raises EndpointNotFound."""
        if name is None:
            if self.default is None:
                raise EndpointNotFound(
                    f"this address names no endpoint, and there are {len(self.endpoints)}: "
                    "ask /v2/models/ENDPOINT/infer"
                )
            name = self.default
        return self.endpoint(name)

    def _serve(self, table: RouteTable, body: bytes, loaded: dict[tuple[str, str], Compiled | str]) -> None:
        now = now_us()
        endpoints: dict[str, LiveEndpoint] = {}
        for name, route in table.endpoints.items():
            versions: dict[str, LiveVersion] = {}
            for version in route.versions:
                live = self._versions.get((name, version.version))
                if live is None:
                    live = self._versions[name, version.version] = LiveVersion(name, version, self._replicas)
                elif live.left_us is not None:
                    live.left_us = None
                    live.pool = Pool(self._replicas)
                live.route = version
                live.pool.asleep = version.asleep
                live.pool.set(version.sockets)
                live.signature = route.signature
                live.take(loaded.get((name, version.version)))
                versions[version.version] = live
                live.pool.protect(route.policies)
            guard = self._guard(name, route)
            served = endpoints[name] = LiveEndpoint(
                name, route, versions, self._schema(name, route), guard=guard
            )
            before = self.endpoints.get(name)
            if before is None or before.split != served.split:
                for live in served.split:  # another comparison begins, in which every key counts again
                    live.keys = None
        for (name, version), live in list(self._versions.items()):
            if name in endpoints and version in endpoints[name].versions:
                continue
            if live.left_us is None:
                live.left_us = now
                live.compiled = None
                live.pool.retire()
            elif now - live.left_us > _KEPT_US and not live.counters.in_flight:
                del self._versions[name, version]
        for name in self._guards.keys() - endpoints.keys():
            del self._guards[name]
        self.endpoints = endpoints
        only = next(iter(endpoints)) if len(endpoints) == 1 else None
        self.default = table.default if table.default in endpoints else only
        self.access = Access(table.auth)
        self.aliases = table.aliases
        self.generation = table.generation
        self.route_table = body

    def _guard(self, name: str, route: routes.Endpoint) -> Guard | None:
        """Return what stands before an endpoint; nothing does where nothing was set."""
        policies = route.policies
        if name not in self._guards:
            if policies == settings.DEFAULT:
                return None
            self._guards[name] = Guard(name, self.ledger)
        guard = self._guards[name]
        if policies.fields and not self._hash_key:
            try:
                self._hash_key = hash_key(self._path.with_name("hash.key"))
            except OSError:
                # What was to be hidden stays hidden: the hashes of this process only agree with each other.
                self._hash_key = secrets.token_bytes(32)
        key = self._hash_key
        guard.configure(policies, hash_key=key, now=monotonic())
        return guard if guard.active else None

    def _schema(self, name: str, route: routes.Endpoint) -> Schema:
        """Return the compiled signature, that of before where it has not changed."""
        before = self.endpoints.get(name)
        if before is not None and before.schema.signature == route.signature:
            return before.schema
        schema = Schema(route.signature)
        mlflow.prepare(schema)
        return schema

    def state(self) -> dict[str, EndpointState]:
        """Return the counters of all versions that are served, or were a short while ago."""
        states: dict[str, EndpointState] = {}
        for name in self.endpoints:
            entry = states[name] = EndpointState({}, self.invalid.get(name, 0), shed=self.shed.get(name, 0))
            guard = self._guards.get(name)
            if guard is not None:
                entry.limited = guard.limited
            if guard is not None and guard.cache is not None:
                cache = guard.cache
                entry.cache_hits, entry.cache_misses = cache.hits, cache.misses
                entry.cache_bytes = cache.bytes
        for (name, version), live in self._versions.items():
            entry = states.setdefault(name, EndpointState(versions={}, invalid=self.invalid.get(name, 0)))
            entry.versions[version] = live.state()
        return states
