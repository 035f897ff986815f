"""What an export is made of: endpoints as plain values, where they answer, and what the reader asked for."""

import ipaddress
import re
from collections.abc import Sequence

import msgspec

from trimtab.domains.deploy.exports.errors import NotExportable
from trimtab.domains.deploy.model import Endpoint
from trimtab.domains.deploy.settings.model import DEFAULT, EndpointSettings
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving import routes
from trimtab.serving.routes import Role

PIN_HEADER = "x-model-version"
"""The request header by which a proxy tells a gateway which version it has chosen; answers carry it too."""

ANY = ""
"""In place of a version: whichever the gateway that is asked chooses."""

SPLITTERS = ("proxy", "gateways")

PARTS = 100_000
"""Shares are written in thousandths of a percent."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FILE = re.compile(r"[A-Za-z0-9._/@+-]{1,400}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,128}")


class Upstream(msgspec.Struct, frozen=True):
    """Where versions answer. ``version`` None: a gateway that has them all; else a server of that one."""

    host: str
    port: int
    version: str | None = None
    tls: bool = False

    @property
    def address(self) -> str:
        """The address with its port, an IPv6 one in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_name(self) -> bool:
        """Whether the host has to be looked up."""
        return not _is_address(self.host)


class VersionView(msgspec.Struct, frozen=True):
    """A version that answers: its share in percent, and what its package would hold."""

    version: str
    weight: float
    role: Role
    size_bytes: int = 0
    digest: str = ""


class EndpointView(msgspec.Struct, frozen=True):
    """An endpoint as a proxy has to know it; at least one version has a weight, and the weights add up to 100."""

    name: str
    model: str
    versions: list[VersionView]
    timeout_ms: int = routes.Endpoint([]).timeout_ms
    max_body_bytes: int = routes.Endpoint([]).max_body_bytes
    sticky_header: str | None = None
    sticky_by: str = ""
    """The column that keeps rows to a version, which a proxy cannot see."""

    @property
    def split(self) -> list[VersionView]:
        """The versions that share the requests, the largest share first, the champion before its equals."""
        sharing = [one for one in self.versions if one.weight > 0 and one.role != "shadow"]
        return sorted(sharing, key=lambda one: (-one.weight, one.role != "champion", one.version))

    @property
    def champion(self) -> VersionView:
        """The version that takes over what another cannot answer."""
        return next((one for one in self.split if one.role == "champion"), self.split[0])

    def unsplit(self) -> "EndpointView":
        """Return the endpoint as a proxy sees it that leaves the choice of a version to the gateways."""
        return msgspec.structs.replace(self, versions=[VersionView(ANY, 100.0, "champion")])

    def parts(self) -> dict[str, int]:
        """Return each sharing version's part of `PARTS`; they add up exactly."""
        split, left = self.split, PARTS
        total = sum(one.weight for one in split)
        parts: dict[str, int] = {}
        for one in split[1:]:
            parts[one.version] = max(1, round(one.weight / total * PARTS))
            left -= parts[one.version]
        return {split[0].version: left, **parts}


class Wish(msgspec.Struct, frozen=True):
    """What the reader of an export asked for beside the endpoint."""

    upstreams: Sequence[Upstream] = ()
    listen: Upstream = Upstream("127.0.0.1", 8000)
    ca_file: str | None = None
    """Where the proxy's machine has the authority of upstreams with TLS; by default what that machine trusts."""
    split: str = "proxy"
    """Who chooses the version: the proxy by weight, or the gateways behind it as they do for everyone."""
    image: str | None = None
    namespace: str | None = None
    replicas: int = 2
    most_replicas: int = 8
    cpu: str = "500m"
    memory: str = "512Mi"
    storage_uri: str | None = None

    def upstreams_of(self, version: str) -> list[Upstream]:
        """Return where a version answers."""
        return [one for one in self.upstreams if one.version in (None, version)]


def view_of(
    endpoint: Endpoint, settings: EndpointSettings = DEFAULT, *, only: str | None = None
) -> EndpointView:
    """Return an endpoint as it routes now, or as if ``only`` had every request.

    Raises NotExportable where no version takes requests, and VersionNotServed.
    """
    if only is not None:
        one = endpoint.find(only)
        served = [VersionView(one.version, 100.0, "champion")]
        return _with(settings, EndpointView(endpoint.name, endpoint.model, served))
    ready = [one for one in endpoint.served if one.state == "ready" or one.weight > 0]
    view = EndpointView(
        endpoint.name, endpoint.model, [VersionView(one.version, one.weight, one.role) for one in ready]
    )
    if not view.split:
        raise NotExportable(
            f"No version of endpoint {endpoint.name} takes requests: there is no routing to write down.",
            field="name",
        )
    return _with(settings, view)


