"""Evaluation data sets of the MLflow API. Tags, records, schemas and profiles travel as JSON inside text."""

import json
from typing import Any

import msgspec

from trimtab.domains.traces import TracesService
from trimtab.domains.traces.datasets.model import EvaluationDataset, Record, read_record
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.messages import Empty, Int64, millis, page_size, required

_MOST_FOUND = 50_000
_DEFAULT_FOUND = 1000


class DatasetMessage(msgspec.Struct):
    name: str | None = None
    experiment_ids: list[str] | None = None
    tags: str | None = None
    records: str | None = None
    dataset_record_ids: list[str] | None = None


class PageMessage(msgspec.Struct):
    max_results: Int64 | None = None
    page_token: str | None = None


class Search(msgspec.Struct):
    experiment_ids: list[str] | None = None
    filter_string: str | None = None
    max_results: Int64 | None = None
    order_by: list[str] | None = None
    page_token: str | None = None


class DatasetView(msgspec.Struct, omit_defaults=True):
    dataset_id: str
    name: str
    tags: str
    digest: str
    created_time: int
    last_update_time: int
    schema: str | None = None
    profile: str | None = None
    created_by: str | None = None
    last_updated_by: str | None = None
    experiment_ids: list[str] = []


class OneDataset(msgspec.Struct):
    dataset: DatasetView


class FoundDatasets(msgspec.Struct, omit_defaults=True):
    datasets: list[DatasetView] = []
    next_page_token: str | None = None


class Counted(msgspec.Struct):
    inserted_count: int
    updated_count: int


class Deleted(msgspec.Struct):
    deleted_count: int


class Records(msgspec.Struct, omit_defaults=True):
    records: str
    next_page_token: str | None = None


class Experiments(msgspec.Struct, omit_defaults=True):
    experiment_ids: list[str] = []


def handlers(service: TracesService) -> list[Handler]:
    return [*_datasets(service), *_records(service)]


def _datasets(service: TracesService) -> list[Handler]:
    datasets = service.datasets

    @handler("POST", "/mlflow/datasets/create", DatasetMessage, version="3.0")
    def create(request: Request, body: DatasetMessage) -> OneDataset:
        made = datasets.create(
            request.who,
            required(body.name, "name"),
            tags=_tags(body.tags) if body.tags else {},
            experiment_ids=body.experiment_ids or (),
        )
        return OneDataset(dataset_view(made, with_experiments=True))

    @handler("GET", "/mlflow/datasets/{dataset_id}", Empty, version="3.0")
    def get(request: Request, _: Empty) -> OneDataset:
        return OneDataset(dataset_view(datasets.get(request.who, request.path["dataset_id"])))

    @handler("DELETE", "/mlflow/datasets/{dataset_id}", Empty, version="3.0")
    def delete(request: Request, _: Empty) -> None:
        datasets.delete(request.who, request.path["dataset_id"])

    def search(request: Request, body: Search) -> FoundDatasets:
        page = datasets.search(
            request.who,
            filter=body.filter_string or "",
            experiment_ids=body.experiment_ids or (),
            order_by=body.order_by or (),
            limit=page_size(body.max_results, default=_DEFAULT_FOUND, most=_MOST_FOUND),
            cursor=body.page_token or None,
        )
        return FoundDatasets([dataset_view(one) for one in page.items], page.next_cursor)

    @handler("PATCH", "/mlflow/datasets/{dataset_id}/tags", DatasetMessage, version="3.0")
    def set_tags(request: Request, body: DatasetMessage) -> None:
        datasets.set_tags(request.who, request.path["dataset_id"], _tags(required(body.tags, "tags")))

    @handler("DELETE", "/mlflow/datasets/{dataset_id}/tags/{key}", Empty, version="3.0")
    def delete_tag(request: Request, _: Empty) -> None:
        datasets.delete_tag(request.who, request.path["dataset_id"], request.path["key"])

    @handler("GET", "/mlflow/datasets/{dataset_id}/experiment-ids", Empty, version="3.0")
    def experiments(request: Request, _: Empty) -> Experiments:
        return Experiments(datasets.experiment_ids(request.who, request.path["dataset_id"]))

    @handler("POST", "/mlflow/datasets/{dataset_id}/add-experiments", DatasetMessage, version="3.0")
    def add_experiments(request: Request, body: DatasetMessage) -> OneDataset:
        dataset_id = request.path["dataset_id"]
        return OneDataset(
            dataset_view(datasets.add_experiments(request.who, dataset_id, body.experiment_ids or ()))
        )

    @handler("POST", "/mlflow/datasets/{dataset_id}/remove-experiments", DatasetMessage, version="3.0")
    def remove_experiments(request: Request, body: DatasetMessage) -> OneDataset:
        dataset_id = request.path["dataset_id"]
        return OneDataset(
            dataset_view(datasets.remove_experiments(request.who, dataset_id, body.experiment_ids or ()))
        )

    return [
        create,
        *(
            handler(method, "/mlflow/datasets/search", Search, version="3.0")(search)
            for method in ("GET", "POST")
        ),
        get,
        delete,
        set_tags,
        delete_tag,
        experiments,
        add_experiments,
        remove_experiments,
    ]


