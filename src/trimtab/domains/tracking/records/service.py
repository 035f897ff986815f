"""Brings runs, experiments and logged models in whole, with their ids and times, and gives them out the same way."""

from collections.abc import Mapping, Sequence

from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.tracking.artifacts.service import ArtifactService
from trimtab.domains.tracking.errors import ExperimentExists, NotActive, RunNotFound
from trimtab.domains.tracking.events import RunsImported
from trimtab.domains.tracking.experiments import store as experiments_store
from trimtab.domains.tracking.experiments.model import (
    Experiment,
    check_location,
    check_name,
    check_tag,
    parse_id,
)
from trimtab.domains.tracking.experiments.service import active as active_experiment
from trimtab.domains.tracking.keys import Keys
from trimtab.domains.tracking.metrics import store as metrics_store
from trimtab.domains.tracking.metrics.compaction import Compactor
from trimtab.domains.tracking.metrics.settling import pay
from trimtab.domains.tracking.names import check_run_id
from trimtab.domains.tracking.records import store
from trimtab.domains.tracking.records.model import (
    MOST_FILES,
    MOST_MARKS,
    MOST_RUNS,
    ExperimentRecord,
    ModelUse,
    PlacedRecord,
    RunRecord,
    check_run,
    columns,
    tags_of,
    use_of,
)
from trimtab.domains.tracking.runs import store as runs_store
from trimtab.domains.tracking.runs.model import (
    SOURCE_TAGS,
    Dataset,
    DatasetInput,
    ModelOutput,
    RunHead,
    check_inputs,
)
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

_MOST_ORIGIN = 2000
BEGUN = ""  # the mark of a run that was made by an import and is not complete yet


