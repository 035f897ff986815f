"""Background work of the registry: facts of runs that end, long scans, compilations, evaluations, webhooks' messages."""

from contextlib import suppress

import msgspec

from trimtab.domains.registry.compilation.model import COMPILE
from trimtab.domains.registry.events import ModelVersionCreated
from trimtab.domains.registry.evidence import EVALUATE
from trimtab.domains.registry.service import RegistryService
from trimtab.domains.registry.versions import SCAN
from trimtab.domains.registry.webhooks.service import DELIVER
from trimtab.domains.tracking.events import RunFinished
from trimtab.infra.blobs.port import BlobNotFound
from trimtab.infra.bus import Bus
from trimtab.infra.jobs import Interrupted, Job, JobContext, Jobs, Permanent
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.kernel.events import EventRecord
from trimtab.kernel.who import Principal, system

_WHO = system("registry")


def register(bus: Bus, jobs: Jobs, service: RegistryService, *, compile_models: str) -> None:
    """Subscribe to the events that the registry follows, and name the functions that do its jobs.

    ``compile_models`` says whether versions are compiled as they are registered: ``always`` or ``never``.
    """
    compile_new = _compiles_new(compile_models)

    def run_finished(record: EventRecord) -> None:
        service.refresh_run(_WHO, str(record.data["run_id"]))

    def version_created(record: EventRecord) -> None:
        with suppress(NotFound):  # deleted meanwhile
            service.compile_new(_WHO, str(record.data["name"]), int(str(record.data["version"])))

    def scan(job: Job, _: JobContext) -> None:
        name, version = job.payload["name"], job.payload["version"]
        with suppress(NotFound):
            before = service.get_version(_WHO, name, version).verdict
            found = service.carry_out_scan(_WHO, name, version)
            if compile_new and before == "unknown" and found.verdict == "allowed":
                service.recompile(_WHO, name, version)

    def compile_version(job: Job, context: JobContext) -> None:
        def tick() -> None:
            context.heartbeat()
            if context.stopping:
                raise Interrupted

        with suppress(NotFound):
            service.carry_out_compilation(_WHO, job.payload["name"], job.payload["version"], tick=tick)

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
    if compile_new:
        bus.subscribe(ModelVersionCreated, "registry.compile", version_created)
    jobs.handler(COMPILE, compile_version)
    jobs.handler(SCAN, scan)
    jobs.handler(EVALUATE, evaluate)
    jobs.handler(DELIVER, deliver)


def _compiles_new(setting: str) -> bool:
    if setting not in ("always", "never"):
        raise Invalid(f"compile_models is always or never, not {setting!r}.", field="compile_models")
    return setting == "always"
