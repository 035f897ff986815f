"""Reads OpenTelemetry's export requests for traces, in protobuf and in JSON, into spans as the domain has them."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from trimtab.domains.traces.errors import BadSpan
from trimtab.domains.traces.spans.model import Arriving, SpanEvent, SpanLink, make_span
from trimtab.kernel.errors import Invalid
from trimtab.kernel.protobuf import BYTES, BadProtobuf, double, fields, signed, text

_DEEPEST = 100
_STATUSES = {
    "STATUS_CODE_UNSET": 0,
    "STATUS_CODE_OK": 1,
    "STATUS_CODE_ERROR": 2,
}


def from_protobuf(body: bytes) -> list[Arriving]:
    """Return the spans of an ExportTraceServiceRequest; raises Invalid."""
    parts = _parts(body, 1)
    if not parts:
        raise _empty()
    return [span for resource_spans in parts for span in _resource_spans(resource_spans)]


def _empty() -> Invalid:
    return Invalid("Invalid OpenTelemetry format - no spans found")


def _parts(message: bytes, number: int) -> list[bytes]:
    """Return the messages in a repeated field."""
    found: list[bytes] = []
    for field, kind, value in fields(message):
        if field == number and kind == BYTES and isinstance(value, bytes):
            found.append(value)
    return found


def _resource_spans(message: bytes) -> Iterator[Arriving]:
    resource: dict[str, Any] = {}
    for one in _parts(message, 1):
        resource |= _attributes(one, 1)
    for scope_spans in _parts(message, 2):
        for span in _parts(scope_spans, 2):
            yield _span(span, resource)


def _span(message: bytes, resource: dict[str, Any]) -> Arriving:
    ids: dict[int, bytes] = {1: b"", 2: b"", 4: b""}
    times = {7: 0, 8: 0}
    name, status, words = "", 0, ""
    attributes: list[tuple[str, Any]] = []
    events: list[SpanEvent] = []
    links: list[SpanLink] = []
    for number, _, value in fields(message):
        if isinstance(value, int):
            if number in times:
                times[number] = value
            continue
        match number:
            case 1 | 2 | 4:
                ids[number] = value
            case 5:
                name = text(value)
            case 9:
                attributes.append(_pair(value))
            case 11:
                events.append(_event(value))
            case 13:
                links.append(_link(value))
            case 15:
                status, words = _status(value)
            case _:
                pass
    return make_span(
        trace_id=ids[1],
        span_id=ids[2],
        parent_id=ids[4],
        name=_clean(name),
        started_ns=times[7],
        ended_ns=times[8],
        status=status,
        message=words,
        attributes=attributes,
        events=events,
        links=links,
        resource=resource,
    )


def _status(message: bytes) -> tuple[int, str]:
    code, words = 0, ""
    for number, _, value in fields(message):
        if number == 2:
            words = text(value)
        elif number == 3 and isinstance(value, int):
            code = value if value in (1, 2) else 0
    return code, words


def _event(message: bytes) -> SpanEvent:
    at, name = 0, ""
    for number, _, value in fields(message):
        if number == 1 and isinstance(value, int):
            at = value
        elif number == 2:
            name = text(value)
    return SpanEvent(name, _time(at), _plain(_attributes(message, 3)))


def _link(message: bytes) -> SpanLink:
    ids = {1: b"", 2: b""}
    for number, _, value in fields(message):
        if number in ids and isinstance(value, bytes):
            ids[number] = value
    return _linked(ids[1], ids[2], _attributes(message, 4))


def _attributes(message: bytes, field: int) -> dict[str, Any]:
    return dict(_pair(one) for one in _parts(message, field))


def _pair(message: bytes, depth: int = 0) -> tuple[str, Any]:
    key, value = "", None
    for number, _, content in fields(message):
        if number == 1:
            key = text(content)
        elif number == 2:
            if not isinstance(content, bytes):
                raise BadProtobuf("A number stands where a value should be.")
            value = _value(content, depth)
    return key, value


def _value(message: bytes, depth: int) -> Any:
    if depth > _DEEPEST:
        raise BadProtobuf("A value is nested too deeply.")
    found: Any = None
    for number, _, value in fields(message):
        if isinstance(value, int):
            match number:
                case 2:
                    found = value != 0
                case 3:
                    found = signed(value)
                case 4:
                    found = double(value)
                case _:
                    pass
            continue
        match number:
            case 1:
                found = text(value)
            case 5:
                found = [_value(one, depth + 1) for one in _parts(value, 1)]
            case 6:
                found = dict(_pair(one, depth + 1) for one in _parts(value, 1))
            case 7:
                found = value
            case _:
                pass
    return found


def from_json(body: bytes) -> list[Arriving]:
    """Return the spans of a request in OpenTelemetry's JSON, whose ids are hexadecimal; raises Invalid."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("Invalid OpenTelemetry format") from error
    arriving: list[Arriving] = []
    parts = _list(request, "resourceSpans", "resource_spans")
    if not parts:
        raise _empty()
    for resource_spans in parts:
        resource = _json_attributes(_object(_get(resource_spans, "resource") or {}))
        for scope_spans in _list(resource_spans, "scopeSpans", "scope_spans"):
            arriving += [_json_span(_object(one), resource) for one in _list(scope_spans, "spans", "spans")]
    return arriving


