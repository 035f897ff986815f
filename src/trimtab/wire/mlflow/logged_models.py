"""The logged models of the MLflow API."""

import msgspec

from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.artifacts.model import path_of_uri
from trimtab.domains.tracking.errors import ParameterChanged
from trimtab.domains.tracking.logged_models.model import DatasetScope, LoggedModel, ModelOrdering, Status
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.artifacts import FileList, list_below
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import BadRequest, missing
from trimtab.wire.mlflow.messages import (
    Empty,
    Int64,
    MetricView,
    Tag,
    TagView,
    metric_view,
    millis,
    page_size,
    required,
    tag_pairs,
    tag_views,
)

_DEFAULT_PAGE = 50
_MOST_IN_A_PAGE = 50_000
_STATUS_NAMES: dict[Status, str] = {
    "PENDING": "LOGGED_MODEL_PENDING",
    "READY": "LOGGED_MODEL_READY",
    "FAILED": "LOGGED_MODEL_UPLOAD_FAILED",
}
_STATUSES: dict[str | int, Status] = {
    **{name: status for status, name in _STATUS_NAMES.items()},
    1: "PENDING",
    2: "READY",
    3: "FAILED",
}


class ModelInfo(msgspec.Struct, omit_defaults=True):
    model_id: str
    experiment_id: str
    name: str
    creation_timestamp_ms: int
    last_updated_timestamp_ms: int
    artifact_uri: str
    status: str
    model_type: str
    source_run_id: str
    tags: list[TagView] = []


class ModelData(msgspec.Struct, omit_defaults=True):
    params: list[TagView] = []
    metrics: list[MetricView] = []


class ModelView(msgspec.Struct):
    info: ModelInfo
    data: ModelData


class OneModel(msgspec.Struct):
    model: ModelView


class FoundModels(msgspec.Struct, omit_defaults=True):
    models: list[ModelView] = []
    next_page_token: str | None = None


class CreateModel(msgspec.Struct):
    experiment_id: str | None = None
    name: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None
    params: list[Tag] | None = None
    tags: list[Tag] | None = None


class GetModel(msgspec.Struct):
    allow_deleted: str | None = None


class Finalize(msgspec.Struct):
    model_id: str | None = None
    status: str | int | None = None


class SetTags(msgspec.Struct):
    tags: list[Tag] | None = None


class LogParams(msgspec.Struct):
    model_id: str | None = None
    params: list[Tag] | None = None


class DatasetFilter(msgspec.Struct):
    dataset_name: str | None = None
    dataset_digest: str | None = None


class OrderBy(msgspec.Struct):
    field_name: str | None = None
    ascending: bool | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class SearchModels(msgspec.Struct):
    experiment_ids: list[str] | None = None
    filter: str | None = None
    datasets: list[DatasetFilter] | None = None
    max_results: Int64 | None = None
    order_by: list[OrderBy] | None = None
    page_token: str | None = None


class ListArtifacts(msgspec.Struct):
    artifact_directory_path: str | None = None


