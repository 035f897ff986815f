"""Puts together what clients say of a trace and what its spans say, in whichever order the two arrive."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.domains.traces.assessments import store as assessments_store
from trimtab.domains.traces.infos import store
from trimtab.domains.traces.infos.model import (
    ARTIFACTS_TAG,
    COLUMNS_OF,
    COST_KEY,
    MOST_NAME,
    MOST_SESSION,
    NAME_TAG,
    PROMOTED,
    SPANS_HERE,
    SPANS_TAG,
    STATED_KEY,
    USAGE_KEY,
    USER_KEY,
    Stated,
    check_tag,
    promoted_columns,
)
from trimtab.domains.traces.spans import store as spans_store
from trimtab.domains.traces.spans.conventions import understood
from trimtab.domains.traces.spans.model import (
    INPUTS,
    OUTPUTS,
    SESSION_KEYS,
    TRACE_TAG_PREFIX,
    Arriving,
    Span,
    node_of,
    preview,
    used,
)
from trimtab.domains.traces.spans.model import USER_KEY as USER_ATTRIBUTE
from trimtab.infra.db import Tx
from trimtab.kernel.errors import Conflict, Invalid
from trimtab.kernel.ids import hex32

_MS_NS = 1_000_000
_INTERNAL = ("telemetry.sdk.", "mlflow.")


class Batch(msgspec.Struct):
    """Spans of one trace that arrived together."""

    trace_id: str
    spans: list[Span]
    resource: dict[str, Any]

    @property
    def root(self) -> Span | None:
        return next((span for span in reversed(self.spans) if span.parent_span_id is None), None)

    @property
    def started_us(self) -> int:
        return min(span.start_time_unix_nano for span in self.spans) // _MS_NS * 1000

    @property
    def ended_us(self) -> int | None:
        """The end of the last span to end, or None where none has ended."""
        ends = [span.ended_ns for span in self.spans if span.ended_ns]
        return max(ends) // _MS_NS * 1000 if ends else None

    def attribute(self, *keys: str) -> str | None:
        """Return the first value of these attributes as text."""
        for span in self.spans:
            for key in keys:
                if (value := span.value(key)) and isinstance(value, str):
                    return value
        return None


def grouped(arriving: Sequence[Arriving]) -> dict[str, Batch]:
    """Return the spans by trace, with MLflow's attributes added for what other tracers said in their own."""
    batches: dict[str, Batch] = {}
    for one in arriving:
        batch = batches.setdefault(one.trace_id, Batch(one.trace_id, [], one.resource))
        batch.spans.append(understood(one.span))
        batch.resource = batch.resource or one.resource
    for batch in batches.values():  # a span sent twice at once counts once
        batch.spans = list({span.span_id: span for span in batch.spans}.values())
    return batches


def state(tx: Tx, stated: Stated, *, location: str, final: bool = True) -> None:
    """Store what a client says of a trace. ``final`` means that spans no longer change what it said."""
    tx.lock(f"traces.trace:{stated.id}")
    number = int(stated.experiment_id)
    promoted = promoted_columns(stated.metadata)
    columns: dict[str, Any] = {
        **store.NEW,
        "experiment_no": number,
        "request_us": stated.request_us,
        "duration_us": stated.duration_us,
        "state": stated.state,
        "name": stated.tags.get(NAME_TAG),
        "client_request_id": stated.client_request_id,
        "request_preview": stated.request_preview,
        "response_preview": stated.response_preview,
        "stated": int(final),
        **promoted,
    }
    head = _inserted(tx, stated.id, columns)
    if head is None:
        head = store.heads(tx, ids=[stated.id])[stated.id]
        kept = {"root": head.columns["root"]}
        if NAME_TAG not in stated.tags:
            kept["name"] = head.columns["name"]
        for preview_column in ("request_preview", "response_preview"):
            if columns[preview_column] is None:
                kept[preview_column] = head.columns[preview_column]
        for column in ("session", *(name for names in COLUMNS_OF.values() for name in names.values())):
            if column not in promoted:
                kept[column] = head.columns[column]
        head.columns = columns | kept
        store.update(tx, head)
    tags = {**stated.tags, ARTIFACTS_TAG: _artifacts(location, stated.id)}
    store.put_tags(tx, trace_no=head.no, tags=tags)
    metadata = {key: value for key, value in stated.metadata.items() if key not in PROMOTED}
    if final:
        metadata[STATED_KEY] = "true"
    store.put_metadata(tx, trace_no=head.no, metadata=metadata)
    assessments_store.put(
        tx,
        trace_no=head.no,
        assessments=[
            msgspec.structs.replace(one, id=one.id or f"a-{hex32()}", trace_id=stated.id, valid=True)
            for one in stated.assessments
        ],
    )


def end(tx: Tx, head: store.Head, stated: Stated, *, duration_us: int) -> None:
    """Store the end of a trace that was begun apart."""
    head.columns |= {"duration_us": duration_us, "state": stated.state, **promoted_columns(stated.metadata)}
    if NAME_TAG in stated.tags:
        head.columns["name"] = stated.tags[NAME_TAG]
    store.update(tx, head)
    metadata = {key: value for key, value in stated.metadata.items() if key not in PROMOTED}
    store.put_metadata(tx, trace_no=head.no, metadata=metadata)
    store.put_tags(tx, trace_no=head.no, tags=stated.tags)


