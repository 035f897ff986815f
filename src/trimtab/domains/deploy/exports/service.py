"""Writes endpoints down for other systems: the routing as it is now, in the reader's format."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from trimtab.domains.deploy.exports.errors import NotExportable
from trimtab.domains.deploy.exports.formats import Format, format_of
from trimtab.domains.deploy.exports.view import (
    EndpointView,
    Upstream,
    Wish,
    check_header,
    check_split,
    check_upstreams,
    parse_upstream,
    view_of,
)
from trimtab.domains.deploy.service import DeployService
from trimtab.domains.deploy.settings.model import DEFAULT
from trimtab.domains.govern import GovernService
from trimtab.kernel import refs
from trimtab.kernel.who import Principal

EVERY = "*"
"""In place of a name: every endpoint that has traffic."""


class Exported(NamedTuple):
    """A text and the format that it is in."""

    format: Format
    text: str


class ExportService:
    """Endpoints as configuration of proxies and clusters. Nothing is changed, and no secret is in a text."""

    def __init__(self, govern: GovernService, deploy: DeployService, *, inference_url: str) -> None:
        """``inference_url`` is where this server's own gateway answers."""
        self._govern = govern
        self._deploy = deploy
        self._gateway: Upstream | None = None
        if inference_url.startswith("https://"):
            return
        gateway = parse_upstream(inference_url)
        # A wildcard says where to listen, not where to call.
        near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(gateway.host, gateway.host)  # noqa: S104
        self._gateway = msgspec.structs.replace(gateway, host=near)

    def export(
        self,
        who: Principal,
        name: str,
        format: str,  # noqa: A002 (the name that the API has)
        *,
        wish: Wish,
        version: str | None = None,
        sticky_header: str | None = None,
    ) -> Exported:
        """Return the routing of an endpoint, or of all by ``*``, in a format; ``version`` gives one all the requests.

        Without upstreams it is written for this server's gateway. Raises EndpointNotFound, VersionNotServed,
        UnknownFormat, NotExportable and Invalid.
        """
        self._govern.permit(who, "read", refs.make("endpoint", name) if name != EVERY else "endpoints")
        found = format_of(format)
        if name == EVERY:
            views = self._every(who)
        else:
            endpoint = self._deploy.endpoint(who, name)
            settings = self._deploy.settings.get(who, name).settings
            views = [view_of(endpoint, settings, only=version)]
        if sticky_header is not None:
            header = check_header(sticky_header)
            views = [msgspec.structs.replace(view, sticky_header=header) for view in views]
        if found.upstreams:
            if check_split(wish.split) == "gateways":
                views = [view.unsplit() for view in views]
            if not wish.upstreams:
                if self._gateway is None:
                    raise NotExportable(
                        "This server's inference port speaks TLS: name it as its certificate does, as an upstream such as"
                        " https://models.example.com:5001.",
                        field="upstream",
                    )
                wish = msgspec.structs.replace(wish, upstreams=[self._gateway])
            check_upstreams(views, wish)
        return Exported(found, found.render(views, wish))

    def _every(self, who: Principal) -> Sequence[EndpointView]:
        settings = self._deploy.settings.in_force(who)
        views = [
            view_of(endpoint, settings.get(endpoint.name, DEFAULT))
            for endpoint in self._deploy.endpoints(who)
            if endpoint.traffic()
        ]
        if not views:
            raise NotExportable(
                "No endpoint takes requests: there is no routing to write down.", field="name"
            )
        return views
