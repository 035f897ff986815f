"""Background work of batch predictions: carrying them out, and following a model to its new name."""

import msgspec

from trimtab.domains.deploy.batch.service import PREDICT, TRIES, BatchService
from trimtab.domains.registry.events import ModelRenamed
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Job, JobContext, Jobs, Permanent
from trimtab.kernel.errors import NotFound
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import Principal, system

_ME = system("deploy")


def register(bus: Bus, jobs: Jobs, service: BatchService) -> None:
    """Name the function that predicts, and subscribe to the models' new names."""

    def predict(job: Job, context: JobContext) -> None:
        who = msgspec.convert(job.payload["who"], Principal)
        try:
            service.carry_out(who, job.payload["batch"], context, last_attempt=job.attempt >= TRIES)
        except NotFound as error:
            raise Permanent(error.message) from error

    def renamed(record: EventRecord) -> None:
        event = msgspec.convert(record.data, ModelRenamed)
        service.model_renamed(_ME, event.old_name, event.name)

    jobs.handler(PREDICT, predict)
    bus.subscribe(ModelRenamed, "deploy.batch_model_renamed", renamed)
