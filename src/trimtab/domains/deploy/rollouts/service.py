"""Rollouts: a challenger takes its share of the requests by a plan until it is promoted or rolled back.

What is next is decided by `strategies` whenever the judge has spoken or a bake time is over, and done by `course`; that
moment is a durable job, so that a rollout goes on after the server was restarted.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from trimtab.domains.deploy import store
from trimtab.domains.deploy.errors import FourEyes, NotReady, RolloutNotFound, RolloutOver, RolloutRunning
from trimtab.domains.deploy.events import RolloutApproved
from trimtab.domains.deploy.model import JudgeSaid, Rollout, RolloutState
from trimtab.domains.deploy.rollouts.candidates import Candidates
from trimtab.domains.deploy.rollouts.course import Course
from trimtab.domains.deploy.rollouts.plans import Plan, judge_rules
from trimtab.domains.govern import GovernService
from trimtab.domains.govern.model import MOST_REASON, check_reason
from trimtab.domains.registry import RegistryService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Duplicate, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

if TYPE_CHECKING:
    from trimtab.domains.deploy.service import DeployService

_APPROVERS = ("approver", "admin")


class Rollouts:
    """One rollout at a time for an endpoint; each of its acts is audited with its evidence."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        jobs: Jobs,
        *,
        govern: GovernService,
        registry: RegistryService,
        endpoints: "DeployService",
    ) -> None:
        self._db = db
        self._govern = govern
        self._registry = registry
        self._endpoints = endpoints
        self._candidates = Candidates(registry, endpoints)
        self._course = Course(bus, jobs, govern=govern, endpoints=endpoints)

    def list(
        self,
        who: Principal,
        *,
        endpoint: str | None = None,
        state: RolloutState | None = None,
        limit: int | None = None,
    ) -> list[Rollout]:
        """Return rollouts, newest first."""
        self._govern.permit(who, "read", "rollouts")
        size = check_limit(limit)
        with self._db.read() as tx:
            return store.rollouts(tx, where=Where().equals(endpoint=endpoint, state=state), limit=size)

    def get(self, who: Principal, rollout_id: str) -> Rollout:
        """Return a rollout; raises RolloutNotFound."""
        self._govern.permit(who, "read", refs.make("rollout", rollout_id))
        with self._db.read() as tx:
            return _get(tx, rollout_id)

    def start(
        self,
        who: Principal,
        endpoint: str,
        challenger: str,
        *,
        plan: Plan | None = None,
        policy: dict[str, Any] | None = None,
        allow_pickle: bool = False,
        reason: str = "",
        episode_id: str | None = None,
    ) -> Rollout:
        """Begin a rollout of a version, or of ``models:/NAME/VERSION``; one that is not served yet is loaded first.

        Where the plan or the rules of its environment ask for it, somebody else has to approve before the first request.
        Raises Invalid, EnvironmentRule, NotReady without a champion, and RolloutRunning where one is under way.
        """
        self._govern.permit(who, "write", refs.make("endpoint", endpoint))
        check_reason(reason)
        settled = (plan or Plan()).settled()
        rules = judge_rules(policy or {}, settled.strategy)
        before = self._endpoints.endpoint(who, endpoint)
        if before.champion is None:
            raise NotReady(f"Endpoint {endpoint} has no champion yet: deploy the first version.")
        version = self._candidates.version(who, before, challenger)
        if version == before.champion:
            raise NotReady(f"Version {version} is the champion of {endpoint} already.")
        environment = self._registry.check_entry(who, before.model, settled.environment, int(version))
        if environment is not None and environment.role in _APPROVERS:
            settled = msgspec.structs.replace(settled, approval=True)
        if self.list(who, endpoint=endpoint, state="running"):
            raise RolloutRunning(f"Endpoint {endpoint} has a rollout under way.")
        self._candidates.load(who, before, version, allow_pickle=allow_pickle, reason=reason)
        compiling = self._candidates.is_compiling(who, before, version)
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{endpoint}")
            champion = self._endpoints.find(tx, endpoint).champion
            if champion is None or champion == version:
                raise NotReady(f"Version {version} cannot challenge: the champion is {champion}.")
            rollout = Rollout(
                id=new_id("ro_"),
                endpoint=endpoint,
                champion=champion,
                challenger=version,
                state="running",
                policy=rules,
                steps=[],
                judge=[],
                judged_us=None,
                started_us=now_us(),
                ended_us=None,
                reason=reason,
                actor=who.id,
                episode_id=episode_id,
                plan=settled,
                phase="warming",
            )
            try:
                store.put_rollout(tx, rollout)
            except Duplicate as error:
                raise RolloutRunning(f"Endpoint {endpoint} has a rollout under way.") from error
            self._course.audit(
                tx, who, rollout, "start", {"plan": msgspec.to_builtins(settled), "reason": reason}
            )
            return self._course.go_on(tx, who, rollout, compiling=compiling)

    def approve(self, who: Principal, rollout_id: str, *, reason: str = "") -> Rollout:
        """Agree to a rollout that somebody else started; raises FourEyes for the one who did."""
        self._govern.permit(who, "approve", refs.make("rollout", rollout_id))
        check_reason(reason)
        before = self.get(who, rollout_id)
        endpoint = self._endpoints.endpoint(who, before.endpoint)
        model, version = endpoint.model, int(before.challenger)
        environment = self._registry.check_entry(who, model, before.plan.environment, version)
        compiling = self._candidates.is_compiling(who, endpoint, before.challenger)
        if environment is not None and environment.role == "admin":
            self._govern.permit(who, "admin", f"the environment {environment.name} of {refs.model(model)}")
        if who.id == before.actor:
            raise FourEyes("Somebody other than the one who started a rollout has to approve it.")
        with self._db.write() as tx:
            rollout = self._running(tx, rollout_id)
            if not rollout.plan.approval or rollout.approved_by is not None:
                raise Conflict(f"Rollout {rollout_id} does not wait for an approval.")
            approved = msgspec.structs.replace(rollout, approved_by=who.id, approved_us=now_us())
            self._course.audit(tx, who, approved, "approve", {"started_by": rollout.actor, "reason": reason})
            event = RolloutApproved(
                endpoint=rollout.endpoint, rollout=rollout.id, challenger=rollout.challenger, reason=reason
            )
            self._course.emit(tx, who, event, rollout.endpoint)
            return self._course.go_on(tx, who, approved, compiling=compiling)

    def judged(
        self,
        who: Principal,
        rollout_id: str,
        evidence: Sequence[dict[str, Any]],
        *,
        action: Literal["continue", "promote", "rollback"] = "continue",
        reason: str = "",
        at_us: int | None = None,
        event_us: int = 0,
    ) -> Rollout:
        """Keep the newest evidence of each test and do what follows from it, in one transaction.

        ``at_us`` is when it was weighed, by default now; what is older than the evidence kept so far changes nothing.
        """
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        weighed = at_us or now_us()
        with self._db.write() as tx:
            rollout = self._locked(tx, rollout_id)
            if rollout.state != "running" or weighed < (rollout.judged_us or 0):
                return rollout
            judged = msgspec.structs.replace(
                rollout,
                judge=list(evidence),
                judged_us=weighed,
                verdict=JudgeSaid(action, reason, event_us),
            )
            store.put_rollout(tx, judged)
            return self._course.follow_plan(tx, who, judged)

    def advance(self, who: Principal, rollout_id: str) -> Rollout:
        """Take the step that is due by now, if there is one."""
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        before = self.get(who, rollout_id)
        if before.state != "running":
            return before
        compiling = self._candidates.is_compiling(
            who, self._endpoints.endpoint(who, before.endpoint), before.challenger
        )
        with self._db.write() as tx:
            rollout = self._locked(tx, rollout_id)
            if rollout.state != "running":
                return rollout
            if rollout.phase == "step":
                return self._course.follow_plan(tx, who, rollout)
            return self._course.go_on(tx, who, rollout, compiling=compiling)

    def promote(self, who: Principal, rollout_id: str, *, reason: str) -> Rollout:
        """Make the challenger the champion at once; the former champion stays warm. Raises NeedsApproval, NotReady."""
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        check_reason(reason)
        with self._db.write() as tx:
            return self._course.promote(tx, who, self._running(tx, rollout_id), reason)

    def roll_back(self, who: Principal, rollout_id: str, *, reason: str) -> Rollout:
        """Give all requests back to the champion, at once."""
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        check_reason(reason)
        with self._db.write() as tx:
            return self._course.back(tx, who, self._running(tx, rollout_id), "rolled-back", reason)

    def abort(self, who: Principal, rollout_id: str, *, reason: str) -> Rollout:
        """End a rollout without a judgement on its challenger; the champion answers all requests."""
        self._govern.permit(who, "write", refs.make("rollout", rollout_id))
        check_reason(reason)
        with self._db.write() as tx:
            return self._course.back(tx, who, self._running(tx, rollout_id), "aborted", reason)

    def version_ready(self, who: Principal, endpoint: str, version: str) -> None:
        """Go on with the rollout that waited for a version to answer."""
        self._govern.permit(who, "write", refs.make("endpoint", endpoint))
        compiling = self._candidates.is_compiling(who, self._endpoints.endpoint(who, endpoint), version)
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{endpoint}")
            rollout = store.running_rollout(tx, endpoint=endpoint)
            if rollout is not None and rollout.challenger == version and rollout.phase == "warming":
                self._course.go_on(tx, who, rollout, compiling=compiling)

    def version_failed(self, who: Principal, endpoint: str, version: str, *, error: str) -> None:
        """End the rollout of a version that cannot be loaded, or whose replicas do not stay up."""
        self._govern.permit(who, "write", refs.make("endpoint", endpoint))
        with self._db.write() as tx:
            tx.lock(f"deploy.endpoint:{endpoint}")
            rollout = store.running_rollout(tx, endpoint=endpoint)
            if rollout is not None and rollout.challenger == version:
                state = "rolled-back" if rollout.steps else "aborted"
                self._course.back(
                    tx, who, rollout, state, f"version {version} does not run: {error}"[:MOST_REASON]
                )

    def is_running(self, tx: Tx, endpoint: str) -> bool:
        """Whether a rollout of the endpoint is under way."""
        return store.running_rollout(tx, endpoint=endpoint) is not None

    def challenger(self, tx: Tx, endpoint: str) -> str | None:
        """Return the version that challenges in the endpoint's running rollout, None where there is none."""
        rollout = store.running_rollout(tx, endpoint=endpoint)
        return rollout.challenger if rollout is not None else None

    def end_running(self, tx: Tx, who: Principal, endpoint: str, *, state: RolloutState, reason: str) -> None:
        """End the endpoint's running rollout, if there is one, in the caller's transaction, which sets the traffic."""
        rollout = store.running_rollout(tx, endpoint=endpoint)
        if rollout is not None:
            self._course.end(tx, who, rollout, state=state, reason=reason)

    def _locked(self, tx: Tx, rollout_id: str) -> Rollout:
        """Return a rollout as it stands once nobody else can change its endpoint."""
        tx.lock(f"deploy.endpoint:{_get(tx, rollout_id).endpoint}")
        return _get(tx, rollout_id)

    def _running(self, tx: Tx, rollout_id: str) -> Rollout:
        rollout = self._locked(tx, rollout_id)
        if rollout.state != "running":
            raise RolloutOver(f"Rollout {rollout_id} has ended already: {rollout.state}.")
        return rollout


def _get(tx: Tx, rollout_id: str) -> Rollout:
    found = store.rollouts(tx, where=Where().equals(id=rollout_id), limit=1)
    if not found:
        raise RolloutNotFound(f"There is no rollout {rollout_id}.")
    return found[0]
