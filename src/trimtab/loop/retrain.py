"""An alarm leads to a retraining, unless a person is to decide or the last one is too recent."""

from typing import Any, cast

import msgspec

from trimtab.domains.alerts import AlertService
from trimtab.domains.deploy import DeployService
from trimtab.domains.govern import GovernService
from trimtab.domains.monitor import MonitorService
from trimtab.domains.monitor.events import MonitorAlarmed, WindowsClosed
from trimtab.domains.pipelines import PipelineService
from trimtab.domains.pipelines.events import PipelineRunFinished
from trimtab.infra.db import Database, Tx
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, TrimtabError
from trimtab.kernel.events import EventRecord
from trimtab.kernel.time import iso
from trimtab.kernel.who import Principal
from trimtab.loop import store
from trimtab.loop.model import GATE, Episode
from trimtab.loop.service import LoopService, new_episode
from trimtab.loop.watching import WHO, watch_again


class Retrain:
    """From the alarm to a candidate."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        *,
        govern: GovernService,
        loop: LoopService,
        alerts: AlertService,
        deploy: DeployService,
        pipelines: PipelineService,
        monitors: MonitorService,
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._govern = govern
        self._loop = loop
        self._alerts = alerts
        self._deploy = deploy
        self._pipelines = pipelines
        self._monitors = monitors

    def on_alarm(self, record: EventRecord) -> None:
        """Open the alert, and begin an episode where a policy says so."""
        alarm = msgspec.convert(record.data, MonitorAlarmed)
        endpoint = self._deploy.endpoint(WHO, alarm.endpoint)
        with self._db.write() as tx:
            tx.lock(f"loop.endpoint:{alarm.endpoint}")
            episode = self._episode(tx, alarm, champion=endpoint.champion)
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="alarm",
                state="info",
                title=alarm.title,
                detail=alarm.detail,
                subject=refs.make("monitor", alarm.monitor),
                event_us=alarm.event_us,
                episode=episode,
                data=alarm.evidence,
            )
        self._alerts.open(
            WHO,
            rule=f"monitor.{alarm.cause}",
            severity="critical" if alarm.cause == "performance" else "warning",
            title=alarm.title,
            detail=alarm.detail,
            subject=refs.make("monitor", alarm.monitor),
            dedupe_key=f"{alarm.monitor}:{alarm.cause}",
            data=alarm.evidence,
            episode_id=episode.id if episode else None,
            cause=record.id,
        )
        if episode is not None and episode.state == "retraining" and episode.pipeline_run is None:
            self._submit(episode, cause_event=record.id)

    def on_windows(self, record: EventRecord) -> None:
        """Begin what waited for its cool-down to pass."""
        closed = msgspec.convert(record.data, WindowsClosed)
        with self._db.write() as tx:
            tx.lock(f"loop.endpoint:{closed.endpoint}")
            episode = self._loop.active(tx, closed.endpoint)
            if episode is None or closed.watermark_us < episode.not_before_us:
                return
            if episode.state == "waiting":
                episode = self._loop.move(tx, episode, "retraining", event_us=closed.watermark_us)
            elif episode.state != "retraining" or episode.pipeline_run is not None:
                return  # it is under way; only one whose submission was cut off is submitted again
        self._submit(episode, cause_event=record.id)

    def start_by_hand(self, who: Principal, episode_id: str) -> None:
        """Begin a retraining that was suggested, or do not wait for the cool-down any longer."""
        self._govern.permit(who, "write", refs.make("episode", episode_id))
        endpoint = self._loop.episode(who, episode_id).endpoint
        with self._db.write() as tx:
            tx.lock(f"loop.endpoint:{endpoint}")
            episode = self._loop.find(tx, episode_id)
            if episode.state not in ("waiting", "suggested"):
                raise Conflict(f"Episode {episode_id} is {episode.state}; nothing waits for a start.")
            episode = self._loop.move(tx, episode, "retraining")
            self._govern.audit(tx, who, "loop.retraining.start", refs.make("endpoint", episode.endpoint))
        self._submit(episode, cause_event=None)

    def on_run_finished(self, record: EventRecord) -> None:
        """Send the candidate of a retraining to the gate."""
        run = msgspec.convert(record.data, PipelineRunFinished)
        episode_id = run.trigger.get("episode")
        if not episode_id:
            return
        episode = self._loop.episode(WHO, str(episode_id))
        if episode.state != "retraining" or episode.pipeline_run not in (None, run.run_id):
            return
        subject = refs.make("pipeline-run", run.run_id)
        outputs = _returned(run.outputs)
        problem = run.error or f"the run {run.state}" if run.state != "succeeded" else _missing(outputs)
        if problem is not None:
            self._fail(episode, "Retraining failed", problem, subject=subject, cause_event=record.id)
            return
        facts = {key: outputs[key] for key in ("candidate", "evaluation", "reference") if outputs.get(key)}
        with self._db.write() as tx:
            episode = self._loop.find(tx, episode.id)
            if episode.state != "retraining":
                return
            self._loop.step(
                tx,
                WHO,
                cause_event=record.id,
                kind="retraining",
                state="done",
                title=f"Retrained: {str(outputs['candidate']).removeprefix('models:/')}",
                subject=subject,
                event_us=episode.event_us,
                episode=episode,
                data={"outputs": outputs},
            )
            self._loop.move(tx, episode, "gating", **facts)
            self._jobs.enqueue(tx, GATE, {"episode": episode.id}, queue="heavy", dedupe_key=episode.id)

    def _episode(self, tx: Tx, alarm: MonitorAlarmed, *, champion: str | None) -> Episode | None:
        """Return the episode that the alarm belongs to, a new one where it begins one, or None without a policy."""
        policies = store.policies(tx, endpoint=alarm.endpoint)
        active = self._loop.active(tx, alarm.endpoint)
        if active is not None:
            return active
        if not policies or alarm.cause not in policies[0].on:
            return None
        policy = policies[0]
        newest = self._loop.newest(tx, alarm.endpoint)
        not_before = newest.event_us + policy.cooldown_us if newest else 0
        state = "suggested" if policy.mode == "suggest" else "retraining"
        if state == "retraining" and alarm.event_us < not_before:
            state = "waiting"
        episode = new_episode(
            endpoint=alarm.endpoint,
            model=policy.model,
            trigger="alarm",
            state=state,
            title=alarm.title,
            event_us=alarm.event_us,
            actor=WHO.id,
            champion=champion,
            not_before_us=not_before,
        )
        return self._loop.begin(tx, episode)

    def _submit(self, episode: Episode, *, cause_event: str | None) -> None:
        trigger = {"kind": "alarm", "episode": episode.id, "event_us": episode.event_us}
        subject = refs.make("endpoint", episode.endpoint)
        try:
            policy = self._loop.policy(WHO, episode.endpoint)
            subject = refs.make("pipeline", policy.pipeline)
            run = self._pipelines.submit(
                WHO,
                pipeline=policy.pipeline,
                params=policy.params_at(episode.event_us),
                trigger=trigger,
                idempotency_key=episode.id,
            )
        except TrimtabError as error:
            self._fail(
                episode, "Retraining could not start", str(error), subject=subject, cause_event=cause_event
            )
            return
        with self._db.write() as tx:
            episode = self._loop.find(tx, episode.id)
            self._loop.step(
                tx,
                WHO,
                cause_event=episode.id,
                kind="retraining",
                state="started",
                title=f"Retraining with data up to {iso(episode.event_us)[:10]}",
                detail=f"Pipeline {policy.pipeline}.",
                subject=refs.make("pipeline-run", run.id),
                event_us=episode.event_us,
                episode=episode,
            )
            if episode.state == "retraining":
                self._loop.move(tx, episode, "retraining", pipeline_run=run.id)

    def _fail(
        self, episode: Episode, title: str, problem: str, *, subject: str, cause_event: str | None
    ) -> None:
        """End an episode that changed nothing; its state moves last, so that whatever is cut off is done again."""
        watch_again(self._monitors, episode.endpoint)
        with self._db.write() as tx:
            current = self._loop.find(tx, episode.id)
            if current.state != "retraining":
                return
            self._loop.step(
                tx,
                WHO,
                cause_event=cause_event,
                kind="retraining",
                state="failed",
                title=title,
                detail=problem,
                subject=subject,
                episode=current,
            )
            self._loop.move(tx, current, "failed")


def _returned(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return what a pipeline returned, also where it handed on the dict of its last step as it was."""
    result = outputs.get("result")
    return cast("dict[str, Any]", result) if len(outputs) == 1 and isinstance(result, dict) else outputs


def _missing(outputs: dict[str, object]) -> str | None:
    missing = [key for key in ("candidate", "evaluation") if not isinstance(outputs.get(key), str)]
    if not missing:
        return None
    return f"the pipeline must return {' and '.join(missing)}; it returned {', '.join(outputs) or 'nothing'}"