def _records(service: TracesService) -> list[Handler]:
    datasets = service.datasets

    @handler("POST", "/mlflow/datasets/{dataset_id}/records", DatasetMessage, version="3.0")
    def put(request: Request, body: DatasetMessage) -> Counted:
        given = _read(required(body.records, "records"), "records")
        if not isinstance(given, list):
            raise Invalid("records is no JSON array.", field="records")
        records = [read_record(one, index) for index, one in enumerate(given)]
        return Counted(*datasets.put_records(request.who, request.path["dataset_id"], records))

    @handler("GET", "/mlflow/datasets/{dataset_id}/records", PageMessage, version="3.0")
    def get(request: Request, body: PageMessage) -> Records:
        found, token = datasets.records(
            request.who,
            request.path["dataset_id"],
            limit=page_size(body.max_results or None, default=_DEFAULT_FOUND, most=_MOST_FOUND),
            token=body.page_token or None,
        )
        return Records(json.dumps([record_view(one) for one in found]), token)

    @handler("DELETE", "/mlflow/datasets/{dataset_id}/records", DatasetMessage, version="3.0")
    def delete(request: Request, body: DatasetMessage) -> Deleted:
        dataset_id = request.path["dataset_id"]
        return Deleted(datasets.delete_records(request.who, dataset_id, body.dataset_record_ids or ()))

    return [put, get, delete]


def dataset_view(dataset: EvaluationDataset, *, with_experiments: bool = False) -> DatasetView:
    """Return a data set as answers show it; MLflow's name the experiments only when it is made."""
    return DatasetView(
        dataset_id=dataset.id,
        name=dataset.name,
        tags=json.dumps(dataset.tags),
        digest=dataset.digest,
        created_time=millis(dataset.created_us),
        last_update_time=millis(dataset.updated_us),
        schema=dataset.schema,
        profile=dataset.profile,
        created_by=dataset.created_by,
        last_updated_by=dataset.updated_by,
        experiment_ids=dataset.experiment_ids if with_experiments else [],
    )


def record_view(record: Record) -> dict[str, Any]:
    view: dict[str, Any] = {
        "dataset_record_id": record.id,
        "dataset_id": record.dataset_id,
        "inputs": record.inputs,
        "tags": record.tags,
        "created_time": millis(record.created_us),
        "last_update_time": millis(record.updated_us),
    }
    optional = {
        "outputs": record.outputs,
        "expectations": record.expectations,
        "source": record.source,
        "source_id": record.source_id,
        "source_type": record.source_type,
        "created_by": record.created_by,
        "last_updated_by": record.updated_by,
    }
    return view | {key: value for key, value in optional.items() if value is not None}


def _tags(text: str) -> dict[str, Any]:
    value = _read(text, "tags")
    if not isinstance(value, dict):
        raise Invalid("tags is no JSON object.", field="tags")
    return value


def _read(text: str, field: str) -> Any:
    if "\\u0000" in text:
        raise Invalid(f"{field} holds a null character.", field=field)
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise Invalid(f"{field} is no JSON: {error}.", field=field) from error
