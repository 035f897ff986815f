"""What a job is, and the rules of retry and recurrence."""

import random
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import SECOND_US

Queue = Literal["light", "heavy", "stream", "pipelines"]
"""light: threads of the server. heavy: worker processes. stream: one worker for what must never wait for those.
pipelines: a worker that carries out runs, whose steps may wait for heavy jobs and must not take their places."""
State = Literal["queued", "running", "done", "dead"]

LEASE_US = 30 * SECOND_US
HEARTBEAT_S = 8.0
_FIRST_RETRY_US = SECOND_US // 2
_LONGEST_RETRY_US = 300 * SECOND_US


class Permanent(Exception):
    """Raised by a handler when trying again cannot help; the job goes to the dead letters at once."""


class Interrupted(Exception):
    """Raised by a handler that gives up because its process is asked to leave; the job goes on elsewhere at once."""


class Job(msgspec.Struct, frozen=True):
    """A claimed piece of work as its handler sees it. ``attempt`` counts from 1."""

    id: str
    kind: str
    queue: Queue
    payload: dict[str, Any]
    attempt: int
    max_attempts: int


class JobRecord(msgspec.Struct, frozen=True):
    """A job as listings show it."""

    id: str
    kind: str
    queue: Queue
    state: State
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    due_us: int
    progress: float | None
    note: str | None
    error: str | None
    created_us: int
    started_us: int | None
    ended_us: int | None


class Schedule(msgspec.Struct, frozen=True):
    """A recurrence: a cron expression in UTC or a fixed period."""

    name: str
    kind: str
    queue: Queue
    payload: dict[str, Any]
    cron: str | None
    every_us: int | None
    next_us: int


def retry_delay_us(attempt: int) -> int:
    """Return the wait before the next attempt: exponential from half a second, at most 5 minutes, with jitter."""
    ceiling = min(_LONGEST_RETRY_US, _FIRST_RETRY_US * 2 ** (attempt - 1))
    return int(ceiling * random.uniform(0.5, 1.0))  # noqa: S311 - jitter needs no secrecy


def next_time_us(after_us: int, *, cron: str | None, every_us: int | None) -> int:
    """Return the first moment after the given one; raises Invalid for a bad cron expression or no recurrence."""
    if every_us is not None:
        if every_us <= 0:
            raise Invalid("A period must be positive.", field="every_us")
        return after_us + every_us
    if cron is None:
        raise Invalid("A schedule needs a cron expression or a period.", field="cron")
    from cronsim import CronSim, CronSimError

    try:
        moment = next(CronSim(cron, datetime.fromtimestamp(after_us / 1e6, UTC)))
    except CronSimError as error:
        raise Invalid(f"{cron!r} is not a cron expression: {error}.", field="cron") from error
    except StopIteration:
        raise Invalid(f"{cron!r} never comes.", field="cron") from None
    return int(moment.timestamp()) * SECOND_US