class RecordService:
    """Runs and experiments whole. Bringing one in again changes nothing where it is the same."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        govern: GovernService,
        lineage: LineageService,
        *,
        artifacts: ArtifactService,
        keys: Keys,
        compactor: Compactor,
    ) -> None:
        self._db = db
        self._bus = bus
        self.govern = govern
        self._lineage = lineage
        self._artifacts = artifacts
        self._keys = keys
        self._compactor = compactor

    def put_experiment(
        self, who: Principal, record: ExperimentRecord, *, origin: str
    ) -> tuple[Experiment, bool]:
        """Return the active experiment of the name, and whether it is new; raises NotActive for one in the trash.

        One that is there keeps what it has; tags that it lacks are added.
        """
        self.govern.permit(who, "write", "experiments")
        check_name(record.name)
        check_origin(origin)
        if record.artifact_location:
            check_location(record.artifact_location)
        for key, value in record.tags.items():
            check_tag(key, value)
        now = now_us() // 1000 * 1000
        created_us = now if record.created_us is None else record.created_us
        with self._db.write() as tx:
            known = experiments_store.get_by_name(tx, name=record.name)
            if known is not None and known.state != "active":
                raise NotActive(
                    f"The experiment {record.name!r} is in the trash: restore it, or import under another name."
                )
            number = (
                parse_id(known.id)
                if known
                else experiments_store.insert(
                    tx, name=record.name, artifact_location=record.artifact_location, now_us=created_us
                )
            )
            if number is None:
                raise ExperimentExists(f"Experiment(name={record.name}) already exists.", field="name")
            if known is None:
                updated_us = created_us if record.updated_us is None else record.updated_us
                store.set_experiment_times(tx, number=number, created_us=created_us, updated_us=updated_us)
                detail = {"name": record.name, "origin": origin}
                ref = refs.make("experiment", str(number))
                self.govern.audit(tx, who, "tracking.experiment.import", ref, detail=detail)
            missing = {key: value for key, value in record.tags.items() if not known or key not in known.tags}
            experiments_store.put_tags(tx, number=number, tags=missing)
            found = experiments_store.get(tx, number=number)
            assert found is not None
            return found, known is None

    def put_runs(self, who: Principal, records: Sequence[RunRecord], *, origin: str) -> list[PlacedRecord]:
        """Bring runs in with all that was logged to them, all in one transaction; raises Invalid.

        A run that was brought in before is brought up to date: its end and status, new parameters, tags, points. It is
        refused where it was made here, is in the trash or in another experiment. Nothing is announced run by run: what once happened is no news.
        """
        self.govern.permit(who, "write", "runs")
        check_origin(origin)
        if len(records) > MOST_RUNS:
            raise Invalid(f"At most {MOST_RUNS} runs go into one request.", field="runs")
        names: set[str] = set()
        for index, record in enumerate(records):
            try:
                check_run_id(record.id)
                check_run(record)
            except Invalid as error:
                raise Invalid(
                    f"runs[{index}]: {error.message}", field=f"runs[{index}].{error.field}"
                ) from error
            names.update(record.params, tags_of(record), (series.key for series in record.metrics))
        with self._db.write() as tx:
            metrics_store.hold(tx)
            numbers = self._keys.intern(tx, names)
            known = store.marks(tx, [refs.run(record.id) for record in records])
            placed = [self._put_run(tx, record, numbers, known) for record in records]
            created = [one.id for one in placed if one.outcome == "created"]
            updated = [one.id for one in placed if one.outcome == "updated"]
            begun = dict.fromkeys(map(refs.run, created), BEGUN)
            store.mark(tx, begun, origin=origin, now_us=now_us())
            if created or updated:
                subject = refs.make("experiment", records[0].experiment_id)
                detail = {"origin": origin, "created": created, "updated": updated}
                self.govern.audit(tx, who, "tracking.run.import", subject, detail=detail)
                event = RunsImported(origin=origin, created=len(created), updated=len(updated))
                self._bus.emit(tx, event, subject=subject, actor=who.id)
        pay(self._db, rows=len(created) + len(updated))
        return placed

    def _put_run(
        self, tx: Tx, record: RunRecord, numbers: Mapping[str, int], marks: Mapping[str, str]
    ) -> PlacedRecord:
        experiment = active_experiment(tx, parse_id(record.experiment_id))
        head = runs_store.head(tx, run_id=record.id)
        known = head is not None
        if head is None:
            uri = record.artifact_uri or f"{experiment.artifact_location.rstrip('/')}/{record.id}/artifacts"
            head = runs_store.insert(
                tx,
                run_id=record.id,
                experiment_no=int(experiment.id),
                name=record.name or record.id[:8],
                started_us=record.started_us,
                owner=record.owner,
                artifact_uri=uri,
            )
        elif refs.run(record.id) not in marks:
            return PlacedRecord(
                record.id, "refused", head.artifact_uri, "it was made here, and stays as it is", "made-here"
            )
        elif head.state != "active":
            note = "it is in the trash here: restore it, or leave it there"
            return PlacedRecord(record.id, "refused", head.artifact_uri, note, "in-trash")
        elif head.experiment_id != experiment.id:
            note = f"it is here already, in the experiment {head.experiment_id}"
            return PlacedRecord(record.id, "refused", head.artifact_uri, note, "elsewhere")
        name = record.name or head.name
        runs_store.update(tx, run_no=head.no, name=name, status=record.status, ended_us=record.ended_us)
        note = self._put_texts(tx, head, record, numbers)
        points = columns(record.metrics)
        if points.keys and metrics_store.append(tx, head.no, points, numbers, recent=self._compactor.recent):
            number, count = head.no, len(points)
            tx.after_commit(lambda: self._compactor.noticed(number, count))
        self._put_uses(tx, head, record)
        return PlacedRecord(record.id, "updated" if known else "created", head.artifact_uri, note)

    def _put_texts(self, tx: Tx, head: RunHead, record: RunRecord, numbers: Mapping[str, int]) -> str:
        ref, note = refs.run(head.id), ""
        if record.params:
            stored = runs_store.add_params(tx, head, record.params, numbers)
            kept = sorted(key for key, value in record.params.items() if stored.get(key, value) != value)
            if kept:
                note = f"parameters have other values here and keep them: {', '.join(kept[:10])}"
        tags = tags_of(record)
        runs_store.put_tags(tx, head, tags, numbers)
        if record.name:
            self._lineage.describe(tx, ref, record.name)
        if commit := tags.get(SOURCE_TAGS["commit"]):
            self._lineage.link(tx, refs.make("commit", commit[:100]), ref, "code", record.started_us)
        return note

    def _put_uses(self, tx: Tx, head: RunHead, record: RunRecord) -> None:
        ref = refs.run(head.id)
        if record.datasets:
            inputs = check_inputs(
                [
                    DatasetInput(
                        Dataset(one.name, one.digest, one.source_type, one.source, one.schema, one.profile),
                        one.tags,
                    )
                    for one in record.datasets
                ]
            )
            runs_store.add_inputs(tx, run_no=head.no, experiment_no=int(head.experiment_id), inputs=inputs)
        went_in = [ModelOutput(one) for one in record.model_inputs]
        came_out = [ModelOutput(one.model_id, one.step) for one in record.model_outputs]
        runs_store.put_models(tx, run_no=head.no, role="input", models=went_in)
        runs_store.put_models(tx, run_no=head.no, role="output", models=came_out)
        for one in went_in:
            self._lineage.link(tx, refs.make("logged-model", one.model_id), ref, "input", record.started_us)
        for one in came_out:
            self._lineage.link(tx, ref, refs.make("logged-model", one.model_id), "output", record.started_us)

    def put_files(self, who: Principal, files: Mapping[str, str]) -> None:
        """Give blobs that were uploaded before their paths among the artifacts; raises BadPath and BlobNotFound."""
        self.govern.permit(who, "write", "artifacts")
        if len(files) > MOST_FILES:
            raise Invalid(f"At most {MOST_FILES} files go into one request.", field="files")
        for path, blob in files.items():
            self._artifacts.put_blob(who, path, blob)

    def missing(self, who: Principal, fingerprints: Mapping[str, str]) -> list[str]:
        """Return the references that were not brought in, had another fingerprint then, or are gone since."""
        self.govern.permit(who, "read", "runs")
        _check_marks(fingerprints)
        with self._db.read() as tx:
            known = store.marks(tx, list(fingerprints))
            return [
                ref
                for ref, fingerprint in fingerprints.items()
                if known.get(ref) != fingerprint or not store.exists(tx, ref)
            ]

    def marks(self, who: Principal, wanted: Sequence[str]) -> dict[str, str]:
        """Return the fingerprint of each reference that was brought in."""
        self.govern.permit(who, "read", "runs")
        _check_marks(dict.fromkeys(wanted, ""))
        with self._db.read() as tx:
            return store.marks(tx, wanted)

    def mark(self, who: Principal, fingerprints: Mapping[str, str], *, origin: str) -> None:
        """Note that all of these are complete here, as they looked with these fingerprints."""
        self.govern.permit(who, "write", "runs")
        _check_marks(fingerprints)
        check_origin(origin)
        with self._db.write() as tx:
            store.mark(tx, fingerprints, origin=origin, now_us=now_us())

    def run(self, who: Principal, run_id: str) -> RunRecord:
        """Return a run whole but for its points, also one in the trash; raises RunNotFound."""
        self.govern.permit(who, "read", "runs")
        with self._db.read() as tx:
            head = runs_store.head(tx, run_id=run_id)
            if head is None:
                raise RunNotFound(f"Run with id={run_id[:250]} not found")
            run = runs_store.load_runs(tx, [head.no], keys=self._keys)[0]
        return RunRecord(
            id=head.id,
            experiment_id=head.experiment_id,
            name=head.name,
            status=head.status,
            started_us=head.started_us,
            ended_us=head.ended_us,
            owner=head.owner,
            artifact_uri=head.artifact_uri,
            params=run.params,
            tags=run.tags,
            datasets=[use_of(one) for one in run.datasets],
            model_inputs=run.model_inputs,
            model_outputs=[ModelUse(one.model_id, one.step) for one in run.model_outputs],
            state=head.state,
            keys=list(run.metrics),
        )


def check_origin(origin: str) -> None:
    if not origin or len(origin) > _MOST_ORIGIN:
        raise Invalid(f"Say where it comes from, in at most {_MOST_ORIGIN} characters.", field="origin")


def _check_marks(fingerprints: Mapping[str, str]) -> None:
    if len(fingerprints) > MOST_MARKS:
        raise Invalid(f"At most {MOST_MARKS} marks go into one request.", field="marks")
    for ref, fingerprint in fingerprints.items():
        if len(ref) > 300 or len(fingerprint) > 100_000:
            raise Invalid("A mark is too long.", field="marks")
