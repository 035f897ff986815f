"""The HTTP face of experiments."""

import msgspec

from trimtab.domains.tracking.experiments.model import Experiment, State, View
from trimtab.domains.tracking.service import TrackingService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page


class ExperimentView(msgspec.Struct):
    """An experiment; ``runs`` counts those that are not in the trash."""

    id: str
    name: str
    artifact_location: str
    state: State
    created_us: int
    updated_us: int
    tags: dict[str, str]
    runs: int


class ExperimentsQuery(msgspec.Struct):
    filter: str = ""
    order_by: list[str] = []
    view: View = "active"
    limit: int | None = None
    cursor: str | None = None


class CreateExperiment(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    tags: dict[str, str] = {}


class ChangeExperiment(msgspec.Struct, forbid_unknown_fields=True):
    name: str


def routes(service: TrackingService) -> list[Route]:
    experiments = service.experiments

    def shown(request: Request, found: list[Experiment]) -> list[ExperimentView]:
        counts = service.runs.counts(request.who, [one.id for one in found])
        return [ExperimentView(**msgspec.structs.asdict(one), runs=counts.get(one.id, 0)) for one in found]

    @route(
        "GET",
        "/api/v1/experiments",
        query=ExperimentsQuery,
        returns=Page[ExperimentView],
        tags=["experiments"],
    )
    def list_experiments(request: Request, query: ExperimentsQuery) -> Page[ExperimentView]:
        """List experiments, newest first unless ordered otherwise."""
        page = experiments.search(
            request.who,
            filter=query.filter,
            order_by=query.order_by,
            view=query.view,
            limit=query.limit,
            cursor=query.cursor,
        )
        return Page(shown(request, page.items), page.next_cursor)

    @route(
        "POST",
        "/api/v1/experiments",
        body=CreateExperiment,
        returns=ExperimentView,
        status=201,
        tags=["experiments"],
    )
    def create_experiment(request: Request, body: CreateExperiment) -> ExperimentView:
        """Make an experiment."""
        made = experiments.create(request.who, name=body.name, tags=body.tags)
        return shown(request, [made])[0]

    @route("GET", "/api/v1/experiments/{experiment_id}", returns=ExperimentView, tags=["experiments"])
    def get_experiment(request: Request) -> ExperimentView:
        """Return an experiment, also one in the trash."""
        return shown(request, [experiments.get(request.who, request.path["experiment_id"])])[0]

    @route(
        "PATCH",
        "/api/v1/experiments/{experiment_id}",
        body=ChangeExperiment,
        returns=ExperimentView,
        tags=["experiments"],
    )
    def rename_experiment(request: Request, body: ChangeExperiment) -> ExperimentView:
        """Give an experiment another name."""
        experiment_id: str = request.path["experiment_id"]
        experiments.rename(request.who, experiment_id, body.name)
        return shown(request, [experiments.get(request.who, experiment_id)])[0]

    @route("DELETE", "/api/v1/experiments/{experiment_id}", tags=["experiments"])
    def delete_experiment(request: Request) -> None:
        """Move an experiment and its runs to the trash."""
        experiments.delete(request.who, request.path["experiment_id"])

    @route("POST", "/api/v1/experiments/{experiment_id}/restore", tags=["experiments"])
    def restore_experiment(request: Request) -> None:
        """Take an experiment and its runs out of the trash."""
        experiments.restore(request.who, request.path["experiment_id"])

    @route("GET", "/api/v1/experiments/{experiment_id}/metrics", returns=Page[str], tags=["experiments"])
    def list_metrics(request: Request) -> Page[str]:
        """List the names of the metrics that the experiment's runs have."""
        return Page(service.metrics.keys(request.who, request.path["experiment_id"]))

    return [
        list_experiments,
        create_experiment,
        get_experiment,
        rename_experiment,
        delete_experiment,
        restore_experiment,
        list_metrics,
    ]
