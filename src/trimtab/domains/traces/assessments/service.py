"""Takes what people, judges and code say of traces, lets it be changed, overridden and removed."""

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.traces.assessments import store
from trimtab.domains.traces.assessments.model import Assessment, Changes, changed, check
from trimtab.domains.traces.errors import AssessmentNotFound, TraceNotFound
from trimtab.domains.traces.infos import store as infos_store
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.ids import hex32
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


class AssessmentService:
    """Feedback on traces, and expectations of them."""

    def __init__(self, db: Database, govern: GovernService) -> None:
        self._db = db
        self.govern = govern

    def create(self, who: Principal, assessment: Assessment) -> Assessment:
        """Add an assessment; one that overrides another makes that one invalid.

        Raises TraceNotFound, and AssessmentNotFound where it overrides one that is not there.
        """
        self.govern.permit(who, "write", refs.make("trace", assessment.trace_id))
        made = msgspec.structs.replace(check(assessment), id=assessment.id or f"a-{hex32()}", valid=True)
        with self._db.write() as tx:
            trace_no = _trace(tx, made.trace_id)
            if made.overrides and not store.set_valid(
                tx, trace_no=trace_no, assessment_id=made.overrides, valid=False
            ):
                raise _missing(made.overrides, made.trace_id)
            store.insert(tx, trace_no=trace_no, assessment=made)
        return made

    def get(self, who: Principal, trace_id: str, assessment_id: str) -> Assessment:
        """Return an assessment; raises TraceNotFound and AssessmentNotFound."""
        self.govern.permit(who, "read", "traces")
        with self._db.read() as tx:
            return _assessment(tx, _trace(tx, trace_id), trace_id, assessment_id)

    def update(self, who: Principal, trace_id: str, assessment_id: str, changes: Changes) -> Assessment:
        """Change parts of an assessment; metadata are merged. Raises TraceNotFound and AssessmentNotFound."""
        self.govern.permit(who, "write", refs.make("trace", trace_id))
        with self._db.write() as tx:
            tx.lock(f"traces.assessment:{assessment_id}")
            trace_no = _trace(tx, trace_id)
            before = _assessment(tx, trace_no, trace_id, assessment_id)
            after = check(changed(before, changes, now_us=now_us() // 1000 * 1000))
            store.put(tx, trace_no=trace_no, assessments=[after])
        return after

    def delete(self, who: Principal, trace_id: str, assessment_id: str) -> None:
        """Remove an assessment; the one that it overrode counts again. One that is not there is no error."""
        self.govern.permit(who, "write", refs.make("trace", trace_id))
        with self._db.write() as tx:
            head = infos_store.heads(tx, ids=[trace_id]).get(trace_id)
            if head is None:
                return
            trace_no = head.no
            found = store.get(tx, trace_no=trace_no, trace_id=trace_id, assessment_id=assessment_id)
            if found is None:
                return
            if found.overrides:
                store.set_valid(tx, trace_no=trace_no, assessment_id=found.overrides, valid=True)
            store.delete(tx, trace_no=trace_no, assessment_id=assessment_id)
            detail = {"assessment": assessment_id, "name": found.name}
            self.govern.audit(
                tx, who, "traces.assessment.delete", refs.make("trace", trace_id), detail=detail
            )


def _trace(tx: Tx, trace_id: str) -> int:
    head = infos_store.heads(tx, ids=[trace_id]).get(trace_id)
    if head is None:
        raise TraceNotFound(f"Trace with ID '{trace_id[:100]}' not found.")
    return head.no


def _assessment(tx: Tx, trace_no: int, trace_id: str, assessment_id: str) -> Assessment:
    found = store.get(tx, trace_no=trace_no, trace_id=trace_id, assessment_id=assessment_id)
    if found is None:
        raise _missing(assessment_id, trace_id)
    return found


def _missing(assessment_id: str, trace_id: str) -> AssessmentNotFound:
    return AssessmentNotFound(
        f"Assessment with ID '{assessment_id[:100]}' not found for trace '{trace_id[:100]}'"
    )
