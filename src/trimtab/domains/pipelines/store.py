"""The tables of pipelines, runs, steps and the cache."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from trimtab.domains.pipelines.model import Pipeline, Plan, Result, Run, Spec, StepRow, constants
from trimtab.domains.pipelines.values import Value
from trimtab.infra.db import Tx, Where, load

Q = load(__package__ or "")
_JSON = ("params", "trigger", "outputs")


def put_pipeline(tx: Tx, pipeline: Pipeline) -> None:
    columns = msgspec.structs.asdict(pipeline)
    columns["spec"] = _dump(pipeline.spec)
    columns["cron_params"] = _dump(pipeline.cron_params)
    tx.run(Q.put_pipeline, **columns)


def pipeline(tx: Tx, name: str) -> Pipeline | None:
    row = tx.one(Q.pipeline, name=name)
    return _pipeline(row) if row else None


def pipelines(tx: Tx, *, where: Where, limit: int) -> list[Pipeline]:
    return [_pipeline(row) for row in tx.all(Q.pipelines.with_(where=where.sql), limit=limit, **where.params)]


def pipeline_names(tx: Tx) -> list[str]:
    return [row[0] for row in tx.all(Q.pipeline_names)]


def run_counts(tx: Tx, names: list[str]) -> dict[str, tuple[int, str]]:
    """Return the number of runs and the newest one's id, by the name of the pipeline."""
    where = Where().any_of("pipeline", [*names])
    rows = tx.all(Q.run_counts.with_(where=where.sql), **where.params)
    return {name: (number, newest) for name, number, newest in rows}


def insert_run(tx: Tx, run: Run, *, idempotency_key: str | None) -> None:
    tx.run(
        Q.insert_run,
        id=run.id,
        pipeline=run.pipeline,
        pipeline_version=run.pipeline_version,
        entry=run.entry,
        source_blob=run.source_blob,
        params=_dump(run.params),
        trigger_data=_dump(run.trigger),
        submitted_by=run.submitted_by,
        state=run.state,
        created_us=run.created_us,
        job_id=run.job_id,
        idempotency_key=idempotency_key,
    )


def run(tx: Tx, run_id: str) -> Run | None:
    row = tx.one(Q.run, id=run_id)
    return _run(row) if row else None


def run_by_key(tx: Tx, idempotency_key: str) -> Run | None:
    row = tx.one(Q.run_by_key, idempotency_key=idempotency_key)
    return _run(row) if row else None


def runs(tx: Tx, *, where: Where, limit: int) -> list[Run]:
    return [_run(row) for row in tx.all(Q.runs.with_(where=where.sql), limit=limit, **where.params)]


def plan(tx: Tx, run_id: str) -> Plan | None:
    row = tx.one(Q.plan, id=run_id)
    return msgspec.json.decode(row[0], type=Plan) if row and row[0] else None


def set_plan(tx: Tx, run_id: str, plan: Plan, steps: Iterable[StepRow]) -> None:
    """Fix the graph of a run together with its steps."""
    tx.run(Q.set_plan, id=run_id, plan=_dump(plan))
    tx.many(Q.insert_step, [_step_columns(step) for step in steps])


def begin_run(tx: Tx, run_id: str, *, now_us: int) -> int | None:
    """Take a run for this process and return its fence; None when there is nothing left to do."""
    row = tx.one(Q.begin_run, id=run_id, now_us=now_us)
    return row[0] if row else None


def hold(tx: Tx, run_id: str, *, fence: int) -> bool:
    """Whether the run is still this process's to write to; it stays so until the transaction ends."""
    return tx.run(Q.hold, id=run_id, fence=fence) == 1


def cancel_asked(tx: Tx, run_id: str) -> bool:
    row = tx.one(Q.cancel_us, id=run_id)
    return row is not None and row[0] is not None


def ask_cancel(tx: Tx, run_id: str, *, now_us: int) -> None:
    tx.run(Q.ask_cancel, id=run_id, now_us=now_us)


def end_run(
    tx: Tx, run_id: str, *, state: str, now_us: int, outputs: dict[str, Any], error: str | None
) -> bool:
    return tx.run(Q.end_run, id=run_id, state=state, now_us=now_us, outputs=_dump(outputs), error=error) == 1


def requeue_run(tx: Tx, run_id: str, *, job_id: str) -> bool:
    """Put an ended run back into the queue; steps that succeeded keep their results."""
    if tx.run(Q.requeue_run, id=run_id, job_id=job_id) != 1:
        return False
    tx.run(Q.reset_steps, run_id=run_id)
    return True