def _json_span(span: Mapping[str, Any], resource: dict[str, Any]) -> Arriving:
    status = _object(span.get("status") or {})
    code = status.get("code", 0)
    return make_span(
        trace_id=_hex(_get(span, "traceId", "trace_id")),
        span_id=_hex(_get(span, "spanId", "span_id")),
        parent_id=_hex(_get(span, "parentSpanId", "parent_span_id")),
        name=_clean(_string(span.get("name"))),
        started_ns=_whole(_get(span, "startTimeUnixNano", "start_time_unix_nano")),
        ended_ns=_whole(_get(span, "endTimeUnixNano", "end_time_unix_nano")),
        status=_STATUSES.get(code, 0) if isinstance(code, str) else (code if code in (1, 2) else 0),
        message=_string(status.get("message")),
        attributes=_json_attributes(span).items(),
        events=[
            SpanEvent(
                _string(one.get("name")),
                _time(_whole(_get(one, "timeUnixNano", "time_unix_nano"))),
                _plain(_json_attributes(one)),
            )
            for one in map(_object, _list(span, "events", "events"))
        ],
        links=[
            _linked(
                _hex(_get(one, "traceId", "trace_id")),
                _hex(_get(one, "spanId", "span_id")),
                _json_attributes(one),
            )
            for one in map(_object, _list(span, "links", "links"))
        ],
        resource=resource,
    )


def _json_attributes(holder: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_json_pair(one, 0) for one in _list(holder, "attributes", "attributes"))


def _json_pair(pair: Any, depth: int) -> tuple[str, Any]:
    pair = _object(pair)
    return _string(pair.get("key")), _json_value(_object(pair.get("value") or {}), depth)


def _json_value(value: Mapping[str, Any], depth: int) -> Any:
    if depth > _DEEPEST:
        raise Invalid("Invalid OpenTelemetry format: a value is nested too deeply.")
    for key, content in value.items():
        match key:
            case "stringValue" | "string_value":
                return _string(content)
            case "boolValue" | "bool_value":
                return content is True or content == "true"
            case "intValue" | "int_value":
                return _whole(content)
            case "doubleValue" | "double_value":
                return _number(content)
            case "bytesValue" | "bytes_value":
                return _base64(content)
            case "arrayValue" | "array_value":
                return [
                    _json_value(_object(one), depth + 1)
                    for one in _list(_object(content), "values", "values")
                ]
            case "kvlistValue" | "kvlist_value":
                return dict(_json_pair(one, depth + 1) for one in _list(_object(content), "values", "values"))
            case _:
                pass
    return None


def _linked(trace_id: bytes, span_id: bytes, attributes: dict[str, Any]) -> SpanLink:
    if len(trace_id) > 16 or len(span_id) > 8:
        raise BadSpan("An id of a link is longer than OpenTelemetry has them.")
    return SpanLink(
        f"tr-{trace_id.rjust(16, bytes(1)).hex()}",
        span_id.rjust(8, bytes(1)).hex(),
        _plain(attributes) or None,
    )


def _plain(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return attributes in which bytes are base 64, as they must go into JSON."""
    return {
        key: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for key, value in attributes.items()
    }


def _time(at: int) -> int:
    if not 0 <= at < 2**63:
        raise BadSpan("A time of an event is out of range.")
    return at


def _clean(name: str) -> str:
    return name.replace("\x00", "\ufffd")


def _get(holder: Any, *keys: str) -> Any:
    holder = _object(holder)
    return next((holder[key] for key in keys if key in holder), None)


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Invalid("Invalid OpenTelemetry format: an object is missing.")
    return value


def _list(holder: Any, *keys: str) -> list[Any]:
    value = _get(holder, *keys)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid(f"Invalid OpenTelemetry format: {keys[0]} is no list.")
    return value


def _string(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid("Invalid OpenTelemetry format: a text is missing.")
    return value


def _whole(value: Any) -> int:
    try:
        number = int(value) if isinstance(value, int | str) else 0 if value is None else int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid("Invalid OpenTelemetry format: a whole number is missing.") from error
    if not -(2**63) <= number < 2**64:
        raise Invalid("Invalid OpenTelemetry format: a number is out of range.")
    return number


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid("Invalid OpenTelemetry format: a number is missing.") from error


def _hex(value: Any) -> bytes:
    try:
        return bytes.fromhex(_string(value))
    except ValueError as error:
        raise Invalid("Invalid OpenTelemetry format: an id is not hexadecimal.") from error


def _base64(value: Any) -> bytes:
    try:
        return base64.b64decode(_string(value))
    except (binascii.Error, ValueError) as error:
        raise Invalid("Invalid OpenTelemetry format: bytes are not base 64.") from error
