"""What a span is, how it is written down, and what a trace takes from its spans."""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from trimtab.domains.traces.errors import BadSpan

Status = Literal["UNSET", "OK", "ERROR"]
STATUS_CODES: dict[Status, str] = {
    "UNSET": "STATUS_CODE_UNSET",
    "OK": "STATUS_CODE_OK",
    "ERROR": "STATUS_CODE_ERROR",
}
_BY_CODE: dict[str, Status] = {code: status for status, code in STATUS_CODES.items()}

REQUEST_ID = "mlflow.traceRequestId"
INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"
SPAN_TYPE = "mlflow.spanType"
TOKEN_USAGE = "mlflow.chat.tokenUsage"  # noqa: S105 - the tokens of language models
COST = "mlflow.llm.cost"
MODEL = "mlflow.llm.model"
PROVIDER = "mlflow.llm.provider"
TRACE_TAG_PREFIX = "mlflow.traceTag."
SESSION_KEYS = ("session.id", "gen_ai.conversation.id")
USER_KEY = "user.id"

USAGE_KEYS = ("input_tokens", "output_tokens", "total_tokens")
CACHE_KEYS = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)
COST_KEYS = ("input_cost", "output_cost", "total_cost")
_encoder = json.JSONEncoder(ensure_ascii=False, default=str)
_MOST_NS = 2**63 - 1
_MOST_DIMENSION = 500
_MOST_PREVIEW = 1000


class SpanEvent(msgspec.Struct, frozen=True):
    name: str
    time_unix_nano: int
    attributes: dict[str, Any]


class SpanStatus(msgspec.Struct, frozen=True):
    code: str
    message: str | None = ""


class SpanLink(msgspec.Struct, frozen=True):
    trace_id: str
    span_id: str
    attributes: dict[str, Any] | None = None


class Span(msgspec.Struct, frozen=True):
    """A span in the form in which MLflow writes spans down; ids are base 64 of their bytes, times nanoseconds.

    Every attribute is JSON text. ``end_time_unix_nano`` is 0 while the span is open.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    start_time_unix_nano: int
    end_time_unix_nano: int | None
    events: list[SpanEvent]
    status: SpanStatus
    attributes: dict[str, str]
    links: list[SpanLink]

    @property
    def id(self) -> str:
        """The id as 16 hexadecimal digits."""
        return base64.b64decode(self.span_id).hex()

    @property
    def parent_id(self) -> str | None:
        return base64.b64decode(self.parent_span_id).hex() if self.parent_span_id else None

    @property
    def ended_ns(self) -> int:
        return self.end_time_unix_nano or 0

    @property
    def outcome(self) -> Status:
        return _BY_CODE.get(self.status.code, "UNSET")

    def value(self, key: str) -> Any:
        """Return an attribute as a value; None where it is missing."""
        text = self.attributes.get(key)
        return None if text is None else loads_or_text(text)


class Arriving(msgspec.Struct, frozen=True):
    """A span with the trace that it belongs to, and the attributes of what produced it."""

    trace_id: str
    span: Span
    resource: dict[str, Any]


def make_span(
    *,
    trace_id: bytes,
    span_id: bytes,
    parent_id: bytes,
    name: str,
    started_ns: int,
    ended_ns: int,
    status: int,
    message: str,
    attributes: Iterable[tuple[str, Any]],
    events: list[SpanEvent],
    links: list[SpanLink],
    resource: dict[str, Any],
) -> Arriving:
    """Return a span from OpenTelemetry's fields; raises BadSpan where they make none."""
    if not trace_id or not span_id:
        raise BadSpan("A span needs a trace_id and a span_id.")
    if len(trace_id) > 16 or len(span_id) > 8 or len(parent_id) > 8:
        raise BadSpan("An id of a span is longer than OpenTelemetry has them.")
    if not 0 <= started_ns <= _MOST_NS or not 0 <= ended_ns <= _MOST_NS:
        raise BadSpan("A time of a span is out of range.")
    trace = trace_id.rjust(16, b"\0")
    request_id = f"tr-{trace.hex()}"
    written = {key: unwrapped(dumps(value)) for key, value in attributes}
    written[REQUEST_ID] = dumps(request_id)
    parent = parent_id.rjust(8, b"\0")
    span = Span(
        trace_id=base64.b64encode(trace).decode(),
        span_id=base64.b64encode(span_id.rjust(8, b"\0")).decode(),
        parent_span_id=base64.b64encode(parent).decode() if any(parent) else None,
        name=name,
        start_time_unix_nano=started_ns,
        end_time_unix_nano=ended_ns,
        events=events,
        status=SpanStatus(("STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR")[status], message),
        attributes=written,
        links=links,
    )
    return Arriving(request_id, span, resource)


