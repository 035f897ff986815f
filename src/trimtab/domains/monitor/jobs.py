"""The background work of monitor: taking the prediction log in, reading references, forgetting what is old."""

from trimtab.domains.monitor.service import WHO, MonitorService
from trimtab.infra.db import Database, Tx
from trimtab.infra.jobs import Job, JobContext, Jobs
from trimtab.kernel.time import DAY_US, now_us

INGEST = "monitor.ingest"
REFERENCE = "monitor.reference"
EXPIRE = "monitor.expire"


def register(jobs: Jobs, service: MonitorService, *, retention_days: int) -> None:
    """Name the functions that do monitor's jobs."""

    def ingest(_: Job, __: JobContext) -> None:
        service.take_in(WHO)

    def reference(job: Job, _: JobContext) -> None:
        service.build_reference(WHO, job.payload["monitor"])

    def expire(_: Job, __: JobContext) -> None:
        service.expire(WHO, before_us=now_us() - retention_days * DAY_US)

    jobs.handler(INGEST, ingest)
    jobs.handler(REFERENCE, reference)
    jobs.handler(EXPIRE, expire)


def schedule(jobs: Jobs, tx: Tx) -> None:
    """Have what is older than its retention forgotten every night."""
    jobs.schedule(tx, EXPIRE, kind=EXPIRE, cron="23 3 * * *")


def notice(db: Database, jobs: Jobs, service: MonitorService) -> None:
    """Ask for an ingest where the gateway left something and none is under way yet; called some times a second."""
    if service.log_waits():
        with db.write() as tx:
            jobs.enqueue(tx, INGEST, {}, queue="stream", dedupe_key="log", max_attempts=20)
