"""HAProxy's configuration (2.6 and newer) for endpoints: the split, health checks, time-outs, retries, sizes.

The proxy chooses the version and says so in a request header, which gateways obey in every protocol. A version of
which no server answers loses its share to the champion.
"""

from collections.abc import Iterator, Sequence

from trimtab.domains.deploy.exports.view import (
    ANY,
    PARTS,
    PIN_HEADER,
    EndpointView,
    Upstream,
    VersionView,
    Wish,
    check_header,
    notes,
    ready_path,
)
from trimtab.version import __version__

_HEAD = """\
# {title}, written by Trimtab {version}. Shares change with every rollout: write this file anew when they do.
# Check it with: haproxy -c -f FILE

global
    log stdout format raw local0 info
    # As many connections as the system lets it have, within reason.
    fd-hard-limit 65536

defaults
    log global
    mode http
    option httplog
    option dontlognull
    # A prediction changes nothing, so that one which got no answer is asked for again, on another server.
    # Only what was read before it was sent can be sent again.
    option http-buffer-request
    option redispatch 1
    retries 2
    retry-on conn-failure empty-response
    timeout connect 2s
    timeout client 75s
    timeout server 60s
    timeout http-request 10s
    timeout http-keep-alive 75s
    timeout queue 5s
    balance leastconn
    default-server check inter 1s fall 2 rise 1 maxconn 1000
"""

_RESOLVERS = """
resolvers machine
    parse-resolv-conf
    hold valid 5s
"""

_NOWHERE = """
backend no-endpoint
    http-request return status 404 content-type application/json string '{"error":"there is no such endpoint here"}'
"""


def render(endpoints: Sequence[EndpointView], wish: Wish) -> str:
    """Return the configuration of a frontend at ``wish.listen`` before the upstreams."""
    names = ", ".join(endpoint.name for endpoint in endpoints)
    title = f"Endpoint {names}" if len(endpoints) == 1 else f"Endpoints {names}"
    looked_up = any(upstream.is_name for upstream in wish.upstreams)
    text = _HEAD.format(title=title, version=__version__) + (_RESOLVERS if looked_up else "")
    told = [f"# {line}" for endpoint in endpoints for line in notes(endpoint)]
    lines = ["", *told, "frontend inference", f"    bind {wish.listen.address}", "    monitor-uri /health"]
    for endpoint in endpoints:
        lines += _acls(endpoint, wish)
    lines += [
        f"    # One draw a request, in {PARTS:,} parts.",
        f"    http-request set-var(txn.draw) rand({PARTS})",
    ]
    for endpoint in endpoints:
        lines += _limits(endpoint)
    for endpoint in endpoints:
        lines += _choices(endpoint, wish)
    lines += ["    default_backend no-endpoint", ""]
    for endpoint in endpoints:
        for one in _reachable(endpoint, wish):
            lines += [*_backend(endpoint, one, wish), ""]
    return text + "\n".join(lines).rstrip() + "\n" + _NOWHERE


def _reachable(endpoint: EndpointView, wish: Wish) -> list[VersionView]:
    return [one for one in endpoint.versions if wish.upstreams_of(one.version)]


def _asked(endpoint: EndpointView, wish: Wish) -> list[VersionView]:
    """Return the versions that a path may name here; where gateways choose, they read it themselves."""
    return [one for one in _reachable(endpoint, wish) if one.version != ANY]


def _acls(endpoint: EndpointView, wish: Wish) -> Iterator[str]:
    """Yield what tells the endpoint's requests from others, and those that ask for one version by its path."""
    name = endpoint.name
    yield f"    acl is-{name} path /v2/models/{name} /v1/models/{name}"
    yield f"    acl is-{name} path_beg /v2/models/{name}/ /endpoints/{name}/ /v1/models/{name}/ /v1/models/{name}:"
    for one in _asked(endpoint, wish):
        backend = _backend_name(endpoint, one)
        v2, v1 = (f"/{api}/models/{name}/versions/{one.version}" for api in ("v2", "v1"))
        yield f"    acl asks-{backend} path {v2} {v1}"
        yield f"    acl asks-{backend} path_beg {v2}/ {v1}/ {v1}:"


def _limits(endpoint: EndpointView) -> Iterator[str]:
    size = endpoint.max_body_bytes
    message = f'{{"error":"the body has more than the {size} bytes that this endpoint takes"}}'
    yield (
        f"    http-request return status 413 content-type application/json string '{message}'"
        f" if is-{endpoint.name} {{ req.body_size gt {size} }}"
    )
    if endpoint.sticky_header is not None:
        header = check_header(endpoint.sticky_header)
        yield f"    # Callers who send {header} meet the same version each time."
        yield (
            f"    http-request set-var(txn.draw) req.hdr({header}),crc32,mod({PARTS})"
            f" if is-{endpoint.name} {{ req.hdr({header}) -m found }}"
        )


def _choices(endpoint: EndpointView, wish: Wish) -> Iterator[str]:
    name = endpoint.name
    for one in _asked(endpoint, wish):
        yield f"    use_backend {_backend_name(endpoint, one)} if asks-{_backend_name(endpoint, one)}"
    champion, parts, reached = endpoint.champion, endpoint.parts(), 0
    for one in endpoint.split:
        if one is champion:
            continue
        low, reached = reached, reached + parts[one.version]
        backend = _backend_name(endpoint, one)
        drawn = f"{{ var(txn.draw) -m int ge {low} }} {{ var(txn.draw) -m int lt {reached} }}"
        yield f"    # Version {one.version}: {one.weight:g} %"
        yield f"    use_backend {backend} if is-{name} {drawn} {{ nbsrv({backend}) gt 0 }}"
    if len(parts) > 1:
        yield f"    # Version {champion.version}: {champion.weight:g} %, and what others cannot answer"
    yield f"    use_backend {_backend_name(endpoint, champion)} if is-{name}"


def _backend_name(endpoint: EndpointView, one: VersionView) -> str:
    return f"{endpoint.name}-v{one.version}" if one.version != ANY else f"{endpoint.name}-any"


def _backend(endpoint: EndpointView, one: VersionView, wish: Wish) -> Iterator[str]:
    yield f"backend {_backend_name(endpoint, one)}"
    yield f"    timeout server {endpoint.timeout_ms}ms"
    yield "    option httpchk"
    yield f"    http-check send meth GET uri {ready_path(endpoint, one.version)} ver HTTP/1.1 hdr host localhost"
    yield "    http-check expect status 200"
    if one.version != ANY:
        yield f"    http-request set-header {PIN_HEADER} {one.version}"
    for at, upstream in enumerate(wish.upstreams_of(one.version), start=1):
        lookup = " resolvers machine init-addr last,libc,none" if upstream.is_name else ""
        yield f"    server s{at} {upstream.address}{lookup}{_tls(upstream, wish)}"


def _tls(upstream: Upstream, wish: Wish) -> str:
    """Return how a server is spoken to by TLS: only where its certificate is of a known authority and its own name."""
    if not upstream.tls:
        return ""
    trusted = f" ssl verify required ca-file {wish.ca_file or '@system-ca'} verifyhost {upstream.host}"
    return f"{trusted} sni str({upstream.host}) check-sni {upstream.host}" if upstream.is_name else trusted
