"""Envoy's static bootstrap (v3 API) for endpoints: the split, health checks, time-outs, retries, sizes, mirroring.

Like HAProxy's, it chooses the version and says so in a request header. Envoy does not hand a version's share over where
none of its servers is healthy: it answers 503 then.
"""

import re
from collections.abc import Sequence
from typing import Any

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
from trimtab.domains.deploy.exports.yaml import document
from trimtab.version import __version__

_TYPE = "type.googleapis.com/envoy.extensions"
_HTTP = f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
_HEAD = """\
# {title}, written by Trimtab {version}. Shares change with every rollout: write this file anew when they do.
# Check it with: envoy --mode validate -c FILE
"""


def render(endpoints: Sequence[EndpointView], wish: Wish) -> str:
    """Return the bootstrap of a listener at ``wish.listen`` before the upstreams."""
    names = ", ".join(endpoint.name for endpoint in endpoints)
    title = f"Endpoint {names}" if len(endpoints) == 1 else f"Endpoints {names}"
    routes: list[dict[str, Any]] = [
        {"match": {"path": "/health"}, "direct_response": {"status": 200, "body": {"inline_string": "OK"}}}
    ]
    clusters: list[dict[str, Any]] = []
    for endpoint in endpoints:
        reachable = [one for one in endpoint.versions if wish.upstreams_of(one.version)]
        routes += [_pinned(endpoint, one) for one in reachable if one.version != ANY]
        routes.append(_shared(endpoint))
        clusters += [_cluster(endpoint, one, wish) for one in reachable]
    nowhere = '{"error":"there is no such endpoint here"}'
    routes.append(
        {
            "match": {"prefix": "/"},
            "direct_response": {"status": 404, "body": {"inline_string": nowhere}},
            "response_headers_to_add": [_header("content-type", "application/json")],
        }
    )
    largest = max(endpoint.max_body_bytes for endpoint in endpoints)
    bootstrap = {
        "static_resources": {"listeners": [_listener(wish.listen, routes, largest)], "clusters": clusters}
    }
    told = "".join(f"# {line}\n" for endpoint in endpoints for line in notes(endpoint))
    return _HEAD.format(title=title, version=__version__) + told + document(bootstrap)


def _listener(listen: Upstream, routes: list[dict[str, Any]], max_body_bytes: int) -> dict[str, Any]:
    manager: dict[str, Any] = {
        "@type": _HTTP,
        "stat_prefix": "inference",
        "codec_type": "AUTO",
        "use_remote_address": True,
        "request_headers_timeout": "10s",
        "common_http_protocol_options": {"idle_timeout": "75s"},
        "route_config": {"virtual_hosts": [{"name": "endpoints", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.buffer",
                "typed_config": {
                    "@type": f"{_TYPE}.filters.http.buffer.v3.Buffer",
                    "max_request_bytes": max_body_bytes,
                },
            },
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"},
            },
        ],
    }
    return {
        "name": "inference",
        "address": _address(listen),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _pinned(endpoint: EndpointView, one: VersionView) -> dict[str, Any]:
    paths = rf"/v[12]/models/{re.escape(endpoint.name)}/versions/{re.escape(one.version)}([/:].*)?"
    action = {**_action(endpoint), "cluster": _cluster_name(endpoint, one)}
    return {
        "match": {"safe_regex": {"regex": paths}},
        "route": action,
        **_pin(one),
        "typed_per_filter_config": _body_limit(endpoint),
    }


def _pin(one: VersionView) -> dict[str, Any]:
    """Return what tells the gateway which version was chosen, unless the choice is its own."""
    return {"request_headers_to_add": [_header(PIN_HEADER, one.version)]} if one.version != ANY else {}


def _shared(endpoint: EndpointView) -> dict[str, Any]:
    parts = endpoint.parts()
    weighted: dict[str, Any] = {
        "clusters": [
            {
                "name": _cluster_name(endpoint, one),
                "weight": parts[one.version],
                **_pin(one),
            }
            for one in endpoint.split
        ]
    }
    action = {**_action(endpoint), "weighted_clusters": weighted}
    if endpoint.sticky_header is not None:
        action["hash_policy"] = [{"header": {"header_name": check_header(endpoint.sticky_header)}}]
        weighted["use_hash_policy"] = True
    paths = rf"/(v[12]/models|endpoints)/{re.escape(endpoint.name)}([/:].*)?"
    return {
        "match": {"safe_regex": {"regex": paths}},
        "route": action,
        "typed_per_filter_config": _body_limit(endpoint),
    }


def _action(endpoint: EndpointView) -> dict[str, Any]:
    # A prediction changes nothing, so that one which got no answer is asked for again, on another server.
    return {
        "timeout": f"{endpoint.timeout_ms / 1000:g}s",
        "retry_policy": {
            "retry_on": "connect-failure,refused-stream,reset",
            "num_retries": 2,
            "retry_host_predicate": [
                {
                    "name": "envoy.retry_host_predicates.previous_hosts",
                    "typed_config": {"@type": f"{_TYPE}.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
                }
            ],
            "host_selection_retry_max_attempts": 10,
        },
    }


def _body_limit(endpoint: EndpointView) -> dict[str, Any]:
    limit = {"max_request_bytes": endpoint.max_body_bytes}
    return {
        "envoy.filters.http.buffer": {
            "@type": f"{_TYPE}.filters.http.buffer.v3.BufferPerRoute",
            "buffer": limit,
        }
    }


def _cluster_name(endpoint: EndpointView, one: VersionView) -> str:
    return f"{endpoint.name}-v{one.version}" if one.version != ANY else f"{endpoint.name}-any"


def _cluster(endpoint: EndpointView, one: VersionView, wish: Wish) -> dict[str, Any]:
    upstreams = wish.upstreams_of(one.version)
    servers = [
        {"endpoint": {"address": _address(upstream), **({"hostname": upstream.host} if upstream.tls else {})}}
        for upstream in upstreams
    ]
    return {
        "name": _cluster_name(endpoint, one),
        "type": "STRICT_DNS" if any(upstream.is_name for upstream in upstreams) else "STATIC",
        "dns_lookup_family": "ALL",
        "connect_timeout": "2s",
        "lb_policy": "LEAST_REQUEST",
        # Without a healthy server there is nobody to ask: Envoy's default would ask the sick ones.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
                "http_health_check": {"path": ready_path(endpoint, one.version), "host": "localhost"},
            }
        ],
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 1000,
                    "max_pending_requests": 1000,
                    "max_requests": 1000,
                    "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 3},
                }
            ]
        },
        "load_assignment": {
            "cluster_name": _cluster_name(endpoint, one),
            "endpoints": [{"lb_endpoints": servers}],
        },
        **({"transport_socket": _tls(wish)} if any(upstream.tls for upstream in upstreams) else {}),
    }


def _tls(wish: Wish) -> dict[str, Any]:
    """Return how servers are spoken to by TLS: only where the certificate is of a known authority and the server's name."""
    authority = {"trusted_ca": {"filename": wish.ca_file or _SYSTEM_CA}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext",
            "auto_host_sni": True,
            "auto_sni_san_validation": True,
            "common_tls_context": {"validation_context": authority},
        },
    }


def _address(upstream: Upstream) -> dict[str, Any]:
    return {"socket_address": {"address": upstream.host, "port_value": upstream.port}}


def _header(key: str, value: str) -> dict[str, Any]:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


assert PARTS < 2**32, "the weights of Envoy's clusters add up in 32 bits"
