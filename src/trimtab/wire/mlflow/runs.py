"""The runs of the MLflow API: their life, what is logged to them, and their search."""

import json
from typing import Any

import msgspec

from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.metrics.model import check_point
from trimtab.domains.tracking.names import check_run_id
from trimtab.domains.tracking.runs.model import (
    STATUSES,
    Dataset,
    DatasetInput,
    ModelOutput,
    Run,
    RunHead,
    Status,
    status_of,
)
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import missing
from trimtab.wire.mlflow.messages import (
    Int64,
    Metric,
    MetricView,
    Tag,
    TagView,
    latest_views,
    micros,
    millis,
    page_size,
    point_of,
    required,
    tag_pairs,
    tag_views,
    view_of,
)

_MOST_METRICS = 1000
_MOST_PARAMS = 100
_MOST_TAGS = 100
_MOST_TOGETHER = 1000
_MOST_IN_A_PAGE = 50_000
_DEFAULT_PAGE = 1000
_LEGACY_MODELS_TAG = "mlflow.log-model.history"
_LEGACY_KEPT = ("run_id", "utc_time_created", "artifact_path", "model_uuid", "flavors")
_LEGACY_FIELDS = ("artifact_path", "flavors", "utc_time_created", "run_id")


class RunInfo(msgspec.Struct, omit_defaults=True):
    run_uuid: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    run_id: str
    end_time: int | None = None


class RunData(msgspec.Struct, omit_defaults=True):
    metrics: list[MetricView] = []
    params: list[TagView] = []
    tags: list[TagView] = []


class DatasetView(msgspec.Struct, omit_defaults=True):
    name: str
    digest: str
    source_type: str
    source: str
    schema: str | None = None
    profile: str | None = None


class DatasetInputView(msgspec.Struct, omit_defaults=True):
    dataset: DatasetView
    tags: list[TagView] = []


class ModelInputView(msgspec.Struct):
    model_id: str


class ModelOutputView(msgspec.Struct):
    model_id: str
    step: int


class RunInputs(msgspec.Struct, omit_defaults=True):
    dataset_inputs: list[DatasetInputView] = []
    model_inputs: list[ModelInputView] = []


class RunOutputs(msgspec.Struct, omit_defaults=True):
    model_outputs: list[ModelOutputView] = []


class RunView(msgspec.Struct):
    info: RunInfo
    data: RunData
    inputs: RunInputs
    outputs: RunOutputs


class OneRun(msgspec.Struct):
    run: RunView


class OneRunInfo(msgspec.Struct):
    run_info: RunInfo


class FoundRuns(msgspec.Struct, omit_defaults=True):
    runs: list[RunView] = []
    next_page_token: str | None = None


class CreateRun(msgspec.Struct):
    experiment_id: str | None = None
    user_id: str | None = None
    run_name: str | None = None
    start_time: Int64 | None = None
    tags: list[Tag] | None = None


