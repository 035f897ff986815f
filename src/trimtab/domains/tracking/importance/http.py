"""The HTTP face of parameter importance."""

import msgspec

from trimtab.domains.tracking.importance.service import Importance
from trimtab.domains.tracking.service import TrackingService
from trimtab.infra.http import Request, Route, route


class ImportanceQuery(msgspec.Struct):
    experiment_id: str
    metric: str
    filter: str = ""


def routes(service: TrackingService) -> list[Route]:
    @route("GET", "/api/v1/runs/importance", query=ImportanceQuery, returns=Importance, tags=["runs"])
    def importance(request: Request, query: ImportanceQuery) -> Importance:
        """Say which parameters moved a metric, over the newest 2,000 runs that a filter matches."""
        return service.importance.of(
            request.who, experiment_id=query.experiment_id, metric=query.metric, filter_text=query.filter
        )

    return [importance]
