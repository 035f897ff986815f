"""How deploy reacts to what happens to registered models and to replicas, and how its rollouts go on with time."""

import msgspec

from trimtab.domains.deploy.events import EndpointDeployed, VersionFailed
from trimtab.domains.deploy.reports import PLANE
from trimtab.domains.deploy.rollouts.course import ADVANCE
from trimtab.domains.deploy.service import DeployService
from trimtab.domains.registry.events import ModelCompiled, ModelDeleted, ModelRenamed, ModelVersionDeleted
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Job, JobContext, Jobs
from trimtab.kernel.events import EventRecord


def register(bus: Bus, jobs: Jobs, service: DeployService) -> None:
    """Subscribe to the events of the registry and of replicas, and name what does the jobs of rollouts."""

    def renamed(record: EventRecord) -> None:
        event = msgspec.convert(record.data, ModelRenamed)
        service.model_renamed(PLANE, event.old_name, event.name)

    def version_deleted(record: EventRecord) -> None:
        event = msgspec.convert(record.data, ModelVersionDeleted)
        service.model_deleted(PLANE, event.name, str(event.version))

    def deleted(record: EventRecord) -> None:
        service.model_deleted(PLANE, msgspec.convert(record.data, ModelDeleted).name)

    def compiled(record: EventRecord) -> None:
        event = msgspec.convert(record.data, ModelCompiled)
        service.compiled_anew(PLANE, event.name, str(event.version))

    def ready(record: EventRecord) -> None:
        event = msgspec.convert(record.data, EndpointDeployed)
        service.rollouts.version_ready(PLANE, event.endpoint, event.version)

    def failed(record: EventRecord) -> None:
        event = msgspec.convert(record.data, VersionFailed)
        service.rollouts.version_failed(PLANE, event.endpoint, event.version, error=event.error)

    def advance(job: Job, _: JobContext) -> None:
        service.rollouts.advance(PLANE, job.payload["rollout"])

    jobs.handler(ADVANCE, advance)
    bus.subscribe(EndpointDeployed, "deploy.rollout_ready", ready)
    bus.subscribe(VersionFailed, "deploy.rollout_failed", failed)
    bus.subscribe(ModelRenamed, "deploy.rename", renamed)
    bus.subscribe(ModelVersionDeleted, "deploy.version_deleted", version_deleted)
    bus.subscribe(ModelDeleted, "deploy.model_deleted", deleted)
    bus.subscribe(ModelCompiled, "deploy.compiled_anew", compiled)