def set_token(tx: Tx, run_id: str, token_id: str | None) -> None:
    tx.run(Q.set_token, id=run_id, token_id=token_id)


def update_steps(tx: Tx, steps: Sequence[StepRow]) -> None:
    updates: list[dict[str, Any]] = []
    for step in steps:
        columns = _step_columns(step)
        for fixed in ("position", "needs"):
            columns.pop(fixed)
        updates.append(columns)
    tx.many(Q.update_step, updates)


def steps(tx: Tx, run_ids: Sequence[str]) -> list[StepRow]:
    """Return the steps of some runs, by run and position."""
    where = Where().any_of("run_id", [*run_ids])
    return [_step(row) for row in tx.all(Q.steps.with_(where=where.sql), **where.params)]


def step(tx: Tx, run_id: str, name: str) -> StepRow | None:
    where = Where().equals(run_id=run_id, name=name)
    row = tx.one(Q.steps.with_(where=where.sql), **where.params)
    return _step(row) if row else None


def cancel_steps(tx: Tx, run_id: str, *, now_us: int) -> None:
    tx.run(Q.cancel_steps, run_id=run_id, now_us=now_us)


def cached(tx: Tx, keys: Sequence[str]) -> dict[str, Result]:
    """Return what is remembered under each of the keys."""
    found: dict[str, Result] = {}
    for start in range(0, len(keys), 500):
        where = Where().any_of("cache_key", [*keys[start : start + 500]])
        for key, result in tx.all(Q.cached.with_(where=where.sql), **where.params):
            found[key] = msgspec.json.decode(result, type=Result)
    return found


def put_cached(tx: Tx, key: str, result: Result, *, run_id: str, step: str, now_us: int) -> None:
    tx.run(Q.put_cached, cache_key=key, result=_dump(result), run_id=run_id, step=step, now_us=now_us)


def touch_cached(tx: Tx, keys: Sequence[str], *, now_us: int) -> None:
    tx.many(Q.touch_cached, [{"cache_key": key, "now_us": now_us} for key in sorted(keys)])


def forget_cached(tx: Tx, key: str) -> None:
    tx.run(Q.forget_cached, cache_key=key)


def expire(tx: Tx, *, before_us: int) -> int:
    """Delete runs that ended, and cache entries last used, before a moment; return how many runs went."""
    tx.run(Q.expire_cache, before_us=before_us)
    tx.run(Q.expire_steps, before_us=before_us)
    return tx.run(Q.expire_runs, before_us=before_us)


def unfinished_runs(tx: Tx) -> list[tuple[str, str]]:
    """Return (run, job) of every run that has not ended."""
    return [(run_id, job_id) for run_id, job_id in tx.all(Q.unfinished_runs)]


def blobs_in_use(tx: Tx) -> Iterator[str]:
    """Yield every blob that a pipeline, run or log refers to."""
    for (blob,) in tx.all(Q.blob_holders):
        yield blob


def values_in_use(tx: Tx) -> Iterator[Value]:
    """Yield every value that a step or the cache holds."""
    for (value,) in tx.all(Q.stored_values):
        yield msgspec.json.decode(value, type=Value)
    for (result,) in tx.all(Q.stored_results):
        yield msgspec.json.decode(result, type=Result).value
    for (plan,) in tx.all(Q.stored_plans):
        yield from constants(msgspec.json.decode(plan, type=Plan))


def _dump(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _pipeline(row: tuple[Any, ...]) -> Pipeline:
    columns = dict(zip(Pipeline.__struct_fields__, row, strict=True))
    columns["spec"] = msgspec.json.decode(columns["spec"], type=Spec)
    columns["cron_params"] = msgspec.json.decode(columns["cron_params"])
    return Pipeline(**columns)


def _run(row: tuple[Any, ...]) -> Run:
    columns = dict(zip(Run.__struct_fields__, row, strict=True))
    for name in _JSON:
        columns[name] = msgspec.json.decode(columns[name])
    return Run(**columns)


def _step_columns(step: StepRow) -> dict[str, Any]:
    columns = msgspec.structs.asdict(step)
    columns["cached"] = int(step.cached)
    columns["needs"] = _dump(step.needs)
    columns["value"] = _dump(step.value) if step.value is not None else None
    return columns


def _step(row: tuple[Any, ...]) -> StepRow:
    columns = dict(zip(StepRow.__struct_fields__, row, strict=True))
    columns["cached"] = bool(columns["cached"])
    columns["needs"] = msgspec.json.decode(columns["needs"])
    if columns["value"] is not None:
        columns["value"] = msgspec.json.decode(columns["value"], type=Value)
    return StepRow(**columns)
