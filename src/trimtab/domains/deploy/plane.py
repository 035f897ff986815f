"""The server's hand on the data plane: keeps the gateway and the replicas running and their routes up to date."""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from trimtab.domains.deploy.compiled import CompiledVersions
from trimtab.domains.deploy.gateway import Gateway
from trimtab.domains.deploy.loading import InterpreterOf, Loading, always_own
from trimtab.domains.deploy.model import Endpoint, Place, Served
from trimtab.domains.deploy.scaling import Reading, Scale, Scaler
from trimtab.domains.deploy.service import DeployService
from trimtab.domains.deploy.settings.model import DEFAULT, EndpointSettings
from trimtab.domains.deploy.statistics import Traffic, last_minute
from trimtab.domains.deploy.targets.port import DEFAULT_PATIENCE_S, ReplicaSpec, ReplicaStatus, ReplicaTarget
from trimtab.domains.govern import GovernService
from trimtab.domains.registry import RegistryService
from trimtab.kernel.errors import TrimtabError
from trimtab.kernel.who import system
from trimtab.serving import routes
from trimtab.serving.stats import EndpointState, GatewayState

log = logging.getLogger(__name__)

_POLL_S = 0.1
_SAMPLE_S = 1.0
_SAMPLES = 120
_WHO = system("deploy")


