"""The HTTP face of the catalogue of runs, and of several curves at once."""

import msgspec

from trimtab.domains.tracking.catalog.model import Columns, Facets
from trimtab.domains.tracking.experiments.model import View
from trimtab.domains.tracking.metrics.model import RunCurve
from trimtab.domains.tracking.service import TrackingService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.errors import Invalid


class ColumnsQuery(msgspec.Struct):
    experiment_id: list[str] = []


class FacetsQuery(msgspec.Struct):
    experiment_id: list[str] = []
    filter: str = ""
    by: list[str] = []
    view: View = "active"
    most: int = 20


class CurvesQuery(msgspec.Struct):
    """``points`` bounds each curve; a span of steps takes both ends."""

    run_id: list[str] = []
    key: list[str] = []
    points: int = 320
    from_step: int | None = None
    to_step: int | None = None


class Curves(msgspec.Struct):
    curves: list[RunCurve]


def routes(service: TrackingService) -> list[Route]:
    @route("GET", "/api/v1/runs/columns", query=ColumnsQuery, returns=Columns, tags=["runs"])
    def columns(request: Request, query: ColumnsQuery) -> Columns:
        """List the metrics, parameters and tags that runs of experiments have."""
        return service.catalog.columns(request.who, query.experiment_id)

    @route("GET", "/api/v1/runs/facets", query=FacetsQuery, returns=Facets, tags=["runs"])
    def facets(request: Request, query: FacetsQuery) -> Facets:
        """Count the runs that a filter matches by the values of ``status``, ``owner``, ``params.NAME`` or ``tags.NAME``."""
        return service.catalog.facets(
            request.who,
            query.experiment_id,
            by=query.by,
            filter_text=query.filter,
            view=query.view,
            most=query.most,
        )

    @route("GET", "/api/v1/metrics/curves", query=CurvesQuery, returns=Curves, tags=["runs"])
    def curves(request: Request, query: CurvesQuery) -> Curves:
        """Return several metrics of several runs, each thinned to what a chart of so many points can show."""
        if not query.run_id or not query.key:
            raise Invalid("Name at least one run_id and one key.", field="key" if query.run_id else "run_id")
        if (query.from_step is None) != (query.to_step is None):
            raise Invalid("Give from_step and to_step, or neither.", field="from_step")
        steps = None
        if query.from_step is not None and query.to_step is not None:
            steps = (query.from_step, query.to_step)
        found = service.metrics.curves(request.who, query.run_id, query.key, most=query.points, steps=steps)
        return Curves(found)

    return [columns, facets, curves]
