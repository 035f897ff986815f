"""The HTTP face of pipelines: bundles, pipelines, runs, steps and their logs."""

from typing import Any, Literal

import msgspec

from trimtab.domains.pipelines.model import Pipeline, Run, RunState, Spec, StepRow, StepState
from trimtab.domains.pipelines.service import PipelineService
from trimtab.domains.pipelines.values import Value, show
from trimtab.infra.http import Request, Route, Stream, route
from trimtab.kernel.errors import TooLarge
from trimtab.kernel.pages import Page
from trimtab.sdk.bundles import MOST_BYTES


class PipelineBundleView(msgspec.Struct):
    blob: str
    files: list[str]


class RegisterPipeline(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    source_blob: str
    entry: str
    spec: Spec = Spec()


class SubmitPipelineRun(msgspec.Struct, forbid_unknown_fields=True):
    pipeline: str
    params: dict[str, Any] = {}
    idempotency_key: str | None = None


class SchedulePipeline(msgspec.Struct, forbid_unknown_fields=True):
    cron: str
    params: dict[str, Any] = {}


class PipelineStepView(msgspec.Struct):
    name: str
    state: StepState
    cached: bool
    attempt: int
    started_us: int | None
    ended_us: int | None
    needs: list[str]
    error: str | None
    outputs: dict[str, Any]
    log_tail: str


class PipelineRunView(msgspec.Struct):
    """A run; ``trigger`` is the kind of its cause and ``cause`` all that is known of it."""

    id: str
    pipeline: str
    pipeline_version: int
    state: RunState
    created_us: int
    started_us: int | None
    ended_us: int | None
    params: dict[str, Any]
    trigger: str
    cause: dict[str, Any]
    submitted_by: str
    outputs: dict[str, Any]
    error: str | None
    source_blob: str
    steps: list[PipelineStepView]


class PipelineView(msgspec.Struct):
    name: str
    version: int
    description: str
    entry: str
    source_blob: str
    spec: Spec
    created_us: int
    updated_us: int
    updated_by: str
    cron: str | None
    runs: int
    last_run: PipelineRunView | None


class PipelineQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str | None = None


class PipelineRunQuery(PipelineQuery):
    pipeline: str | None = None
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"] | None = None


def routes(service: PipelineService) -> list[Route]:
    @route("POST", "/api/v1/pipeline-bundles", raw_body=True, returns=PipelineBundleView,
           status=201, tags=["pipelines"])  # fmt: skip
    def add_bundle(request: Request) -> PipelineBundleView:
        """Upload a zip archive of a pipeline's source files."""
        blob, files = service.add_bundle(request.who, _body(request))
        return PipelineBundleView(blob, files)

    @route(
        "POST",
        "/api/v1/pipelines",
        body=RegisterPipeline,
        returns=PipelineView,
        status=201,
        tags=["pipelines"],
    )
    def register(request: Request, body: RegisterPipeline) -> PipelineView:
        """Register a pipeline, or its next version where something changed."""
        made = service.register(
            request.who, body.name, source_blob=body.source_blob, entry=body.entry, spec=body.spec
        )
        return _pipeline(made)

    @route("GET", "/api/v1/pipelines", query=PipelineQuery, returns=Page[PipelineView], tags=["pipelines"])
    def list_pipelines(request: Request, query: PipelineQuery) -> Page[PipelineView]:
        """List pipelines by name, each with its newest run."""
        page = service.find_pipelines(request.who, limit=query.limit, cursor=query.cursor)
        newest = [run.id for _, _, run in page.items if run is not None]
        steps = service.get_steps(request.who, newest)
        items = [
            _pipeline(pipeline, count, _run(run, steps[run.id], logs=False) if run is not None else None)
            for pipeline, count, run in page.items
        ]
        return Page(items, page.next_cursor)

    @route("GET", "/api/v1/pipelines/{name}", returns=PipelineView, tags=["pipelines"])
    def get_pipeline(request: Request) -> PipelineView:
        """Return a pipeline with its newest run."""
        name = request.path["name"]
        pipeline = service.get_pipeline(request.who, name)
        count, newest = service.count_runs(request.who, name)
        steps = service.get_steps(request.who, [newest.id])[newest.id] if newest is not None else []
        return _pipeline(pipeline, count, _run(newest, steps, logs=False) if newest is not None else None)

    @route(
        "PUT",
        "/api/v1/pipelines/{name}/schedule",
        body=SchedulePipeline,
        returns=PipelineView,
        tags=["pipelines"],
    )
    def schedule(request: Request, body: SchedulePipeline) -> PipelineView:
        """Have a pipeline run by a cron expression in UTC."""
        name = request.path["name"]
        return _pipeline(service.schedule(request.who, name, cron=body.cron, params=body.params))

    @route("DELETE", "/api/v1/pipelines/{name}/schedule", tags=["pipelines"])
    def unschedule(request: Request) -> None:
        """Have a pipeline run by schedule no longer."""
        service.schedule(request.who, request.path["name"], cron=None)

    @route(
        "POST",
        "/api/v1/pipeline-runs",
        body=SubmitPipelineRun,
        returns=PipelineRunView,
        status=201,
        tags=["pipelines"],
    )
    def submit(request: Request, body: SubmitPipelineRun) -> PipelineRunView:
        """Queue a run of a registered pipeline."""
        run = service.submit(
            request.who, pipeline=body.pipeline, params=body.params, idempotency_key=body.idempotency_key
        )
        return _run(run, service.get_steps(request.who, [run.id])[run.id])

    @route(
        "GET",
        "/api/v1/pipeline-runs",
        query=PipelineRunQuery,
        returns=Page[PipelineRunView],
        tags=["pipelines"],
    )
    def list_runs(request: Request, query: PipelineRunQuery) -> Page[PipelineRunView]:
        """List runs, newest first; their steps come without logs."""
        page = service.find_runs(
            request.who, pipeline=query.pipeline, state=query.state, limit=query.limit, cursor=query.cursor
        )
        steps = service.get_steps(request.who, [run.id for run in page.items])
        return Page([_run(run, steps[run.id], logs=False) for run in page.items], page.next_cursor)

    @route("GET", "/api/v1/pipeline-runs/{run_id}", returns=PipelineRunView, tags=["pipelines"])
    def get_run(request: Request) -> PipelineRunView:
        """Return a run with its steps."""
        run = service.get_run(request.who, request.path["run_id"])
        return _run(run, service.get_steps(request.who, [run.id])[run.id])

    @route("POST", "/api/v1/pipeline-runs/{run_id}/cancel", returns=PipelineRunView, tags=["pipelines"])
    def cancel(request: Request) -> PipelineRunView:
        """End a run."""
        run = service.cancel(request.who, request.path["run_id"])
        return _run(run, service.get_steps(request.who, [run.id])[run.id])

    @route("POST", "/api/v1/pipeline-runs/{run_id}/retry", returns=PipelineRunView, tags=["pipelines"])
    def retry(request: Request) -> PipelineRunView:
        """Queue a failed or cancelled run again; what succeeded is kept."""
        run = service.retry(request.who, request.path["run_id"])
        return _run(run, service.get_steps(request.who, [run.id])[run.id])

    @route(
        "GET", "/api/v1/pipeline-runs/{run_id}/steps/{step}/log", media_type="text/plain", tags=["pipelines"]
    )
    def step_log(request: Request) -> Stream:
        """Return what the last attempt of a step wrote."""
        text = service.step_log(request.who, request.path["run_id"], request.path["step"])
        return Stream(text.encode(), media_type="text/plain; charset=utf-8")

    return [
        add_bundle, register, list_pipelines, get_pipeline, schedule, unschedule,
        submit, list_runs, get_run, cancel, retry, step_log,
    ]  # fmt: skip


def _body(request: Request) -> bytes:
    pieces: list[bytes] = []
    total = 0
    for piece in request.chunks():
        total += len(piece)
        if total > MOST_BYTES:
            raise TooLarge(f"A bundle may have at most {MOST_BYTES >> 20} MiB.")
        pieces.append(piece)
    return b"".join(pieces)


def _pipeline(pipeline: Pipeline, runs: int = 0, last_run: PipelineRunView | None = None) -> PipelineView:
    return PipelineView(
        name=pipeline.name,
        version=pipeline.version,
        description=pipeline.spec.description,
        entry=pipeline.entry,
        source_blob=pipeline.source_blob,
        spec=pipeline.spec,
        created_us=pipeline.created_us,
        updated_us=pipeline.updated_us,
        updated_by=pipeline.updated_by,
        cron=pipeline.cron,
        runs=runs,
        last_run=last_run,
    )


def _run(run: Run, steps: list[StepRow], *, logs: bool = True) -> PipelineRunView:
    return PipelineRunView(
        id=run.id,
        pipeline=run.pipeline,
        pipeline_version=run.pipeline_version,
        state=run.state,
        created_us=run.created_us,
        started_us=run.started_us,
        ended_us=run.ended_us,
        params=run.params,
        trigger=str(run.trigger.get("kind", "manual")),
        cause=run.trigger,
        submitted_by=run.submitted_by,
        outputs=run.outputs,
        error=run.error,
        source_blob=run.source_blob,
        steps=[_step(step, logs=logs) for step in steps],
    )


def _step(step: StepRow, *, logs: bool) -> PipelineStepView:
    return PipelineStepView(
        name=step.name,
        state=step.state,
        cached=step.cached,
        attempt=step.attempt,
        started_us=step.started_us,
        ended_us=step.ended_us,
        needs=step.needs,
        error=step.error,
        outputs=_outputs(step.value) if step.value is not None else {},
        log_tail=step.log_tail if logs else "",
    )


def _outputs(value: Value) -> dict[str, Any]:
    """Return what a step returned under names: those of its dict, else ``result``; nothing for None."""
    shown = show(value)
    if value.fields is not None or (value.type == "json" and isinstance(shown, dict)):
        return shown
    return {} if shown is None else {"result": shown}
