"""How deploy reacts to what happens to registered models."""

import msgspec

from trimtab.domains.deploy.service import PLANE, DeployService
from trimtab.domains.registry.events import ModelDeleted, ModelRenamed, ModelVersionDeleted
from trimtab.infra.bus import Bus
from trimtab.kernel.events import EventRecord


def register(bus: Bus, service: DeployService) -> None:
    """Subscribe to the events of the registry."""

    def renamed(record: EventRecord) -> None:
        event = msgspec.convert(record.data, ModelRenamed)
        service.model_renamed(PLANE, event.old_name, event.name)

    def version_deleted(record: EventRecord) -> None:
        event = msgspec.convert(record.data, ModelVersionDeleted)
        service.model_deleted(PLANE, event.name, str(event.version))

    def deleted(record: EventRecord) -> None:
        service.model_deleted(PLANE, msgspec.convert(record.data, ModelDeleted).name)

    bus.subscribe(ModelRenamed, "deploy.rename", renamed)
    bus.subscribe(ModelVersionDeleted, "deploy.version_deleted", version_deleted)
    bus.subscribe(ModelDeleted, "deploy.model_deleted", deleted)
