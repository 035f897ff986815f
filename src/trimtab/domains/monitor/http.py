"""The HTTP face of monitor: monitors, windows, features, predictions."""

from typing import Any

import msgspec

from trimtab.domains.monitor.model import Baseline, Monitor, MonitorState, Policy, Window
from trimtab.domains.monitor.service import MonitorService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page
from trimtab.serving import records


class CreateMonitor(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    endpoint: str
    reference: str
    """A data version, such as ``data:flights@1``."""
    features: list[str] | None = None
    group_by: str | None = None
    policy: Policy | None = None
    baseline: Baseline | None = None


class SetReference(msgspec.Struct, forbid_unknown_fields=True):
    reference: str | None = None
    baseline: Baseline | None = None
    champion: str | None = None
    policy: Policy | None = None


class MonitorView(msgspec.Struct):
    """A monitor. ``drift`` and ``performance`` tell how near the two tests are to an alarm."""

    name: str
    endpoint: str
    reference: str
    features: list[str]
    group_by: str | None
    state: MonitorState
    problem: str | None
    champion: str | None
    policy: Policy
    baseline: Baseline | None
    reference_rows: int
    watermark_us: int
    label_watermark_us: int
    created_us: int
    updated_us: int


class WindowView(msgspec.Struct):
    """A window of event time; ``provisional`` while labels are missing."""

    start_us: int
    end_us: int
    rows: int
    errors: int
    labelled: int
    provisional: bool
    closed: bool
    version_counts: dict[str, int]
    route_counts: dict[str, int]
    """Rows by how their requests came to the version that answered."""
    drift: dict[str, Any] | None
    performance: dict[str, Any] | None


class FeatureView(msgspec.Struct):
    """A feature's cells: ``edges`` between the bins of numbers or ``values`` of categories; the last cell is missing."""

    name: str
    kind: str
    edges: list[float]
    values: list[str]
    reference: list[int]
    current: list[int]
    rows: int
    reference_rows: int
    low: float | None
    high: float | None


class PredictionView(msgspec.Struct):
    """A prediction with its rows; each row has ``inputs``, ``output``, ``score`` and ``label``.

    ``route`` is how the request came to its version: "split" by the weights, which makes it evidence in a rollout, else
    "key", "pinned", "cached", "repeat", "rerouted" or "device"; empty where that was not recorded.
    """

    id: str
    endpoint: str
    version: str
    role: str
    route: str
    at_us: int
    event_us: int
    latency_us: int
    rows: list[dict[str, Any]]


class EndpointQuery(msgspec.Struct):
    endpoint: str | None = None


class SpanQuery(msgspec.Struct):
    from_us: int | None = None
    to_us: int | None = None


class RecentQuery(msgspec.Struct):
    endpoint: str
    route: records.Route | None = None
    limit: int = 50


def routes(service: MonitorService) -> list[Route]:
    @route("GET", "/api/v1/monitors", query=EndpointQuery, returns=Page[MonitorView], tags=["monitors"])
    def list_monitors(request: Request, query: EndpointQuery) -> Page[MonitorView]:
        """List monitors."""
        return Page([_view(one) for one in service.monitors(request.who, endpoint=query.endpoint)])

    @route("POST", "/api/v1/monitors", body=CreateMonitor, returns=MonitorView, status=201, tags=["monitors"])
    def create_monitor(request: Request, body: CreateMonitor) -> MonitorView:
        """Watch an endpoint against a data version."""
        made = service.create(
            request.who,
            name=body.name,
            endpoint=body.endpoint,
            reference=body.reference,
            features=body.features,
            group_by=body.group_by,
            policy=body.policy,
            baseline=body.baseline,
        )
        return _view(made)

    @route("GET", "/api/v1/monitors/{name}", returns=MonitorView, tags=["monitors"])
    def get_monitor(request: Request) -> MonitorView:
        """Return a monitor."""
        return _view(service.monitor(request.who, request.path["name"]))

    @route(
        "POST", "/api/v1/monitors/{name}/reference", body=SetReference, returns=MonitorView, tags=["monitors"]
    )
    def set_reference(request: Request, body: SetReference) -> MonitorView:
        """Begin the alarms anew, against another reference where one is given."""
        changed = service.set_reference(
            request.who,
            request.path["name"],
            reference=body.reference,
            baseline=body.baseline,
            champion=body.champion,
            policy=body.policy,
        )
        return _view(changed)

    @route("DELETE", "/api/v1/monitors/{name}", tags=["monitors"])
    def remove_monitor(request: Request) -> None:
        """Stop watching."""
        service.remove(request.who, request.path["name"])

    @route(
        "GET", "/api/v1/monitors/{name}/windows", query=SpanQuery, returns=Page[WindowView], tags=["monitors"]
    )
    def windows(request: Request, query: SpanQuery) -> Page[WindowView]:
        """List the windows of a span of event time, oldest first."""
        found = service.windows(request.who, request.path["name"], from_us=query.from_us, to_us=query.to_us)
        return Page([_window(one) for one in found])

    @route(
        "GET",
        "/api/v1/monitors/{name}/features/{feature}",
        query=SpanQuery,
        returns=FeatureView,
        tags=["monitors"],
    )
    def feature(request: Request, query: SpanQuery) -> FeatureView:
        """Return a feature's distribution in a span beside the reference's."""
        found = service.feature(
            request.who,
            request.path["name"],
            request.path["feature"],
            from_us=query.from_us,
            to_us=query.to_us,
        )
        return FeatureView(**found)

    @route(
        "GET", "/api/v1/predictions", query=RecentQuery, returns=Page[dict[str, Any]], tags=["predictions"]
    )
    def recent(request: Request, query: RecentQuery) -> Page[dict[str, Any]]:
        """List the newest predictions of an endpoint."""
        return Page(
            service.recent_predictions(request.who, query.endpoint, route=query.route, limit=query.limit)
        )

    @route("GET", "/api/v1/predictions/{prediction_id:path}", returns=PredictionView, tags=["predictions"])
    def prediction(request: Request) -> PredictionView:
        """Return a prediction by its id, or one row of it by ID/ROW."""
        return PredictionView(**service.prediction(request.who, request.path["prediction_id"]))

    return [
        list_monitors,
        create_monitor,
        get_monitor,
        set_reference,
        remove_monitor,
        windows,
        feature,
        recent,
        prediction,
    ]


def _view(monitor: Monitor) -> MonitorView:
    return MonitorView(**{name: getattr(monitor, name) for name in MonitorView.__struct_fields__})


def _window(window: Window) -> WindowView:
    return WindowView(
        start_us=window.start_us,
        end_us=window.end_us,
        rows=window.rows,
        errors=window.errors,
        labelled=window.labelled,
        provisional=window.labelled < window.rows,
        closed=window.closed,
        version_counts=window.versions,
        route_counts=window.routes,
        drift=window.drift,
        performance=window.performance,
    )
