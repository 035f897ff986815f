"""The tree that the spans of a trace make."""

from collections.abc import Iterator, Sequence

from trimtab.domains.traces.spans.model import Span


def depth_first(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Yield each span with its depth, before the spans that it began; siblings by their start.

    A span whose parent is not there counts as a root; of spans that are each other's parents the first to start does.
    """
    known = {span.span_id for span in spans}
    children: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda one: one.start_time_unix_nano, reverse=True):
        has_parent = span.parent_span_id in known and span.parent_span_id != span.span_id
        children.setdefault(span.parent_span_id if has_parent else None, []).append(span)
    left = {span.span_id: span for span in sorted(spans, key=lambda one: one.start_time_unix_nano)}
    waiting = [(span, 0) for span in children.get(None, ())]
    while waiting or left:
        if not waiting:  # a circle: begin with what is left of it
            waiting.append((next(iter(left.values())), 0))
        span, depth = waiting.pop()
        if left.pop(span.span_id, None) is None:
            continue
        yield span, depth
        waiting += [(child, depth + 1) for child in children.get(span.span_id, ())]
