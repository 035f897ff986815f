"""The HTTP face of deploy: endpoints, traffic, rollbacks, logs."""

from collections.abc import Callable

import msgspec

from trimtab.domains.deploy.model import (
    Change,
    Endpoint,
    EndpointState,
    Place,
    Served,
    VersionState,
)
from trimtab.domains.deploy.plane import Plane
from trimtab.domains.deploy.service import DeployService
from trimtab.domains.deploy.statistics import Traffic
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page
from trimtab.serving.isolation import Network
from trimtab.serving.routes import Role


class Deploy(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    """``models:/NAME/VERSION`` or ``models:/NAME@alias``."""
    weight: float | None = 100.0
    allow_pickle: bool = False
    native: bool = False
    """Run it as its author saved it, also where it was compiled."""
    allow_network: bool = False
    """Leave the network to the model's process; needs an approver."""
    reason: str = ""


class SetTraffic(msgspec.Struct, forbid_unknown_fields=True):
    traffic: dict[str, float]
    reason: str = ""


class RollBack(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


class ServedView(msgspec.Struct):
    """A version behind an endpoint, with its last minute."""

    version: str
    model: str
    weight: float
    role: Role
    state: VersionState
    replicas: int
    runtime: Place | None
    pid: int | None
    error: str | None
    added_us: int
    last_minute: Traffic
    allow_network: bool = False
    environment: str | None = None
    """The Python that it runs in: ``own`` is the server's, else the name of its environment; None where the gateway runs it."""
    network: Network | None = None
    """``none``, ``allowed``, or ``not-isolated`` where the kernel does not let its process leave the network."""
    network_note: str = ""


class EndpointView(msgspec.Struct):
    """An endpoint with its last minute."""

    name: str
    model: str
    state: EndpointState
    champion: str | None
    versions: list[ServedView]
    url: str
    invocations_url: str
    requests_1m: int
    errors_1m: int
    p50_ms: float | None
    p99_ms: float | None
    created_us: int
    updated_us: int
    created_by: str


class PageQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str | None = None


class LogQuery(msgspec.Struct):
    version: str | None = None
    lines: int = 100


class RemoveQuery(msgspec.Struct):
    version: str | None = None


class LogLines(msgspec.Struct):
    lines: list[str]


def routes(
    service: DeployService, data_plane: Callable[[], Plane | None], *, inference_url: str
) -> list[Route]:
    def last_minute(endpoint: str, version: str | None = None) -> Traffic:
        plane = data_plane()
        return plane.last_minute(endpoint, version) if plane else Traffic()

    def replicas(endpoint: str, version: str) -> int:
        plane = data_plane()
        return plane.replicas(endpoint, version) if plane else 0

    def runtime(endpoint: str, version: str) -> Place | None:
        plane = data_plane()
        return plane.runtime(endpoint, version) if plane else None

    def as_routed(endpoint: Endpoint) -> Endpoint:
        """Return an endpoint as requests find it: a version that has no route yet is still starting."""
        plane = data_plane()
        if plane is None:
            return endpoint
        return msgspec.structs.replace(
            endpoint,
            served=[
                msgspec.structs.replace(one, state="starting")
                if one.state == "ready" and not plane.is_routed(endpoint.name, one.version)
                else one
                for one in endpoint.served
            ],
        )

    def view(stored: Endpoint) -> EndpointView:
        endpoint = as_routed(stored)
        total = last_minute(endpoint.name)
        return EndpointView(
            name=endpoint.name,
            model=endpoint.model,
            state=endpoint.state,
            champion=endpoint.champion,
            versions=[served(endpoint, one) for one in endpoint.served],
            url=f"{inference_url}/v2/models/{endpoint.name}/infer",
            invocations_url=f"{inference_url}/endpoints/{endpoint.name}/invocations",
            requests_1m=total.requests,
            errors_1m=total.errors,
            p50_ms=total.p50_ms,
            p99_ms=total.p99_ms,
            created_us=endpoint.created_us,
            updated_us=endpoint.updated_us,
            created_by=endpoint.created_by,
        )

    def served(endpoint: Endpoint, one: Served) -> ServedView:
        plane = data_plane()
        replica = plane.replica(endpoint.name, one.version) if plane else None
        interpreter = replica.interpreter if replica else None
        isolation = replica.isolation if replica else None
        return ServedView(
            version=one.version,
            model=endpoint.model,
            weight=one.weight,
            role=one.role,
            state=one.state,
            replicas=replicas(endpoint.name, one.version),
            runtime=runtime(endpoint.name, one.version),
            pid=one.pid,
            error=one.error,
            added_us=one.added_us,
            last_minute=last_minute(endpoint.name, one.version),
            allow_network=one.allow_network,
            environment=interpreter.name if interpreter else None,
            network=isolation.network if isolation else None,
            network_note=isolation.note if isolation else "",
        )

    @route("GET", "/api/v1/endpoints", returns=Page[EndpointView], tags=["endpoints"])
    def list_endpoints(request: Request) -> Page[EndpointView]:
        """List endpoints."""
        return Page([view(endpoint) for endpoint in service.endpoints(request.who)])

    @route("GET", "/api/v1/endpoints/{name}", returns=EndpointView, tags=["endpoints"])
    def get_endpoint(request: Request) -> EndpointView:
        """Return an endpoint with its versions and its last minute."""
        return view(service.endpoint(request.who, request.path["name"]))

    @route("POST", "/api/v1/endpoints/{name}/deploy", body=Deploy, returns=EndpointView, tags=["endpoints"])
    def deploy(request: Request, body: Deploy) -> EndpointView:
        """Have a registered version answer at an endpoint."""
        made = service.deploy(
            request.who,
            request.path["name"],
            body.model,
            weight=body.weight,
            allow_pickle=body.allow_pickle,
            native=body.native,
            allow_network=body.allow_network,
            reason=body.reason,
        )
        return view(made)

    @route(
        "POST", "/api/v1/endpoints/{name}/traffic", body=SetTraffic, returns=EndpointView, tags=["endpoints"]
    )
    def set_traffic(request: Request, body: SetTraffic) -> EndpointView:
        """Split the requests over versions, in percent."""
        return view(service.traffic(request.who, request.path["name"], body.traffic, reason=body.reason))

    @route(
        "POST", "/api/v1/endpoints/{name}/rollback", body=RollBack, returns=EndpointView, tags=["endpoints"]
    )
    def rollback(request: Request, body: RollBack) -> EndpointView:
        """Undo the newest change of who answers, at once."""
        return view(service.rollback(request.who, request.path["name"], reason=body.reason))

    @route("DELETE", "/api/v1/endpoints/{name}", query=RemoveQuery, tags=["endpoints"])
    def remove(request: Request, query: RemoveQuery) -> None:
        """Stop an endpoint, or one version of it."""
        service.remove(request.who, request.path["name"], version=query.version)

    @route(
        "GET", "/api/v1/endpoints/{name}/history", query=PageQuery, returns=Page[Change], tags=["endpoints"]
    )
    def history(request: Request, query: PageQuery) -> Page[Change]:
        """List who changed the traffic, when and why, newest first."""
        return service.history(request.who, request.path["name"], limit=query.limit, cursor=query.cursor)

    @route("GET", "/api/v1/endpoints/{name}/logs", query=LogQuery, returns=LogLines, tags=["endpoints"])
    def logs(request: Request, query: LogQuery) -> LogLines:
        """Return the last lines that a version's replica wrote."""
        endpoint = service.endpoint(request.who, request.path["name"])
        version = query.version or endpoint.champion or ""
        endpoint.find(version)
        plane = data_plane()
        return LogLines(plane.log_tail(endpoint.name, version, min(query.lines, 1000)) if plane else [])

    return [
        list_endpoints,
        get_endpoint,
        deploy,
        set_traffic,
        rollback,
        remove,
        history,
        logs,
    ]
