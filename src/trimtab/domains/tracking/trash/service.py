"""Lists what was deleted in tracking, brings it back, and removes it for good."""

from collections.abc import Iterator, Sequence

from trimtab.domains.govern import GovernService
from trimtab.domains.govern.errors import Held as HeldError
from trimtab.domains.tracking.artifacts import store as artifacts_store
from trimtab.domains.tracking.artifacts.model import path_of_uri
from trimtab.domains.tracking.errors import NotInTrash
from trimtab.domains.tracking.events import Purged as PurgedEvent
from trimtab.domains.tracking.experiments import store as experiments_store
from trimtab.domains.tracking.experiments.model import DEFAULT_ID, default_location
from trimtab.domains.tracking.experiments.service import ExperimentService
from trimtab.domains.tracking.logged_models import store as models_store
from trimtab.domains.tracking.logged_models.service import LoggedModelService
from trimtab.domains.tracking.metrics import store as metrics_store
from trimtab.domains.tracking.runs import store as runs_store
from trimtab.domains.tracking.runs.model import RunHead
from trimtab.domains.tracking.runs.service import RunService
from trimtab.domains.tracking.trash import store
from trimtab.domains.tracking.trash.model import Held, Purged, Row, Trashed, held_among
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.who import Principal

_AT_ONCE = 100  # runs in a transaction: others that write wait for no more than these