def _with(settings: EndpointSettings, view: EndpointView) -> EndpointView:
    return msgspec.structs.replace(
        view,
        timeout_ms=settings.timeout_ms,
        max_body_bytes=settings.max_body_bytes,
        sticky_by=settings.policies.sticky_by,
    )


def notes(endpoint: EndpointView) -> list[str]:
    """Return what a configuration cannot say, for whoever reads it."""
    if endpoint.sticky_by and len(endpoint.split) > 1 and endpoint.sticky_header is None:
        column = endpoint.sticky_by
        return [
            f"{endpoint.name} keeps rows with the same {column!r} to one version, which a proxy cannot see in a body:",
            "--split gateways leaves the choice to those who can, --sticky-header keeps callers to one by a header.",
        ]
    return []


def ready_path(endpoint: EndpointView, version: str) -> str:
    """Return where a gateway says whether a version answers, or the endpoint as a whole."""
    place = f"/versions/{version}" if version != ANY else ""
    return f"/v2/models/{endpoint.name}{place}/ready"


def check_split(split: str) -> str:
    """Return who chooses the version; raises Invalid."""
    if split not in SPLITTERS:
        hint = did_you_mean(split, SPLITTERS)
        raise Invalid(f"split is {' or '.join(SPLITTERS)}, not {split[:100]!r}.{hint}", field="split")
    return split


def check_upstreams(endpoints: Sequence[EndpointView], wish: Wish) -> None:
    """Raise Invalid where a sharing version has no upstream, or an upstream names a version that nobody serves."""
    known = sorted({one.version for endpoint in endpoints for one in endpoint.versions})
    for upstream in wish.upstreams:
        if upstream.version is not None and wish.split == "gateways":
            raise Invalid("Gateways choose the version: give them as --upstream HOST:PORT.", field="upstream")
        if upstream.version is not None and upstream.version not in known:
            raise Invalid(
                f"An upstream names version {upstream.version}; served are {', '.join(known)}."
                f"{did_you_mean(upstream.version, known)}",
                field="upstream",
            )
    if wish.ca_file is not None and not _FILE.fullmatch(wish.ca_file):
        raise Invalid(f"{wish.ca_file[:100]!r} is not a path that a configuration can name.", field="ca_file")
    for endpoint in endpoints:
        for one in endpoint.split:
            if len({upstream.tls for upstream in wish.upstreams_of(one.version)}) > 1:
                raise Invalid(
                    f"Version {one.version} of {endpoint.name} has upstreams with TLS and without: all or none.",
                    field="upstream",
                )
            if not wish.upstreams_of(one.version):
                raise Invalid(
                    f"Version {one.version} of {endpoint.name} has {one.weight:g} % of the requests and no upstream:"
                    f" add --upstream {one.version}=HOST:PORT, or a gateway as --upstream HOST:PORT.",
                    field="upstream",
                )


def parse_upstream(text: str, *, field: str = "upstream") -> Upstream:
    """Return the upstream that ``HOST:PORT`` or ``VERSION=HOST:PORT`` names, ``https://`` before it for TLS; raises Invalid."""
    given, equals, address = text.strip().rpartition("=")
    version = given if equals else None
    scheme, _, rest = address.rpartition("://")
    plain = rest.rstrip("/")
    host, colon, port = plain.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    good_host = _is_address(host) if bracketed or ":" in host else bool(_HOST.fullmatch(host))
    good_port = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536
    if scheme not in ("", "http", "https"):
        raise Invalid(f"{text[:200]!r}: an upstream is reached by HTTP, with TLS or without.", field=field)
    if (
        not colon
        or not good_host
        or not good_port
        or (version is not None and not _VERSION.fullmatch(version))
    ):
        example = "HOST:PORT" if field == "listen" else "HOST:PORT or VERSION=HOST:PORT"
        raise Invalid(f"{text[:200]!r} is not {example}, such as 10.0.0.7:5001.", field=field)
    return Upstream(host, int(port), version, tls=scheme == "https")


def check_header(name: str) -> str:
    """Return the name of a request header; raises Invalid."""
    if not _HEADER.fullmatch(name):
        raise Invalid(f"{name[:100]!r} is not the name of a header.", field="sticky_header")
    return name


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
