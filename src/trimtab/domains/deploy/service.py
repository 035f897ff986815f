"""Endpoints: deploying registered models, splitting their traffic, taking a version back in a moment."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trimtab.domains.deploy import store
from trimtab.domains.deploy.admission import check_loadable
from trimtab.domains.deploy.errors import OtherModel, VersionNotServed
from trimtab.domains.deploy.model import Change, Endpoint, Served, roll_back, split
from trimtab.domains.deploy.reports import Reports
from trimtab.domains.deploy.rollouts.service import Rollouts
from trimtab.domains.deploy.settings.service import Settings
from trimtab.domains.govern import GovernService
from trimtab.domains.govern.model import check_reason
from trimtab.domains.lineage import LineageService
from trimtab.domains.registry import RegistryService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Where
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, Invalid
from trimtab.kernel.names import is_name
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


class DeployService(Reports):
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
        super().__init__(db, bus, govern=govern)
        self._lineage = lineage
        self._registry = registry
        self.rollouts = Rollouts(db, bus, jobs, govern=govern, registry=registry, endpoints=self)
        self.settings = Settings(db, bus, govern=govern, registry=registry, endpoints=self)

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
        check_reason(reason)
        if not is_name(name):
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
        check_reason(reason)
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
        check_reason(reason)
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
        """Stop an endpoint, or one version of it that gets no requests and waits in no rollout."""
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
                if self.rollouts.challenger(tx, name) == version:
                    raise Conflict(f"Version {version} waits in a rollout: end that first.", field="version")
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
