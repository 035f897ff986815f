"""Background work of the registry: facts of runs that end, long scans, compilations, evaluations, webhooks' messages."""

from contextlib import suppress

import msgspec

from trimtab.domains.registry.compilation import jobs as compilation_jobs
from trimtab.domains.registry.evidence.service import EVALUATE
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


def register(bus: Bus, jobs: Jobs, service: RegistryService, *, compile_models: str) -> None:
    """Subscribe to the events that the registry follows, and name the functions that do its jobs.

    ``compile_models`` says whether versions are compiled as they are registered: ``always`` or ``never``.
    """
    compile_new = compilation_jobs.register(bus, jobs, service, compile_models=compile_models)

    def run_finished(record: EventRecord) -> None:
        service.refresh_run(_WHO, str(record.data["run_id"]))

    def scan(job: Job, _: JobContext) -> None:
        name, version = job.payload["name"], job.payload["version"]
        with suppress(NotFound):
            before = service.get_version(_WHO, name, version).verdict
            found = service.carry_out_scan(_WHO, name, version)
            if compile_new and before == "unknown" and found.verdict == "allowed":
                service.recompile(_WHO, name, version)

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
