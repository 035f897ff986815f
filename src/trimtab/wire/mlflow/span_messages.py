"""Spans as answers show them: OpenTelemetry's JSON for protobuf, with MLflow's names of fields."""

import base64
import math
from typing import Any

from trimtab.domains.traces.spans.model import Span, loads_or_text


def span_view(span: Span) -> dict[str, Any]:
    """Return a span as OpenTelemetry's JSON for protobuf shows it, with MLflow's names of fields."""
    view: dict[str, Any] = {
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "name": span.name,
        "start_time_unix_nano": span.start_time_unix_nano,
        "status": {},
    }
    if span.parent_span_id:
        view["parent_span_id"] = span.parent_span_id
    if span.ended_ns:
        view["end_time_unix_nano"] = span.ended_ns
    if span.outcome != "UNSET":
        view["status"]["code"] = span.status.code
    if span.status.message:
        view["status"]["message"] = span.status.message
    if span.attributes:
        view["attributes"] = [
            {"key": key, **_held(loads_or_text(text))} for key, text in span.attributes.items()
        ]
    if span.events:
        view["events"] = [
            {
                "time_unix_nano": event.time_unix_nano,
                "name": event.name,
                **_attributes(event.attributes),
            }
            for event in span.events
        ]
    if span.links:
        view["links"] = [
            {
                "trace_id": _base64(link.trace_id.removeprefix("tr-")),
                "span_id": _base64(link.span_id),
                **_attributes(link.attributes or {}),
            }
            for link in span.links
        ]
    return view


def _attributes(attributes: dict[str, Any]) -> dict[str, Any]:
    if not attributes:
        return {}
    return {"attributes": [{"key": key, **_held(value)} for key, value in attributes.items()]}


def _base64(digits: str) -> str:
    return base64.b64encode(bytes.fromhex(digits)).decode()


def _held(value: Any) -> dict[str, Any]:
    return {} if value is None else {"value": _any_value(value)}


def _any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        inside = [_any_value(one) for one in value]
        return {"array_value": {"values": inside} if inside else {}}
    if isinstance(value, dict):
        pairs = [{"key": str(key), **_held(one)} for key, one in value.items()]
        return {"kvlist_value": {"values": pairs} if pairs else {}}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return {"int_value": value}
    return {"double_value": _double(value)} if isinstance(value, int | float) else {}


def _double(value: float) -> float | str:
    """Return a number as protobuf writes it: what is not finite as text."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
