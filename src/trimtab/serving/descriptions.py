"""What the inference port says of itself: health, readiness, and the endpoints in the words of each protocol."""

from collections.abc import Callable
from typing import Any

import msgspec

from trimtab.serving import openapi
from trimtab.serving.addresses import Target
from trimtab.serving.http import TEXT, Answer, Request
from trimtab.serving.protocols import v1, v2
from trimtab.serving.table import LiveEndpoint, LiveTable
from trimtab.version import __version__

_encode = msgspec.json.Encoder().encode


def describe(table: LiveTable, request: Request, target: Target, *, draining: bool) -> Answer:
    """Return what an address that asks no model says; raises EndpointNotFound, VersionNotFound or Invalid."""
    match target.address.action:
        case "health":
            return Answer(200, b"OK", TEXT)
        case "version":
            return Answer(200, __version__.encode(), TEXT)
        case "ready":
            # Ready means: it takes connections. A broken endpoint must not take the others off a load balancer.
            return Answer(503 if draining else 200, _encode({"live": True, "ready": not draining}))
        case "ping":
            ready = not draining and (table.default is None or table.named(None).ready)
            return Answer(200 if ready else 503, b"\n", TEXT)
        case "model-ready":
            endpoint = table.named(target.name)
            ready = endpoint.version(target.version).ready if target.version else endpoint.ready
            return Answer(200 if ready else 503, _encode({"name": endpoint.name, "ready": ready}))
        case action:
            return Answer(200, _encode(_TOLD[action](table, request, target)))


def _live(_table: LiveTable, _request: Request, _target: Target) -> Any:
    return {"live": True}


def _server(_table: LiveTable, _request: Request, _target: Target) -> Any:
    return v2.server_metadata()


def _model(table: LiveTable, _request: Request, target: Target) -> Any:
    endpoint = table.named(target.name)
    if target.version:
        endpoint.version(target.version)
    versions = [target.version] if target.version else list(endpoint.versions)
    return v2.describe(endpoint.name, versions, endpoint.schema)


def _index(table: LiveTable, request: Request, _target: Target) -> Any:
    ready_only = v2.wants_ready(request.body)
    return v2.index(
        {name: _versions(one) for name, one in _seen(table, request).items()}, ready_only=ready_only
    )


def _names(table: LiveTable, request: Request, _target: Target) -> Any:
    return {"models": list(_seen(table, request))}


def _status(table: LiveTable, _request: Request, target: Target) -> Any:
    endpoint = table.named(target.name)
    versions = _versions(endpoint)
    if target.version is not None:
        version = endpoint.version(target.version).route.version
        versions = {version: versions[version]}
    return v1.status(endpoint.name, versions)


def _metadata(table: LiveTable, _request: Request, target: Target) -> Any:
    endpoint = table.named(target.name)
    version = endpoint.version(target.version or next(iter(endpoint.versions), "")).route.version
    return v1.metadata(endpoint.name, version, endpoint.schema)


def _hosted(table: LiveTable, request: Request, target: Target) -> Any:
    """Return endpoints as SageMaker describes the models of a container."""
    if target.name is not None:
        return _hosted_one(table.named(target.name).name)
    return {"models": [_hosted_one(name) for name in _seen(table, request)]}


def _hosted_one(name: str) -> dict[str, str]:
    return {"modelName": name, "modelUrl": f"/models/{name}"}


def _deployments(table: LiveTable, request: Request, target: Target) -> Any:
    """Return endpoints as MLflow's deployments client reads them."""
    if target.name is not None:
        return _deployment(table.named(target.name))
    endpoints = [_deployment(one) for one in _seen(table, request).values()]
    return {"endpoints": endpoints, "next_page_token": None}


def _deployment(endpoint: LiveEndpoint) -> dict[str, Any]:
    version = next(iter(endpoint.versions.values()), None)
    model = version.route.model if version is not None else endpoint.name
    return {
        "name": endpoint.name,
        "endpoint_type": "trimtab/predict",
        "model": {"name": model, "provider": "trimtab"},
        "endpoint_url": f"/endpoints/{endpoint.name}/invocations",
        "limit": None,
    }


def _openapi(table: LiveTable, _request: Request, target: Target) -> Any:
    endpoint = table.named(target.name)
    return openapi.document(endpoint.name, list(endpoint.versions), endpoint.schema)


def _transforms(_table: LiveTable, _request: Request, _target: Target) -> Any:
    return {"MaxConcurrentTransforms": 8, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}


_TOLD: dict[str, Callable[[LiveTable, Request, Target], Any]] = {
    "live": _live,
    "server": _server,
    "model": _model,
    "index": _index,
    "names": _names,
    "status": _status,
    "metadata": _metadata,
    "hosted": _hosted,
    "deployments": _deployments,
    "openapi": _openapi,
    "transforms": _transforms,
}


def _seen(table: LiveTable, request: Request) -> dict[str, LiveEndpoint]:
    """Return the endpoints that a caller's key opens."""
    scope = getattr(request.who, "endpoints", None)
    return {name: one for name, one in table.endpoints.items() if scope is None or name in scope}


def _versions(endpoint: LiveEndpoint) -> dict[str, bool]:
    return {version: live.ready for version, live in endpoint.versions.items()}
