"""The HTTP face of saved views."""

from typing import Any

import msgspec

from trimtab.domains.tracking.service import TrackingService
from trimtab.domains.tracking.views.model import View
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page
from trimtab.kernel.who import Principal


class SavedView(msgspec.Struct):
    """A view under its name; ``mine`` says whether the caller may change it as its owner."""

    id: str
    name: str
    page: str
    experiment_id: str
    state: dict[str, Any]
    owner: str
    mine: bool
    shared: bool
    updated_us: int


class ViewsQuery(msgspec.Struct):
    page: str = "runs"
    experiment_id: str = ""


class SaveView(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    state: dict[str, Any]
    page: str = "runs"
    experiment_id: str = ""
    shared: bool = False


class ChangeView(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    state: dict[str, Any] | None = None
    shared: bool | None = None


def routes(service: TrackingService) -> list[Route]:
    views = service.views

    @route("GET", "/api/v1/views", query=ViewsQuery, returns=Page[SavedView], tags=["views"])
    def list_views(request: Request, query: ViewsQuery) -> Page[SavedView]:
        """List the caller's views of a page and those that others share."""
        found = views.list(request.who, page=query.page, experiment_id=query.experiment_id)
        return Page([_shown(view, request.who) for view in found])

    @route("POST", "/api/v1/views", body=SaveView, returns=SavedView, status=201, tags=["views"])
    def save_view(request: Request, body: SaveView) -> SavedView:
        """Keep how a page is looked at under a name."""
        view = views.create(
            request.who,
            name=body.name,
            page=body.page,
            state=body.state,
            experiment_id=body.experiment_id,
            shared=body.shared,
        )
        return _shown(view, request.who)

    @route("PATCH", "/api/v1/views/{view_id}", body=ChangeView, returns=SavedView, tags=["views"])
    def change_view(request: Request, body: ChangeView) -> SavedView:
        """Change a view's name, state or whether all see it."""
        view = views.update(
            request.who, request.path["view_id"], name=body.name, state=body.state, shared=body.shared
        )
        return _shown(view, request.who)

    @route("DELETE", "/api/v1/views/{view_id}", tags=["views"])
    def delete_view(request: Request) -> None:
        """Forget a view."""
        views.delete(request.who, request.path["view_id"])

    return [list_views, save_view, change_view, delete_view]


def _shown(view: View, who: Principal) -> SavedView:
    return SavedView(
        id=view.id,
        name=view.name,
        page=view.page,
        experiment_id=view.experiment_id,
        state=view.state,
        owner=view.owner,
        mine=view.owner_id == who.id,
        shared=view.shared,
        updated_us=view.updated_us,
    )
