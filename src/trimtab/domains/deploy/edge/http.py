"""The HTTP face of bundles: for those who make them, and for the devices that use them."""

from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from trimtab.domains.deploy.edge.model import Delivery, EdgeBundle, EdgeDevice
from trimtab.domains.deploy.edge.service import EdgeService
from trimtab.infra.http import Request, Route, Stream, route
from trimtab.kernel.pages import Page

_PIECE = 1 << 20


class CreateEdgeBundle(msgspec.Struct, forbid_unknown_fields=True):
    """``model`` is ``models:/NAME@ALIAS``; ``reference`` a data version such as ``data:flights@3``."""

    model: str
    endpoint: str = ""
    reference: str = ""


class EdgeKey(msgspec.Struct):
    """The public half of the key that signs bundles: Ed25519 in base 64."""

    key: str


class Taken(msgspec.Struct):
    taken: int


class DeviceQuery(msgspec.Struct):
    limit: int | None = None


def routes(service: EdgeService) -> list[Route]:
    @route(
        "POST", "/api/v1/edge/bundles", body=CreateEdgeBundle, returns=EdgeBundle, status=202, tags=["edge"]
    )
    def create_edge_bundle(request: Request, body: CreateEdgeBundle) -> EdgeBundle:
        """Have a signed bundle made of what an alias points to, now and whenever it moves."""
        return service.create(request.who, model=body.model, endpoint=body.endpoint, reference=body.reference)

    @route("GET", "/api/v1/edge/bundles", returns=Page[EdgeBundle], tags=["edge"])
    def list_edge_bundles(request: Request) -> Page[EdgeBundle]:
        """List bundles by model and alias."""
        return Page(service.bundles(request.who))

    @route("GET", "/api/v1/edge/key", returns=EdgeKey, tags=["edge"])
    def get_edge_key(request: Request) -> EdgeKey:
        """Return the public key with which devices check bundles."""
        return EdgeKey(service.public_key(request.who))

    @route("GET", "/api/v1/edge/bundles/{model}/{alias}", returns=EdgeBundle, tags=["edge"])
    def get_edge_bundle(request: Request) -> EdgeBundle:
        """Return the newest bundle's number, version and size, which devices compare with their own."""
        return service.get(request.who, request.path["model"], request.path["alias"])

    @route("DELETE", "/api/v1/edge/bundles/{model}/{alias}", tags=["edge"])
    def remove_edge_bundle(request: Request) -> None:
        """Make no more bundles for an alias."""
        service.remove(request.who, request.path["model"], request.path["alias"])

    @route("GET", "/api/v1/edge/bundles/{model}/{alias}/file", media_type="application/zip", tags=["edge"])
    def get_edge_file(request: Request) -> Stream:
        """Fetch the newest bundle: a zip file."""
        bundle, content = service.open(request.who, request.path["model"], request.path["alias"])
        name = f"{bundle.endpoint}-{bundle.sequence}.zip"
        headers = {
            "content-length": str(bundle.size_bytes),
            "content-disposition": f'attachment; filename="{name}"',
        }
        return Stream(_pieces(content), media_type="application/zip", headers=headers)

    @route(
        "GET",
        "/api/v1/edge/bundles/{model}/{alias}/devices",
        query=DeviceQuery,
        returns=Page[EdgeDevice],
        tags=["edge"],
    )
    def list_edge_devices(request: Request, query: DeviceQuery) -> Page[EdgeDevice]:
        """List the devices that called, the latest first."""
        path = request.path
        return Page(service.devices(request.who, path["model"], path["alias"], limit=query.limit))

    @route(
        "POST",
        "/api/v1/edge/bundles/{model}/{alias}/predictions",
        body=Delivery,
        returns=Taken,
        tags=["edge"],
    )
    def deliver_edge_predictions(request: Request, body: Delivery) -> Taken:
        """Hand over what a device predicted; the same file sent twice counts once."""
        return Taken(service.deliver(request.who, request.path["model"], request.path["alias"], body))

    return [
        create_edge_bundle,
        list_edge_bundles,
        get_edge_key,
        get_edge_bundle,
        remove_edge_bundle,
        get_edge_file,
        list_edge_devices,
        deliver_edge_predictions,
    ]


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while piece := content.read(_PIECE):
            yield piece
