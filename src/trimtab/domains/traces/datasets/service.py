"""Makes evaluation data sets, fills them with records, finds them and puts them in the trash."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.traces.datasets import store
from trimtab.domains.traces.datasets.model import (
    MOST_RECORDS,
    USER_TAG,
    EvaluationDataset,
    Given,
    Record,
    check_name,
    check_tags,
    digest,
    grown_schema,
    merged,
    source_id,
)
from trimtab.domains.traces.datasets.search import terms_of, where_of
from trimtab.domains.traces.errors import EvaluationDatasetNotFound
from trimtab.domains.traces.listing import continue_after, cursor_of, values_of
from trimtab.domains.tracking import TrackingService
from trimtab.infra.db import Database, Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.ids import hex32
from trimtab.kernel.pages import Page, check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

MOST_IN_A_PAGE = 50_000
DEFAULT_PAGE = 1000


class EvaluationDatasetService:
    """Inputs with the answers that are expected of them."""

    def __init__(self, db: Database, govern: GovernService, tracking: TrackingService) -> None:
        self._db = db
        self.govern = govern
        self._tracking = tracking

    def create(
        self,
        who: Principal,
        name: str,
        *,
        tags: Mapping[str, Any] | None = None,
        experiment_ids: Sequence[str] = (),
    ) -> EvaluationDataset:
        """Make an empty data set. Names need not be unique."""
        self.govern.permit(who, "write", "evaluation data sets")
        check_name(name)
        kept = check_tags(tags or {})
        dataset_id, now = f"d-{hex32()}", _now()
        with self._db.write() as tx:
            store.insert(
                tx,
                dataset_id=dataset_id,
                name=name,
                digest=digest(name, now),
                now_us=now,
                user_id=kept.get(USER_TAG),
            )
            store.put_tags(tx, dataset_id=dataset_id, tags=kept)
            store.add_experiments(tx, dataset_id=dataset_id, experiment_ids=experiment_ids, now_us=now)
            ref = refs.make("evaluation-dataset", dataset_id)
            self.govern.audit(tx, who, "traces.dataset.create", ref, detail={"name": name})
            return _found(tx, dataset_id)

    def get(self, who: Principal, dataset_id: str) -> EvaluationDataset:
        """Return a data set; raises EvaluationDatasetNotFound."""
        self.govern.permit(who, "read", "evaluation data sets")
        with self._db.read() as tx:
            return _found(tx, dataset_id)

    def search(
        self,
        who: Principal,
        *,
        filter: str = "",  # noqa: A002 - the word of the protocol
        experiment_ids: Sequence[str] = (),
        order_by: Sequence[str] = (),
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[EvaluationDataset]:
        """Return the data sets that a filter matches, newest first by default; raises BadFilter."""
        self.govern.permit(who, "read", "evaluation data sets")
        size = check_limit(limit, default=DEFAULT_PAGE, most=MOST_IN_A_PAGE)
        where = where_of(filter, experiment_ids=experiment_ids, dialect=self._db.dialect)
        terms = terms_of(order_by)
        search = f"datasets {filter} {sorted(experiment_ids)} {list(order_by)}"
        if cursor:
            continue_after(where, terms, values_of(cursor, terms, search=search))
        with self._db.read() as tx:
            found = store.page(tx, where=where, terms=terms, limit=size + 1)
        more = cursor_of(found[size - 1][1], search=search) if len(found) > size else None
        return Page([dataset for dataset, _ in found[:size]], more)

    def delete(self, who: Principal, dataset_id: str) -> None:
        """Move a data set with its records to the trash; one that is not there is no error."""
        self.govern.permit(who, "write", refs.make("evaluation-dataset", dataset_id))
        with self._db.write() as tx:
            found = store.get(tx, dataset_id=dataset_id)
            if found is None:
                return
            store.set_deleted(tx, dataset_id=dataset_id, deleted_us=now_us())
            ref = refs.make("evaluation-dataset", dataset_id)
            self.govern.audit(tx, who, "traces.dataset.delete", ref, detail={"name": found.name})

    def restore(self, who: Principal, dataset_id: str) -> EvaluationDataset:
        """Take a data set out of the trash; raises EvaluationDatasetNotFound."""
        self.govern.permit(who, "write", refs.make("evaluation-dataset", dataset_id))
        with self._db.write() as tx:
            store.set_deleted(tx, dataset_id=dataset_id, deleted_us=None)
            found = _found(tx, dataset_id)
            ref = refs.make("evaluation-dataset", dataset_id)
            self.govern.audit(tx, who, "traces.dataset.restore", ref, detail={"name": found.name})
            return found

    def set_tags(self, who: Principal, dataset_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags; raises EvaluationDatasetNotFound."""
        self.govern.permit(who, "write", refs.make("evaluation-dataset", dataset_id))
        kept = check_tags(tags)
        with self._db.write() as tx:
            if store.get(tx, dataset_id=dataset_id) is None:
                raise EvaluationDatasetNotFound(
                    f"Could not find evaluation dataset with ID {dataset_id[:100]}"
                )
            store.put_tags(tx, dataset_id=dataset_id, tags=kept)

    def delete_tag(self, who: Principal, dataset_id: str, key: str) -> None:
        """Remove a tag; neither a missing tag nor a missing data set is an error."""
        self.govern.permit(who, "write", refs.make("evaluation-dataset", dataset_id))
        with self._db.write() as tx:
            if store.get(tx, dataset_id=dataset_id) is not None:
                store.delete_tag(tx, dataset_id=dataset_id, key=key)

    def put_records(self, who: Principal, dataset_id: str, given: Sequence[Given]) -> tuple[int, int]:
        """Add records, merging those whose inputs are known, and return how many are new and how many were merged."""
        self.govern.permit(who, "write", refs.make("evaluation-dataset", dataset_id))
        if len(given) > MOST_RECORDS:
            raise Invalid(f"At most {MOST_RECORDS} records are added at once.", field="records")
        now, inserted = _now(), 0
        with self._db.write() as tx:
            tx.lock(f"traces.dataset:{dataset_id}")
            dataset = _found(tx, dataset_id)
            hashes = [one.hash for one in given]
            known = store.records_by_hash(tx, dataset_id=dataset_id, hashes=sorted(set(hashes)))
            updated_by = None
            for input_hash, one in zip(hashes, given, strict=True):
                updated_by = one.tags.get(USER_TAG, updated_by)
                if input_hash in known:
                    known[input_hash] = merged(known[input_hash], one, now_us=now)
                    continue
                inserted += 1
                known[input_hash] = _new(dataset_id, one, now, inserted)
            store.put_records(tx, known)
            total = store.count_records(tx, dataset_id=dataset_id)
            store.update(
                tx,
                msgspec.structs.replace(
                    dataset,
                    schema=grown_schema(dataset.schema, given),
                    profile=json.dumps({"num_records": total}) if total else dataset.profile,
                    digest=digest(dataset.name, now),
                    updated_us=now,
                    updated_by=updated_by,
                ),
            )
        return inserted, len(given) - inserted

    def records(
        self, who: Principal, dataset_id: str, *, limit: int | None = None, token: str | None = None
    ) -> tuple[list[Record], str | None]:
        """Return records in the order in which they came, and the token of the next page where there is one.

        A data set that is not there has none.
        """
        self.govern.permit(who, "read", "evaluation data sets")
        size = check_limit(limit, default=DEFAULT_PAGE, most=MOST_IN_A_PAGE)
        where = Where().add("r.dataset_id = :dataset_id", dataset_id=dataset_id)
        if token:
            after_ms, after_id = _read_token(token)
            where.add(
                "r.created_us > :after_us or (r.created_us = :after_us and r.id > :after_id)",
                after_us=after_ms * 1000,
                after_id=after_id,
            )
        with self._db.read() as tx:
            there = store.get(tx, dataset_id=dataset_id) is not None
            found = store.records(tx, where=where, limit=size + 1) if there else []
        if len(found) <= size:
            return found, None
        last = found[size - 1]
        return found[:size], base64.b64encode(f"{last.created_us // 1000}:{last.id}".encode()).decode()

    def delete_records(self, who: Principal, dataset_id: str, record_ids: Sequence[str]) -> int:
        """Remove records for ever and return how many."""
        self.govern.permit(who, "write", refs.make("evaluation-dataset", dataset_id))
        with self._db.write() as tx:
            tx.lock(f"traces.dataset:{dataset_id}")
            dataset = store.get(tx, dataset_id=dataset_id)
            deleted = store.delete_records(tx, dataset_id=dataset_id, records=record_ids)
            if deleted and dataset is not None:
                total = store.count_records(tx, dataset_id=dataset_id)
                profile = json.dumps({"num_records": total} if total else None)
                store.update(tx, msgspec.structs.replace(dataset, profile=profile))
                ref = refs.make("evaluation-dataset", dataset_id)
                self.govern.audit(tx, who, "traces.record.delete", ref, detail={"records": deleted})
        return deleted

    def experiment_ids(self, who: Principal, dataset_id: str) -> list[str]:
        """Return the experiments that use a data set; none where it is not there."""
        self.govern.permit(who, "read", "evaluation data sets")
        with self._db.read() as tx:
            found = store.get(tx, dataset_id=dataset_id)
        return found.experiment_ids if found else []

    def add_experiments(
        self, who: Principal, dataset_id: str, experiment_ids: Sequence[str]
    ) -> EvaluationDataset:
        """Say that experiments use a data set; raises EvaluationDatasetNotFound and ExperimentNotFound."""
        self.govern.permit(who, "write", refs.make("evaluation-dataset", dataset_id))
        self.get(who, dataset_id)
        for experiment_id in experiment_ids:
            self._tracking.experiments.get(who, experiment_id)
        with self._db.write() as tx:
            found, now = _found(tx, dataset_id), _now()
            store.add_experiments(tx, dataset_id=dataset_id, experiment_ids=experiment_ids, now_us=now)
            store.update(tx, msgspec.structs.replace(found, updated_us=now))
            return _found(tx, dataset_id)

    def remove_experiments(
        self, who: Principal, dataset_id: str, experiment_ids: Sequence[str]
    ) -> EvaluationDataset:
        """Take a data set from experiments; raises EvaluationDatasetNotFound."""
        self.govern.permit(who, "write", refs.make("evaluation-dataset", dataset_id))
        with self._db.write() as tx:
            found = _found(tx, dataset_id)
            if store.remove_experiments(tx, dataset_id=dataset_id, experiment_ids=experiment_ids):
                store.update(tx, msgspec.structs.replace(found, updated_us=_now()))
            return _found(tx, dataset_id)


