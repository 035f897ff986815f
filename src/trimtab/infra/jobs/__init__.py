"""The durable queue: jobs with leases, retries and dead letters, schedules, and the processes that run them."""

from trimtab.infra.jobs.model import Job, JobRecord, Permanent
from trimtab.infra.jobs.queue import JobContext, Jobs

__all__ = ["Job", "JobContext", "JobRecord", "Jobs", "Permanent"]
