"""The MLflow API: what ``mlflow`` clients say, translated to tracking and registry."""

from starlette.routing import BaseRoute

from trimtab.domains.registry import RegistryService
from trimtab.domains.traces import TracesService
from trimtab.domains.tracking import TrackingService
from trimtab.wire.mlflow import (
    artifacts,
    assessments,
    datasets,
    experiments,
    logged_models,
    metrics,
    old_traces,
    otlp,
    registry,
    runs,
    server,
    trace_figures,
    traces,
    transfers,
    version_files,
    webhooks,
)
from trimtab.wire.mlflow.binding import Table
from trimtab.wire.mlflow.errors import render_error

__all__ = ["PREFIXES", "PUBLIC", "render_error", "routes"]

PREFIXES = (
    "/api/2.0/",
    "/api/3.0/",
    "/ajax-api/",
    "/v1/traces",
    "/get-artifact",
    "/model-versions/get-artifact",
)
PUBLIC = transfers.PUBLIC


def routes(
    tracking: TrackingService,
    model_registry: RegistryService,
    trace_service: TracesService,
    *,
    max_body_bytes: int,
) -> list[BaseRoute]:
    """Return the routes of the API, each also below ``/ajax-api``."""
    handlers = [
        *runs.handlers(tracking),
        *metrics.handlers(tracking),
        *experiments.handlers(tracking),
        *logged_models.handlers(tracking),
        *version_files.before(
            [*artifacts.handlers(tracking), *transfers.handlers(tracking, model_registry)],
            model_registry,
            tracking,
        ),
        *registry.handlers(model_registry),
        *webhooks.handlers(model_registry.webhooks),
        *traces.handlers(trace_service),
        *trace_figures.handlers(trace_service),
        *old_traces.handlers(trace_service),
        *assessments.handlers(trace_service),
        *datasets.handlers(trace_service),
        *server.handlers(),
    ]
    return [
        Table(handlers, max_body_bytes=max_body_bytes),
        *otlp.routes(trace_service, max_body_bytes=max_body_bytes),
    ]
