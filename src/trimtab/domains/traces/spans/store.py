"""The tables of spans: a row for what is searched and counted, and compressed chunks with the whole of them."""

from collections.abc import Sequence

from trimtab.domains.traces.listing import listed
from trimtab.domains.traces.spans import codec
from trimtab.domains.traces.spans.model import (
    COST,
    COST_KEYS,
    MODEL,
    PROVIDER,
    SPAN_TYPE,
    Span,
    finite,
    text_of,
)
from trimtab.infra.db import Tx, load

Q = load(__package__ or "")


def append(tx: Tx, *, trace_no: int, spans: Sequence[Span], fresh: bool) -> None:
    """Add spans to a trace, or put them in the place of their earlier selves.

    They join the trace's last chunk while that is small, so that a trace whose spans come one by one is one chunk.
    ``fresh`` says that the trace has no spans yet.
    """
    tx.many(Q.put_span, [_row(trace_no, span) for span in spans])
    seq, lines = 0, [codec.line(span) for span in spans]
    last = None if fresh else tx.one(Q.open_chunk, trace_no=trace_no)
    if last is not None:
        seq = last[0]
        if last[1] <= codec.LARGEST_OPEN_BYTES:
            arriving = {span.span_id for span in spans}
            earlier = [
                line for line in codec.unpack(bytes(last[2])) if codec.read(line).span_id not in arriving
            ]
            lines = earlier + lines
        else:
            seq += 1
    size, content = codec.pack(lines)
    tx.run(Q.put_chunk, trace_no=trace_no, seq=seq, size_bytes=size, content=content)


def chunks(tx: Tx, *, traces: Sequence[int]) -> dict[int, list[bytes]]:
    """Return the chunks of each trace that has any, in order."""
    found: dict[int, list[bytes]] = {}
    for trace_no, content in tx.all(Q.chunks, traces=listed(tx, traces)):
        found.setdefault(trace_no, []).append(bytes(content))
    return found


def spans(tx: Tx, *, traces: Sequence[int]) -> dict[int, list[Span]]:
    """Return the spans of each trace that has any; roots first, then by their start."""
    return {trace_no: codec.arranged(parts) for trace_no, parts in chunks(tx, traces=traces).items()}


def counts(tx: Tx, *, traces: Sequence[int]) -> dict[int, int]:
    """Return how many spans each trace has, without those that have none."""
    return dict(tx.all(Q.counts, traces=listed(tx, traces)))


def _row(trace_no: int, span: Span) -> dict[str, object]:
    kind = span.value(SPAN_TYPE)
    stated = span.value(COST)
    cost = stated if isinstance(stated, dict) else {}
    return {
        "trace_no": trace_no,
        "id": span.id,
        "name": span.name,
        "type": kind if isinstance(kind, str) else None,
        "status": span.outcome,
        "started_ns": span.start_time_unix_nano,
        "ended_ns": span.ended_ns,
        "model": text_of(span.value(MODEL)),
        "provider": text_of(span.value(PROVIDER)),
        **{key: finite(cost.get(key)) for key in COST_KEYS},
    }