def handlers(tracking: TrackingService) -> list[Handler]:
    models = tracking.logged_models

    @handler("POST", "/mlflow/logged-models", CreateModel)
    def create(request: Request, body: CreateModel) -> OneModel:
        made = models.create(
            request.who,
            experiment_id=required(body.experiment_id, "experiment_id"),
            name=body.name or None,
            model_type=body.model_type or "",
            source_run_id=body.source_run_id or None,
            params=_once(tag_pairs(body.params, "params"), "params"),
            tags=_once(tag_pairs(body.tags), "tags"),
        )
        return OneModel(view(made))

    @handler("POST", "/mlflow/logged-models/search", SearchModels)
    def search(request: Request, body: SearchModels) -> FoundModels:
        if body.experiment_ids is None:
            raise missing("experiment_ids")
        page = models.search(
            request.who,
            experiment_ids=body.experiment_ids,
            filter=body.filter or "",
            datasets=[_scope(one) for one in body.datasets or ()],
            order_by=[_ordering(one) for one in body.order_by or ()],
            limit=min(
                page_size(body.max_results or None, default=_DEFAULT_PAGE, most=2**63), _MOST_IN_A_PAGE
            ),
            cursor=body.page_token or None,
        )
        return FoundModels([view(one) for one in page.items], page.next_cursor)

    @handler("GET", "/mlflow/logged-models/{model_id}", GetModel)
    def get(request: Request, body: GetModel) -> OneModel:
        allowed = (body.allow_deleted or "").lower() == "true"
        return OneModel(view(models.get(request.who, request.path["model_id"], allow_deleted=allowed)))

    @handler("PATCH", "/mlflow/logged-models/{model_id}", Finalize)
    def finalize(request: Request, body: Finalize) -> OneModel:
        required(body.model_id, "model_id")
        if body.status is None:
            raise missing("status")
        given = int(body.status) if isinstance(body.status, str) and body.status.isdigit() else body.status
        status = _STATUSES.get(given)
        if status is None:
            raise Invalid(f"Invalid value {body.status!r} for parameter 'status' supplied.", field="status")
        return OneModel(view(models.finalize(request.who, request.path["model_id"], status)))

    @handler("DELETE", "/mlflow/logged-models/{model_id}", Empty)
    def delete(request: Request, _: Empty) -> None:
        models.delete(request.who, request.path["model_id"])

    @handler("PATCH", "/mlflow/logged-models/{model_id}/tags", SetTags)
    def set_tags(request: Request, body: SetTags) -> None:
        models.set_tags(request.who, request.path["model_id"], dict(tag_pairs(body.tags)))

    @handler("DELETE", "/mlflow/logged-models/{model_id}/tags/{tag_key:path}", Empty)
    def delete_tag(request: Request, _: Empty) -> None:
        models.delete_tag(request.who, request.path["model_id"], request.path["tag_key"])

    @handler("POST", "/mlflow/logged-models/{model_id}/params", LogParams)
    def log_params(request: Request, body: LogParams) -> None:
        required(body.model_id, "model_id")
        params = _once(tag_pairs(body.params, "params"), "params")
        try:
            models.log_params(request.who, request.path["model_id"], params)
        except ParameterChanged as error:
            raise BadRequest(error.message, field="params") from error

    @handler("GET", "/mlflow/logged-models/{model_id}/artifacts/directories", ListArtifacts)
    def list_artifacts(request: Request, body: ListArtifacts) -> FileList:
        model = models.get(request.who, request.path["model_id"])
        root = path_of_uri(model.artifact_uri)
        return list_below(
            tracking, request, root_uri=model.artifact_uri, root=root, path=body.artifact_directory_path
        )

    return [create, search, get, finalize, delete, set_tags, delete_tag, log_params, list_artifacts]


def view(model: LoggedModel) -> ModelView:
    info = ModelInfo(
        model_id=model.id,
        experiment_id=model.experiment_id,
        name=model.name,
        creation_timestamp_ms=millis(model.created_us),
        last_updated_timestamp_ms=millis(model.updated_us),
        artifact_uri=model.artifact_uri,
        status=_STATUS_NAMES[model.status],
        model_type=model.model_type or "",
        source_run_id=model.source_run_id or "",
        tags=tag_views(model.tags),
    )
    metrics = [
        metric_view(
            one.key,
            one.value,
            one.at_us,
            one.step,
            model_id=model.id,
            dataset_name=one.dataset_name or None,
            dataset_digest=one.dataset_digest or None,
            run_id=one.run_id,
        )
        for one in model.metrics
    ]
    return ModelView(info, ModelData(tag_views(model.params), metrics))


def _once(pairs: list[tuple[str, str]], field: str) -> dict[str, str]:
    if len(unique := dict(pairs)) < len(pairs):
        raise BadRequest(f"A key occurs twice among the {field}.", field=field)
    return unique


def _scope(given: DatasetFilter) -> DatasetScope:
    if not given.dataset_name:
        raise Invalid("`dataset_name` in the `datasets` clause must be specified.", field="datasets")
    return DatasetScope(given.dataset_name, given.dataset_digest or None)


def _ordering(given: OrderBy) -> ModelOrdering:
    return ModelOrdering(
        required(given.field_name, "order_by.field_name"),
        True if given.ascending is None else given.ascending,
        given.dataset_name or None,
        given.dataset_digest or None,
    )
