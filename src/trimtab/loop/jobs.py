"""Binds the stories to the events that set them off, and the gate to its job."""

from collections.abc import Callable

from trimtab.domains.deploy.events import EndpointDeployed, RolloutEnded, RolloutStarted, VersionFailed
from trimtab.domains.monitor.events import MonitorAlarmed, TrialJudged, WindowsClosed
from trimtab.domains.pipelines.events import PipelineRunFinished
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Job, JobContext, Jobs
from trimtab.loop.canary import Canary
from trimtab.loop.retrain import GATE, Retrain


def register(
    bus: Bus, jobs: Jobs, *, retrain: Retrain, canary: Canary, gate: Callable[[str, str], None]
) -> None:
    """Subscribe the stories; ``gate(episode, job)`` runs in a worker process."""
    bus.subscribe(MonitorAlarmed, "loop.retrain", retrain.on_alarm)
    bus.subscribe(WindowsClosed, "loop.cooldown", retrain.on_windows)
    bus.subscribe(PipelineRunFinished, "loop.candidate", retrain.on_run_finished)
    bus.subscribe(EndpointDeployed, "loop.canary", canary.on_deployed)
    bus.subscribe(VersionFailed, "loop.canary_failed", canary.on_version_failed)
    bus.subscribe(RolloutStarted, "loop.started", canary.on_started)
    bus.subscribe(RolloutEnded, "loop.ended", canary.on_ended)
    bus.subscribe(TrialJudged, "loop.verdict", canary.on_judged)

    def run_gate(job: Job, _: JobContext) -> None:
        gate(job.payload["episode"], job.id)

    jobs.handler(GATE, run_gate)