class UpdateRun(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None
    status: str | int | None = None
    end_time: Int64 | None = None
    run_name: str | None = None


class ById(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None


class SearchRuns(msgspec.Struct):
    experiment_ids: list[str] | None = None
    filter: str | None = None
    run_view_type: str | int | None = None
    max_results: Int64 | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class LogMetric(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None
    key: str | None = None
    value: float | None = None
    timestamp: Int64 | None = None
    step: Int64 | None = None
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class RunTag(msgspec.Struct):
    run_id: str | None = None
    run_uuid: str | None = None
    key: str | None = None
    value: str | None = None


class LogBatch(msgspec.Struct):
    run_id: str | None = None
    metrics: list[Metric] | None = None
    params: list[Tag] | None = None
    tags: list[Tag] | None = None


class LogModel(msgspec.Struct):
    run_id: str | None = None
    model_json: str | None = None


class DatasetMessage(msgspec.Struct):
    name: str | None = None
    digest: str | None = None
    source_type: str | None = None
    source: str | None = None
    schema: str | None = None
    profile: str | None = None


class DatasetInputMessage(msgspec.Struct):
    dataset: DatasetMessage | None = None
    tags: list[Tag] | None = None


class ModelMessage(msgspec.Struct):
    model_id: str | None = None
    step: Int64 | None = None


class LogInputs(msgspec.Struct):
    run_id: str | None = None
    datasets: list[DatasetInputMessage] | None = None
    models: list[ModelMessage] | None = None


class LogOutputs(msgspec.Struct):
    run_id: str | None = None
    models: list[ModelMessage] | None = None


def handlers(tracking: TrackingService) -> list[Handler]:
    return [*_life(tracking), *_logging(tracking), *_links(tracking)]


def _life(tracking: TrackingService) -> list[Handler]:
    runs = tracking.runs

    @handler("POST", "/mlflow/runs/create", CreateRun)
    def create(request: Request, body: CreateRun) -> OneRun:
        run = runs.create(
            request.who,
            experiment_id=body.experiment_id or "0",
            name=body.run_name or None,
            owner=body.user_id or "",
            started_us=micros(body.start_time or 0, "start_time"),
            tags=tag_pairs(body.tags),
        )
        return OneRun(view(run))

    @handler("GET", "/mlflow/runs/get", ById)
    def get(request: Request, body: ById) -> OneRun:
        return OneRun(view(runs.get(request.who, required(body.run_id or body.run_uuid, "run_id"))))

    @handler("POST", "/mlflow/runs/search", SearchRuns)
    def search(request: Request, body: SearchRuns) -> FoundRuns:
        page = runs.search(
            request.who,
            experiment_ids=body.experiment_ids or [],
            filter=body.filter or "",
            order_by=body.order_by or (),
            view=view_of(body.run_view_type),
            limit=page_size(body.max_results, default=_DEFAULT_PAGE, most=_MOST_IN_A_PAGE),
            cursor=body.page_token or None,
        )
        return FoundRuns([view(run, model_inputs=False) for run in page.items], page.next_cursor)

    @handler("POST", "/mlflow/runs/update", UpdateRun)
    def update(request: Request, body: UpdateRun) -> OneRunInfo:
        head = runs.update(
            request.who,
            required(body.run_id or body.run_uuid, "run_id"),
            status=None if body.status is None else _status(body.status),
            ended_us=None if body.end_time is None else micros(body.end_time, "end_time"),
            name=body.run_name or None,
        )
        return OneRunInfo(info(head))

    @handler("POST", "/mlflow/runs/delete", ById)
    def delete(request: Request, body: ById) -> None:
        runs.delete(request.who, required(body.run_id, "run_id"))

    @handler("POST", "/mlflow/runs/restore", ById)
    def restore(request: Request, body: ById) -> None:
        runs.restore(request.who, required(body.run_id, "run_id"))

    return [create, get, search, update, delete, restore]


def _logging(tracking: TrackingService) -> list[Handler]:
    runs = tracking.runs

    @handler("POST", "/mlflow/runs/log-metric", LogMetric)
    def log_metric(request: Request, body: LogMetric) -> None:
        run_id = required(body.run_id or body.run_uuid, "run_id")
        metric = Metric(
            body.key,
            body.value,
            body.timestamp,
            body.step,
            body.model_id,
            body.dataset_name,
            body.dataset_digest,
        )
        runs.log(request.who, run_id, points=[point_of(metric)])

    @handler("POST", "/mlflow/runs/log-parameter", RunTag)
    def log_param(request: Request, body: RunTag) -> None:
        run_id = required(body.run_id or body.run_uuid, "run_id")
        runs.log(request.who, run_id, params=[(required(body.key, "key"), body.value or "")])

    @handler("POST", "/mlflow/runs/set-tag", RunTag)
    def set_tag(request: Request, body: RunTag) -> None:
        run_id = required(body.run_id or body.run_uuid, "run_id")
        runs.log(request.who, run_id, tags=[(required(body.key, "key"), body.value or "")])

    @handler("POST", "/mlflow/runs/delete-tag", RunTag)
    def delete_tag(request: Request, body: RunTag) -> None:
        runs.delete_tag(request.who, required(body.run_id, "run_id"), required(body.key, "key"))

    @handler("POST", "/mlflow/runs/log-batch", LogBatch)
    def log_batch(request: Request, body: LogBatch) -> None:
        run_id = check_run_id(required(body.run_id, "run_id"))
        metrics, params, tags = body.metrics or [], body.params or [], body.tags or []
        points = [point_of(metric, f"metrics[{index}].") for index, metric in enumerate(metrics)]
        for index, point in enumerate(points):
            check_point(point, f"metrics[{index}]")
        new_params, new_tags = tag_pairs(params, "params"), tag_pairs(tags, "tags")
        _check_batch("metrics", len(points), _MOST_METRICS)
        _check_batch("params", len(new_params), _MOST_PARAMS)
        _check_batch("tags", len(new_tags), _MOST_TAGS)
        _check_batch(
            "metrics, params, and tags", len(points) + len(new_params) + len(new_tags), _MOST_TOGETHER
        )
        runs.log(request.who, run_id, points=points, params=new_params, tags=new_tags)

    return [log_metric, log_param, set_tag, delete_tag, log_batch]


def _links(tracking: TrackingService) -> list[Handler]:
    runs = tracking.runs

    @handler("POST", "/mlflow/runs/log-inputs", LogInputs)
    def log_inputs(request: Request, body: LogInputs) -> None:
        datasets = [_input_of(one) for one in body.datasets or ()]
        models = [required(one.model_id, "models.model_id") for one in body.models or ()]
        runs.log_inputs(request.who, required(body.run_id, "run_id"), datasets=datasets, models=models)

    @handler("POST", "/mlflow/runs/outputs", LogOutputs)
    def log_outputs(request: Request, body: LogOutputs) -> None:
        run_id = required(body.run_id, "run_id")
        if body.models is None:
            raise missing("models")
        models = [
            ModelOutput(required(one.model_id, "models.model_id"), one.step or 0) for one in body.models
        ]
        runs.log_outputs(request.who, run_id, models)

    @handler("POST", "/mlflow/runs/log-model", LogModel)
    def log_model(request: Request, body: LogModel) -> None:
        run_id = required(body.run_id, "run_id")
        text = required(body.model_json, "model_json")
        try:
            model: Any = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise Invalid(
                f"Malformed model info. \n {text[:500]} \n is not a valid JSON.", field="model_json"
            ) from error
        absent = set(_LEGACY_FIELDS) - set(model if isinstance(model, dict) else ())
        if absent:
            raise Invalid(f"Model json is missing mandatory fields: {sorted(absent)}", field="model_json")
        kept = {key: model[key] for key in _LEGACY_KEPT if key in model}
        runs.append_to_tag(request.who, run_id, _LEGACY_MODELS_TAG, json.dumps(kept))

    return [log_inputs, log_outputs, log_model]


def view(run: Run, *, model_inputs: bool = True) -> RunView:
    return RunView(
        info(run.head),
        RunData(latest_views(run.metrics), tag_views(run.params), tag_views(run.tags)),
        RunInputs(
            [_input_view(one) for one in run.datasets],
            [ModelInputView(one) for one in run.model_inputs] if model_inputs else [],
        ),
        RunOutputs([ModelOutputView(one.model_id, one.step) for one in run.model_outputs]),
    )


def info(head: RunHead) -> RunInfo:
    return RunInfo(
        run_uuid=head.id,
        experiment_id=head.experiment_id,
        run_name=head.name,
        user_id=head.owner,
        status=head.status,
        start_time=millis(head.started_us),
        artifact_uri=head.artifact_uri,
        lifecycle_stage=head.state,
        run_id=head.id,
        end_time=millis(head.ended_us) if head.ended_us else None,
    )


def _input_view(one: DatasetInput) -> DatasetInputView:
    dataset = one.dataset
    shown = DatasetView(
        dataset.name,
        dataset.digest,
        dataset.source_type,
        dataset.source,
        dataset.schema or None,
        dataset.profile or None,
    )
    return DatasetInputView(shown, tag_views(one.tags))


def _input_of(one: DatasetInputMessage) -> DatasetInput:
    given = one.dataset
    if given is None:
        raise Invalid("Dataset input must have a dataset associated with it.", field="datasets")
    dataset = Dataset(
        given.name or "",
        given.digest or "",
        given.source_type or "",
        given.source or "",
        given.schema,
        given.profile,
    )
    return DatasetInput(dataset, dict(tag_pairs(one.tags)))


def _status(given: str | int) -> Status:
    if isinstance(given, int) or given.isdigit():
        number = int(given)
        if not 1 <= number <= len(STATUSES):
            raise Invalid(f"Invalid value {number} for parameter 'status' supplied.", field="status")
        return STATUSES[number - 1]
    return status_of(given)


def _check_batch(what: str, count: int, most: int) -> None:
    if count > most:
        raise Invalid(
            f"A batch logging request can contain at most {most} {what}. Got {count} {what}. Please split up {what} "
            "across multiple requests and try again.",
            field=what.partition(",")[0],
        )
