"""What the registry does when something happens elsewhere: a run that ends completes what its versions know of it."""

from trimtab.domains.registry.service import RegistryService
from trimtab.domains.tracking.events import RunFinished
from trimtab.infra.bus import Bus
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import system

_WHO = system("registry")


def register(bus: Bus, service: RegistryService) -> None:
    """Subscribe to the events that the registry follows."""

    def run_finished(record: EventRecord) -> None:
        service.refresh_run(_WHO, str(record.data["run_id"]))

    bus.subscribe(RunFinished, "registry.run_facts", run_finished)
