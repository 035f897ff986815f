"""Mounts every domain's routes, the foreign protocols and the web UI into one ASGI application."""

import asyncio
from functools import cache

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Router
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp

from trimtab.app import App
from trimtab.domains.alerts import http as alerts_http
from trimtab.domains.data import http as data_http
from trimtab.domains.deploy import http as deploy_http
from trimtab.domains.deploy.batch import http as batch_http
from trimtab.domains.deploy.edge import http as edge_http
from trimtab.domains.deploy.exports import http as exports_http
from trimtab.domains.deploy.rollouts import http as rollouts_http
from trimtab.domains.deploy.settings import http as settings_http
from trimtab.domains.govern import http as govern_http
from trimtab.domains.lineage import http as lineage_http
from trimtab.domains.monitor import http as monitor_http
from trimtab.domains.pipelines import http as pipelines_http
from trimtab.domains.registry import http as registry_http
from trimtab.domains.registry.imports import http as registry_imports_http
from trimtab.domains.registry.runtimes import http as runtimes_http
from trimtab.domains.traces import http as traces_http
from trimtab.domains.tracking import http as tracking_http
from trimtab.infra.http import Route
from trimtab.infra.http.edge import Edge
from trimtab.infra.http.events import Follower, response
from trimtab.infra.http.openapi import document
from trimtab.kernel.errors import Invalid
from trimtab.loop import http as loop_http
from trimtab.loop import trash_http
from trimtab.reach import inference_url
from trimtab.version import __version__
from trimtab.web import trial, ui_app
from trimtab.wire import mlflow

MLFLOW_VERSION = "3.17.2"  # the newest release whose client is tested against this server
_PUBLIC = frozenset({"/health", "/version", "/api/v1/openapi.json", "/api/v1/session"})


def native_routes(app: App) -> list[Route]:
    """Return the routes of the native API, in the order of the document."""
    return [
        *govern_http.routes(app.govern),
        *lineage_http.routes(app.lineage),
        *data_http.routes(app.data),
        *tracking_http.routes(app.tracking),
        *traces_http.routes(app.traces),
        *registry_http.routes(app.registry),
        *registry_imports_http.routes(app.registry_imports),
        *runtimes_http.routes(app.runtimes),
        *pipelines_http.routes(app.pipelines),
        *alerts_http.routes(app.alerts),
        *monitor_http.routes(app.monitors),
        *loop_http.routes(app.loop, app.retrain, app.release, app.overview, app.search),
        *trash_http.routes(app.trash, app.govern, app.collector),
        *deploy_http.routes(app.deploy, lambda: app.plane, inference_url=inference_url(app.settings)),
        *rollouts_http.routes(app.deploy),
        *settings_http.routes(app.deploy, lambda: app.plane),
        *exports_http.routes(app.exports, app.packages),
        *batch_http.routes(app.batches),
        *edge_http.routes(app.edge),
        *trial.routes(
            app.deploy,
            inference_url=inference_url(app.settings),
            certificate=app.settings.inference_tls_cert,
        ),
    ]


def asgi(app: App) -> ASGIApp:
    """Return the whole application behind its edge."""
    routes = native_routes(app)
    limit = app.settings.max_body_mb << 20
    follower = Follower(app.bus)

    @cache
    def openapi() -> bytes:  # a tenth of a server's start, for few who ask
        return msgspec.json.encode(document(routes, version=__version__))

    async def health(_: StarletteRequest) -> Response:
        return PlainTextResponse("OK")

    async def version(_: StarletteRequest) -> Response:
        return PlainTextResponse(MLFLOW_VERSION)

    async def metrics(_: StarletteRequest) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def openapi_document(_: StarletteRequest) -> Response:
        return Response(await asyncio.to_thread(openapi), media_type="application/json")

    async def events(request: StarletteRequest) -> Response:
        after = request.headers.get("last-event-id") or request.query_params.get("after")
        if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
            raise Invalid("after must be the number of an event.", field="after")
        return response(follower, int(after) if after is not None else None)

    table: list[BaseRoute] = [
        *mlflow.routes(app.tracking, app.registry, app.traces, max_body_bytes=limit),
        StarletteRoute("/health", health),
        StarletteRoute("/version", version),
        StarletteRoute("/metrics", metrics),
        StarletteRoute("/api/v1/openapi.json", openapi_document),
        StarletteRoute("/api/v1/events/stream", events),
        *[route.starlette(limit) for route in routes],
    ]
    return Edge(
        Router(table, redirect_slashes=False, default=ui_app()),
        authenticate=app.govern.authenticate,
        allowed_hosts=["localhost", app.settings.host, *_names(app.settings.allowed_hosts)],
        public=_is_public,
        renderers=[(prefix, mlflow.render_error) for prefix in mlflow.PREFIXES],
    )


def _is_public(path: str) -> bool:
    if path in _PUBLIC or path.startswith(mlflow.PUBLIC):
        return True
    return not path.startswith(("/api/", "/ajax-api/", "/v1/", "/metrics", *mlflow.PREFIXES))


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
