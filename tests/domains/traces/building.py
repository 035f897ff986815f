"""Makes spans and traces for tests."""

from collections.abc import Mapping
from typing import Any

from trimtab.app import App
from trimtab.domains.traces.infos.model import Stated
from trimtab.domains.traces.spans.model import Arriving, make_span
from trimtab.kernel.who import Principal

MS = 1_000_000
NOON_NS = 1_795_289_572_501 * MS


def span(
    trace: int,
    number: int,
    parent: int = 0,
    *,
    name: str = "step",
    at_ms: int = 0,
    took_ms: int = 10,
    status: int = 1,
    attributes: Mapping[str, Any] | None = None,
    resource: dict[str, Any] | None = None,
) -> Arriving:
    began = NOON_NS + at_ms * MS
    return make_span(
        trace_id=trace.to_bytes(16),
        span_id=number.to_bytes(8),
        parent_id=parent.to_bytes(8) if parent else b"",
        name=name,
        started_ns=began,
        ended_ns=began + took_ms * MS,
        status=status,
        message="bad" if status == 2 else "",
        attributes=(attributes or {}).items(),
        events=[],
        links=[],
        resource=resource or {},
    )


def trace_id(number: int) -> str:
    return f"tr-{number:032x}"


def stated(number: int, experiment_id: str, **more: Any) -> Stated:
    values: dict[str, Any] = {
        "request_us": NOON_NS // 1000 + number * 1_000_000,
        "duration_us": 100_000 * number,
        "state": "OK",
        **more,
    }
    return Stated(trace_id(number), experiment_id, **values)


def experiment(app: App, who: Principal, name: str = "traced") -> str:
    return app.tracking.experiments.create(who, name=name).id
