"""OpenTelemetry's messages, read as its own library writes them; and any bytes at all."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from trimtab.kernel.errors import Invalid
from trimtab.kernel.protobuf import double, fields, signed
from trimtab.wire.otel.export import from_json, from_protobuf

service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

TEXT = some.text(alphabet=some.characters(exclude_categories=["Cs"]), max_size=8)
VALUE = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-(2**63), 2**63 - 1)
    | some.floats(allow_nan=False)
    | TEXT
    | some.binary(max_size=8),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TIME = some.integers(0, 2**63 - 1)


def _put(field: object, value: object) -> None:
    match value:
        case None:
            return
        case bool():
            field.bool_value = value  # type: ignore[attr-defined]
        case int():
            field.int_value = value  # type: ignore[attr-defined]
        case float():
            field.double_value = value  # type: ignore[attr-defined]
        case str():
            field.string_value = value  # type: ignore[attr-defined]
        case bytes():
            field.bytes_value = value  # type: ignore[attr-defined]
        case list():
            field.array_value.SetInParent()  # type: ignore[attr-defined]
            for one in value:
                _put(field.array_value.values.add(), one)  # type: ignore[attr-defined]
        case dict():
            field.kvlist_value.SetInParent()  # type: ignore[attr-defined]
            for key, one in value.items():
                pair = field.kvlist_value.values.add()  # type: ignore[attr-defined]
                pair.key = key
                _put(pair.value, one)


@settings(max_examples=60, deadline=None)
@given(
    attributes=some.dictionaries(TEXT, VALUE, max_size=4),
    times=some.tuples(TIME, TIME, TIME),
    ids=some.tuples(some.integers(1, 2**128 - 1), some.integers(1, 2**64 - 1), some.integers(0, 2**64 - 1)),
    texts=some.tuples(TEXT, TEXT, TEXT),
    code=some.integers(0, 2),
)
def test_what_the_library_writes_is_read(attributes, times, ids, texts, code) -> None:
    request = service.ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    pair = resource_spans.resource.attributes.add(key="service.name")
    _put(pair.value, texts[2])
    span = resource_spans.scope_spans.add().spans.add(
        trace_id=ids[0].to_bytes(16),
        span_id=ids[1].to_bytes(8),
        parent_span_id=ids[2].to_bytes(8) if ids[2] else b"",
        name=texts[0],
        start_time_unix_nano=times[0],
        end_time_unix_nano=times[1],
        kind=1,
        trace_state="a=b",
        flags=257,
        dropped_events_count=7,
    )
    span.status.code = code
    span.status.message = texts[1]
    for key, value in attributes.items():
        _put(span.attributes.add(key=key).value, value)
    event = span.events.add(name=texts[1], time_unix_nano=times[2])
    _put(event.attributes.add(key="k").value, texts[2])
    span.links.add(trace_id=ids[0].to_bytes(16), span_id=ids[1].to_bytes(8))

    (arrived,) = from_protobuf(request.SerializeToString())
    seen = arrived.span
    assert arrived.trace_id == f"tr-{ids[0]:032x}"
    assert (seen.id, seen.parent_id) == (f"{ids[1]:016x}", f"{ids[2]:016x}" if ids[2] else None)
    assert (seen.name, seen.status.message) == (texts[0].replace("\x00", "\ufffd"), texts[1])
    assert (seen.start_time_unix_nano, seen.ended_ns) == times[:2]
    assert seen.outcome == ("UNSET", "OK", "ERROR")[code]
    assert arrived.resource == {"service.name": texts[2]}
    assert (seen.events[0].name, seen.events[0].time_unix_nano) == (texts[1], times[2])
    assert seen.links[0].span_id == f"{ids[1]:016x}"
    for key, value in attributes.items():
        text = seen.attributes[key]
        if value is None or isinstance(value, bool | int | float):
            assert json.loads(text) == value


@settings(max_examples=200, deadline=None)
@given(some.binary(max_size=60))
def test_other_bytes_are_refused(body: bytes) -> None:
    for read in (from_protobuf, from_json):
        with contextlib.suppress(Invalid):
            read(body)


def test_depth_is_bounded() -> None:
    value = service.ExportTraceServiceRequest().resource_spans.add().resource.attributes.add().value
    inner = value
    for _ in range(99):
        inner = inner.array_value.values.add()
    body = value.SerializeToString()
    for _ in range(60):  # deeper than the library itself writes
        body = (
            b"\x2a" + _varint(len(body) + 1 + len(_varint(len(body)))) + b"\x0a" + _varint(len(body)) + body
        )
    pair = b"\x0a\x01k\x12" + _varint(len(body)) + body
    resource = b"\x0a" + _varint(len(pair)) + pair
    spans = b"\x0a" + _varint(len(resource)) + resource + b"\x12\x02\x12\x00"
    with pytest.raises(Invalid, match="nested too deeply"):
        from_protobuf(b"\x0a" + _varint(len(spans)) + spans)
    deep = '{"arrayValue":{"values":[' * 300 + "]}}" * 300
    request = f'{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"k","value":{deep}}}]}}}}]}}'
    with pytest.raises(Invalid):
        from_json(request.encode())


def _varint(value: int) -> bytes:
    written = b""
    while value > 0x7F:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])


def test_numbers() -> None:
    assert signed(2**64 - 1) == -1
    assert double(0x3FF8000000000000) == 1.5
    assert list(fields(b"\x0d\x01\x00\x00\x00\x11" + b"\x02" + bytes(7))) == [(1, 5, 1), (2, 1, 2)]