def add(tx: Tx, batch: Batch, *, experiment_no: int, location: str) -> None:
    """Store spans of a trace, and what they say of it where nobody said so better. The trace is locked."""
    head, fresh = store.heads(tx, ids=[batch.trace_id]).get(batch.trace_id), False
    tags: dict[str, str] = {}
    if head is None:
        if not location:
            raise Conflict(f"The trace '{batch.trace_id}' was deleted meanwhile; send its spans again.")
        columns = {**store.NEW, "experiment_no": experiment_no, "request_us": batch.started_us}
        head, fresh = _inserted(tx, batch.trace_id, columns), True
        if head is None:
            raise Conflict(f"The trace '{batch.trace_id}' is being written by others; send its spans again.")
        tags[ARTIFACTS_TAG] = _artifacts(location, batch.trace_id)
    spans_store.append(tx, trace_no=head.no, spans=batch.spans, fresh=fresh)
    before = dict(head.columns)
    _time(head, batch)
    own_tags = _tags_of_root(batch.root)
    _root(head, batch.root, own_tags)
    _usage(tx, head, batch, fresh=fresh)
    session = batch.attribute(*SESSION_KEYS)
    if session and head.columns["session"] is None:
        if len(session) > MOST_SESSION:
            raise Invalid(f"'Session ID' exceeds the maximum length of {MOST_SESSION} characters")
        head.columns["session"] = clean(session)
    if head.columns != before:
        store.update(tx, head)
    if user := batch.attribute(USER_ATTRIBUTE):
        store.put_metadata(tx, trace_no=head.no, metadata={USER_KEY: clean(user)}, keep=True)
    tags |= {SPANS_TAG: SPANS_HERE, **_tags_of_resource(batch.resource), **own_tags}
    store.put_tags(tx, trace_no=head.no, tags=tags)


def clean(text: str) -> str:
    """Return text without null characters, which PostgreSQL does not keep."""
    return text.replace("\x00", "\ufffd")


def _inserted(tx: Tx, trace_id: str, columns: Mapping[str, Any]) -> store.Head | None:
    """Add a trace, in the place of one in the trash; returns None where there is one already."""
    head = store.insert(tx, trace_id=trace_id, columns=columns)
    if head is None and trace_id not in store.heads(tx, ids=[trace_id]):
        store.drop_from_trash(tx, trace_id=trace_id)
        head = store.insert(tx, trace_id=trace_id, columns=columns)
    return head


def _artifacts(location: str, trace_id: str) -> str:
    return f"{location.rstrip('/')}/traces/{trace_id}/artifacts"


def _time(head: store.Head, batch: Batch) -> None:
    columns = head.columns
    if columns["stated"]:
        return
    began = columns["request_us"]
    ends = [
        one
        for one in (batch.ended_us, began + columns["duration_us"] if columns["duration_us"] else None)
        if one
    ]
    columns["request_us"] = min(began, batch.started_us)
    if ends:
        columns["duration_us"] = max(ends) - columns["request_us"]


def _root(head: store.Head, root: Span | None, tags: Mapping[str, str]) -> None:
    if root is None:
        return
    columns = head.columns
    columns["root"] = root.name
    if columns["state"] in ("IN_PROGRESS", "STATE_UNSPECIFIED"):
        columns["state"] = "ERROR" if root.outcome == "ERROR" else "OK"
    for column, key, role in (
        ("request_preview", INPUTS, "user"),
        ("response_preview", OUTPUTS, "assistant"),
    ):
        if columns[column] is None and (text := root.attributes.get(key)):
            columns[column] = clean(preview(text, role=role))
    if NAME_TAG in tags:
        columns["name"] = tags[NAME_TAG][:MOST_NAME]


def _usage(tx: Tx, head: store.Head, batch: Batch, *, fresh: bool) -> None:
    """Count tokens and cost over all spans of the trace, unless the client has said what they come to."""
    nodes = [node_of(span) for span in batch.spans]
    for key, stated in (
        (USAGE_KEY, [node for node in nodes if node.usage]),
        (COST_KEY, [node for node in nodes if node.cost]),
    ):
        names = COLUMNS_OF[key]
        if not stated or (
            head.columns["stated"] and any(head.columns[name] is not None for name in names.values())
        ):
            continue
        if not fresh:
            nodes = [node_of(span) for span in spans_store.spans(tx, traces=[head.no])[head.no]]
            fresh = True
        head.columns |= promoted_columns({key: json.dumps(used(nodes, cost=key == COST_KEY))})


def _tags_of_root(root: Span | None) -> dict[str, str]:
    """Return the tags that a client sends as attributes of the first span."""
    tags: dict[str, str] = {}
    for name in root.attributes if root else ():
        if root and name.startswith(TRACE_TAG_PREFIX):
            value = root.value(name)
            _put(
                tags,
                name.removeprefix(TRACE_TAG_PREFIX),
                value if isinstance(value, str) else root.attributes[name],
            )
    return tags


def _tags_of_resource(resource: Mapping[str, Any]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for key, value in resource.items():
        if not key.startswith(_INTERNAL):
            _put(tags, key, value if isinstance(value, str) else json.dumps(value, default=str))
    return tags


def _put(tags: dict[str, str], key: str, value: str) -> None:
    """Add a tag, unless its name is none that a tag may have."""
    try:
        name, text = check_tag(clean(key), clean(value))
    except Invalid:
        return
    tags[name] = text
