"""Background work of bundles: making them, again when an alias moves, and following a model to its new name."""

from contextlib import suppress

import msgspec

from trimtab.domains.deploy.edge.service import BUILD, EdgeService
from trimtab.domains.deploy.events import SettingsChanged
from trimtab.domains.deploy.service import DeployService
from trimtab.domains.registry.events import AliasMoved, ModelRenamed
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Job, JobContext, Jobs
from trimtab.kernel.errors import NotFound
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import system

_ME = system("deploy")


def register(bus: Bus, jobs: Jobs, service: EdgeService, *, endpoints: DeployService) -> None:
    """Name the function that makes bundles, and subscribe to what calls for new ones."""

    def build(job: Job, _: JobContext) -> None:
        last = job.attempt >= job.max_attempts
        service.build(_ME, job.payload["model"], job.payload["alias"], last_attempt=last)

    def moved(record: EventRecord) -> None:
        event = msgspec.convert(record.data, AliasMoved)
        if event.version is not None:
            service.alias_moved(_ME, event.name, event.alias)

    def renamed(record: EventRecord) -> None:
        event = msgspec.convert(record.data, ModelRenamed)
        service.model_renamed(_ME, event.old_name, event.name)

    def ruled(record: EventRecord) -> None:
        event = msgspec.convert(record.data, SettingsChanged)
        if not any(name.startswith("fields.") for name in event.changed):
            return
        with suppress(NotFound):  # it was removed meanwhile
            service.rules_changed(_ME, endpoints.endpoint(_ME, event.endpoint).model)

    jobs.handler(BUILD, build)
    bus.subscribe(AliasMoved, "deploy.edge_alias_moved", moved)
    bus.subscribe(ModelRenamed, "deploy.edge_model_renamed", renamed)
    bus.subscribe(SettingsChanged, "deploy.edge_rules_changed", ruled)