class TrashService:
    """What was deleted, until it is purged."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        govern: GovernService,
        *,
        experiments: ExperimentService,
        runs: RunService,
        logged_models: LoggedModelService,
    ) -> None:
        self._db = db
        self._bus = bus
        self.govern = govern
        self._experiments = experiments
        self._runs = runs
        self._models = logged_models

    def items(
        self, who: Principal, *, kind: str | None = None, before: tuple[int, str] | None = None, limit: int
    ) -> list[Trashed]:
        """Return what was deleted, the newest first; ``before`` is the time and reference of the last one seen."""
        self.govern.permit(who, "read", "the trash")
        where = Where().equals(kind=kind)
        if before is not None:
            where.add(
                "deleted_us < :us or (deleted_us = :us and ref < :before_ref)",
                us=before[0],
                before_ref=before[1],
            )
        with self._db.read() as tx:
            rows = store.items(tx, where=where, limit=limit)
            held = self._held(tx)
            return [self._shown(tx, row, held) for row in rows]

    def due(self, who: Principal, *, before_us: int) -> Iterator[str]:
        """Yield the references of what was deleted before a moment; what is purged meanwhile does no harm."""
        self.govern.permit(who, "admin", "the trash")
        after = ""
        while True:
            with self._db.read() as tx:
                found = store.due(tx, before_us=before_us, after=after, limit=1000)
            if not found:
                return
            yield from found
            after = found[-1]

    def would_purge(self, who: Principal, ref: str) -> Purged | None:
        """Return what purging something would remove, None where a hold keeps it; raises NotInTrash."""
        self.govern.permit(who, "admin", "the trash")
        with self._db.read() as tx:
            row = _in_trash(store.item(tx, ref=ref), ref)
            if self._is_held(tx, row, self._held(tx)):
                return None
            files, size = self._files(tx, row)
            if row.kind != "experiment":
                return Purged(0, int(row.kind == "run"), int(row.kind == "logged-model"), files, size)
            runs = runs_store.count_of_experiment(tx, experiment_no=row.experiment_no)
            models = models_store.count_of_experiment(tx, experiment_no=row.experiment_no)
            return Purged(int(row.ref != refs.make("experiment", DEFAULT_ID)), runs, models, files, size)

    def blobs_of(self, who: Principal, ref: str) -> Iterator[str]:
        """Go through the blobs to which purging something would end a reference, as often as it has one."""
        self.govern.permit(who, "admin", "the trash")
        with self._db.read() as tx:
            row = _in_trash(store.item(tx, ref=ref), ref)
            if row.kind == "artifact":
                files = store.files(tx, ref=ref)
            else:
                root = path_of_uri(self._uri(tx, row) or "")
                files = artifacts_store.below(tx, folder=root) if root else []
            yield from (file.blob for file in files)

    def blobs_in_use(self, who: Principal) -> Iterator[str]:
        """Go through the blobs of all artifacts, and of those in the trash."""
        self.govern.permit(who, "admin", "blobs")
        with self._db.read() as tx:
            yield from artifacts_store.blobs(tx)
            yield from store.blobs(tx)

    def restore(self, who: Principal, ref: str) -> None:
        """Bring something back where it was; raises NotInTrash, and BadPath where another file has its place."""
        self.govern.permit(who, "write", ref)
        with self._db.read() as tx:
            row = _in_trash(store.item(tx, ref=ref), ref)
        name = ref.partition(":")[2]
        match row.kind:
            case "experiment":
                self._experiments.restore(who, name)
            case "run":
                self._runs.restore(who, name)
            case "logged-model":
                self._models.restore(who, name)
            case _:
                self._restore_artifact(who, row)

    def _restore_artifact(self, who: Principal, row: Row) -> None:
        with self._db.write() as tx:
            if not store.take(tx, ref=row.ref):
                raise NotInTrash(f"{row.ref} is not in the trash.")
            for file in store.files(tx, ref=row.ref):
                artifacts_store.check_place(tx, path=file.path)
                if artifacts_store.get(tx, path=file.path) is None:  # what came after it stays
                    artifacts_store.put(tx, file)
            store.delete_files(tx, ref=row.ref)
            self.govern.audit(tx, who, "tracking.artifact.restore", row.ref, detail={"path": row.name})

    def purge(self, who: Principal, ref: str) -> Purged:
        """Remove something for good; raises NotInTrash, and Held where a legal hold keeps it.

        A large experiment goes in several transactions, its runs first: interrupted, the rest is in the trash still.
        """
        self.govern.permit(who, "admin", ref)
        with self._db.read() as tx:
            row = _in_trash(store.item(tx, ref=ref), ref)
        match row.kind:
            case "experiment":
                return self._purge_experiment(who, row)
            case "run":
                with self._db.write() as tx:
                    self._take(tx, row)
                    head = runs_store.head(tx, run_id=ref.partition(":")[2])
                    gone = self._purge_runs(tx, who, [head] if head else [])
                    return self._told(tx, who, row, gone)
            case "logged-model":
                with self._db.write() as tx:
                    self._take(tx, row)
                    return self._told(tx, who, row, self._purge_models(tx, [ref.partition(":")[2]]))
            case _:
                with self._db.write() as tx:
                    self._take(tx, row)
                    files, size = store.files_size(tx, ref=ref)
                    store.delete_files(tx, ref=ref)
                    return self._told(tx, who, row, Purged(files=files, size_bytes=size))

    def _purge_experiment(self, who: Principal, row: Row) -> Purged:
        gone, number = Purged(), row.experiment_no
        while True:
            with self._db.write() as tx:
                self._check_free(tx, row)
                heads = runs_store.heads_of_experiment(tx, experiment_no=number, limit=_AT_ONCE)
                models = models_store.of_experiment(tx, experiment_no=number, limit=_AT_ONCE)
                part = self._purge_runs(tx, who, heads).plus(
                    self._purge_models(tx, [one for one, _ in models])
                )
                gone = gone.plus(part)
                if not heads and not models:
                    return self._told(tx, who, row, gone.plus(self._purge_rest(tx, row)))

    def _purge_rest(self, tx: Tx, row: Row) -> Purged:
        number = row.experiment_no
        experiment = experiments_store.bare(tx, number=number)
        files = size = 0
        if experiment is not None and experiment.artifact_location == default_location(number):
            files, size = artifacts_store.size_below(tx, folder=str(number))
            artifacts_store.delete(tx, path=str(number))
        store.take_all(tx, experiment_no=number)
        store.take(tx, ref=row.ref)
        stays = str(number) == DEFAULT_ID  # clients that name none expect it
        experiments_store.purge(tx, number=number, keep=stays)
        return Purged(int(not stays), 0, 0, files, size)

    def _purge_runs(self, tx: Tx, who: Principal, heads: Sequence[RunHead]) -> Purged:
        if not heads:
            return Purged()
        files = size = 0
        for head in heads:
            its_files, its_size = self._purge_files(tx, head.artifact_uri)
            files, size = files + its_files, size + its_size
            store.take(tx, ref=refs.run(head.id))
            store.forget_import(tx, ref=refs.run(head.id))
        numbers = [head.no for head in heads]
        metrics_store.purge(tx, numbers)
        runs_store.purge(tx, numbers)
        event = PurgedEvent([refs.run(head.id) for head in heads])
        self._bus.emit(tx, event, subject=refs.run(heads[0].id), actor=who.id)
        return Purged(runs=len(heads), files=files, size_bytes=size)

    def _purge_models(self, tx: Tx, model_ids: Sequence[str]) -> Purged:
        if not model_ids:
            return Purged()
        files = size = 0
        for model_id, (_, _, uri) in models_store.places(tx, model_ids).items():
            its_files, its_size = self._purge_files(tx, uri)
            files, size = files + its_files, size + its_size
            store.take(tx, ref=refs.make("logged-model", model_id))
            store.forget_import(tx, ref=refs.make("logged-model", model_id))
        models_store.purge(tx, model_ids)
        return Purged(models=len(model_ids), files=files, size_bytes=size)

    def _purge_files(self, tx: Tx, uri: str) -> tuple[int, int]:
        root = path_of_uri(uri)
        if not root:
            return 0, 0
        found = artifacts_store.size_below(tx, folder=root)
        artifacts_store.delete(tx, path=root)
        return found

    def _take(self, tx: Tx, row: Row) -> None:
        self._check_free(tx, row)
        if not store.take(tx, ref=row.ref):
            raise NotInTrash(f"{row.ref} is not in the trash.")

    def _check_free(self, tx: Tx, row: Row) -> None:
        """Raise Held where a hold keeps it, and let none be placed until the transaction ends."""
        held = self._held(tx, purging=True)
        if self._is_held(tx, row, held):
            raise HeldError(f"A legal hold keeps {row.ref} from being purged.")
        if store.item(tx, ref=row.ref) is None:
            raise NotInTrash(f"{row.ref} is not in the trash.")

    def _told(self, tx: Tx, who: Principal, row: Row, gone: Purged) -> Purged:
        self._bus.emit(tx, PurgedEvent([row.ref]), subject=row.ref, actor=who.id)
        detail = {"name": row.name, **{key: value for key, value in gone._asdict().items() if value}}
        self.govern.audit(tx, who, "tracking.purge", row.ref, detail=detail)
        return gone

    def _held(self, tx: Tx, *, purging: bool = False) -> Held:
        held = held_among(self.govern.held(tx, purging=purging))
        if not held.ids:
            return held
        ids = sorted(held.ids)
        holding = {*runs_store.experiments_of(tx, ids).values()}
        holding.update(place[0] for place in models_store.places(tx, ids).values())
        return held._replace(with_held=held.with_held | holding)

    def _is_held(self, tx: Tx, row: Row, held: Held) -> bool:
        name = row.ref.partition(":")[2]
        match row.kind:
            case "experiment":
                return row.experiment_no in held.with_held
            case "run":
                return held.run(row.experiment_no, name)
            case "logged-model":
                place = models_store.places(tx, [name]).get(name)
                return held.logged_model(row.experiment_no, name, place[1] if place else None)
            case _:
                return held.artifact(row.experiment_no, row.name)

    def _shown(self, tx: Tx, row: Row, held: Held) -> Trashed:
        is_held = self._is_held(tx, row, held)
        size = self._files(tx, row)[1]
        return Trashed(row.ref, row.kind, row.name, row.deleted_us, row.deleted_by, is_held, size)

    def _files(self, tx: Tx, row: Row) -> tuple[int, int]:
        if row.kind == "artifact":
            return store.files_size(tx, ref=row.ref)
        root = path_of_uri(self._uri(tx, row) or "")
        return artifacts_store.size_below(tx, folder=root) if root else (0, 0)

    def _uri(self, tx: Tx, row: Row) -> str | None:
        """Return where the files of an experiment, run or logged model are."""
        name = row.ref.partition(":")[2]
        if row.kind == "experiment":
            experiment = experiments_store.bare(tx, number=row.experiment_no)
            return experiment.artifact_location if experiment else None
        if row.kind == "run":
            head = runs_store.head(tx, run_id=name)
            return head.artifact_uri if head else None
        place = models_store.places(tx, [name]).get(name)
        return place[2] if place else None


def _in_trash(row: Row | None, ref: str) -> Row:
    if row is None:
        raise NotInTrash(f"{ref[:200]} is not in the trash.")
    return row
