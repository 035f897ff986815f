"""Background work of alerts: deliveries, the sweep of quiet alerts, and the rules' view of events."""

from collections.abc import Iterable

from trimtab.domains.alerts.channels import DELIVER
from trimtab.domains.alerts.service import AlertService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Tx
from trimtab.infra.jobs import Job, JobContext, Jobs, Permanent
from trimtab.kernel.errors import Conflict
from trimtab.kernel.events import Event, EventRecord
from trimtab.kernel.time import DAY_US, SECOND_US, now_us
from trimtab.kernel.who import system

SWEEP = "alerts.sweep"
_EVERY_US = 60 * SECOND_US
_ME = system("alerts")


def register(jobs: Jobs, service: AlertService, *, retention_days: int) -> None:
    """Name the functions that do the jobs of alerts."""

    def deliver(job: Job, _: JobContext) -> None:
        try:
            service.channels.deliver(_ME, job.payload["delivery"], last=job.attempt >= job.max_attempts)
        except Conflict as error:
            raise Permanent(error.message) from error

    def sweep(_: Job, __: JobContext) -> None:
        service.sweep(_ME, deliveries_before_us=now_us() - retention_days * DAY_US)

    jobs.handler(DELIVER, deliver)
    jobs.handler(SWEEP, sweep)


def watch(bus: Bus, service: AlertService, events: Iterable[type[Event]]) -> None:
    """Let the rules see every event of these kinds."""

    def evaluate(record: EventRecord) -> None:
        service.evaluate(_ME, record)

    for event in events:
        bus.subscribe(event, "alerts.rules", evaluate)


def schedule(jobs: Jobs, tx: Tx) -> None:
    """Have the sweep done each minute."""
    jobs.schedule(tx, SWEEP, kind=SWEEP, every_us=_EVERY_US)
