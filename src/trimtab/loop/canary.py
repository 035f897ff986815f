"""A gated candidate is rolled out; how any rollout went is told, and everything follows the champion that it leaves.

The state of an episode moves last: what was cut off before is done again when its event is delivered again.
"""

from typing import Any

import msgspec

from trimtab.domains.alerts import AlertService
from trimtab.domains.deploy import DeployService
from trimtab.domains.deploy.events import EndpointDeployed, RolloutEnded, RolloutStarted, VersionFailed
from trimtab.domains.deploy.model import Rollout
from trimtab.domains.govern import GovernService
from trimtab.domains.monitor import MonitorService
from trimtab.domains.monitor.events import TrialJudged
from trimtab.domains.registry import RegistryService
from trimtab.infra.db import Database
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, Invalid, NotFound, TrimtabError
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import Principal
from trimtab.loop.model import ACTIVE, GATE, CanaryPolicy, Episode, StepKind
from trimtab.loop.service import LoopService, version_of
from trimtab.loop.watching import WHO, follow, watch_again

CHAMPION = "champion"


class Canary:
    """From the gate to the end of the rollout, and the telling of rollouts that people started."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        *,
        govern: GovernService,
        loop: LoopService,
        alerts: AlertService,
        deploy: DeployService,
        monitors: MonitorService,
        registry: RegistryService,
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._govern = govern
        self._loop = loop
        self._alerts = alerts
        self._deploy = deploy
        self._monitors = monitors
        self._registry = registry

    def prepare(self, episode_id: str) -> None:
        """Have the candidate rolled out; where it is the endpoint's first version it answers as soon as it is ready."""
        episode = self._loop.episode(WHO, episode_id)
        if episode.state != "warming" or episode.candidate is None or episode.rollout is not None:
            return
        if episode.champion is None:
            self._deploy.deploy(
                WHO, episode.endpoint, episode.candidate, weight=100.0, reason=f"candidate of {episode.id}"
            )
            self._released_if_ready(episode, cause_event=None)
            return
        policy = self._policy(episode.endpoint)
        try:
            rollout = self._deploy.rollouts.start(
                WHO,
                episode.endpoint,
                episode.candidate,
                plan=policy.plan(),
                policy=policy.judge,
                reason=f"canary of {episode.candidate.removeprefix('models:/')}",
                episode_id=episode.id,
            )
        except Conflict as error:
            running = self._deploy.rollouts.list(WHO, endpoint=episode.endpoint, state="running")
            if not any(one.episode_id == episode.id for one in running):
                self._not_begun(episode, error.message)
                return
            rollout = running[0]  # an earlier attempt at this job got so far
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id)
            if current.state in ("warming", "canary"):
                self._loop.move(tx, current, current.state, rollout=rollout.id)

    def on_deployed(self, record: EventRecord) -> None:
        """Close the story of an endpoint's first version when it answers."""
        event = msgspec.convert(record.data, EndpointDeployed)
        with self._db.read() as tx:
            episode = self._loop.active(tx, event.endpoint)
        if episode is not None and episode.state == "warming" and episode.champion is None:
            self._released_if_ready(episode, cause_event=record.id)

    def on_version_failed(self, record: EventRecord) -> None:
        """Close the story of an endpoint's first version when it cannot be loaded."""
        event = msgspec.convert(record.data, VersionFailed)
        with self._db.read() as tx:
            episode = self._loop.active(tx, event.endpoint)
        if episode is None or episode.state != "warming" or episode.candidate is None:
            return
        if episode.champion is None and version_of(episode.candidate) == event.version:
            self._not_begun(
                episode, event.error, title=f"Version {event.version} could not be loaded", cause=record.id
            )

    def on_started(self, record: EventRecord) -> None:
        """Tell that a challenger sees its first requests."""
        begun = msgspec.convert(record.data, RolloutStarted)
        rollout = self._deploy.rollouts.get(WHO, begun.rollout)
        share = f"{begun.weight:g} % of the requests"
        title = {
            "shadow": f"Shadow: copies of {share} to version {begun.challenger}",
            "blue-green": f"Blue/green: all requests to version {begun.challenger}",
            "ab": f"A/B: {share} to version {begun.challenger}",
            "bandit": f"Bandit: at first {share} to version {begun.challenger}",
        }.get(begun.strategy, f"Canary: {share} to version {begun.challenger}")
        with self._db.write() as tx:
            episode = self._loop.find(tx, begun.episode) if begun.episode else None
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="canary",
                state="started",
                title=title,
                detail=f"Version {begun.champion} is the champion. The judge may look at any time.",
                subject=refs.make("endpoint", begun.endpoint),
                event_us=episode.event_us if episode else None,
                episode=episode,
                data={
                    "rollout": rollout.id,
                    "weight": begun.weight,
                    "strategy": begun.strategy,
                    "started_by": rollout.actor,
                },
            )
            if episode is not None and episode.state == "warming":
                self._loop.move(tx, episode, "canary", rollout=rollout.id)

    def on_judged(self, record: EventRecord) -> None:
        """Hand the judge's evidence to the rollout, which does what follows from it by its plan."""
        judged = msgspec.convert(record.data, TrialJudged)
        self._deploy.rollouts.judged(
            WHO,
            judged.rollout,
            judged.evidence,
            action=judged.action,
            reason=judged.reason,
            at_us=record.at_us,
            event_us=judged.event_us,
        )

    def on_ended(self, record: EventRecord) -> None:
        """Tell how a rollout ended, whoever ended it, and have everything follow the champion that it leaves."""
        ended = msgspec.convert(record.data, RolloutEnded)
        rollout = self._deploy.rollouts.get(WHO, ended.rollout)
        with self._db.read() as tx:
            episode = self._loop.of_rollout(tx, ended.rollout)
            if episode is None and rollout.episode_id is not None:
                episode = self._loop.find(tx, rollout.episode_id)
        if episode is not None and episode.state not in ACTIVE:
            return  # it was told before
        by = "" if record.actor.startswith("system:") else f" by {record.actor}"
        if ended.state == "promoted":
            self._promoted(record, ended, rollout, episode, by=by)
        elif not rollout.steps and episode is not None:
            title = f"Version {ended.challenger} was not tried{by}"
            self._not_begun(episode, ended.reason, title=title, cause=record.id)
        else:
            self._went_back(record, ended, rollout, episode, by=by)

    def end_lost(self, who: Principal) -> int:
        """End the episodes whose gate is carried out by nobody any more, so that others may begin; return how many."""
        self._govern.permit(who, "write", "episodes")
        with self._db.read() as tx:
            lost = [
                episode
                for episode in self._loop.in_states(tx, "gating", "warming")
                if not self._jobs.is_under_way(tx, GATE, dedupe_key=episode.id)
                and (episode.state == "gating" or not self._is_out(episode))
            ]
        for episode in lost:
            self.not_judged(episode, "The work was given up: see the dead letters of the queue.", cause=None)
        return len(lost)

    def _is_out(self, episode: Episode) -> bool:
        """Whether a candidate that warms up is the affair of a rollout, or of the endpoint whose first version it is."""
        if episode.champion is not None or episode.candidate is None:
            return episode.rollout is not None
        try:
            self._deploy.endpoint(WHO, episode.endpoint).find(version_of(episode.candidate))
        except (NotFound, Conflict):
            return False
        return True

    def not_judged(self, episode: Episode, detail: str, *, cause: str | None) -> None:
        """Stay with the champion where the gate could come to no verdict."""
        self._not_begun(
            episode, detail, kind="gate", title="The gate could not judge the candidate", cause=cause
        )

    def _released_if_ready(self, episode: Episode, *, cause_event: str | None) -> None:
        assert episode.candidate is not None, "an episode that warms up has a candidate"
        version = version_of(episode.candidate)
        endpoint = self._deploy.endpoint(WHO, episode.endpoint)
        if endpoint.find(version).state == "ready" and endpoint.champion == version:
            self._released(episode, version, cause_event=cause_event)

    def _not_begun(
        self,
        episode: Episode,
        detail: str,
        *,
        kind: StepKind = "canary",
        title: str = "The canary did not begin",
        cause: str | None = None,
    ) -> None:
        """Stay with the champion where the candidate saw no request."""
        if self._loop.episode(WHO, episode.id).state not in ACTIVE:
            return
        watch_again(self._monitors, episode.endpoint)
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id)
            if current.state not in ACTIVE:
                return
            self._loop.step(
                tx,
                WHO,
                cause_event=cause or episode.id,
                kind=kind,
                state="failed",
                title=title,
                detail=detail,
                subject=refs.make("endpoint", episode.endpoint),
                episode=current,
            )
            self._loop.move(tx, current, "failed")

    def _released(self, episode: Episode, version: str, *, cause_event: str | None) -> None:
        """Close the story of an endpoint's first version, which had nobody to be judged against."""
        self._registry.set_alias(
            WHO, episode.model, CHAMPION, int(version), reason=f"first version of {episode.endpoint}"
        )
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id)
            if current.state != "warming":
                return
            self._loop.step(
                tx,
                WHO,
                cause_event=cause_event or episode.id,
                kind="deploy",
                state="done",
                title=f"Version {version} answers at {episode.endpoint}",
                subject=refs.make("endpoint", episode.endpoint),
                event_us=episode.event_us,
                episode=current,
            )
            self._loop.move(tx, current, "promoted")

    def _promoted(
        self, record: EventRecord, ended: RolloutEnded, rollout: Rollout, episode: Episode | None, *, by: str
    ) -> None:
        version = rollout.challenger
        model = self._deploy.endpoint(WHO, rollout.endpoint).model
        kept = ""
        try:
            self._registry.set_alias(
                WHO,
                model,
                rollout.plan.environment,
                int(version),
                reason=f"{rollout.plan.strategy} at {rollout.endpoint}: {ended.reason}"[:2000],
                evidence={"rollout": rollout.id, "judge": rollout.judge},
            )
        except (Conflict, NotFound) as error:
            kept = f" Its alias stays: {error.message}"
        try:
            follow(
                self._monitors,
                rollout.endpoint,
                champion=version,
                reference=episode.reference if episode else None,
                metrics=episode.baseline if episode else None,
            )
        except (Conflict, Invalid, NotFound) as error:
            kept += f" The monitors still watch for version {rollout.champion}: {error.message}"
        if episode is not None:
            for alert in self._alerts.find(WHO, episode_id=episode.id).items:
                self._alerts.resolve(WHO, alert.id, note=f"version {version} was promoted")
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id) if episode else None
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="promotion",
                state="done",
                title=f"Promoted version {version}{by}",
                detail=f"{ended.reason}. Version {rollout.champion} stays warm for roll-back.{kept}",
                subject=refs.make("endpoint", rollout.endpoint),
                event_us=ended.event_us or None,
                episode=current,
                data=_facts(rollout),
            )
            if current is not None:
                self._loop.move(tx, current, "promoted")

    def _went_back(
        self, record: EventRecord, ended: RolloutEnded, rollout: Rollout, episode: Episode | None, *, by: str
    ) -> None:
        ref = refs.make("endpoint", rollout.endpoint)
        title = {
            "passed": f"Version {rollout.challenger} passed as a shadow at {rollout.endpoint}",
            "aborted": f"Ended the rollout of version {rollout.challenger} at {rollout.endpoint}{by}",
        }.get(ended.state, f"Rolled back version {rollout.challenger} of {rollout.endpoint}{by}")
        if ended.state == "rolled-back" and not by:
            self._alerts.open(
                WHO,
                rule="rollout.rolled-back",
                severity="critical",
                title=title,
                detail=ended.reason,
                subject=ref,
                dedupe_key=f"rollout:{rollout.id}",
                data={"rollout": rollout.id},
                episode_id=episode.id if episode else None,
                cause=record.id,
            )
        if episode is not None:
            watch_again(self._monitors, episode.endpoint)
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id) if episode else None
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="canary" if ended.state == "passed" else "rollback",
                state="passed" if ended.state == "passed" else "done",
                title=title,
                detail=ended.reason,
                subject=ref,
                event_us=ended.event_us or None,
                episode=current,
                data=_facts(rollout),
            )
            if current is not None:
                self._loop.move(tx, current, "rolled-back")

    def _policy(self, endpoint: str) -> CanaryPolicy:
        try:
            return self._loop.policy(WHO, endpoint).canary
        except TrimtabError:
            return CanaryPolicy()


def _facts(rollout: Rollout) -> dict[str, Any]:
    return {
        "rollout": rollout.id,
        "strategy": rollout.plan.strategy,
        "champion": rollout.champion,
        "challenger": rollout.challenger,
        "judge": rollout.judge,
    }
