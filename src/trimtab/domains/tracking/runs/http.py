"""The HTTP face of runs: their life, what is logged to them, their curves."""

from typing import Annotated, Literal

import msgspec

from trimtab.domains.tracking.experiments.model import State, View
from trimtab.domains.tracking.metrics.model import Curve, Point, finite
from trimtab.domains.tracking.runs.model import Dataset, DatasetInput, ModelOutput, Run, RunHead, Status
from trimtab.domains.tracking.service import TrackingService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import Page

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Value = float | Literal["NaN", "Infinity", "-Infinity"]


class MetricView(msgspec.Struct):
    """The latest value of a metric and its bounds, None where they are not finite, and how many points it has."""

    value: float | None
    step: int
    at_us: int
    least: float | None
    greatest: float | None
    points: int


class DatasetView(msgspec.Struct):
    name: str
    digest: str
    source: str
    context: str | None


class RunView(msgspec.Struct):
    """A run with what was logged to it, of metrics the latest values."""

    id: str
    name: str
    experiment_id: str
    status: Status
    state: State
    started_us: int
    ended_us: int | None
    owner: str
    params: dict[str, str]
    metrics: dict[str, MetricView]
    tags: dict[str, str]
    source: dict[str, str]
    datasets: list[DatasetView]
    models: list[str]


class RunHeadView(msgspec.Struct):
    id: str
    name: str
    experiment_id: str
    status: Status
    started_us: int
    ended_us: int | None


class RunsQuery(msgspec.Struct):
    """``columns`` such as ``metrics.auc`` or ``tags.team`` leave all other metrics, parameters and tags out."""

    experiment_id: list[str] = []
    filter: str = ""
    order_by: list[str] = []
    view: View = "active"
    limit: int | None = None
    cursor: str | None = None
    columns: list[str] = []


class CreateRun(msgspec.Struct, forbid_unknown_fields=True):
    """``experiment`` is a name, made where it is new; it stands in the place of ``experiment_id``.

    ``id`` is one that the client chose, of 32 hexadecimal digits: where that run is there already, it is the answer.
    """

    id: str | None = None
    experiment_id: str | None = None
    experiment: str | None = None
    name: str | None = None
    started_us: Int64 | None = None
    tags: dict[str, str] = {}


class ChangeRun(msgspec.Struct, forbid_unknown_fields=True):
    status: Status | None = None
    ended_us: Int64 | None = None
    name: str | None = None


