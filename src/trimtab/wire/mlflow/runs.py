"""The runs of the MLflow API: their life, what is logged to them, and their search."""

import json
from typing import Any

import msgspec

from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.errors import LoggedModelNotFound
from trimtab.domains.tracking.names import MOST_PARAM, MOST_TAG, check_run_id
from trimtab.domains.tracking.runs.model import (
    NAME_TAG,
    STATUSES,
    Dataset,
    DatasetInput,
    ModelOutput,
    Status,
)
from trimtab.domains.tracking.runs.service import RunService
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import BadRequest, missing
from trimtab.wire.mlflow.messages import (
    Metric,
    micros,
    page_size,
    point_columns,
    required,
    tag_pairs,
    view_of,
)
from trimtab.wire.mlflow.run_messages import (
    ById,
    CreateRun,
    DatasetInputMessage,
    FoundRuns,
    LogBatch,
    LogInputs,
    LogMetric,
    LogModel,
    LogOutputs,
    OneRun,
    OneRunInfo,
    RunTag,
    SearchRuns,
    UpdateRun,
    info,
    view,
)

_MOST_METRICS = 1000
_MOST_PARAMS = 100
_MOST_TAGS = 100
_MOST_TOGETHER = 1000
_MOST_IN_A_PAGE = 50_000
_DEFAULT_PAGE = 1000
_LEGACY_MODELS_TAG = "mlflow.log-model.history"
_LEGACY_KEPT = ("run_id", "artifact_path", "utc_time_created", "model_uuid", "flavors")
_LEGACY_FIELDS = ("artifact_path", "flavors", "utc_time_created", "run_id")


def handlers(tracking: TrackingService) -> list[Handler]:
    return [*_life(tracking), *_logging(tracking), *_links(tracking)]


def _life(tracking: TrackingService) -> list[Handler]:
    runs = tracking.runs

    @handler("POST", "/mlflow/runs/create", CreateRun)
    def create(request: Request, body: CreateRun) -> OneRun:
        if not body.experiment_id:
            raise BadRequest("A run needs the experiment_id of its experiment.", field="experiment_id")
        if any(tag.key == NAME_TAG and not tag.value for tag in body.tags or ()):
            raise BadRequest(f"The tag '{NAME_TAG}' may not be empty.", field="tags")
        run = runs.create(
            request.who,
            experiment_id=body.experiment_id,
            name=body.run_name or None,
            owner=body.user_id or "",
            started_us=micros(body.start_time or 0, "start_time"),
            tags=tag_pairs(body.tags, most=MOST_TAG),
        )
        return OneRun(view(run, outputs=False))

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
            status=_status(body.status),
            ended_us=None if body.end_time is None else micros(body.end_time, "end_time"),
            name=body.run_name or None,
        )
        return OneRunInfo(info(head))

    @handler("POST", "/mlflow/runs/delete", ById)
    def delete(request: Request, body: ById) -> None:
        runs.delete(request.who, required(body.run_id, "run_id", alias=body.run_uuid))

    @handler("POST", "/mlflow/runs/restore", ById)
    def restore(request: Request, body: ById) -> None:
        runs.restore(request.who, required(body.run_id, "run_id", alias=body.run_uuid))

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
        _log(runs, request, run_id, points=point_columns([metric], ""))

    @handler("POST", "/mlflow/runs/log-parameter", RunTag)
    def log_param(request: Request, body: RunTag) -> None:
        run_id = required(body.run_id or body.run_uuid, "run_id")
        runs.log(request.who, run_id, params=[(required(body.key, "key"), (body.value or "")[:MOST_PARAM])])

    @handler("POST", "/mlflow/runs/set-tag", RunTag)
    def set_tag(request: Request, body: RunTag) -> None:
        run_id = required(body.run_id or body.run_uuid, "run_id")
        runs.log(request.who, run_id, tags=[(required(body.key, "key"), (body.value or "")[:MOST_TAG])])

    @handler("POST", "/mlflow/runs/delete-tag", RunTag)
    def delete_tag(request: Request, body: RunTag) -> None:
        run_id = required(body.run_id, "run_id", alias=body.run_uuid)
        runs.delete_tag(request.who, run_id, required(body.key, "key"))

    @handler("POST", "/mlflow/runs/log-batch", LogBatch)
    def log_batch(request: Request, body: LogBatch) -> None:
        run_id = check_run_id(required(body.run_id, "run_id"))
        metrics, params, tags = body.metrics or [], body.params or [], body.tags or []
        points = point_columns(metrics)
        new_params = tag_pairs(params, "params", most=MOST_PARAM)
        new_tags = tag_pairs(tags, most=MOST_TAG)
        _check_batch("metrics", len(points), _MOST_METRICS)
        _check_batch("params", len(new_params), _MOST_PARAMS)
        _check_batch("tags", len(new_tags), _MOST_TAGS)
        _check_batch(
            "metrics, params, and tags", len(points) + len(new_params) + len(new_tags), _MOST_TOGETHER
        )
        _log(runs, request, run_id, points=points, params=new_params, tags=new_tags)

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


def _status(given: str | int | None) -> Status | None:
    """Return the status of a name or number; None for an unknown name, which MLflow's server passes over.

    Raises Invalid for an unknown number.
    """
    number = int(given) if isinstance(given, str) and given.isdigit() else given
    if not isinstance(number, int):
        return next((status for status in STATUSES if status == given), None)
    if 1 <= number <= len(STATUSES):
        return STATUSES[number - 1]
    if isinstance(given, str):
        return None
    raise Invalid(f"Invalid value {given} for parameter 'status' supplied.", field="status")


def _log(runs: RunService, request: Request, run_id: str, **what: Any) -> None:
    try:
        runs.log(request.who, run_id, **what)
    except LoggedModelNotFound as error:
        raise BadRequest(error.message, field="model_id") from error


def _check_batch(what: str, count: int, most: int) -> None:
    if count > most:
        raise Invalid(
            f"A batch logging request can contain at most {most} {what}. Got {count} {what}. Please split up {what} "
            "across multiple requests and try again.",
            field=what.partition(",")[0],
        )
