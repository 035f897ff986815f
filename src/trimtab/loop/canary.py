"""A gated candidate takes a share of the live requests until the judge promotes it or sends it back."""

from typing import Any

import msgspec

from trimtab.domains.alerts import AlertService
from trimtab.domains.deploy import DeployService
from trimtab.domains.deploy.events import EndpointDeployed, RolloutEnded, VersionFailed
from trimtab.domains.deploy.model import Rollout
from trimtab.domains.monitor import MonitorService
from trimtab.domains.monitor.events import TrialJudged
from trimtab.domains.monitor.model import Baseline
from trimtab.domains.registry import RegistryService
from trimtab.infra.db import Database
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, TrimtabError
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import system
from trimtab.loop.model import CanaryPolicy, Episode
from trimtab.loop.service import LoopService, version_of

WHO = system("loop")
CHAMPION = "champion"


class Canary:
    """From the gate to the verdict of the judge."""

    def __init__(
        self,
        db: Database,
        *,
        loop: LoopService,
        alerts: AlertService,
        deploy: DeployService,
        monitors: MonitorService,
        registry: RegistryService,
    ) -> None:
        self._db = db
        self._loop = loop
        self._alerts = alerts
        self._deploy = deploy
        self._monitors = monitors
        self._registry = registry

    def prepare(self, episode_id: str) -> None:
        """Warm the candidate up beside the champion; the canary begins when it is ready."""
        episode = self._loop.episode(WHO, episode_id)
        if episode.state != "warming" or episode.candidate is None:
            return
        self._deploy.deploy(
            WHO,
            episode.endpoint,
            episode.candidate,
            weight=100.0 if episode.champion is None else None,
            reason=f"candidate of {episode.id}",
        )
        self._begin_if_ready(episode, cause_event=None)

    def on_deployed(self, record: EventRecord) -> None:
        """Begin the canary of the candidate that has just become ready."""
        event = msgspec.convert(record.data, EndpointDeployed)
        with self._db.read() as tx:
            episode = self._loop.active(tx, event.endpoint)
        if episode is not None and episode.state == "warming" and episode.candidate is not None:
            self._begin_if_ready(episode, cause_event=record.id)

    def on_version_failed(self, record: EventRecord) -> None:
        """Stay with the champion when the candidate cannot be loaded."""
        event = msgspec.convert(record.data, VersionFailed)
        with self._db.write() as tx:
            episode = self._loop.active(tx, event.endpoint)
            if episode is None or episode.state != "warming" or episode.candidate is None:
                return
            if version_of(episode.candidate) != event.version:
                return
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="canary",
                state="failed",
                title=f"Version {event.version} could not be loaded",
                detail=event.error,
                subject=refs.make("endpoint", event.endpoint),
                episode=episode,
            )
            self._loop.move(tx, episode, "failed")
        self.watch_again(episode)

    def on_judged(self, record: EventRecord) -> None:
        """Keep the judge's evidence with the rollout and do what it says."""
        judged = msgspec.convert(record.data, TrialJudged)
        rollout = self._deploy.rollouts.get(WHO, judged.rollout)
        if rollout.state != "running":
            return
        self._deploy.rollouts.judged(WHO, rollout.id, judged.evidence, at_us=record.at_us)
        try:
            match judged.action:
                case "promote":
                    self._deploy.rollouts.promote(WHO, rollout.id, reason=judged.reason)
                case "rollback":
                    self._deploy.rollouts.roll_back(WHO, rollout.id, reason=judged.reason)
                case _:
                    return
        except Conflict:
            return  # somebody else ended it in this moment, and the timeline has it from them
        with self._db.read() as tx:
            episode = self._loop.of_rollout(tx, rollout.id)
        if judged.action == "promote":
            self._promoted(record, judged, rollout, episode)
        else:
            self._rolled_back(record, judged, rollout, episode)

    def on_ended(self, record: EventRecord) -> None:
        """Close the story of a rollout that a person ended."""
        ended = msgspec.convert(record.data, RolloutEnded)
        if record.actor == WHO.id:
            return  # the verdict's own line tells it
        with self._db.write() as tx:
            episode = self._loop.of_rollout(tx, ended.rollout)
            if episode is None or episode.state != "canary":
                return
            promoted = ended.state == "promoted"
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="promotion" if promoted else "rollback",
                state="done",
                title=f"{record.actor} ended the canary: version {ended.challenger} {ended.state}",
                detail=ended.reason,
                subject=refs.make("endpoint", ended.endpoint),
                episode=episode,
                data={"rollout": ended.rollout},
            )
            self._loop.move(tx, episode, "promoted" if promoted else "rolled-back")
        self.watch_again(episode)

    def watch_again(self, episode: Episode) -> None:
        """Begin the monitor's alarms anew after an episode that changed nothing, so that it can sound again."""
        for monitor in self._monitors.monitors(WHO, endpoint=episode.endpoint):
            if monitor.state == "alarm":
                self._monitors.set_reference(WHO, monitor.name)

    def _begin_if_ready(self, episode: Episode, *, cause_event: str | None) -> None:
        assert episode.candidate is not None, "an episode that warms up has a candidate"
        version = version_of(episode.candidate)
        endpoint = self._deploy.endpoint(WHO, episode.endpoint)
        if endpoint.find(version).state != "ready":
            return
        if endpoint.champion == version:
            self._released(episode, version, cause_event=cause_event)
            return
        policy = self._policy(episode.endpoint)
        try:
            rollout = self._deploy.rollouts.start(
                WHO,
                episode.endpoint,
                version,
                weight=policy.weight,
                policy=policy.judge,
                reason=f"canary of {episode.candidate.removeprefix('models:/')}",
                episode_id=episode.id,
            )
        except Conflict:
            return  # it has begun already
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id)
            self._loop.step(
                tx,
                WHO,
                cause_event=cause_event or rollout.id,
                kind="canary",
                state="started",
                title=f"Canary: {policy.weight:g} % of the requests to version {version}",
                detail=f"Version {rollout.champion} keeps {100 - policy.weight:g} %. The judge may look at any time.",
                subject=refs.make("endpoint", episode.endpoint),
                event_us=episode.event_us,
                episode=current,
                data={"rollout": rollout.id, "weight": policy.weight},
            )
            self._loop.move(tx, current, "canary", rollout=rollout.id)

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
        self, record: EventRecord, judged: TrialJudged, rollout: Rollout, episode: Episode | None
    ) -> None:
        version = rollout.challenger
        model = self._deploy.endpoint(WHO, rollout.endpoint).model
        evidence = {"rollout": rollout.id, "judge": judged.evidence}
        self._registry.set_alias(
            WHO,
            model,
            CHAMPION,
            int(version),
            reason=f"canary at {rollout.endpoint}: {judged.reason}",
            evidence=evidence,
        )
        self._follow(episode, rollout)
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id) if episode else None
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="promotion",
                state="done",
                title=f"Promoted version {version}",
                detail=f"{judged.reason}. Version {rollout.champion} stays warm for roll-back.",
                subject=refs.make("endpoint", rollout.endpoint),
                event_us=judged.event_us or None,
                episode=current,
                data=_facts(judged, rollout),
            )
            if current is not None:
                self._loop.move(tx, current, "promoted")
        if episode is not None:
            for alert in self._alerts.find(WHO, episode_id=episode.id).items:
                self._alerts.resolve(WHO, alert.id, note=f"version {version} was promoted")

    def _rolled_back(
        self, record: EventRecord, judged: TrialJudged, rollout: Rollout, episode: Episode | None
    ) -> None:
        ref = refs.make("endpoint", rollout.endpoint)
        title = f"Rolled back version {rollout.challenger} of {rollout.endpoint}"
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id) if episode else None
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="rollback",
                state="done",
                title=title,
                detail=f"{judged.reason}. Version {rollout.champion} answers all requests.",
                subject=ref,
                event_us=judged.event_us or None,
                episode=current,
                data=_facts(judged, rollout),
            )
            if current is not None:
                self._loop.move(tx, current, "rolled-back")
        self._alerts.open(
            WHO,
            rule="rollout.rolled-back",
            severity="critical",
            title=title,
            detail=judged.reason,
            subject=ref,
            dedupe_key=f"rollout:{rollout.id}",
            data={"rollout": rollout.id},
            episode_id=episode.id if episode else None,
            cause=record.id,
        )
        if episode is not None:
            self.watch_again(episode)

    def _follow(self, episode: Episode | None, rollout: Rollout) -> None:
        """Have the endpoint's monitors watch the new champion, against the data that it was trained on."""
        metrics = (episode.baseline if episode else None) or {}
        baseline = baseline_of(metrics)
        for monitor in self._monitors.monitors(WHO, endpoint=rollout.endpoint):
            self._monitors.set_reference(
                WHO,
                monitor.name,
                reference=episode.reference if episode else None,
                baseline=baseline,
                champion=rollout.challenger,
            )

    def _policy(self, endpoint: str) -> CanaryPolicy:
        try:
            return self._loop.policy(WHO, endpoint).canary
        except TrimtabError:
            return CanaryPolicy()


def baseline_of(metrics: dict[str, float]) -> Baseline | None:
    """Return what a monitor holds a champion to, from the metrics of its gate; None where it has no Brier score."""
    if "brier" not in metrics:
        return None
    shown = {name: value for name, value in metrics.items() if name != "clustering"}
    return Baseline(brier=metrics["brier"], metrics=shown, clustering=metrics.get("clustering", 0.0))


def _facts(judged: TrialJudged, rollout: Rollout) -> dict[str, Any]:
    return {
        "rollout": rollout.id,
        "champion": rollout.champion,
        "challenger": rollout.challenger,
        "judge": judged.evidence,
    }
