"""What the gateway counted: per endpoint and version, as values for the control plane and as Prometheus text."""

from bisect import bisect_left
from collections.abc import Iterable
from typing import Literal

import msgspec

LATENCY_BOUNDS_US: tuple[int, ...] = (
    *(
        int(decade * step)
        for decade in (100, 1_000, 10_000, 100_000, 1_000_000)
        for step in (1, 1.5, 2, 3, 5, 7.5)
    ),
    10_000_000,
)
"""Upper bounds of the latency buckets in microseconds; one more bucket holds everything above the last."""


class VersionState(msgspec.Struct):
    """One version's counters since the gateway started. ``latency_counts`` has one more item than the bounds.

    ``requests`` are those that a client made of this version and that were not the client's own fault; ``errors``
    those among them that failed, ``retried`` those made once more because a replica went away. While the ``circuit`` is
    open, requests are refused at once. ``replicas`` tells for each socket whether its replica is connected; ``compiled`` that
    the model runs in the gateway itself, and ``problem`` why it does not although it was to.
    """

    version: str
    model: str
    role: Literal["champion", "challenger", "shadow", "warm"]
    weight: float
    routed: bool
    in_flight: int
    requests: int
    errors: int
    rejected: int
    rows: int
    latency_counts: list[int]
    latency_sum_us: int
    last_request_us: int | None
    replicas: dict[str, bool]
    compiled: bool = False
    knocks: int = 0
    problem: str = ""
    circuit: Literal["closed", "open"] = "closed"
    retried: int = 0


class EndpointState(msgspec.Struct):
    """An endpoint's versions, with those that left the table while the gateway runs (``routed`` false).

    ``limited`` requests were refused for a rate or quota, ``shed`` ones because too many waited.
    """

    versions: dict[str, VersionState]
    invalid: int = 0
    limited: int = 0
    shed: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_bytes: int = 0


class GatewayState(msgspec.Struct):
    """All that one gateway process knows of itself."""

    generation: int
    pid: int
    host: str
    port: int
    started_us: int
    draining: bool
    endpoints: dict[str, EndpointState]
    log_written: int
    log_lost: int
    log_problem: str
    shadows_dropped: int
    grpc_port: int | None = None


class Counters:
    """The running counters of one version."""

    __slots__ = ("counts", "errors", "in_flight", "last_us", "rejected", "requests", "rows", "sum_us")

    def __init__(self) -> None:
        self.in_flight = 0
        self.requests = 0
        self.errors = 0
        self.rejected = 0
        self.rows = 0
        self.sum_us = 0
        self.last_us: int | None = None
        self.counts = [0] * (len(LATENCY_BOUNDS_US) + 1)

    def answered(self, latency_us: int, rows: int, at_us: int) -> None:
        """Count a request that the model answered or failed at."""
        self.requests += 1
        self.rows += rows
        self.sum_us += latency_us
        self.last_us = at_us
        self.counts[bisect_left(LATENCY_BOUNDS_US, latency_us)] += 1


_ENDPOINT_COUNTERS = (
    ("trimtab_serving_limited_total", "limited", "Requests refused because a rate or a quota was used up."),
    ("trimtab_serving_shed_total", "shed", "Requests refused because too many waited already."),
    ("trimtab_serving_cache_hits_total", "cache_hits", "Requests answered from the cache."),
    ("trimtab_serving_cache_misses_total", "cache_misses", "Requests that the cache had no answer for."),
)


def prometheus(state: GatewayState) -> str:
    """Return the state in Prometheus' text format, version 0.0.4."""
    versions = [
        (f'endpoint="{name}",version="{version.version}",role="{version.role}"', version)
        for name, endpoint in state.endpoints.items()
        for version in endpoint.versions.values()
    ]
    lines: list[str] = []

    def family(name: str, kind: str, about: str, samples: Iterable[tuple[str, int]]) -> None:
        lines.append(f"# HELP {name} {about}")
        lines.append(f"# TYPE {name} {kind}")
        lines.extend(
            f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples
        )

    def each(attribute: str) -> list[tuple[str, int]]:
        return [(labels, getattr(version, attribute)) for labels, version in versions]

    family(
        "trimtab_serving_requests_total",
        "counter",
        "Requests a version answered or failed.",
        each("requests"),
    )
    family("trimtab_serving_errors_total", "counter", "Requests a version failed.", each("errors"))
    family(
        "trimtab_serving_rejected_total",
        "counter",
        "Requests whose values a version did not take.",
        each("rejected"),
    )
    family("trimtab_serving_rows_total", "counter", "Rows in these requests.", each("rows"))
    family("trimtab_serving_in_flight", "gauge", "Requests now with a version.", each("in_flight"))
    family(
        "trimtab_serving_replicas_up",
        "gauge",
        "Connected replicas.",
        [(labels, sum(version.replicas.values())) for labels, version in versions],
    )
    family(
        "trimtab_serving_invalid_total",
        "counter",
        "Requests refused for what they held, before a version was asked.",
        [(f'endpoint="{name}"', endpoint.invalid) for name, endpoint in state.endpoints.items()],
    )
    family(
        "trimtab_serving_retried_total",
        "counter",
        "Requests made once more because a replica went away.",
        each("retried"),
    )
    family(
        "trimtab_serving_circuit_open",
        "gauge",
        "1 while a version is left alone because it failed several times in a row.",
        [(labels, int(version.circuit == "open")) for labels, version in versions],
    )
    for name, attribute, about in _ENDPOINT_COUNTERS:
        family(
            name,
            "counter",
            about,
            [
                (f'endpoint="{each}"', getattr(endpoint, attribute))
                for each, endpoint in state.endpoints.items()
            ],
        )
    name = "trimtab_serving_latency_seconds"
    lines.append(f"# HELP {name} Time from the whole request read to its answer.")
    lines.append(f"# TYPE {name} histogram")
    for labels, version in versions:
        total = 0
        for bound, count in zip(LATENCY_BOUNDS_US, version.latency_counts, strict=False):
            total += count
            lines.append(f'{name}_bucket{{{labels},le="{bound / 1e6:g}"}} {total}')
        total += version.latency_counts[-1]
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {total}')
        lines.append(f"{name}_sum{{{labels}}} {version.latency_sum_us / 1e6}")
        lines.append(f"{name}_count{{{labels}}} {total}")
    family("trimtab_serving_generation", "gauge", "Generation of the route table.", [("", state.generation)])
    family("trimtab_serving_log_written_total", "counter", "Records in the log.", [("", state.log_written)])
    family(
        "trimtab_serving_log_lost_total", "counter", "Records lost to a full disk.", [("", state.log_lost)]
    )
    family(
        "trimtab_serving_shadows_dropped_total",
        "counter",
        "Copies for shadows that were not made because too many waited.",
        [("", state.shadows_dropped)],
    )
    return "\n".join(lines) + "\n"
