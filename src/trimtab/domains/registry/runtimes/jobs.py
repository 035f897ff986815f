"""Background work of runtimes: deciding for new versions, and making environments in worker processes."""

from contextlib import suppress

from trimtab.domains.registry.events import ModelVersionCreated
from trimtab.domains.registry.runtimes.model import PREPARE
from trimtab.domains.registry.runtimes.service import RuntimeService
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Interrupted, Job, JobContext, Jobs
from trimtab.infra.jobs.queue import LeaseLost
from trimtab.kernel.errors import NotFound
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import system

_WHO = system("registry")


def register(bus: Bus, jobs: Jobs, service: RuntimeService) -> None:
    """Subscribe to new versions, and name the function that makes environments."""

    def version_created(record: EventRecord) -> None:
        with suppress(NotFound):  # deleted meanwhile
            service.settle(_WHO, str(record.data["name"]), int(str(record.data["version"])))

    def prepare(job: Job, context: JobContext) -> None:
        def tick() -> None:
            context.heartbeat()
            if context.stopping:
                raise Interrupted

        name, version = job.payload["name"], job.payload["version"]
        try:
            service.carry_out(_WHO, name, version, tick=tick)
        except NotFound:
            return
        except (Interrupted, LeaseLost):
            raise
        except Exception as error:
            # Whatever it was, whoever waits for the environment must learn that it will not come.
            if job.attempt >= job.max_attempts:
                service.give_up(_WHO, name, version, why=f"{type(error).__name__}: {error}"[:1000])
            raise

    bus.subscribe(ModelVersionCreated, "registry.runtime", version_created)
    jobs.handler(PREPARE, prepare)
