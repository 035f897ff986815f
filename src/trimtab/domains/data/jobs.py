"""Background work of data: profiles and validation, in a worker process."""

from trimtab.domains.data.service import DataService
from trimtab.domains.data.validation import PROFILE
from trimtab.infra.db import Tx
from trimtab.infra.jobs import Job, JobContext, Jobs
from trimtab.kernel.time import SECOND_US, now_us
from trimtab.kernel.who import system

_ME = system("data")
_TELL_EVERY_US = 2 * SECOND_US
SWEEP = "data.sweep"
_SWEEP_EVERY_US = 300 * SECOND_US


def register(jobs: Jobs, service: DataService) -> None:
    """Name the function that profiles."""

    def profile(job: Job, context: JobContext) -> None:
        name, version = job.payload["name"], job.payload["version"]
        told = 0

        def progress(share: float, note: str) -> None:
            nonlocal told
            if now_us() - told > _TELL_EVERY_US:
                context.heartbeat(progress=share, note=note)
                told = now_us()

        try:
            service.validation.run(_ME, name, version, progress=progress)
        except Exception as error:
            if job.attempt >= job.max_attempts:  # nobody should wait for a verdict that never comes
                service.validation.give_up(_ME, name, version, f"The profile could not be made: {error}")
            raise

    def sweep(_: Job, __: JobContext) -> None:
        service.validation.give_up_lost(_ME)

    jobs.handler(PROFILE, profile)
    jobs.handler(SWEEP, sweep)


def schedule(jobs: Jobs, tx: Tx) -> None:
    """Have profiles that no process makes any more noticed within some minutes."""
    jobs.schedule(tx, SWEEP, kind=SWEEP, every_us=_SWEEP_EVERY_US)
