"""What happens to a rollout, in the transaction of whoever makes it happen: its phases, steps and ends.

Each is stored, audited with its evidence and announced; the traffic is shifted in the same transaction.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from trimtab.domains.deploy import store
from trimtab.domains.deploy.errors import NeedsApproval
from trimtab.domains.deploy.events import ApprovalAsked, RolloutEnded, RolloutStarted, RolloutStepped
from trimtab.domains.deploy.model import Rollout, RolloutState, Step
from trimtab.domains.deploy.rollouts import strategies
from trimtab.domains.govern import GovernService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Tx
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.events import Event
from trimtab.kernel.time import SECOND_US, now_us
from trimtab.kernel.who import Principal

if TYPE_CHECKING:
    from trimtab.domains.deploy.service import DeployService

ADVANCE = "deploy.advance"
_LONGEST_COMPILATION_US = 120 * SECOND_US
_MOST_STEPS = 200  # that a rollout keeps; the history of the endpoint has all of them


class Course:
    """How rollouts go on and end. Permission was asked for by whoever calls."""

    def __init__(self, bus: Bus, jobs: Jobs, *, govern: GovernService, endpoints: "DeployService") -> None:
        self._bus = bus
        self._jobs = jobs
        self._govern = govern
        self._endpoints = endpoints

    def go_on(self, tx: Tx, who: Principal, rollout: Rollout, *, compiling: bool) -> Rollout:
        """Store the phase that a rollout without a share is in now, and give it its first share where it may have one."""
        one = self._endpoints.find(tx, rollout.endpoint).find(rollout.challenger)
        if one.state == "failed":
            return self.end(
                tx, who, rollout, state="aborted", reason=f"version {rollout.challenger}: {one.error}"
            )
        now = now_us()
        compiling = compiling and now < rollout.started_us + _LONGEST_COMPILATION_US
        if one.state != "ready" or compiling:
            waiting = msgspec.structs.replace(rollout, phase="warming")
            store.put_rollout(tx, waiting)
            if compiling:
                self._look_again(tx, waiting, now + SECOND_US)
            return waiting
        if rollout.plan.approval and rollout.approved_by is None:
            waiting = msgspec.structs.replace(rollout, phase="approval")
            store.put_rollout(tx, waiting)
            event = ApprovalAsked(
                endpoint=rollout.endpoint,
                rollout=rollout.id,
                challenger=rollout.challenger,
                actor=rollout.actor,
                environment=rollout.plan.environment,
            )
            self.emit(tx, who, event, rollout.endpoint)
            return waiting
        weight = rollout.plan.steps[0]
        begun = msgspec.structs.replace(rollout, phase="step")
        begun = self._step(tx, who, begun, weight, reason=rollout.reason or f"{rollout.plan.strategy} begins")
        event = RolloutStarted(
            endpoint=rollout.endpoint,
            rollout=rollout.id,
            champion=rollout.champion,
            challenger=rollout.challenger,
            episode=rollout.episode_id,
            strategy=rollout.plan.strategy,
            weight=weight,
            reason=rollout.reason,
        )
        self.emit(tx, who, event, rollout.endpoint)
        if rollout.plan.patience_us is not None:
            self._look_again(tx, rollout, rollout.started_us + rollout.plan.patience_us)
        return begun

    def follow_plan(self, tx: Tx, who: Principal, rollout: Rollout) -> Rollout:
        """Do what the plan says by now, if that is anything."""
        act = strategies.decide(rollout, now_us())
        if act is None:
            return rollout
        if act.kind == "promote":
            return self.promote(tx, who, rollout, act.reason)
        if act.kind != "step":
            return self.back(tx, who, rollout, "passed" if act.kind == "pass" else "rolled-back", act.reason)
        event = RolloutStepped(
            endpoint=rollout.endpoint,
            rollout=rollout.id,
            challenger=rollout.challenger,
            weight=act.weight,
            reason=act.reason,
            episode=rollout.episode_id,
        )
        self.emit(tx, who, event, rollout.endpoint)
        return self._step(tx, who, rollout, act.weight, reason=act.reason)

    def _step(self, tx: Tx, who: Principal, rollout: Rollout, weight: float, *, reason: str) -> Rollout:
        """Give the challenger a share, and have the rollout looked at when it has baked."""
        step = Step(weight, now_us(), strategies.seen(rollout))
        before = (
            rollout.steps[:1] + rollout.steps[1:][-_MOST_STEPS:]
        )  # a bandit takes steps for as long as it runs
        stepped = msgspec.structs.replace(rollout, steps=[*before, step])
        store.put_rollout(tx, stepped)
        weights, copies, champion = strategies.traffic(rollout, weight)
        self._endpoints.shift(
            tx,
            who,
            rollout.endpoint,
            weights,
            action="canary",
            reason=reason,
            champion=champion,
            copies=copies,
        )
        detail = {"weight": weight, "reason": reason, "evidence": rollout.judge}
        self.audit(tx, who, stepped, "step", detail)
        due = strategies.due_us(stepped)
        if due is not None:
            self._look_again(tx, rollout, due)
        return stepped

    def _look_again(self, tx: Tx, rollout: Rollout, due_us: int) -> None:
        key = f"{rollout.id}:{due_us}"
        self._jobs.enqueue(tx, ADVANCE, {"rollout": rollout.id}, due_us=due_us, dedupe_key=key)

    def promote(self, tx: Tx, who: Principal, rollout: Rollout, reason: str) -> Rollout:
        """Make the challenger the champion; raises NeedsApproval, and NotReady where it does not answer."""
        if rollout.plan.approval and rollout.approved_by is None:
            raise NeedsApproval(f"Rollout {rollout.id} has to be approved by somebody else first.")
        self._endpoints.shift(
            tx,
            who,
            rollout.endpoint,
            {rollout.challenger: 100.0},
            action="promote",
            reason=reason,
            champion=rollout.challenger,
        )
        return self.end(tx, who, rollout, state="promoted", reason=reason)

    def back(self, tx: Tx, who: Principal, rollout: Rollout, state: RolloutState, reason: str) -> Rollout:
        """Give all requests back to the champion, and end the rollout in this state."""
        if rollout.steps:
            self._endpoints.shift(
                tx,
                who,
                rollout.endpoint,
                {rollout.champion: 100.0},
                action="canary" if state == "passed" else "rollback",
                reason=reason,
                champion=rollout.champion,
            )
        return self.end(tx, who, rollout, state=state, reason=reason)

    def end(self, tx: Tx, who: Principal, rollout: Rollout, *, state: RolloutState, reason: str) -> Rollout:
        """End a rollout in this state, without a word on the traffic."""
        ended = msgspec.structs.replace(rollout, state=state, ended_us=now_us(), reason=reason)
        store.put_rollout(tx, ended)
        self.audit(tx, who, ended, state, {"state": state, "reason": reason, "evidence": rollout.judge})
        event = RolloutEnded(
            endpoint=rollout.endpoint,
            rollout=rollout.id,
            champion=rollout.champion,
            challenger=rollout.challenger,
            state=state,
            reason=reason,
            episode=rollout.episode_id,
            event_us=rollout.verdict.event_us,
        )
        self.emit(tx, who, event, rollout.endpoint)
        return ended

    def audit(self, tx: Tx, who: Principal, rollout: Rollout, act: str, detail: dict[str, Any]) -> None:
        """Note an act of a rollout in the audit trail of its endpoint."""
        subject = refs.make("endpoint", rollout.endpoint)
        known = {"rollout": rollout.id, "champion": rollout.champion, "challenger": rollout.challenger}
        self._govern.audit(tx, who, f"deploy.rollout.{act}", subject, detail={**known, **detail})

    def emit(self, tx: Tx, who: Principal, event: Event, endpoint: str) -> None:
        """Announce what happened at an endpoint."""
        self._bus.emit(tx, event, subject=refs.make("endpoint", endpoint), actor=who.id)
