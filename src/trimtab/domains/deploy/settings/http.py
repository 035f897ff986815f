"""The HTTP face of endpoints' settings: read them with their defaults, change some, see what they did."""

from collections.abc import Callable

import msgspec

from trimtab.domains.deploy.plane import Plane
from trimtab.domains.deploy.service import DeployService
from trimtab.domains.deploy.settings import model
from trimtab.domains.deploy.settings.store import Stored
from trimtab.infra.http import Request, Route, route


class ChangeSettings(msgspec.Struct, forbid_unknown_fields=True):
    settings: dict[str, str | None] = {}
    """Names and texts, such as ``{"rate_limit": "100/s"}``; null sets the default."""
    fields: dict[str, str | None] = {}
    """Columns and what is done to them before they are written down: ``drop``, ``mask``, ``hash``, ``generalise:10``."""
    reason: str = ""


class SettingView(msgspec.Struct):
    """One setting: its value and default as text, and what it means."""

    name: str
    value: str
    default: str
    about: str
    example: str


class Did(msgspec.Struct):
    """What the settings did since the gateway started."""

    limited: int = 0
    shed: int = 0
    retried: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_bytes: int = 0
    open_circuits: list[str] = []


class SettingsView(msgspec.Struct):
    """Everything that is set for an endpoint, who changed it last, and what it did."""

    endpoint: str
    settings: list[SettingView]
    fields: dict[str, str]
    updated_us: int
    updated_by: str
    did: Did


def routes(service: DeployService, data_plane: Callable[[], Plane | None]) -> list[Route]:
    @route("GET", "/api/v1/endpoints/{name}/settings", returns=SettingsView, tags=["endpoints"])
    def get_settings(request: Request) -> SettingsView:
        """Return what is set for an endpoint."""
        return view(service.settings.get(request.who, request.path["name"]))

    @route(
        "PATCH",
        "/api/v1/endpoints/{name}/settings",
        body=ChangeSettings,
        returns=SettingsView,
        tags=["endpoints"],
    )
    def change_settings(request: Request, body: ChangeSettings) -> SettingsView:
        """Set what is named; everything else stays as it is."""
        changed = service.settings.change(
            request.who, request.path["name"], body.settings, rules=body.fields, reason=body.reason
        )
        return view(changed)

    def view(stored: Stored) -> SettingsView:
        values, defaults = model.shown(stored.settings), model.shown(model.DEFAULT)
        return SettingsView(
            endpoint=stored.endpoint,
            settings=[
                SettingView(name, values[name], defaults[name], one.about, one.example)
                for name, one in model.SETTINGS.items()
            ],
            fields=model.shown_fields(stored.settings),
            updated_us=stored.updated_us,
            updated_by=stored.updated_by,
            did=did(stored.endpoint),
        )

    def did(endpoint: str) -> Did:
        plane = data_plane()
        state = plane.newest(endpoint) if plane is not None else None
        if state is None:
            return Did()
        return Did(
            limited=state.limited,
            shed=state.shed,
            retried=sum(version.retried for version in state.versions.values()),
            cache_hits=state.cache_hits,
            cache_misses=state.cache_misses,
            cache_bytes=state.cache_bytes,
            open_circuits=[name for name, version in state.versions.items() if version.circuit == "open"],
        )

    return [get_settings, change_settings]