def dumps(value: Any) -> str:
    """Return a value as JSON text; bytes as Python shows them, which is what MLflow does."""
    return _encoder.encode(value)


def loads_or_text(text: str) -> Any:
    """Return what JSON text says, or the text where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def unwrapped(text: str) -> str:
    """Return the JSON text inside JSON text: clients that write values down themselves have them written twice.

    >>> unwrapped(dumps('{"a": 1}')), unwrapped(dumps("1"))
    ('{"a": 1}', '"1"')
    """
    if text[:1] != '"' or text[1:2] not in ("{", "[", "\\"):
        return text
    inner = loads_or_text(text)
    return inner if isinstance(inner, str) and isinstance(_loads(inner), str | dict | list) else text


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def text_of(value: Any) -> str | None:
    """Return a value that should be a short text, as one."""
    return value[:_MOST_DIMENSION] if isinstance(value, str) else None


def finite(value: Any) -> float | None:
    """Return a value as a finite number, or None."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def count(value: Any) -> int | None:
    """Return a value as a whole number of 64 bits, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
        whole = int(value) if isinstance(value, int) else int(number)
    except (ValueError, OverflowError):
        return None
    return whole if number == whole and -(2**63) <= whole < 2**63 else None


class Node(msgspec.Struct, frozen=True):
    """A span in the tree of its trace, with what it says it used."""

    id: str
    parent_id: str | None
    usage: Any
    cost: Any


def node_of(span: Span) -> Node:
    return Node(span.id, span.parent_id, span.value(TOKEN_USAGE), span.value(COST))


def used(nodes: Sequence[Node], *, cost: bool = False) -> dict[str, float]:
    """Return what a trace used in all: a span that states a sum speaks for everything below it."""
    keys = COST_KEYS if cost else USAGE_KEYS
    optional = () if cost else CACHE_KEYS
    known = {node.id for node in nodes}
    children: dict[str, list[Node]] = {}
    waiting: list[tuple[Node, bool]] = []
    for node in nodes:
        if node.parent_id in known and node.parent_id != node.id:
            children.setdefault(node.parent_id or "", []).append(node)
        else:
            waiting.append((node, False))
    total: dict[str, float] = {}
    while waiting:
        node, counted = waiting.pop()
        stated = node.cost if cost else node.usage
        if isinstance(stated, dict) and not counted:
            for key in keys:
                total[key] = total.get(key, 0) + (finite(stated.get(key)) or 0)
            for key in optional:
                if key in stated:
                    total[key] = total.get(key, 0) + (finite(stated[key]) or 0)
        waiting += [(child, counted or isinstance(stated, dict)) for child in children.pop(node.id, ())]
    return total


def preview(text: str, *, role: str) -> str:
    """Return the first characters of an input or output; of a conversation, its last message of the role."""
    content = _message(_loads(text), role) or text
    return content if len(content) <= _MOST_PREVIEW else content[: _MOST_PREVIEW - 3] + "..."


def _message(value: Any, role: str) -> str | None:
    messages = _messages(value)
    if not messages:
        return None
    chosen = next((one for one in reversed(messages) if one.get("role") == role), messages[-1])
    content = chosen["content"]
    if isinstance(content, list):
        for part in content:
            if isinstance(part, str):
                return part
            if isinstance(part, dict) and part.get("type") in ("text", "output_text"):
                return part["text"] if isinstance(part.get("text"), str) else None
    return content if isinstance(content, str) else None


def _messages(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, dict):
        return []
    choices = value.get("choices")
    if not value.get("messages") and isinstance(choices, list) and choices and isinstance(choices[0], dict):
        return _only_messages([choices[0].get("message")])
    for key in ("messages", "input", "output"):
        if value.get(key) and isinstance(value[key], list):
            return _only_messages(value[key])
    return _messages(value["request"]) if isinstance(value.get("request"), dict) else []


def _only_messages(values: list[Any]) -> list[Mapping[str, Any]]:
    return [one for one in values if isinstance(one, dict) and "role" in one and "content" in one]
