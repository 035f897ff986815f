"""The HTTP face of exports."""

from collections.abc import Iterator

import msgspec

from trimtab.domains.deploy.exports.package.service import PackageService
from trimtab.domains.deploy.exports.ray import RayWish
from trimtab.domains.deploy.exports.service import ExportService
from trimtab.domains.deploy.exports.view import Wish, parse_upstream
from trimtab.infra.http import Request, Route, Stream, route

_TAR = "application/x-tar"


class ExportQuery(msgspec.Struct):
    format: str
    upstream: list[str] = []
    """Where versions answer: HOST:PORT of a gateway, or VERSION=HOST:PORT, https:// before the host for TLS; this server's
    gateway when left out."""
    ca_file: str | None = None
    """Where the proxy's machine has the authority of upstreams with TLS."""
    listen: str = "127.0.0.1:8000"
    split: str = "proxy"
    """Who chooses the version: the proxy, or the gateways behind it."""
    version: str | None = None
    sticky_header: str | None = None
    image: str | None = None
    """For clusters: the packaged image, with {version} where several versions share the requests."""
    namespace: str | None = None
    replicas: int = 2
    most_replicas: int = 8
    cpu: str = "500m"
    memory: str = "512Mi"
    storage_uri: str | None = None
    """For KServe: where it finds the model's folder, in place of the copy inside the image."""


class ExportToRay(msgspec.Struct, forbid_unknown_fields=True):
    version: str | None = None
    """As if this one had every request."""
    listen: str = "127.0.0.1:8000"
    replicas: int | None = None
    """Of each version at the least; the endpoint's min_replicas when left out."""
    most_replicas: int | None = None
    cpu: str = "500m"
    memory: str = "512Mi"
    working_dir: str | None = None
    """Where the cluster gets this folder as an archive."""
    installed: bool = False
    """Whether the nodes have the packages, so that Ray installs none."""


class MakePackage(msgspec.Struct, forbid_unknown_fields=True):
    version: str | None = None
    """The champion when left out."""
    base: str | None = None
    """The image to build on: a Debian with this server's Python."""
    include: list[str] = []
    """Further packages that this server has, such as pyarrow for Parquet bodies."""


def routes(service: ExportService, packages: PackageService) -> list[Route]:
    @route(
        "GET",
        "/api/v1/endpoints/{name}/export",
        query=ExportQuery,
        media_type="text/plain",
        tags=["endpoints"],
    )
    def export(request: Request, query: ExportQuery) -> Stream:
        """Write an endpoint's routing for another proxy or cluster; the name * means every endpoint."""
        wish = Wish(
            upstreams=[parse_upstream(text) for text in query.upstream],
            listen=parse_upstream(query.listen, field="listen"),
            ca_file=query.ca_file,
            split=query.split,
            image=query.image,
            namespace=query.namespace,
            replicas=query.replicas,
            most_replicas=query.most_replicas,
            cpu=query.cpu,
            memory=query.memory,
            storage_uri=query.storage_uri,
        )
        found, text = service.export(
            request.who,
            request.path["name"],
            query.format,
            wish=wish,
            version=query.version,
            sticky_header=query.sticky_header,
        )
        return _attached(found.file_name, text.encode(), media_type=found.media_type)

    @route("POST", "/api/v1/endpoints/{name}/package", body=MakePackage, media_type=_TAR, tags=["endpoints"])
    def package(request: Request, body: MakePackage) -> Stream:
        """Pack a served version for a container image: a signed build context as a tar archive."""
        name = request.path["name"]
        made = packages.package(request.who, name, version=body.version, base=body.base, include=body.include)
        return _tar(f"{name}-v{made.manifest.version}", made.pieces)

    @route("POST", "/api/v1/endpoints/{name}/ray", body=ExportToRay, media_type=_TAR, tags=["endpoints"])
    def to_ray(request: Request, body: ExportToRay) -> Stream:
        """Write an endpoint for Ray Serve: a signed folder with its models as a tar archive."""
        name = request.path["name"]
        wish = RayWish(
            parse_upstream(body.listen, field="listen"),
            body.replicas,
            body.most_replicas,
            body.cpu,
            body.memory,
            body.working_dir,
            body.installed,
        )
        made = packages.to_ray(request.who, name, wish=wish, version=body.version)
        return _tar(f"{name}-ray", made.pieces)

    @route("GET", "/api/v1/signing-key", media_type="text/plain", tags=["endpoints"])
    def signing_key(request: Request) -> Stream:
        """Return the public key, in PEM, by which this server's packages are checked."""
        key = packages.signing_key(request.who)
        return Stream(key.encode(), media_type="text/plain; charset=utf-8")

    return [export, package, to_ray, signing_key]


def _tar(name: str, pieces: Iterator[bytes]) -> Stream:
    return _attached(f"{name}.tar", pieces, media_type=_TAR)


def _attached(file_name: str, content: bytes | Iterator[bytes], *, media_type: str) -> Stream:
    """Return a file as an answer that is saved under its name."""
    headers = {"content-disposition": f'attachment; filename="{file_name}"'}
    return Stream(content, media_type=media_type, headers=headers)
