"""Takes traces in, finds them, tags them, links them and puts them in the trash."""

import threading
import time
from collections.abc import Mapping, Sequence

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.traces.errors import SpansIncomplete, TraceNotFound, TraceTagNotFound
from trimtab.domains.traces.infos import ingest, store
from trimtab.domains.traces.infos.finder import search_page
from trimtab.domains.traces.infos.model import (
    NAME_TAG,
    SPANS_HERE,
    SPANS_TAG,
    Stated,
    Trace,
    check_name,
    check_stated,
    check_tag,
    expected_spans,
)
from trimtab.domains.traces.infos.search import plan
from trimtab.domains.traces.spans import store as spans_store
from trimtab.domains.traces.spans.model import Arriving, Span
from trimtab.domains.tracking import TrackingService
from trimtab.infra.db import Database, Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.ids import hex32
from trimtab.kernel.pages import Page, check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

MOST_IN_A_PAGE = 50_000
DEFAULT_PAGE = 100
MOST_LINKS = 100
_MOST_AT_ONCE = 10_000
_PATIENCE_S = 3.0
_MOST_WAITING = 8


class WholeTrace(msgspec.Struct, frozen=True):
    """A trace with its spans; roots first, then by their start."""

    info: Trace
    spans: list[Span]


class TraceService:
    """Traces: what an application did for one request, step by step."""

    def __init__(self, db: Database, govern: GovernService, tracking: TrackingService) -> None:
        self._db = db
        self.govern = govern
        self._tracking = tracking
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)

    def state(self, who: Principal, stated: Stated, *, spans_follow: bool = False) -> Trace:
        """Take what a client says of a trace, before or after its spans; what it leaves out stays as spans say it.

        ``spans_follow`` says that the client sends the spans to this server as well, so they need no other place.
        Raises ExperimentNotFound, and Invalid for a deleted experiment.
        """
        self.govern.permit(who, "write", "traces")
        check_stated(stated)
        experiment = self._active(who, stated.experiment_id)
        if spans_follow and expected_spans(stated.metadata):
            stated = msgspec.structs.replace(stated, tags={**stated.tags, SPANS_TAG: SPANS_HERE})
        with self._db.write() as tx:
            ingest.state(tx, stated, location=experiment)
            return _found(store.find(tx, ids=[stated.id]), stated.id)

    def add_spans(self, who: Principal, experiment_id: str, arriving: Sequence[Arriving]) -> list[str]:
        """Store spans, making the traces that are new, and return the ids of the traces whose root is among them."""
        self.govern.permit(who, "write", "traces")
        batches = ingest.grouped(arriving)
        with self._db.read() as tx:
            known = store.heads(tx, ids=list(batches))
        location, number = "", 0
        if any(one not in known for one in batches):
            experiment = self._tracking.experiments.get(who, experiment_id)
            location, number = experiment.artifact_location, int(experiment.id)
        with self._db.write() as tx:
            for trace_id in sorted(batches):
                tx.lock(f"traces.trace:{trace_id}")
            for trace_id in sorted(batches):
                ingest.add(tx, batches[trace_id], experiment_no=number, location=location)
        return [trace_id for trace_id, batch in batches.items() if batch.root is not None]

    def get(self, who: Principal, trace_id: str) -> Trace:
        """Return a trace without its spans; raises TraceNotFound."""
        self.govern.permit(who, "read", "traces")
        with self._db.read() as tx:
            return _found(store.find(tx, ids=[trace_id]), trace_id)

    def get_whole(self, who: Principal, trace_id: str, *, partial: bool = False) -> WholeTrace:
        """Return a trace with its spans; raises TraceNotFound.

        Unless ``partial``, waits a few seconds for spans that are still on their way, then raises SpansIncomplete.
        """
        self.govern.permit(who, "read", "traces")
        whole, complete = self._whole(trace_id)
        if complete or partial:
            return whole
        if SPANS_TAG not in whole.info.tags:
            raise SpansIncomplete(f"The spans of the trace '{trace_id}' are not stored here.")
        if self._waiting.acquire(blocking=False):
            try:
                until = time.monotonic() + _PATIENCE_S
                while not complete and time.monotonic() < until:
                    time.sleep(0.1)
                    whole, complete = self._whole(trace_id)
            finally:
                self._waiting.release()
        if not complete:
            raise SpansIncomplete(
                f"Trace with ID {trace_id} is not fully exported yet, please try again later."
            )
        return whole

    def _whole(self, trace_id: str) -> tuple[WholeTrace, bool]:
        with self._db.read() as tx:
            info = _found(store.find(tx, ids=[trace_id]), trace_id, words="is not found")
            spans = spans_store.spans(tx, traces=[info.no]).get(info.no, [])
        return WholeTrace(info, spans), _is_complete(info, spans)

    def find(
        self, who: Principal, trace_ids: Sequence[str], *, experiment_ids: Sequence[str] | None = None
    ) -> list[Trace]:
        """Return those of the traces that are there, in the order of the ids."""
        self.govern.permit(who, "read", "traces")
        if len(trace_ids) > _MOST_AT_ONCE:
            raise Invalid(f"At most {_MOST_AT_ONCE} traces are read at once.", field="trace_ids")
        with self._db.read() as tx:
            found = store.find(tx, ids=trace_ids)
        wanted = None if experiment_ids is None else {str(experiment_number(one)) for one in experiment_ids}
        return [one for one in found if wanted is None or one.experiment_id in wanted]

    def find_whole(
        self, who: Principal, trace_ids: Sequence[str], *, experiment_ids: Sequence[str] | None = None
    ) -> list[WholeTrace]:
        """Return those of the traces that are there with all their spans, in the order of the ids."""
        found = self.find(who, trace_ids, experiment_ids=experiment_ids)
        with self._db.read() as tx:
            spans = spans_store.spans(tx, traces=[one.no for one in found])
        whole = [WholeTrace(one, spans.get(one.no, [])) for one in found]
        return [one for one in whole if _is_complete(one.info, one.spans)]

    def search(
        self,
        who: Principal,
        *,
        experiment_ids: Sequence[str],
        filter: str = "",  # noqa: A002 - the word of the protocol
        order_by: Sequence[str] = (),
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Trace]:
        """Return the traces that a filter matches, newest first by default; raises BadFilter.

        A search that must look inside spans gives a short page with a cursor rather than make its caller wait long.
        """
        self.govern.permit(who, "read", "traces")
        size = check_limit(limit, default=DEFAULT_PAGE, most=MOST_IN_A_PAGE)
        numbers = [experiment_number(one) for one in experiment_ids]
        parts = plan(experiments=numbers, filter_text=filter, order_by=order_by, dialect=self._db.dialect)
        search = f"traces {sorted(numbers)} {filter} {list(order_by)}"
        with self._db.read() as tx:
            return search_page(tx, parts, limit=size, cursor=cursor, search=search)

    def span_counts(self, who: Principal, traces: Sequence[Trace]) -> dict[str, int]:
        """Return how many spans each of the traces has."""
        self.govern.permit(who, "read", "traces")
        with self._db.read() as tx:
            counts = spans_store.counts(tx, traces=[one.no for one in traces])
        return {one.id: counts.get(one.no, 0) for one in traces}

    def set_tag(self, who: Principal, trace_id: str, key: str, value: str) -> None:
        """Set a tag; raises TraceNotFound."""
        self.govern.permit(who, "write", refs.make("trace", trace_id))
        key, value = check_tag(key, value)
        with self._db.write() as tx:
            head = _head(tx, trace_id)
            if key == NAME_TAG:
                store.set_name(tx, trace_no=head.no, name=check_name(value))
            else:
                store.put_tags(tx, trace_no=head.no, tags={key: value})

    def delete_tag(self, who: Principal, trace_id: str, key: str) -> None:
        """Remove a tag; raises TraceNotFound and TraceTagNotFound."""
        self.govern.permit(who, "write", refs.make("trace", trace_id))
        with self._db.write() as tx:
            head = _head(tx, trace_id)
            if key == NAME_TAG:
                there = head.columns["name"] is not None
                store.set_name(tx, trace_no=head.no, name=None)
            else:
                there = store.delete_tag(tx, trace_no=head.no, key=key)
            if not there:
                raise TraceTagNotFound(f"No trace tag with key '{key}' for trace with ID '{trace_id}'")

    def link_to_run(self, who: Principal, run_id: str, trace_ids: Sequence[str]) -> None:
        """Say that traces belong to a run too. Traces that are not there are left out; the run may be elsewhere."""
        self.govern.permit(who, "write", "traces")
        if not trace_ids:
            return
        if len(trace_ids) > MOST_LINKS:
            raise Invalid(
                f"Cannot link more than {MOST_LINKS} traces to a run in a single request. Provided {len(trace_ids)}"
                " traces.",
                field="trace_ids",
            )
        with self._db.write() as tx:
            known = store.heads(tx, ids=trace_ids)
            store.link_run(tx, run_id=run_id, traces=[one.no for one in known.values()])

    def link_prompts(self, who: Principal, trace_id: str, prompts: Sequence[str]) -> None:
        """Say which versions of prompts, as ``name/version``, a trace used; raises TraceNotFound."""
        self.govern.permit(who, "write", refs.make("trace", trace_id))
        if not prompts:
            return
        with self._db.write() as tx:
            store.link_prompts(tx, trace_no=_head(tx, trace_id).no, prompts=prompts)

    def delete(
        self,
        who: Principal,
        experiment_id: str,
        *,
        trace_ids: Sequence[str] = (),
        until_us: int | None = None,
        most: int | None = None,
    ) -> int:
        """Move traces of an experiment to the trash, oldest first, and return how many."""
        self.govern.permit(who, "write", "traces")
        where = (
            Where().add("t.deleted_us is null").any_of("t.experiment_no", [experiment_number(experiment_id)])
        )
        if until_us is not None:
            where.add("t.request_us <= :until_us", until_us=until_us)
        if trace_ids:
            where.any_of("t.id", sorted(set(trace_ids))[:_MOST_AT_ONCE])
        limit = 2**31 if most is None else max(0, most)
        with self._db.write() as tx:
            doomed = store.doomed(tx, where=where, limit=limit)
            store.to_trash(tx, traces=[no for no, _ in doomed], now_us=now_us())
            if doomed:
                detail = {"traces": len(doomed), "first": [trace_id for _, trace_id in doomed[:100]]}
                ref = refs.make("experiment", experiment_id)
                self.govern.audit(tx, who, "traces.trace.delete", ref, detail=detail)
        return len(doomed)

    def restore(self, who: Principal, trace_id: str) -> None:
        """Take a trace out of the trash; raises TraceNotFound."""
        self.govern.permit(who, "write", refs.make("trace", trace_id))
        with self._db.write() as tx:
            if not store.from_trash(tx, trace_id=trace_id):
                raise TraceNotFound(f"Trace with ID '{trace_id[:100]}' is not in the trash.")
            self.govern.audit(tx, who, "traces.trace.restore", refs.make("trace", trace_id))

    def start_old(
        self,
        who: Principal,
        experiment_id: str,
        *,
        request_us: int,
        tags: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> Trace:
        """Begin a trace in the second version of the protocol, which states its end apart."""
        self.govern.permit(who, "write", "traces")
        stated = Stated(
            hex32(), experiment_id, request_us, None, "IN_PROGRESS", tags=dict(tags), metadata=dict(metadata)
        )
        check_stated(stated)
        location = self._active(who, experiment_id)
        with self._db.write() as tx:
            ingest.state(tx, stated, location=location, final=False)
            return _found(store.find(tx, ids=[stated.id]), stated.id)

    def end_old(self, who: Principal, trace_id: str, stated: Stated) -> Trace:
        """End a trace in the second version of the protocol; ``request_us`` is its end. Raises TraceNotFound."""
        self.govern.permit(who, "write", refs.make("trace", trace_id))
        check_stated(stated)
        with self._db.write() as tx:
            tx.lock(f"traces.trace:{trace_id}")
            head = _head(tx, trace_id)
            began = head.columns["request_us"]
            ingest.end(tx, head, stated, duration_us=stated.request_us - began)
            return _found(store.find(tx, ids=[trace_id]), trace_id)

    def _active(self, who: Principal, experiment_id: str) -> str:
        """Return where the artifacts of an experiment go; raises ExperimentNotFound, and Invalid for a deleted one."""
        experiment = self._tracking.experiments.get(who, experiment_id)
        if experiment.state != "active":
            raise Invalid(
                f"The experiment {experiment.id} must be in the 'active' state. Current state is {experiment.state}.",
                field="experiment_id",
            )
        return experiment.artifact_location


def purge(tx: Tx, *, before_us: int, held: Sequence[int] = (), limit: int = 1000) -> list[str]:
    """End the traces that went to the trash before a time, with all that belongs to them, and return their ids.

    Those of experiments that are held stay.
    """
    found = store.purgeable(tx, before_us=before_us, held=held, limit=limit)
    store.end(tx, traces=[no for no, _ in found])
    return [trace_id for _, trace_id in found]


def purge_experiment(tx: Tx, *, experiment_id: str, limit: int = 1000) -> list[str]:
    """End traces of an experiment that is being ended itself, and return their ids; none are left once it is empty."""
    found = store.of_experiment(tx, experiment_no=experiment_number(experiment_id), limit=limit)
    store.end(tx, traces=[no for no, _ in found])
    return [trace_id for _, trace_id in found]


def _is_complete(info: Trace, spans: Sequence[Span]) -> bool:
    return bool(spans) and len(spans) >= expected_spans(info.metadata)


def experiment_number(experiment_id: str) -> int:
    """Return the number of an experiment's id; raises Invalid for what is none."""
    try:
        number = int(experiment_id)
    except ValueError:
        number = 2**63
    if not -(2**63) < number < 2**63:
        raise Invalid(
            f"Invalid experiment ID '{experiment_id[:100]}'. Experiment ID must be a valid integer.",
            field="experiment_id",
        )
    return number


def _head(tx: Tx, trace_id: str) -> store.Head:
    head = store.heads(tx, ids=[trace_id]).get(trace_id)
    if head is None:
        raise TraceNotFound(f"Trace with ID '{trace_id[:100]}' not found.")
    return head


def _found(traces: Sequence[Trace], trace_id: str, *, words: str = "not found") -> Trace:
    if not traces:
        quoted = trace_id[:100] if words == "is not found" else f"'{trace_id[:100]}'"
        raise TraceNotFound(f"Trace with ID {quoted} {words}.")
    return traces[0]
