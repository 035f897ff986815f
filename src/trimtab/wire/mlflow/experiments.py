"""The experiments of the MLflow API."""

import msgspec

from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.errors import ExperimentExists
from trimtab.domains.tracking.experiments.model import Experiment
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.kernel.filters import parse_filter
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import BadRequest
from trimtab.wire.mlflow.messages import (
    Int64,
    Tag,
    TagView,
    millis,
    page_size,
    required,
    tag_pairs,
    tag_views,
    view_of,
)

_MOST_IN_A_PAGE = 50_000
_MOST_FOR_DATASETS = 20
_OF_HOSTS = (
    "ftp:",
    "sftp:",
    "hdfs:",
    "viewfs:",
    "http:",
    "https:",
    "r2:",
    "b2:",
    "abfss:",
    "mlflow-artifacts://",
)


class ExperimentView(msgspec.Struct, omit_defaults=True):
    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    last_update_time: int
    creation_time: int
    workspace: str
    tags: list[TagView] = []


class CreateExperiment(msgspec.Struct):
    name: str | None = None
    artifact_location: str | None = None
    tags: list[Tag] | None = None


class CreatedExperiment(msgspec.Struct):
    experiment_id: str


class ById(msgspec.Struct):
    experiment_id: str | None = None


class ByName(msgspec.Struct):
    experiment_name: str | None = None


class OneExperiment(msgspec.Struct):
    experiment: ExperimentView


class SearchExperiments(msgspec.Struct):
    max_results: Int64 | None = None
    page_token: str | None = None
    filter: str | None = None
    order_by: list[str] | None = None
    view_type: str | int | None = None


class FoundExperiments(msgspec.Struct, omit_defaults=True):
    experiments: list[ExperimentView] = []
    next_page_token: str | None = None


class UpdateExperiment(msgspec.Struct):
    experiment_id: str | None = None
    new_name: str | None = None


class ExperimentTag(msgspec.Struct):
    experiment_id: str | None = None
    key: str | None = None
    value: str | None = None


class SearchDatasets(msgspec.Struct):
    experiment_ids: list[str] | None = None


class DatasetSummary(msgspec.Struct, omit_defaults=True):
    experiment_id: str
    name: str
    digest: str
    context: str | None = None


class DatasetSummaries(msgspec.Struct, omit_defaults=True):
    dataset_summaries: list[DatasetSummary] = []


def handlers(tracking: TrackingService) -> list[Handler]:
    experiments = tracking.experiments

    @handler("POST", "/mlflow/experiments/create", CreateExperiment)
    def create(request: Request, body: CreateExperiment) -> CreatedExperiment:
        made = experiments.create(
            request.who,
            name=required(body.name, "name"),
            artifact_location=_location(body.artifact_location),
            tags=dict(tag_pairs(body.tags)),
        )
        return CreatedExperiment(made.id)

    @handler("GET", "/mlflow/experiments/get", ById)
    def get(request: Request, body: ById) -> OneExperiment:
        found = experiments.get(request.who, required(body.experiment_id, "experiment_id"))
        return OneExperiment(view(found))

    @handler("GET", "/mlflow/experiments/get-by-name", ByName)
    def get_by_name(request: Request, body: ByName) -> OneExperiment:
        found = experiments.get_by_name(request.who, required(body.experiment_name, "experiment_name"))
        return OneExperiment(view(found))

    def search(request: Request, body: SearchExperiments) -> FoundExperiments:
        _check_operators(body.filter or "")
        page = experiments.search(
            request.who,
            filter=body.filter or "",
            order_by=body.order_by or (),
            view=view_of(body.view_type),
            limit=page_size(body.max_results or 0, default=1000, most=_MOST_IN_A_PAGE),
            cursor=body.page_token or None,
        )
        return FoundExperiments([view(one) for one in page.items], page.next_cursor)

    @handler("POST", "/mlflow/experiments/update", UpdateExperiment)
    def update(request: Request, body: UpdateExperiment) -> None:
        experiment_id = required(body.experiment_id, "experiment_id")
        try:
            experiments.rename(request.who, experiment_id, required(body.new_name, "new_name"))
        except ExperimentExists as error:
            raise BadRequest(error.message, field="new_name") from error

    @handler("POST", "/mlflow/experiments/delete", ById)
    def delete(request: Request, body: ById) -> None:
        experiments.delete(request.who, required(body.experiment_id, "experiment_id"))

    @handler("POST", "/mlflow/experiments/restore", ById)
    def restore(request: Request, body: ById) -> None:
        experiments.restore(request.who, required(body.experiment_id, "experiment_id"))

    @handler("POST", "/mlflow/experiments/set-experiment-tag", ExperimentTag)
    def set_tag(request: Request, body: ExperimentTag) -> None:
        experiment_id = required(body.experiment_id, "experiment_id")
        experiments.set_tag(request.who, experiment_id, required(body.key, "key"), body.value or "")

    @handler("POST", "/mlflow/experiments/delete-experiment-tag", ExperimentTag)
    def delete_tag(request: Request, body: ExperimentTag) -> None:
        experiment_id = required(body.experiment_id, "experiment_id")
        experiments.delete_tag(request.who, experiment_id, required(body.key, "key"))

    @handler("POST", "/mlflow/experiments/search-datasets", SearchDatasets)
    def search_datasets(request: Request, body: SearchDatasets) -> DatasetSummaries:
        _check_count(body.experiment_ids or [])
        rows = tracking.runs.datasets(request.who, body.experiment_ids or [])
        return DatasetSummaries([DatasetSummary(*row) for row in rows])

    return [
        create,
        get,
        get_by_name,
        handler("POST", "/mlflow/experiments/search", SearchExperiments)(search),
        handler("GET", "/mlflow/experiments/search", SearchExperiments)(search),
        update,
        delete,
        restore,
        set_tag,
        delete_tag,
        search_datasets,
    ]


def view(experiment: Experiment) -> ExperimentView:
    return ExperimentView(
        experiment_id=experiment.id,
        name=experiment.name,
        artifact_location=experiment.artifact_location,
        lifecycle_stage=experiment.state,
        last_update_time=millis(experiment.updated_us),
        creation_time=millis(experiment.created_us),
        workspace="default",
        tags=tag_views(experiment.tags),
    )


def _location(given: str | None) -> str | None:
    """Return where the client wants its artifacts; raises Invalid for an address at which a server could be made to call."""
    if given and given.lower().startswith(_OF_HOSTS):
        raise Invalid(
            f"Invalid value for 'artifact_location': the '{given.partition(':')[0]}' scheme addresses a host other "
            "than the tracking server's configured artifact storage.",
            field="artifact_location",
        )
    return given or None


def _check_operators(text: str) -> None:
    """Raise Invalid for operators in small letters, which this search of MLflow's does not take."""
    for clause in parse_filter(text):
        if clause.written != clause.written.upper() and clause.operator in ("LIKE", "ILIKE", "IN"):
            raise clause.refuse(f"Invalid comparator: {clause.written}")


def _check_count(experiment_ids: list[str]) -> None:
    if not experiment_ids:
        raise Invalid(
            "SearchDatasets request must specify at least one experiment_id.", field="experiment_ids"
        )
    if len(experiment_ids) > _MOST_FOR_DATASETS:
        raise Invalid(
            f"SearchDatasets request cannot specify more than {_MOST_FOR_DATASETS} experiment_ids. Received "
            f"{len(experiment_ids)} experiment_ids.",
            field="experiment_ids",
        )
