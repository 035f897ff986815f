"""How deploy reacts to what happens to registered models."""

import msgspec

from trimtab.domains.deploy.service import PLANE, DeployService
from trimtab.domains.registry.events import ModelRenamed
from trimtab.infra.bus import Bus
from trimtab.kernel.events import EventRecord


def register(bus: Bus, service: DeployService) -> None:
    """Subscribe to the events of the registry."""

    def renamed(record: EventRecord) -> None:
        event = msgspec.convert(record.data, ModelRenamed)
        service.model_renamed(PLANE, event.old_name, event.name)

    bus.subscribe(ModelRenamed, "deploy.rename", renamed)