class Plane:
    """One thread that makes what runs equal to what the database says; changes are pushed as they are committed."""

    def __init__(
        self,
        deploy: DeployService,
        *,
        govern: GovernService,
        registry: RegistryService,
        gateway: Gateway,
        target: ReplicaTarget,
        folder: Path,
        interpreter_of: InterpreterOf = always_own,
    ) -> None:
        self._deploy = deploy
        self._govern = govern
        self._registry = registry
        self._target = target
        self._loading = Loading(registry, folder / "models", interpreter_of)
        self._gateway = gateway
        self._ready: dict[tuple[str, str], ReplicaStatus] = {}
        self._compiled = CompiledVersions(registry, folder / "compiled")
        self._loaded: set[tuple[str, str]] = set()
        """The versions that the gateway runs itself."""
        self._scales: dict[str, Scale] = {}
        self._patience_s: dict[str, float] = {}
        self._scalers: dict[tuple[str, str], Scaler] = {}
        self._explained: set[str] = set()
        """The endpoints beside whose compiled models the native ones are kept."""
        self._pushed: bytes | None = None
        self._routed: frozenset[tuple[str, str]] = frozenset()
        self._generation = 0
        self._push_lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self.left: list[ReplicaSpec] | None = None
        """What ran when it stopped, if the routes that hold are on disk then."""
        self.samples: deque[tuple[float, GatewayState]] = deque(maxlen=_SAMPLES)
        self._thread = threading.Thread(target=self._run, name="data-plane", daemon=True)

    def start(self) -> None:
        """Start the gateway, then everything that was served before."""
        self._deploy.followed_by(self.apply, compiled=self.compiled_anew)
        self._govern.followed_by(self.apply)
        self._thread.start()

    def stop(self) -> None:
        """Let the gateway finish what it has, then end the replicas."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(30.0)

    def apply(self) -> None:
        """Push the routes of what is ready now; what is not ready yet follows by itself."""
        try:
            self._push()
        except TrimtabError as error:
            log.warning("routes not pushed", extra={"error": str(error)})
        self._wake.set()

    def compiled_anew(self, model: str, version: str) -> None:
        """Take up what a version was compiled to, at once."""
        self._compiled.forget(model, version)
        self._wake.set()

    def is_routed(self, endpoint: str, version: str) -> bool:
        """Say whether requests find a version that is ready: it is stored as ready a moment before they do."""
        return (endpoint, version) in self._routed

    def runtime(self, endpoint: str, version: str) -> Place | None:
        """Return where a version answers, None while it does not."""
        if (endpoint, version) not in self._routed:
            return None
        return "compiled" if (endpoint, version) in self._loaded else "process"

    def replicas(self, endpoint: str, version: str) -> int:
        """Return how many processes of a version answer now."""
        if not self.samples or (endpoint, version) not in self._routed:
            return 0
        found = self.samples[-1][1].endpoints.get(endpoint)
        counted = found.versions.get(version) if found is not None else None
        return sum(counted.replicas.values()) if counted is not None else 0

    def last_minute(self, endpoint: str, version: str | None = None) -> Traffic:
        """Return what an endpoint, or one version of it, did in the last minute."""
        return last_minute(list(self.samples), endpoint, version)

    def newest(self, endpoint: str) -> EndpointState | None:
        """Return what the gateway last said of an endpoint."""
        return self.samples[-1][1].endpoints.get(endpoint) if self.samples else None

    def replica(self, endpoint: str, version: str) -> ReplicaStatus | None:
        """Return how a version's own process does, None where it has none that answers."""
        return self._ready.get((endpoint, version))

    def log_tail(self, endpoint: str, version: str, lines: int) -> list[str]:
        """Return the last lines that a version's replica wrote."""
        return self._target.log_tail((endpoint, version), lines)

    def _run(self) -> None:
        sampled = 0.0
        try:
            while not self._stopping.is_set():
                try:
                    if self._gateway.keep():
                        self._pushed = None
                        self._loaded.clear()
                        self._follow_all(self._deploy.plane_view(_WHO))  # they load while it starts
                    self._gateway.wait_ready()
                    self._reconcile()
                    if time.monotonic() - sampled >= _SAMPLE_S:
                        sampled = time.monotonic()
                        self.samples.append((sampled, self._gateway.control.state()))
                        self._read_load(self.samples[-1][1])
                    elif any(not scaler.wanted for scaler in self._scalers.values()):
                        self._read_load(self._gateway.control.state())  # somebody may knock
                except TrimtabError as error:
                    log.warning("data plane not reconciled", extra={"error": str(error)})
                    self._stopping.wait(0.2)
                self._wake.wait(_POLL_S)
                self._wake.clear()
            self.left = self._leave()
        finally:
            self._gateway.end()
            self._target.close()

    def _leave(self) -> list[ReplicaSpec] | None:
        """Have the routes on disk be those that hold, for the next server to begin with, and return what runs."""
        try:
            self._push()
        except TrimtabError:
            return None  # the next one begins with nothing
        return self._target.specs() if self._gateway.is_current else None

    def _reconcile(self) -> None:
        endpoints = self._deploy.plane_view(_WHO)
        wanted = {(endpoint.name, one.version) for endpoint in endpoints for one in endpoint.served}
        self._follow_all(endpoints)
        gone = [key for key in self._ready if key not in wanted]
        for key in gone:
            del self._ready[key]
        for key in [key for key in self._scalers if key not in wanted]:
            del self._scalers[key]
        self._loaded &= wanted
        self._push()
        for key in self._target.running() - wanted:
            if self._idle(key):
                self._target.stop(key)

    def _follow_all(self, endpoints: list[Endpoint]) -> None:
        for endpoint in endpoints:
            for one in endpoint.served:
                self._follow(endpoint, one)

    def _follow(self, endpoint: Endpoint, one: Served) -> None:
        key = (endpoint.name, one.version)
        if one.state == "failed":
            self._target.stop(key)
            self._ready.pop(key, None)
            return
        if not one.native and self._compiled.find(endpoint.model, one.version):
            if key in self._loaded:
                self._answers_compiled(endpoint, one)
                return
            if key not in self._target.running():
                return  # the gateway is told to load it with the next push
        try:
            status = self._ensure(endpoint, one)
        except (TrimtabError, OSError) as error:
            status = ReplicaStatus("failed", error=str(error))
        match status.state:
            case "ready":
                fresh = self._ready.get(key) != status
                self._ready[key] = status
                if fresh and status.pid is not None:
                    self._deploy.replica_ready(_WHO, endpoint.name, one.version, pid=status.pid)
            case "failed":
                self._ready.pop(key, None)
                error_text = status.error or "unknown"
                self._deploy.replica_failed(_WHO, endpoint.name, one.version, error=error_text)
            case "starting" if one.state == "ready":
                before = self._ready.get(key)
                if before is None or not before.sockets:
                    self._ready[key] = (
                        status  # it was ready before a restart or its sleep: the gateway waits for it
                    )
            case _:
                pass

    def _answers_compiled(self, endpoint: Endpoint, one: Served) -> None:
        """Note that the gateway runs a version itself, and end the process that answered until then."""
        key = (endpoint.name, one.version)
        beside = self._explaining(endpoint, one) if endpoint.name in self._explained else ()
        before = self._ready.get(key)
        status = self._ready[key] = ReplicaStatus("ready", pid=self._gateway.pid, sockets=beside)
        if before is None or before.pid != status.pid:
            self._deploy.replica_ready(_WHO, endpoint.name, one.version, pid=self._gateway.pid)
        elif endpoint.name not in self._explained and key in self._target.running() and self._is_unused(key):
            self._target.stop(key)

    def _explaining(self, endpoint: Endpoint, one: Served) -> Sequence[str]:
        """Return the sockets of the native model that runs beside a compiled one, once it answers."""
        try:
            status = self._ensure(endpoint, one)
        except (TrimtabError, OSError) as error:
            log.warning("no explanations", extra={"endpoint": endpoint.name, "error": str(error)})
            return ()
        return status.sockets if status.state == "ready" else ()

    def _ensure(self, endpoint: Endpoint, one: Served) -> ReplicaStatus:
        """Have a version's own process run, and return how it does; it waits until its environment is made."""
        spec = self._loading.spec(endpoint, one)
        if spec is None:
            return ReplicaStatus("starting")
        return self._target.ensure(
            spec,
            replicas=self._replicas_wanted(spec.key),
            patience_s=self._patience_s.get(endpoint.name, DEFAULT_PATIENCE_S),
        )

    def _replicas_wanted(self, key: tuple[str, str]) -> int:
        """Return how many processes a version is to have, as its endpoint's bounds and its requests have it."""
        if key in self._loaded:
            return 1  # it only explains
        scale = self._scales.get(key[0], Scale())
        scaler = self._scalers.get(key)
        if scaler is None:
            scaler = self._scalers[key] = Scaler(scale, now_s=time.monotonic())
        scaler.rescale(scale)
        return scaler.wanted

    def _read_load(self, state: GatewayState) -> None:
        """Let every version that has processes of its own grow or shrink by what it had to do."""
        now_s = time.monotonic()
        for (name, version), scaler in self._scalers.items():
            found = state.endpoints.get(name)
            counted = found.versions.get(version) if found is not None else None
            if counted is None or (name, version) in self._loaded:
                continue
            reading = Reading(
                now_s, counted.in_flight, counted.requests, counted.latency_sum_us / 1e6, counted.knocks
            )
            before = scaler.wanted
            if scaler.read(reading) != before:
                log.info(
                    "scaled",
                    extra={"endpoint": name, "version": version, "from": before, "to": scaler.wanted},
                )

    def _push(self) -> None:
        # Read with the lock held: what was read before another's push must not undo it.
        with self._push_lock:
            endpoints = self._deploy.plane_view(_WHO)
            table = self._table(endpoints)
            content = msgspec.json.encode([table.auth, table.endpoints])
            if content != self._pushed:
                self._gateway.publish(table)
                self._pushed = content
                self._look_what_loaded(endpoints, table)
            self._routed = frozenset(
                (endpoint.name, one.version)
                for endpoint in endpoints
                for one in endpoint.served
                if one.state == "ready" and (endpoint.name, one.version) in self._ready
            )

    def _look_what_loaded(self, endpoints: list[Endpoint], table: routes.RouteTable) -> None:
        """Learn which compiled models the gateway runs now; one that it cannot load is served natively."""
        asked = {
            (name, one.version)
            for name, endpoint in table.endpoints.items()
            for one in endpoint.versions
            if one.compiled is not None
        }
        self._loaded &= asked
        if not asked:
            return
        models = {endpoint.name: endpoint.model for endpoint in endpoints}
        states = self._gateway.control.state().endpoints
        for name, version in asked:
            found = states[name].versions[version]
            if found.compiled:
                self._loaded.add((name, version))
            else:
                self._loaded.discard((name, version))
                self._compiled.refuse(models[name], version, found.problem)
        self._wake.set()

    def _table(self, endpoints: list[Endpoint]) -> routes.RouteTable:
        self._generation = max(self._generation + 1, time.time_ns() // 1_000_000)
        tokens = {
            token.digest: routes.Token(
                principal=token.name,
                role=token.role,
                expires_us=token.expires_us,
                id=token.id,
                endpoints=token.endpoints,
            )
            for token in self._govern.tokens_in_force()
        }
        auth = routes.Auth(open=self._govern.open_to_owner, tokens=tokens)
        settings = self._deploy.settings.in_force(_WHO)
        self._explained = {name for name, one in settings.items() if one.policies.explain}
        self._scales = {name: one.scale for name, one in settings.items()}
        self._patience_s = {name: one.timeout_ms / 1000 for name, one in settings.items()}
        table = {
            endpoint.name: self._endpoint(endpoint, settings.get(endpoint.name, DEFAULT))
            for endpoint in endpoints
        }
        return routes.RouteTable(
            self._generation, auth, {name: one for name, one in table.items() if one.versions}
        )

    def _endpoint(self, endpoint: Endpoint, settings: EndpointSettings) -> routes.Endpoint:
        versions: list[routes.Version] = []
        signature: routes.Signature | None = None
        for one in endpoint.served:
            status = self._ready.get((endpoint.name, one.version))
            compiled = None if one.native else self._compiled.known(endpoint.model, one.version)
            if one.state == "failed" or (status is None and compiled is None):
                continue
            role = one.role if one.weight > 0 or one.role == "champion" else "warm"
            versions.append(
                routes.Version(
                    version=one.version,
                    model=endpoint.model,
                    weight=one.weight,
                    role=role,
                    sockets=[*status.sockets, *settings.remotes.get(one.version, ())]
                    if status is not None
                    else [],
                    compiled=str(compiled) if compiled is not None else None,
                    asleep=status is not None and not status.sockets and compiled is None,
                )
            )
            if role == "champion" or signature is None:
                signature = self._loading.signature(endpoint.model, one.version)
        return routes.Endpoint(
            versions=versions,
            signature=signature,
            max_body_bytes=settings.max_body_bytes,
            timeout_ms=settings.timeout_ms,
            policies=settings.policies,
        )

    def _idle(self, key: tuple[str, str]) -> bool:
        state = self._gateway.control.state().endpoints.get(key[0])
        counted = state.versions.get(key[1]) if state else None
        return counted is None or (counted.in_flight == 0 and not counted.routed)

    def _is_unused(self, key: tuple[str, str]) -> bool:
        """Say whether no request waits for a version's process, after the gateway was told to leave it."""
        state = self._gateway.control.state().endpoints.get(key[0])
        counted = state.versions.get(key[1]) if state else None
        return counted is None or (counted.in_flight == 0 and not counted.replicas)
