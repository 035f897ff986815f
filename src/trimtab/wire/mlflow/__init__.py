"""The MLflow API: what ``mlflow`` clients say, translated to tracking and registry."""

from starlette.routing import BaseRoute

from trimtab.domains.registry import RegistryService
from trimtab.domains.tracking import TrackingService
from trimtab.wire.mlflow import artifacts, experiments, logged_models, metrics, registry, runs, server
from trimtab.wire.mlflow.binding import Table
from trimtab.wire.mlflow.errors import render_error

__all__ = ["PREFIXES", "render_error", "routes"]

PREFIXES = ("/api/2.0/", "/api/3.0/", "/ajax-api/")


def routes(
    tracking: TrackingService, model_registry: RegistryService, *, max_body_bytes: int
) -> list[BaseRoute]:
    """Return the routes of the API, each also below ``/ajax-api``."""
    handlers = [
        *runs.handlers(tracking),
        *metrics.handlers(tracking),
        *experiments.handlers(tracking),
        *logged_models.handlers(tracking),
        *artifacts.handlers(tracking),
        *registry.handlers(model_registry, tracking),
        *server.handlers(),
    ]
    return [Table(handlers, max_body_bytes=max_body_bytes)]
