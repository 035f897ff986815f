"""Rollouts: a challenger takes a growing share of the requests until it is promoted or rolled back."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from trimtab.domains.deploy import store
from trimtab.domains.deploy.errors import NotReady, RolloutNotFound, RolloutRunning
from trimtab.domains.deploy.events import RolloutEnded, RolloutStarted
from trimtab.domains.deploy.model import Rollout, RolloutState, Step
from trimtab.domains.govern import GovernService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Duplicate, Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, Invalid
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

if TYPE_CHECKING:
    from trimtab.domains.deploy.service import DeployService


class Rollouts:
    """One rollout at a time for an endpoint; each of its acts is audited with its evidence."""

    def __init__(self, db: Database, bus: Bus, *, govern: GovernService, endpoints: "DeployService") -> None:
        self._db = db
        self._bus = bus
        self._govern = govern
        self._endpoints = endpoints

    def list(
        self,
        who: Principal,
        *,
        endpoint: str | None = None,
        state: RolloutState | None = None,
        limit: int = 50,
    ) -> list[Rollout]:
        """Return rollouts, newest first."""
        self._govern.permit(who, "read", "rollouts")
        with self._db.read() as tx:
            return store.rollouts(tx, where=Where().equals(endpoint=endpoint, state=state), limit=limit)

    def get(self, who: Principal, rollout_id: str) -> Rollout:
        """Return a rollout; raises RolloutNotFound."""
        self._govern.permit(who, "read", refs.make("rollout", rollout_id))
        with self._db.read() as tx:
            return self._get(tx, rollout_id)

    def start(
        self,
        who: Principal,
        endpoint: str,
        challenger: str,
        *,
        weight: float,
        policy: dict[str, Any] | None = None,
        reason: str = "",
        episode_id: str | None = None,
    ) -> Rollout:
        """Give a ready version its first share; raises RolloutRunning where one is under way already."""
        self._govern.permit(who, "write", refs.make("endpoint", endpoint))
        if not 0 < weight < 100:
            raise Invalid("A rollout begins with a weight between 0 and 100.", field="weight")
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{endpoint}")
            before = self._endpoints.find(tx, endpoint)
            champion = before.champion
            if champion is None or champion == challenger:
                raise NotReady(f"Version {challenger} cannot challenge: the champion is {champion}.")
            now = now_us()
            rollout = Rollout(
                id=new_id("ro_"),
                endpoint=endpoint,
                champion=champion,
                challenger=challenger,
                state="running",
                policy=policy or {},
                steps=[Step(weight, now)],
                judge=[],
                judged_us=None,
                started_us=now,
                ended_us=None,
                reason=reason,
                actor=who.id,
                episode_id=episode_id,
            )
            try:
                store.put_rollout(tx, rollout)
            except Duplicate as error:
                raise RolloutRunning(f"Endpoint {endpoint} has a rollout under way.") from error
            self._shift(tx, who, rollout, weight, reason=reason or "canary begins")
            event = RolloutStarted(
                endpoint=endpoint,
                rollout=rollout.id,
                champion=champion,
                challenger=challenger,
                episode=episode_id,
            )
            self._bus.emit(tx, event, subject=refs.make("endpoint", endpoint), actor=who.id)
        return rollout

    def step(self, who: Principal, rollout_id: str, *, weight: float, reason: str = "") -> Rollout:
        """Give the challenger another share."""
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        if not 0 < weight < 100:
            raise Invalid("A step's weight is between 0 and 100; promote to give all.", field="weight")
        with self._db.write() as tx:
            rollout = self._running(tx, rollout_id)
            stepped = msgspec.structs.replace(rollout, steps=[*rollout.steps, Step(weight, now_us())])
            store.put_rollout(tx, stepped)
            self._shift(tx, who, rollout, weight, reason=reason or "next step of the canary")
        return stepped

    def judged(
        self, who: Principal, rollout_id: str, evidence: Sequence[dict[str, Any]], *, at_us: int | None = None
    ) -> Rollout:
        """Keep the newest evidence of each test; ``at_us`` is when it was weighed, by default now."""
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        with self._db.write() as tx:
            rollout = self._running(tx, rollout_id)
            judged = msgspec.structs.replace(rollout, judge=list(evidence), judged_us=at_us or now_us())
            store.put_rollout(tx, judged)
        return judged

    def promote(self, who: Principal, rollout_id: str, *, reason: str) -> Rollout:
        """Make the challenger the champion; the former champion stays warm."""
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        with self._db.write() as tx:
            rollout = self._running(tx, rollout_id)
            tx.lock(f"deploy.endpoint:{rollout.endpoint}")
            self._endpoints.shift(
                tx,
                who,
                rollout.endpoint,
                {rollout.challenger: 100.0},
                action="promote",
                reason=reason,
                champion=rollout.challenger,
            )
            return self._end(tx, who, rollout, state="promoted", reason=reason)

    def roll_back(self, who: Principal, rollout_id: str, *, reason: str) -> Rollout:
        """Give all requests back to the champion, at once."""
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        with self._db.write() as tx:
            rollout = self._running(tx, rollout_id)
            tx.lock(f"deploy.endpoint:{rollout.endpoint}")
            self._endpoints.shift(
                tx, who, rollout.endpoint, {rollout.champion: 100.0}, action="rollback", reason=reason
            )
            return self._end(tx, who, rollout, state="rolled-back", reason=reason)

    def end_running(self, tx: Tx, who: Principal, endpoint: str, *, state: RolloutState, reason: str) -> None:
        """End the endpoint's running rollout, if there is one, in the caller's transaction."""
        for rollout in store.rollouts(tx, where=Where().equals(endpoint=endpoint, state="running"), limit=1):
            self._end(tx, who, rollout, state=state, reason=reason)

    def _shift(self, tx: Tx, who: Principal, rollout: Rollout, weight: float, *, reason: str) -> None:
        weights = {rollout.champion: 100 - weight, rollout.challenger: weight}
        self._endpoints.shift(tx, who, rollout.endpoint, weights, action="canary", reason=reason)

    def _end(self, tx: Tx, who: Principal, rollout: Rollout, *, state: RolloutState, reason: str) -> Rollout:
        ended = msgspec.structs.replace(rollout, state=state, ended_us=now_us(), reason=reason)
        store.put_rollout(tx, ended)
        ref = refs.make("endpoint", rollout.endpoint)
        detail = {"rollout": rollout.id, "state": state, "reason": reason, "evidence": rollout.judge}
        self._govern.audit(tx, who, f"deploy.rollout.{state}", ref, detail=detail)
        event = RolloutEnded(
            endpoint=rollout.endpoint,
            rollout=rollout.id,
            champion=rollout.champion,
            challenger=rollout.challenger,
            state=state,
            reason=reason,
            episode=rollout.episode_id,
        )
        self._bus.emit(tx, event, subject=ref, actor=who.id)
        return ended

    def _running(self, tx: Tx, rollout_id: str) -> Rollout:
        rollout = self._get(tx, rollout_id)
        if rollout.state != "running":
            raise Conflict(f"Rollout {rollout_id} has ended already: {rollout.state}.")
        return rollout

    def _get(self, tx: Tx, rollout_id: str) -> Rollout:
        found = store.rollouts(tx, where=Where().equals(id=rollout_id), limit=1)
        if not found:
            raise RolloutNotFound(f"There is no rollout {rollout_id}.")
        return found[0]
