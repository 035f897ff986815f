"""Brings logged models in whole, with their ids and times, and gives them out the same way."""

from collections.abc import Mapping, Sequence

from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.tracking.errors import LoggedModelNotFound
from trimtab.domains.tracking.experiments.model import parse_id
from trimtab.domains.tracking.experiments.service import active as active_experiment
from trimtab.domains.tracking.logged_models import store as models_store
from trimtab.domains.tracking.logged_models.model import check_name
from trimtab.domains.tracking.metrics.model import Point
from trimtab.domains.tracking.names import MOST_KEY, check_key, check_length, check_run_id
from trimtab.domains.tracking.records import store
from trimtab.domains.tracking.records.model import (
    MOST_RUNS,
    LoggedModelRecord,
    ModelMetricRecord,
    PlacedRecord,
    check_texts,
    check_uri,
    told,
)
from trimtab.domains.tracking.records.service import BEGUN, check_origin
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


class ModelRecordService:
    """Logged models whole. Bringing one in again changes nothing where it is the same."""

    def __init__(self, db: Database, govern: GovernService, lineage: LineageService) -> None:
        self._db = db
        self.govern = govern
        self._lineage = lineage

    def put_models(
        self, who: Principal, records: Sequence[LoggedModelRecord], *, origin: str
    ) -> list[PlacedRecord]:
        """Bring logged models in, all in one transaction; one in the trash is refused. Raises Invalid."""
        self.govern.permit(who, "write", "logged models")
        check_origin(origin)
        if len(records) > MOST_RUNS:
            raise Invalid(f"At most {MOST_RUNS} models go into one request.", field="models")
        for index, record in enumerate(records):
            try:
                _check(record)
            except Invalid as error:
                raise Invalid(
                    f"models[{index}]: {error.message}", field=f"models[{index}].{error.field}"
                ) from error
        with self._db.write() as tx:
            marks = store.marks(tx, [_ref(record.id) for record in records])
            placed = [self._put(tx, record, marks) for record in records]
            created = [one.id for one in placed if one.outcome == "created"]
            begun = {_ref(one): BEGUN for one in created}
            store.mark(tx, begun, origin=origin, now_us=now_us())
            if created:
                subject = refs.make("experiment", records[0].experiment_id)
                detail = {"origin": origin, "created": created}
                self.govern.audit(tx, who, "tracking.logged_model.import", subject, detail=detail)
        return placed

    def _put(self, tx: Tx, record: LoggedModelRecord, marks: Mapping[str, str]) -> PlacedRecord:
        experiment = active_experiment(tx, parse_id(record.experiment_id))
        known = models_store.get(tx, model_id=record.id)
        if known is not None and _ref(record.id) not in marks:
            note = "it was made here, and stays as it is"
            return PlacedRecord(record.id, "refused", known.artifact_uri, note, "made-here")
        if known is not None and known.state != "active":
            return PlacedRecord(
                record.id, "refused", known.artifact_uri, "it is in the trash here", "in-trash"
            )
        if known is not None and known.experiment_id != experiment.id:
            note = f"it is here already, in the experiment {known.experiment_id}"
            return PlacedRecord(record.id, "refused", known.artifact_uri, note, "elsewhere")
        uri = record.artifact_uri or (
            f"{experiment.artifact_location.rstrip('/')}/models/{record.id}/artifacts"
        )
        if known is None:
            models_store.insert(
                tx,
                id=record.id,
                experiment_no=int(experiment.id),
                name=record.name,
                model_type=record.model_type,
                source_run_id=record.source_run_id,
                artifact_uri=uri,
                now_us=record.created_us,
            )
            ref = _ref(record.id)
            if record.source_run_id:
                self._lineage.link(tx, refs.run(record.source_run_id), ref, "output", record.created_us)
            self._lineage.describe(tx, ref, record.name)
        models_store.add_params(tx, model_id=record.id, params=record.params)
        models_store.put_tags(tx, model_id=record.id, tags=record.tags)
        by_run: dict[str, list[Point]] = {}
        for one in record.metrics:
            point = Point(
                one.key,
                float(one.value),
                one.at_us,
                one.step,
                record.id,
                one.dataset_name,
                one.dataset_digest,
            )
            by_run.setdefault(one.run_id, []).append(point)
        for run_id, points in by_run.items():
            models_store.append_metrics(tx, run_id=run_id, points=points)
        models_store.set_status(tx, model_id=record.id, status=record.status, now_us=record.updated_us)
        if known is None:
            store.set_model_times(
                tx, model_id=record.id, created_us=record.created_us, updated_us=record.updated_us
            )
        return PlacedRecord(
            record.id, "created" if known is None else "updated", known.artifact_uri if known else uri
        )

    def model(self, who: Principal, model_id: str) -> LoggedModelRecord:
        """Return a logged model whole, also one in the trash; raises LoggedModelNotFound."""
        self.govern.permit(who, "read", "logged models")
        with self._db.read() as tx:
            model = models_store.get(tx, model_id=model_id)
        if model is None:
            raise LoggedModelNotFound(f"Logged model with ID '{model_id[:100]}' not found.")
        values = told(one.value for one in model.metrics)
        return LoggedModelRecord(
            id=model.id,
            experiment_id=model.experiment_id,
            name=model.name,
            status=model.status,
            created_us=model.created_us,
            updated_us=model.updated_us,
            model_type=model.model_type,
            source_run_id=model.source_run_id,
            artifact_uri=model.artifact_uri,
            params=model.params,
            tags=model.tags,
            metrics=[
                ModelMetricRecord(
                    one.key, value, one.at_us, one.step, one.run_id, one.dataset_name, one.dataset_digest
                )
                for one, value in zip(model.metrics, values, strict=True)
            ],
            state=model.state,
        )


def _ref(model_id: str) -> str:
    return refs.make("logged-model", model_id)


def _check(record: LoggedModelRecord) -> None:
    check_run_id(record.id)
    check_name(record.name)
    check_texts(record.params, "params", any_key=True)
    check_texts(record.tags, "tags", any_key=True)
    check_length(record.model_type or "", 500, "model_type")
    check_uri(record.artifact_uri)
    if record.source_run_id is not None:
        check_run_id(record.source_run_id)
    for one in record.metrics:
        check_key(one.key, "metrics.key")
        check_length(one.run_id, MOST_KEY, "metrics.run_id")
        check_length(one.dataset_name, 500, "metrics.dataset_name")
        check_length(one.dataset_digest, MOST_KEY, "metrics.dataset_digest")
