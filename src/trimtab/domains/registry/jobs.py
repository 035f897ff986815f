"""Background work of the registry: facts of runs that end, long scans, evaluations, and the webhooks' messages."""

from contextlib import suppress

import msgspec

from trimtab.domains.registry.evidence import EVALUATE
from trimtab.domains.registry.service import RegistryService
from trimtab.domains.registry.versions import SCAN
from trimtab.domains.registry.webhooks.service import DELIVER
from trimtab.domains.tracking.events import RunFinished
from trimtab.infra.blobs.port import BlobNotFound
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Job, JobContext, Jobs, Permanent
from trimtab.kernel.errors import NotFound
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import Principal, system

_WHO = system("registry")


def register(bus: Bus, jobs: Jobs, service: RegistryService) -> None:
    """Subscribe to the events that the registry follows, and name the functions that do its jobs."""

    def run_finished(record: EventRecord) -> None:
        service.refresh_run(_WHO, str(record.data["run_id"]))

    def scan(job: Job, _: JobContext) -> None:
        with suppress(NotFound):  # deleted meanwhile
            service.carry_out_scan(_WHO, job.payload["name"], job.payload["version"])

    def evaluate(job: Job, _: JobContext) -> None:
        who = msgspec.convert(job.payload["who"], Principal)
        try:
            service.carry_out_evaluation(
                who, job.payload["name"], job.payload["version"], job.payload["rows"]
            )
        except (NotFound, BlobNotFound, ValueError) as error:
            raise Permanent(str(error)) from error

    def deliver(job: Job, _: JobContext) -> None:
        service.webhooks.deliver(_WHO, job.payload["delivery"], attempt=job.payload["attempt"])

    bus.subscribe(RunFinished, "registry.run_facts", run_finished)
    jobs.handler(SCAN, scan)
    jobs.handler(EVALUATE, evaluate)
    jobs.handler(DELIVER, deliver)
