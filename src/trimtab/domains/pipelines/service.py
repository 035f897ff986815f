"""Submits runs of pipelines to the queue, ends and repeats them, and answers what became of them."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from trimtab.domains.pipelines import store
from trimtab.domains.pipelines.definitions import Definitions, pipeline_ref, require
from trimtab.domains.pipelines.errors import PipelineRunNotFound, RunEnded, RunNotRetryable, StepNotFound
from trimtab.domains.pipelines.events import PipelineRunFinished
from trimtab.domains.pipelines.execution import Execution, Place
from trimtab.domains.pipelines.model import ENDED, MOST_ATTEMPTS, RUN_STATES, Run, StepRow, check_trigger
from trimtab.domains.pipelines.values import blobs_of, refs_in
from trimtab.infra.db import Tx, Where
from trimtab.infra.jobs import JobContext
from trimtab.infra.jobs.queue import JobNotFound
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, Invalid, NotFound, did_you_mean
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.sdk.parameters import check

RUN = "pipelines.run"


class PipelineService(Definitions):
    """Pipelines and their runs. Runs are carried out by worker processes, never by the server's own."""

    def submit(
        self,
        who: Principal,
        *,
        pipeline: str,
        params: dict[str, Any] | None = None,
        trigger: dict[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Queue a run of the registered pipeline's present version.

        ``trigger`` says why: ``{"kind": "manual" | "schedule" | "alarm" | ...}``, with the ``ref`` of what caused it.
        A second submission with the same ``idempotency_key`` returns the first one's run.
        Raises PipelineNotFound, Conflict for another pipeline's key, and Invalid that names a wrong parameter.
        """
        self.govern.permit(who, "write", pipeline_ref(pipeline))
        cause = check_trigger(trigger or {"kind": "manual"})
        if idempotency_key is not None and not 1 <= len(idempotency_key) <= 200:
            raise Invalid("An idempotency key has 1 to 200 characters.", field="idempotency_key")
        with self._db.write() as tx:
            if idempotency_key is not None:
                tx.lock(f"pipelines.submit:{idempotency_key}")
                known = store.run_by_key(tx, idempotency_key)
                if known is not None:
                    if known.pipeline != pipeline:
                        raise Conflict(
                            f"The key {idempotency_key!r} belongs to run {known.id} of {known.pipeline}.",
                            field="idempotency_key",
                        )
                    return known
            registered = require(tx, pipeline)
            values = check(registered.spec.parameters, params or {})
            run_id = new_id("pr_")
            run = Run(
                id=run_id,
                pipeline=pipeline,
                pipeline_version=registered.version,
                entry=registered.entry,
                source_blob=registered.source_blob,
                params=values,
                trigger=cause,
                submitted_by=who.id,
                state="queued",
                created_us=now_us(),
                job_id=self._enqueue(tx, run_id),
            )
            store.insert_run(tx, run, idempotency_key=idempotency_key)
            self._link(tx, run, registered.spec.commit)
            detail = {"pipeline": pipeline, "params": values, "trigger": cause}
            self.govern.audit(tx, who, "pipelines.run.submit", _run_ref(run_id), detail=detail)
        return run

    def get_run(self, who: Principal, run_id: str) -> Run:
        """Return a run; raises PipelineRunNotFound."""
        self.govern.permit(who, "read", _run_ref(run_id))
        with self._db.read() as tx:
            return _run(tx, run_id)

    def find_runs(
        self,
        who: Principal,
        *,
        pipeline: str | None = None,
        state: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Run]:
        """Return runs, newest first, optionally of one pipeline or in one state."""
        self.govern.permit(who, "read", "pipeline runs")
        size = check_limit(limit)
        if state is not None and state not in RUN_STATES:
            hint = did_you_mean(state, RUN_STATES)
            raise Invalid(f"A run is {', '.join(RUN_STATES)}, not {state!r}.{hint}", field="state")
        where = Where().equals(pipeline=pipeline, state=state)
        if cursor:
            where.add("id < :before", before=cursor_key(cursor, str))
        with self._db.read() as tx:
            found = store.runs(tx, where=where, limit=size + 1)
        return page_of(found, size, key=lambda run: run.id)

    def get_steps(self, who: Principal, run_ids: list[str]) -> dict[str, list[StepRow]]:
        """Return the steps of some runs in the order of their graphs, by the id of the run."""
        self.govern.permit(who, "read", "pipeline runs")
        found: dict[str, list[StepRow]] = {run_id: [] for run_id in run_ids}
        with self._db.read() as tx:
            for row in store.steps(tx, run_ids):
                found[row.run_id].append(row)
        return found

    def step_log(self, who: Principal, run_id: str, step: str) -> str:
        """Return what the last attempt of a step has written; raises PipelineRunNotFound and StepNotFound."""
        row = self.get_step(who, run_id, step)
        if row.log_blob is None or not self._blobs.exists(row.log_blob):
            return row.log_tail
        with self._blobs.open(row.log_blob) as stream:
            return stream.read().decode("utf-8", "replace")

    def get_step(self, who: Principal, run_id: str, step: str) -> StepRow:
        """Return a step; raises PipelineRunNotFound and StepNotFound."""
        self.govern.permit(who, "read", _run_ref(run_id))
        with self._db.read() as tx:
            _run(tx, run_id)
            row = store.step(tx, run_id, step)
            if row is None:
                hint = did_you_mean(step, [known.name for known in store.steps(tx, [run_id])])
                raise StepNotFound(f"Run {run_id} has no step {step!r}.{hint}")
        return row

    def cancel(self, who: Principal, run_id: str) -> Run:
        """Have a run ended; what waits is cancelled at once, what runs within a second. Raises RunEnded."""
        self.govern.permit(who, "write", _run_ref(run_id))
        now = now_us()
        with self._db.write() as tx:
            tx.lock(_run_ref(run_id))
            run = _run(tx, run_id)
            if run.state in ENDED:
                raise RunEnded(f"Run {run_id} has {run.state} already.")
            store.ask_cancel(tx, run_id, now_us=now)
            if run.state == "queued":
                self._end(tx, run, "cancelled", "cancelled before it began")
            self.govern.audit(tx, who, "pipelines.run.cancel", _run_ref(run_id))
            return _run(tx, run_id)

    def retry(self, who: Principal, run_id: str) -> Run:
        """Queue a failed or cancelled run again; steps that succeeded are not done again. Raises RunNotRetryable."""
        self.govern.permit(who, "write", _run_ref(run_id))
        with self._db.write() as tx:
            tx.lock(_run_ref(run_id))
            run = _run(tx, run_id)
            if not store.requeue_run(tx, run_id, job_id=self._enqueue(tx, run_id)):
                raise RunNotRetryable(
                    f"Run {run_id} is {run.state}: only one that failed or was cancelled is retried."
                )
            self.govern.audit(tx, who, "pipelines.run.retry", _run_ref(run_id))
            return _run(tx, run_id)

    def execution(self, who: Principal, run: Run, place: Place, context: JobContext) -> Execution:
        """Return what carries a run out in this process; for workers."""
        self.govern.permit(who, "write", _run_ref(run.id))
        return Execution(
            run,
            place,
            context,
            db=self._db,
            bus=self._bus,
            blobs=self._blobs,
            govern=self.govern,
            lineage=self._lineage,
        )

    # upkeep

    def bury_lost(self, who: Principal) -> int:
        """Fail the runs whose job ran out of attempts; return how many."""
        self.govern.permit(who, "write", "pipeline runs")
        with self._db.read() as tx:
            unfinished = store.unfinished_runs(tx)
        lost = [run_id for run_id, job_id in unfinished if not self._alive(job_id)]
        for run_id in lost:
            with self._db.write() as tx:
                tx.lock(_run_ref(run_id))
                run = _run(tx, run_id)
                if run.state in ENDED or self._alive(run.job_id):
                    continue
                self._end(tx, run, "failed", "The processes that carried it out died again and again.")
            if run.token_id is not None:
                with suppress(NotFound):
                    self.govern.revoke_token(who, run.token_id)
        return len(lost)

    def expire(self, who: Principal, *, before_us: int) -> int:
        """Delete what ended, and what the cache has not needed, before a moment; return how many runs went."""
        self.govern.permit(who, "admin", "pipeline runs")
        with self._db.write() as tx:
            return store.expire(tx, before_us=before_us)

    def blobs_in_use(self, who: Principal) -> Iterator[str]:
        """Yield every blob that must be kept for pipelines, runs and the cache."""
        self.govern.permit(who, "admin", "blobs")
        with self._db.read() as tx:
            yield from store.blobs_in_use(tx)
            for value in store.values_in_use(tx):
                yield from blobs_of(value, self._blobs)

    def _alive(self, job_id: str) -> bool:
        try:
            return self._jobs.get(job_id).state in ("queued", "running")
        except JobNotFound:
            return False

    def _enqueue(self, tx: Tx, run_id: str) -> str:
        return self._jobs.enqueue(tx, RUN, {"run": run_id}, queue="pipelines", max_attempts=MOST_ATTEMPTS)

    def _end(self, tx: Tx, run: Run, state: str, error: str) -> None:
        now = now_us()
        store.end_run(tx, run.id, state=state, now_us=now, outputs={}, error=error)
        store.cancel_steps(tx, run.id, now_us=now)
        event = PipelineRunFinished(run.id, run.pipeline, state, {}, run.trigger, error)
        self._bus.emit(tx, event, subject=_run_ref(run.id), actor=run.submitted_by)

    def _link(self, tx: Tx, run: Run, commit: str) -> None:
        """Record what is known of a run's origin before it starts: its cause, its code, the data it was given."""
        here = _run_ref(run.id)
        self._lineage.describe(tx, here, run.pipeline)
        cause = run.trigger.get("ref")
        if isinstance(cause, str):
            self._lineage.link(tx, cause, here, "triggered")
        if commit:
            self._lineage.link(tx, refs.make("commit", commit), here, "code")
        for ref in refs_in(run.params):
            self._lineage.link(tx, ref, here, "input")


def _run_ref(run_id: str) -> str:
    return refs.make("pipeline-run", run_id)


def _run(tx: Tx, run_id: str) -> Run:
    found = store.run(tx, run_id)
    if found is None:
        raise PipelineRunNotFound(f"There is no pipeline run {run_id}.")
    return found
