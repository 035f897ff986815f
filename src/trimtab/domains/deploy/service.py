"""Endpoints: deploying registered models, splitting their traffic, taking a version back in a moment."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trimtab.domains.deploy import store
from trimtab.domains.deploy.admission import check_loadable
from trimtab.domains.deploy.errors import (
    EndpointNotFound,
    NothingToRollBackTo,
    NotReady,
    OtherModel,
    VersionNotServed,
)
from trimtab.domains.deploy.events import (
    EndpointDeployed,
    ServedVersionDeleted,
    TrafficChanged,
    VersionFailed,
)
from trimtab.domains.deploy.model import Action, Change, Endpoint, Served, prune, roll_back, split
from trimtab.domains.deploy.rollouts.service import Rollouts
from trimtab.domains.deploy.settings.service import Settings
from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.registry import RegistryService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, Invalid, did_you_mean
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal, system

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
PLANE = system("deploy")


class DeployService:
    """Endpoints and their traffic. Every change is recorded with who, when, why, before and after."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        jobs: Jobs,
        *,
        govern: GovernService,
        lineage: LineageService,
        registry: RegistryService,
    ) -> None:
        self._db = db
        self._bus = bus
        self._govern = govern
        self._lineage = lineage
        self._registry = registry
        self._follow: Callable[[], None] = _nothing
        self._compiled: Callable[[str, str], None] = _nothing
        self.rollouts = Rollouts(db, bus, jobs, govern=govern, registry=registry, endpoints=self)
        self.settings = Settings(db, bus, govern=govern, registry=registry, endpoints=self)

    def followed_by(
        self, apply: Callable[[], None], *, compiled: Callable[[str, str], None] | None = None
    ) -> None:
        """Have these called after each committed change, and of a version after it was compiled, by the data plane."""
        self._follow, self._compiled = apply, compiled or _nothing

    def endpoints(self, who: Principal) -> list[Endpoint]:
        """Return every endpoint by name."""
        self._govern.permit(who, "read", "endpoints")
        with self._db.read() as tx:
            return store.endpoints(tx)

    def endpoint(self, who: Principal, name: str) -> Endpoint:
        """Return an endpoint; raises EndpointNotFound with the nearest name."""
        self._govern.permit(who, "read", refs.make("endpoint", name))
        with self._db.read() as tx:
            return self.find(tx, name)

    def deploy(
        self,
        who: Principal,
        name: str,
        model_uri: str,
        *,
        weight: float | None = 100.0,
        allow_pickle: bool = False,
        native: bool = False,
        allow_network: bool = False,
        reason: str = "",
    ) -> Endpoint:
        """Have a registered version answer at an endpoint, which is made when it is new.

        A version whose compiled form was found equal runs in that form, unless it is to be ``native``. A model's process
        has no network; ``allow_network`` leaves it the server's, and needs an approver.
        Once the version's first replica answers it takes over ``weight`` percent of the requests: 100 replaces the
        champion, which stays warm; None or 0 only warms it up. Until then nothing changes for callers. Raises
        Invalid, ModelNotFound, OtherModel, or Forbidden for an unsafe format without ``allow_pickle``. Files that the scan
        found suspicious need an approver who says why.
        """
        self._govern.permit(who, "write", f"endpoint {name}")
        if not _NAME.fullmatch(name):
            raise Invalid("An endpoint's name has letters, digits, '.', '_' and '-' only.", field="name")
        if weight is not None and not 0 <= weight <= 100:
            raise Invalid("weight must be between 0 and 100.", field="weight")
        found = self._registry.resolve(who, model_uri)
        suspicious = check_loadable(self._govern, who, found, allow_pickle=allow_pickle, reason=reason)
        if allow_network:
            self._govern.permit(who, "approve", f"endpoint {name} with a network for its model")
        version = str(found.version)
        now = now_us()
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{name}")
            endpoint = store.endpoint(tx, name=name)
            if endpoint is None:
                endpoint = Endpoint(name, found.name, now, now, who.id, [])
                store.insert_endpoint(tx, endpoint)
            if endpoint.model != found.name:
                raise OtherModel(
                    f"Endpoint {name} serves {endpoint.model}; deploy {found.name} under another name."
                )
            served = _with_version(
                endpoint,
                version,
                activate=weight or None,
                allow_pickle=allow_pickle,
                native=native,
                allow_network=allow_network,
                now_us=now,
            )
            self._put(tx, endpoint, served, [])
            ref, model = refs.make("endpoint", name), refs.model(found.name, version)
            self._lineage.link(tx, model, ref, "served")
            detail: dict[str, Any] = {
                "model": found.name,
                "version": version,
                "weight": weight,
                "reason": reason,
            }
            if allow_network:
                detail["allow_network"] = True
            if suspicious:
                detail["overridden"] = found.strangers[:20] or ["suspicious"]
            self._govern.audit(tx, who, "deploy.endpoint.deploy", ref, detail=detail)
            self._activate(tx, endpoint.name, version, who=who, reason=reason)
        return self.endpoint(who, name)

    def traffic(
        self, who: Principal, name: str, weights: Mapping[str, float], *, reason: str = ""
    ) -> Endpoint:
        """Split the requests over versions that are ready; the weights are percent and add up to 100.

        A running rollout ends with it, as aborted.
        """
        self._govern.permit(who, "write", refs.make("endpoint", name))
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{name}")
            endpoint = self.find(tx, name)
            self._change(tx, who, endpoint, split(endpoint, weights), action="traffic", reason=reason)
            self.rollouts.end_running(
                tx, who, name, state="aborted", reason=reason or "the traffic was changed by hand"
            )
        return self.endpoint(who, name)

    def rollback(self, who: Principal, name: str, *, reason: str = "") -> Endpoint:
        """Undo the newest change of who answers, at once: the version that takes over is warm.

        A running rollout ends with it. Raises NothingToRollBackTo.
        """
        self._govern.permit(who, "write", refs.make("endpoint", name))
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{name}")
            endpoint = self.find(tx, name)
            history = store.changes(tx, where=Where().equals(endpoint=name), limit=200)
            _, served = roll_back(endpoint, history)
            self._change(tx, who, endpoint, served, action="rollback", reason=reason or "rolled back by hand")
            self.rollouts.end_running(
                tx, who, name, state="rolled-back", reason=reason or "rolled back by hand"
            )
        return self.endpoint(who, name)

    def remove(self, who: Principal, name: str, *, version: str | None = None) -> None:
        """Stop an endpoint, or one version of it that gets no requests."""
        self._govern.permit(who, "write", refs.make("endpoint", name))
        ref = refs.make("endpoint", name)
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{name}")
            endpoint = self.find(tx, name)
            if version is None:
                self.rollouts.end_running(tx, who, name, state="aborted", reason="the endpoint was removed")
                store.delete_endpoint(tx, name=name)
                self.settings.endpoint_removed(tx, name)
                self.moved(tx)
            else:
                one = endpoint.find(version)
                if one.weight > 0 and one.state == "ready":
                    raise Conflict(
                        f"Version {version} answers requests: move its traffic first.", field="version"
                    )
                kept = [each for each in endpoint.served if each.version != version]
                self._put(tx, endpoint, kept, [version])
            self._govern.audit(tx, who, "deploy.endpoint.remove", ref, detail={"version": version})

    def history(
        self, who: Principal, name: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Change]:
        """Return the changes of traffic of an endpoint, newest first; it outlives the endpoint."""
        self._govern.permit(who, "read", refs.make("endpoint", name))
        size = check_limit(limit)
        where = Where().equals(endpoint=name)
        if cursor:
            where.add("id < :before", before=cursor_key(cursor, str))
        with self._db.read() as tx:
            found = store.changes(tx, where=where, limit=size + 1)
        return page_of(found, size, key=lambda change: change.id)

    # What the data plane of the server and a rollout call, in their own name.

    def plane_view(self, who: Principal) -> list[Endpoint]:
        """Return what the data plane is to serve."""
        self._govern.permit(who, "read", "endpoints")
        with self._db.read() as tx:
            return store.endpoints(tx)

    def replica_ready(self, who: Principal, name: str, version: str, *, pid: int) -> None:
        """Note that a version answers, and give it the traffic that it was deployed for."""
        self._govern.permit(who, "write", refs.make("endpoint", name))
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{name}")
            endpoint = store.endpoint(tx, name=name)
            if endpoint is None or all(one.version != version for one in endpoint.served):
                return
            one = endpoint.find(version)
            if one.state != "ready":
                ready = msgspec.structs.replace(one, state="ready", error=None, pid=pid)
                self._put(tx, endpoint, [ready if each is one else each for each in endpoint.served], [])
                self._bus.emit(
                    tx,
                    EndpointDeployed(endpoint=name, model=endpoint.model, version=version),
                    subject=refs.make("endpoint", name),
                    actor=who.id,
                )
                self._activate(tx, name, version, who=who, reason="the new version is ready")
            elif one.pid != pid:
                store.set_pid(tx, endpoint=name, version=version, pid=pid)

    def replica_failed(self, who: Principal, name: str, version: str, *, error: str) -> None:
        """Note that a version does not run.

        Where it was the champion, the one before it that is kept warm answers again; a rollout sees to its own versions.
        """
        self._govern.permit(who, "write", refs.make("endpoint", name))
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{name}")
            endpoint = store.endpoint(tx, name=name)
            if endpoint is None or all(one.version != version for one in endpoint.served):
                return
            one = endpoint.find(version)
            failed = msgspec.structs.replace(one, state="failed", error=error, activate=None, pid=None)
            self._put(tx, endpoint, [failed if each is one else each for each in endpoint.served], [])
            self._bus.emit(
                tx,
                VersionFailed(endpoint=name, version=version, error=error),
                subject=refs.make("endpoint", name),
                actor=who.id,
            )
            if one.role == "champion" and one.weight > 0:
                self._fall_back(tx, who, name, version, error)

    def compiled_anew(self, who: Principal, model: str, version: str) -> None:
        """Have the data plane of this process take up what a version was compiled to."""
        self._govern.permit(who, "write", refs.model(model))
        self._compiled(model, version)

    def model_renamed(self, who: Principal, old_name: str, new_name: str) -> None:
        """Have endpoints that serve a model follow its new name."""
        self._govern.permit(who, "write", refs.model(new_name))
        with self._db.write() as tx:
            if store.rename_model(tx, old_name=old_name, new_name=new_name):
                self.moved(tx)

    def model_deleted(self, who: Principal, model: str, version: str | None = None) -> None:
        """Let go of what was deleted from the registry and gets no requests; what answers goes on and is reported."""
        self._govern.permit(who, "write", refs.model(model))
        with self._db.read() as tx:
            names = [each.name for each in store.endpoints(tx) if each.model == model]
        for name in names:
            with self._db.write() as tx:
                tx.lock(f"deploy.endpoint:{name}")
                endpoint = store.endpoint(tx, name=name)
                if endpoint is None or endpoint.model != model:
                    continue
                gone = [one for one in endpoint.served if version is None or one.version == version]
                idle = [one.version for one in gone if one.weight == 0 and one.version != endpoint.champion]
                if idle:
                    kept = [one for one in endpoint.served if one.version not in idle]
                    self._put(tx, endpoint, kept, idle)
                ref = refs.make("endpoint", name)
                for one in gone:
                    if one.version not in idle:
                        event = ServedVersionDeleted(
                            endpoint=name, model=model, version=one.version, weight=one.weight
                        )
                        self._bus.emit(tx, event, subject=ref, actor=who.id)

    def shift(
        self,
        tx: Tx,
        who: Principal,
        name: str,
        weights: Mapping[str, float],
        *,
        action: Action,
        reason: str,
        champion: str | None = None,
        copies: Mapping[str, float] | None = None,
    ) -> Endpoint:
        """Change the split inside a rollout's transaction, and record it. Permission was checked by the rollout."""
        endpoint = self.find(tx, name)
        served = split(endpoint, weights, champion=champion, copies=copies)
        self._change(tx, who, endpoint, served, action=action, reason=reason)
        return self.find(tx, name)

    def _fall_back(self, tx: Tx, who: Principal, name: str, version: str, error: str) -> None:
        if self.rollouts.is_running(tx, name):
            return
        endpoint = self.find(tx, name)
        try:
            _, served = roll_back(endpoint, store.changes(tx, where=Where().equals(endpoint=name), limit=200))
        except (NothingToRollBackTo, NotReady):
            return  # nobody else is there to answer
        reason = f"version {version} does not run: {error}"[:500]
        self._change(tx, who, endpoint, served, action="rollback", reason=reason)

    def _activate(self, tx: Tx, name: str, version: str, *, who: Principal, reason: str) -> None:
        endpoint = self.find(tx, name)
        one = endpoint.find(version)
        if one.state != "ready" or one.activate is None:
            return
        champion = endpoint.champion
        alone = champion is None or champion == version or one.activate == 100
        weights = {version: 100.0} if alone else {version: one.activate, champion or "": 100 - one.activate}
        self._change(tx, who, endpoint, split(endpoint, weights), action="deploy", reason=reason)
        self.rollouts.end_running(
            tx, who, name, state="aborted", reason=f"version {version} was deployed by hand"
        )

    def _change(
        self, tx: Tx, who: Principal, endpoint: Endpoint, served: list[Served], *, action: Action, reason: str
    ) -> None:
        """Store a new split with its history, audit and event; earlier champions beyond one are let go."""
        kept, removed = prune(served, keep=endpoint.champion)
        if action == "canary":
            kept, removed = served, []
        after = msgspec.structs.replace(endpoint, served=kept)
        self._put(tx, endpoint, kept, removed)
        change = Change(
            id=new_id(),
            endpoint=endpoint.name,
            at_us=now_us(),
            actor=who.id,
            action=action,
            reason=reason,
            before=endpoint.traffic(),
            after=after.traffic(),
            champion_before=endpoint.champion,
            champion_after=after.champion,
        )
        store.insert_change(tx, change)
        ref = refs.make("endpoint", endpoint.name)
        detail: dict[str, Any] = {"before": change.before, "after": change.after, "reason": reason}
        self._govern.audit(tx, who, f"deploy.endpoint.{action}", ref, detail=detail)
        event = TrafficChanged(
            endpoint=endpoint.name,
            action=action,
            traffic=change.after,
            champion=change.champion_after or "",
            reason=reason,
        )
        self._bus.emit(tx, event, subject=ref, actor=who.id)

    def _put(self, tx: Tx, endpoint: Endpoint, served: list[Served], removed: list[str]) -> None:
        store.put_served(tx, endpoint=endpoint.name, served=served, removed=removed, now_us=now_us())
        self.moved(tx)

    def moved(self, tx: Tx) -> None:
        """Have the data plane follow what the caller's transaction changes."""
        tx.after_commit(self._follow)

    def find(self, tx: Tx, name: str) -> Endpoint:
        """Return an endpoint in the caller's transaction; raises EndpointNotFound."""
        endpoint = store.endpoint(tx, name=name)
        if endpoint is None:
            known = [each.name for each in store.endpoints(tx)]
            raise EndpointNotFound(f"There is no endpoint {name!r}.{did_you_mean(name, known)}", field="name")
        return endpoint


def _with_version(
    endpoint: Endpoint,
    version: str,
    *,
    activate: float | None,
    allow_pickle: bool,
    native: bool,
    allow_network: bool,
    now_us: int,
) -> list[Served]:
    try:
        known = endpoint.find(version)
    except VersionNotServed:
        fresh = Served(
            version,
            0.0,
            "warm",
            "starting",
            activate,
            allow_pickle,
            now_us,
            native=native,
            allow_network=allow_network,
        )
        return [*endpoint.served, fresh]
    state = "starting" if known.state == "failed" else known.state
    again = msgspec.structs.replace(
        known,
        activate=activate,
        allow_pickle=allow_pickle,
        native=native,
        allow_network=allow_network,
        state=state,
        error=None,
    )
    return [again if one is known else one for one in endpoint.served]


def _nothing(*_: str) -> None:
    """What follows a change in a process without a data plane: the server's notices by itself."""