def _now() -> int:
    return now_us() // 1000 * 1000


def _new(dataset_id: str, given: Given, now: int, place: int) -> Record:
    """Return a new record, whose id keeps the order of those that come together."""
    user = given.tags.get(USER_TAG)
    return Record(
        id=f"dr-{now:016x}{place:06x}{hex32()[:10]}",
        dataset_id=dataset_id,
        inputs=given.inputs,
        outputs=given.outputs,
        expectations=given.expectations,
        tags=given.tags,
        source=given.source,
        source_id=source_id(given.source),
        source_type=given.source["source_type"] if given.source else None,
        created_us=now,
        updated_us=now,
        created_by=user,
        updated_by=user,
    )


def _read_token(token: str) -> tuple[int, str]:
    try:
        at, _, record_id = base64.b64decode(token, validate=True).decode().partition(":")
        ms = int(at)
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise Invalid("The page token is not one that this server issued.", field="page_token") from error
    if not 0 <= ms < 2**53 or "\x00" in record_id:
        raise Invalid("The page token is not one that this server issued.", field="page_token")
    return ms, record_id


def _found(tx: Tx, dataset_id: str) -> EvaluationDataset:
    found = store.get(tx, dataset_id=dataset_id)
    if found is None:
        raise EvaluationDatasetNotFound(f"Evaluation dataset with id '{dataset_id[:100]}' not found")
    return found
