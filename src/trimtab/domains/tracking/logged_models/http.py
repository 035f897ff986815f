"""The HTTP face of logged models."""

import math
from typing import Literal

import msgspec

from trimtab.domains.tracking.experiments.model import State
from trimtab.domains.tracking.logged_models.model import LoggedModel
from trimtab.domains.tracking.service import TrackingService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page


class LoggedModelsQuery(msgspec.Struct):
    experiment_id: list[str]
    filter: str = ""
    limit: int | None = None
    cursor: str | None = None


class LoggedModelView(msgspec.Struct):
    id: str
    name: str
    experiment_id: str
    run_id: str | None
    model_type: str | None
    status: Literal["PENDING", "READY", "FAILED"]
    state: State
    artifact_uri: str
    created_us: int
    updated_us: int
    params: dict[str, str]
    tags: dict[str, str]
    metrics: dict[str, float | None]


def routes(service: TrackingService) -> list[Route]:
    models = service.logged_models

    @route(
        "GET",
        "/api/v1/logged-models",
        query=LoggedModelsQuery,
        returns=Page[LoggedModelView],
        tags=["runs"],
    )
    def list_logged_models(request: Request, query: LoggedModelsQuery) -> Page[LoggedModelView]:
        """List logged models of experiments, newest first."""
        page = models.search(
            request.who,
            experiment_ids=query.experiment_id,
            filter=query.filter,
            limit=query.limit,
            cursor=query.cursor,
        )
        return Page([_model(one) for one in page.items], page.next_cursor)

    @route("GET", "/api/v1/logged-models/{model_id}", returns=LoggedModelView, tags=["runs"])
    def get_logged_model(request: Request) -> LoggedModelView:
        """Return a logged model."""
        return _model(models.get(request.who, request.path["model_id"]))

    @route("DELETE", "/api/v1/logged-models/{model_id}", tags=["runs"])
    def delete_logged_model(request: Request) -> None:
        """Move a logged model to the trash."""
        models.delete(request.who, request.path["model_id"])

    @route("POST", "/api/v1/logged-models/{model_id}/restore", tags=["runs"])
    def restore_logged_model(request: Request) -> None:
        """Take a logged model out of the trash."""
        models.restore(request.who, request.path["model_id"])

    return [list_logged_models, get_logged_model, delete_logged_model, restore_logged_model]


def _model(model: LoggedModel) -> LoggedModelView:
    metrics = {one.key: one.value for one in model.metrics}  # in the order of time, so the latest stays
    return LoggedModelView(
        id=model.id,
        name=model.name,
        experiment_id=model.experiment_id,
        run_id=model.source_run_id,
        model_type=model.model_type,
        status=model.status,
        state=model.state,
        artifact_uri=model.artifact_uri,
        created_us=model.created_us,
        updated_us=model.updated_us,
        params=model.params,
        tags=model.tags,
        metrics={key: value if math.isfinite(value) else None for key, value in metrics.items()},
    )
