"""The durable queue: jobs with leases, retries and dead letters, schedules, and the processes that run them."""

from trimtab.infra.jobs.model import Interrupted, Job, JobRecord, Permanent
from trimtab.infra.jobs.queue import JobContext, Jobs

__all__ = ["Interrupted", "Job", "JobContext", "JobRecord", "Jobs", "Permanent"]
