"""Who answers at an endpoint: every change of it, inside one transaction, with its history, audit and event."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trimtab.domains.deploy import store
from trimtab.domains.deploy.errors import EndpointNotFound
from trimtab.domains.deploy.events import TrafficChanged
from trimtab.domains.deploy.model import Action, Change, Endpoint, Served, prune, split
from trimtab.domains.deploy.rollouts.service import Rollouts
from trimtab.domains.govern import GovernService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.errors import did_you_mean
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


class Traffic:
    """The versions at endpoints and their shares."""

    rollouts: Rollouts
    """A change by hand ends the one that runs."""

    def __init__(self, db: Database, bus: Bus, *, govern: GovernService) -> None:
        self._db = db
        self._bus = bus
        self._govern = govern
        self._follow: Callable[[], None] = _nothing
        self._compiled: Callable[[str, str], None] = _nothing

    def followed_by(
        self, apply: Callable[[], None], *, compiled: Callable[[str, str], None] | None = None
    ) -> None:
        """Have these called after each committed change, and of a version after it was compiled, by the data plane."""
        self._follow, self._compiled = apply, compiled or _nothing

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


def _nothing(*_: str) -> None:
    """What follows a change in a process without a data plane: the server's notices by itself."""