class LoggedPoint(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    value: Value
    at_us: Int64
    step: Int64 = 0
    model_id: str | None = None


class LogToRun(msgspec.Struct, forbid_unknown_fields=True):
    metrics: list[LoggedPoint] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class TagValue(msgspec.Struct, forbid_unknown_fields=True):
    value: str


class UsedData(msgspec.Struct, forbid_unknown_fields=True):
    """A data set that went into a run; ``source`` may be a reference such as ``data:flights@3``."""

    name: str
    digest: str
    source: str
    source_type: str = "trimtab"
    context: str | None = None


class LogInputs(msgspec.Struct, forbid_unknown_fields=True):
    datasets: list[UsedData] = []
    models: list[str] = []


class LogOutputs(msgspec.Struct, forbid_unknown_fields=True):
    models: list[str]


class CurveQuery(msgspec.Struct):
    points: int = 640


def routes(service: TrackingService) -> list[Route]:
    return [*_runs(service), *_logging(service)]


def _runs(service: TrackingService) -> list[Route]:
    runs = service.runs

    @route("GET", "/api/v1/runs", query=RunsQuery, returns=Page[RunView], tags=["runs"])
    def list_runs(request: Request, query: RunsQuery) -> Page[RunView]:
        """List the runs that a filter such as ``metrics.auc > 0.9 and params.kind = 'tree'`` matches."""
        page = runs.search(
            request.who,
            experiment_ids=query.experiment_id or None,
            filter=query.filter,
            order_by=query.order_by,
            view=query.view,
            limit=query.limit,
            cursor=query.cursor,
        )
        wanted = frozenset(query.columns)
        return Page([_run(run, wanted) for run in page.items], page.next_cursor)

    @route("POST", "/api/v1/runs", body=CreateRun, returns=RunView, status=201, tags=["runs"])
    def create_run(request: Request, body: CreateRun) -> RunView:
        """Start a run."""
        experiment_id = body.experiment_id or "0"
        if body.experiment is not None:
            if body.experiment_id is not None:
                raise Invalid("Give experiment or experiment_id, not both.", field="experiment")
            experiment_id = service.experiments.named(request.who, body.experiment).id
        made = runs.create(
            request.who,
            run_id=body.id,
            experiment_id=experiment_id,
            name=body.name,
            started_us=body.started_us,
            tags=list(body.tags.items()),
        )
        return _run(made)

    @route("GET", "/api/v1/runs/{run_id}", returns=RunView, tags=["runs"])
    def get_run(request: Request) -> RunView:
        """Return a run, also one in the trash."""
        return _run(runs.get(request.who, request.path["run_id"]))

    @route("PATCH", "/api/v1/runs/{run_id}", body=ChangeRun, returns=RunHeadView, tags=["runs"])
    def change_run(request: Request, body: ChangeRun) -> RunHeadView:
        """Change a run's status, end or name."""
        head = runs.update(
            request.who, request.path["run_id"], status=body.status, ended_us=body.ended_us, name=body.name
        )
        return _head(head)

    @route("DELETE", "/api/v1/runs/{run_id}", tags=["runs"])
    def delete_run(request: Request) -> None:
        """Move a run to the trash."""
        runs.delete(request.who, request.path["run_id"])

    @route("POST", "/api/v1/runs/{run_id}/restore", tags=["runs"])
    def restore_run(request: Request) -> None:
        """Take a run out of the trash."""
        runs.restore(request.who, request.path["run_id"])

    @route("GET", "/api/v1/runs/{run_id}/metrics/{key:path}", query=CurveQuery, returns=Curve, tags=["runs"])
    def curve(request: Request, query: CurveQuery) -> Curve:
        """Return a metric's points, thinned to what a chart of so many points can show."""
        return service.metrics.curve(
            request.who, request.path["run_id"], request.path["key"], most=query.points
        )

    return [list_runs, create_run, get_run, change_run, delete_run, restore_run, curve]


def _logging(service: TrackingService) -> list[Route]:
    runs = service.runs

    @route("POST", "/api/v1/runs/{run_id}/log", body=LogToRun, tags=["runs"])
    def log_to_run(request: Request, body: LogToRun) -> None:
        """Log metrics, parameters and tags, all or none; sending the same again changes nothing."""
        points = [Point(one.key, float(one.value), one.at_us, one.step, one.model_id) for one in body.metrics]
        runs.log(
            request.who,
            request.path["run_id"],
            points=points,
            params=list(body.params.items()),
            tags=list(body.tags.items()),
        )

    @route("PUT", "/api/v1/runs/{run_id}/tags/{key:path}", body=TagValue, tags=["runs"])
    def put_tag(request: Request, body: TagValue) -> None:
        """Set a tag of a run."""
        runs.log(request.who, request.path["run_id"], tags=[(request.path["key"], body.value)])

    @route("DELETE", "/api/v1/runs/{run_id}/tags/{key:path}", tags=["runs"])
    def delete_tag(request: Request) -> None:
        """Remove a tag from a run."""
        runs.delete_tag(request.who, request.path["run_id"], request.path["key"])

    @route("POST", "/api/v1/runs/{run_id}/inputs", body=LogInputs, tags=["runs"])
    def log_inputs(request: Request, body: LogInputs) -> None:
        """Note which data and logged models went into a run."""
        datasets = [
            DatasetInput(
                Dataset(one.name, one.digest, one.source_type, one.source),
                {"mlflow.data.context": one.context} if one.context else {},
            )
            for one in body.datasets
        ]
        runs.log_inputs(request.who, request.path["run_id"], datasets=datasets, models=body.models)

    @route("POST", "/api/v1/runs/{run_id}/outputs", body=LogOutputs, tags=["runs"])
    def log_outputs(request: Request, body: LogOutputs) -> None:
        """Note which logged models came out of a run."""
        runs.log_outputs(request.who, request.path["run_id"], [ModelOutput(one) for one in body.models])

    return [log_to_run, put_tag, delete_tag, log_inputs, log_outputs]


def _run(run: Run, columns: frozenset[str] = frozenset()) -> RunView:
    head = run.head

    def wanted(kind: str, key: str) -> bool:
        return not columns or f"{kind}.{key}" in columns

    return RunView(
        id=head.id,
        name=head.name,
        experiment_id=head.experiment_id,
        status=head.status,
        state=head.state,
        started_us=head.started_us,
        ended_us=head.ended_us,
        owner=head.owner,
        params={key: value for key, value in run.params.items() if wanted("params", key)},
        metrics={
            key: MetricView(
                finite(one.value),
                one.step,
                one.at_us,
                finite(one.least),
                finite(one.greatest),
                one.points,
            )
            for key, one in run.metrics.items()
            if wanted("metrics", key)
        },
        tags={key: value for key, value in run.tags.items() if wanted("tags", key)},
        source=run.source,
        datasets=[
            DatasetView(one.dataset.name, one.dataset.digest, one.dataset.source, one.context)
            for one in run.datasets
        ],
        models=[one.model_id for one in run.model_outputs],
    )


def _head(head: RunHead) -> RunHeadView:
    return RunHeadView(head.id, head.name, head.experiment_id, head.status, head.started_us, head.ended_us)
