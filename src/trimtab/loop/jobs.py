"""Binds the stories to the events that set them off, and the gate to its job."""

from collections.abc import Callable

from trimtab.domains.deploy.events import EndpointDeployed, RolloutEnded, RolloutStarted, VersionFailed
from trimtab.domains.monitor.events import MonitorAlarmed, TrialJudged, WindowsClosed
from trimtab.domains.pipelines.events import PipelineRunFinished
from trimtab.infra.bus import Bus
from trimtab.infra.db import Tx
from trimtab.infra.jobs import Job, JobContext, Jobs
from trimtab.kernel.time import SECOND_US
from trimtab.loop.canary import Canary
from trimtab.loop.model import GATE
from trimtab.loop.retrain import Retrain
from trimtab.loop.watching import WHO

SWEEP = "loop.sweep"
_EVERY_US = 60 * SECOND_US


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

    def sweep(_: Job, __: JobContext) -> None:
        canary.end_lost(WHO)

    jobs.handler(GATE, run_gate)
    jobs.handler(SWEEP, sweep)


def schedule(jobs: Jobs, tx: Tx) -> None:
    """Have lost gates noticed within a minute or two."""
    jobs.schedule(tx, SWEEP, kind=SWEEP, every_us=_EVERY_US)
