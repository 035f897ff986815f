"""What the data plane and the registry tell of versions at endpoints: they run, fail, were compiled, renamed, deleted."""

import msgspec

from trimtab.domains.deploy import store
from trimtab.domains.deploy.errors import NothingToRollBackTo, NotReady
from trimtab.domains.deploy.events import EndpointDeployed, ServedVersionDeleted, VersionFailed
from trimtab.domains.deploy.model import Endpoint, roll_back
from trimtab.domains.deploy.traffic import Traffic
from trimtab.infra.db import Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.who import Principal, system

PLANE = system("deploy")


class Reports(Traffic):
    """Endpoints as their surroundings change them."""

    def plane_view(self, who: Principal) -> list[Endpoint]:
        """Return what the data plane is to serve."""
        self._govern.permit(who, "read", "endpoints")
        with self._db.read() as tx:
            return store.endpoints(tx)

    def replica_ready(self, who: Principal, name: str, version: str, *, pid: int) -> None:
        """Note that a version answers, and give it the traffic that it was deployed for."""
        self._govern.permit(who, "write", refs.make("endpoint", name))
        with self._db.write() as tx:
            endpoint = _serving(tx, name, version)
            if endpoint is None:
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
            endpoint = _serving(tx, name, version)
            if endpoint is None:
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
        """Let go of what was deleted from the registry and gets no requests; what answers goes on and is reported.

        A rollout whose challenger had no share yet ends with it.
        """
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
                challenger = self.rollouts.challenger(tx, name)
                if challenger in idle:
                    reason = f"version {challenger} was deleted from the registry"
                    self.rollouts.end_running(tx, who, name, state="aborted", reason=reason)
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


def _serving(tx: Tx, name: str, version: str) -> Endpoint | None:
    """Lock an endpoint and return it; None where it, or its version, has gone meanwhile."""
    tx.lock(f"deploy.endpoint:{name}")
    endpoint = store.endpoint(tx, name=name)
    if endpoint is None or all(one.version != version for one in endpoint.served):
        return None
    return endpoint
