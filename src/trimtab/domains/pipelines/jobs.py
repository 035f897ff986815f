"""Background work of pipelines: carrying out runs, submitting them by schedule, and the upkeep of their rows."""

from collections.abc import Callable

from trimtab.domains.pipelines.definitions import SUBMIT
from trimtab.domains.pipelines.execution import Place
from trimtab.domains.pipelines.service import RUN, PipelineService
from trimtab.infra.db import Tx
from trimtab.infra.jobs import Job, JobContext, Jobs, Permanent
from trimtab.kernel.errors import Conflict, Invalid, NotFound
from trimtab.kernel.time import DAY_US, SECOND_US, now_us
from trimtab.kernel.who import system

SWEEP = "pipelines.sweep"
EXPIRE = "pipelines.expire"
_ME = system("pipelines")
_SWEEP_EVERY_US = 30 * SECOND_US


def register(
    jobs: Jobs, service: PipelineService, *, place: Callable[[], Place], retention_days: int
) -> None:
    """Name the functions that do the jobs of pipelines. ``place`` is called only where a run is carried out."""

    def carry_out(job: Job, context: JobContext) -> None:
        try:
            run = service.get_run(_ME, job.payload["run"])
        except NotFound as error:
            raise Permanent(error.message) from error
        service.execution(_ME, run, place(), context).carry_out()

    def submit(job: Job, _: JobContext) -> None:
        name = job.payload["pipeline"]
        try:
            service.submit(
                _ME,
                pipeline=name,
                params=job.payload["params"],
                trigger={"kind": "schedule"},
                idempotency_key=job.id,
            )
        except (NotFound, Invalid, Conflict) as error:
            raise Permanent(error.message) from error

    def sweep(_: Job, __: JobContext) -> None:
        service.bury_lost(_ME)

    def expire(_: Job, __: JobContext) -> None:
        service.expire(_ME, before_us=now_us() - retention_days * DAY_US)

    jobs.handler(RUN, carry_out)
    jobs.handler(SUBMIT, submit)
    jobs.handler(SWEEP, sweep)
    jobs.handler(EXPIRE, expire)


def schedule(jobs: Jobs, tx: Tx) -> None:
    """Have lost runs noticed within a minute and old ones deleted each day."""
    jobs.schedule(tx, SWEEP, kind=SWEEP, every_us=_SWEEP_EVERY_US)
    jobs.schedule(tx, EXPIRE, kind=EXPIRE, every_us=DAY_US)
