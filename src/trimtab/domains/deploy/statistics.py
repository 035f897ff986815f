"""What an endpoint did in the last minute, from two readings of the gateway's counters."""

from collections.abc import Sequence

import msgspec

from trimtab.serving.stats import LATENCY_BOUNDS_US, GatewayState, VersionState

_WINDOW_S = 60.0


class Traffic(msgspec.Struct):
    """Counts and latency quantiles (milliseconds) over ``seconds``; quantiles are None without requests."""

    seconds: float = 0.0
    requests: int = 0
    errors: int = 0
    rows: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


def last_minute(
    samples: Sequence[tuple[float, GatewayState]], endpoint: str, version: str | None = None
) -> Traffic:
    """Return the traffic of an endpoint, or of one version of it, over the last minute of samples.

    ``samples`` are (monotonic seconds, state), oldest first. A gateway that restarted begins at zero.
    """
    if not samples:
        return Traffic()
    end_s, end = samples[-1]
    begin_s, begin = next(((at, state) for at, state in samples if at >= end_s - _WINDOW_S), samples[-1])
    if begin.pid != end.pid:
        same = [(at, state) for at, state in samples if state.pid == end.pid]
        begin_s, begin = same[0]
    before, after = _versions(begin, endpoint, version), _versions(end, endpoint, version)
    requests = _total(after, "requests") - _total(before, "requests")
    counts = [late - early for late, early in zip(_counts(after), _counts(before), strict=True)]
    return Traffic(
        seconds=end_s - begin_s,
        requests=requests,
        errors=_total(after, "errors") - _total(before, "errors"),
        rows=_total(after, "rows") - _total(before, "rows"),
        p50_ms=quantile_ms(counts, 0.50),
        p95_ms=quantile_ms(counts, 0.95),
        p99_ms=quantile_ms(counts, 0.99),
    )


def quantile_ms(counts: Sequence[int], q: float) -> float | None:
    """Return a quantile of a latency histogram by interpolation within its bucket, or None when it is empty."""
    total = sum(counts)
    if total <= 0:
        return None
    bounds = [0, *LATENCY_BOUNDS_US, LATENCY_BOUNDS_US[-1]]
    reached = 0.0
    for position, count in enumerate(counts):
        if count and reached + count >= q * total:
            low, high = bounds[position], bounds[position + 1]
            return (low + (high - low) * (q * total - reached) / count) / 1000
        reached += count
    return bounds[-1] / 1000


def _versions(state: GatewayState, endpoint: str, version: str | None) -> list[VersionState]:
    known = state.endpoints.get(endpoint)
    if known is None:
        return []
    return [one for name, one in known.versions.items() if version is None or name == version]


def _total(versions: list[VersionState], counter: str) -> int:
    return sum(getattr(one, counter) for one in versions)


def _counts(versions: list[VersionState]) -> list[int]:
    size = len(LATENCY_BOUNDS_US) + 1
    return [sum(one.latency_counts[position] for one in versions) for position in range(size)]
