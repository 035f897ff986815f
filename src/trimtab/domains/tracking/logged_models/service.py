"""Creates logged models, marks them ready, finds them, and keeps their parameters and tags."""

from collections.abc import Mapping, Sequence

from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.tracking.errors import LoggedModelNotFound, TagNotFound
from trimtab.domains.tracking.events import ModelLogged
from trimtab.domains.tracking.experiments.model import DEFAULT_ID, below, parse_id
from trimtab.domains.tracking.experiments.service import active as active_experiment
from trimtab.domains.tracking.logged_models import store
from trimtab.domains.tracking.logged_models.model import (
    VERSIONS_TAG,
    DatasetScope,
    LoggedModel,
    ModelOrdering,
    Status,
    check_name,
    check_texts,
    with_version,
    without_doubles,
)
from trimtab.domains.tracking.logged_models.search import plan
from trimtab.domains.tracking.names import check_length, random_name
from trimtab.domains.tracking.runs.model import check_unchanged
from trimtab.domains.tracking.sorting import continue_after, cursor_of
from trimtab.domains.tracking.trash import store as trash
from trimtab.domains.tracking.trash.model import Row
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.ids import hex32
from trimtab.kernel.pages import Page, check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

MOST_IN_A_PAGE = 50_000
DEFAULT_PAGE = 100


class LoggedModelService:
    """What runs trained and saved."""

    def __init__(self, db: Database, bus: Bus, govern: GovernService, lineage: LineageService) -> None:
        self._db = db
        self._bus = bus
        self.govern = govern
        self._lineage = lineage

    def create(
        self,
        who: Principal,
        *,
        experiment_id: str,
        name: str | None = None,
        model_type: str | None = None,
        source_run_id: str | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> LoggedModel:
        """Make a logged model, whose files are still to come; raises ExperimentNotFound and NotActive."""
        self.govern.permit(who, "write", "logged models")
        chosen = check_name(name) if name else random_name()
        new_params = check_texts(dict(params or {}), "params")
        new_tags = check_texts(dict(tags or {}), "tags")
        check_length(model_type or "", 500, "model_type")
        check_length(source_run_id or "", 256, "source_run_id")
        number = parse_id(experiment_id or DEFAULT_ID)
        model_id = f"m-{hex32()}"
        with self._db.write() as tx:
            experiment = active_experiment(tx, number)
            store.insert(
                tx,
                id=model_id,
                experiment_no=number,
                name=chosen,
                model_type=model_type,
                source_run_id=source_run_id,
                artifact_uri=below(experiment.artifact_location, f"models/{model_id}/artifacts"),
                now_us=now_us() // 1000 * 1000,
            )
            store.add_params(tx, model_id=model_id, params=new_params)
            store.put_tags(tx, model_id=model_id, tags=new_tags)
            ref = refs.make("logged-model", model_id)
            if source_run_id:
                self._lineage.link(tx, refs.run(source_run_id), ref, "output")
            self._lineage.describe(tx, ref, chosen)
            self.govern.audit(tx, who, "tracking.logged_model.create", ref, detail={"name": chosen})
            return _found(store.get(tx, model_id=model_id), model_id)

    def get(self, who: Principal, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        """Return a logged model; raises LoggedModelNotFound, for a deleted one too unless that is allowed."""
        self.govern.permit(who, "read", "logged models")
        with self._db.read() as tx:
            model = _found(store.get(tx, model_id=model_id), model_id)
        if model.state == "deleted" and not allow_deleted:
            raise LoggedModelNotFound(f"Logged model with ID '{model_id}' not found.")
        return model

    def search(
        self,
        who: Principal,
        *,
        experiment_ids: Sequence[str],
        filter: str = "",  # noqa: A002 - the word of the protocol
        datasets: Sequence[DatasetScope] = (),
        order_by: Sequence[ModelOrdering] = (),
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[LoggedModel]:
        """Return the logged models that a filter matches, newest first by default; raises BadFilter."""
        self.govern.permit(who, "read", "logged models")
        size = check_limit(limit, default=DEFAULT_PAGE, most=MOST_IN_A_PAGE)
        numbers = [parse_id(one) for one in experiment_ids]
        parts = plan(
            experiments=numbers,
            filter_text=filter,
            datasets=datasets,
            order_by=order_by,
            dialect=self._db.dialect,
        )
        search = f"logged models {numbers} {filter} {list(datasets)} {list(order_by)}"
        if cursor:
            continue_after(parts.where, parts.terms, cursor, search=search)
        with self._db.read() as tx:
            found = store.page(tx, where=parts.where, terms=parts.terms, params=parts.params, limit=size + 1)
        more = cursor_of(found[size - 1][1], search=search) if len(found) > size else None
        return Page([model for model, _ in found[:size]], more)

    def finalize(self, who: Principal, model_id: str, status: Status) -> LoggedModel:
        """Say that a model's files are all there, or never will be; raises LoggedModelNotFound."""
        self.govern.permit(who, "write", refs.make("logged-model", model_id))
        with self._db.write() as tx:
            before = _found(store.get(tx, model_id=model_id), model_id)
            store.set_status(tx, model_id=model_id, status=status, now_us=now_us() // 1000 * 1000)
            if status == "READY" and before.status != "READY":
                event = ModelLogged(model_id=model_id, name=before.name, run_id=before.source_run_id)
                self._bus.emit(tx, event, subject=refs.make("logged-model", model_id), actor=who.id)
            return _found(store.get(tx, model_id=model_id), model_id)

    def delete(self, who: Principal, model_id: str) -> None:
        """Move a logged model to the trash; raises LoggedModelNotFound."""
        self.govern.permit(who, "write", refs.make("logged-model", model_id))
        ref, now = refs.make("logged-model", model_id), now_us() // 1000 * 1000
        with self._db.write() as tx:
            model = _found(store.get(tx, model_id=model_id), model_id)
            store.set_state(tx, model_id=model_id, state="deleted", now_us=now)
            trash.put(tx, Row(ref, "logged-model", model.name, int(model.experiment_id), now, who.id))
            self.govern.audit(tx, who, "tracking.logged_model.delete", ref)

    def restore(self, who: Principal, model_id: str) -> None:
        """Take a logged model out of the trash; raises LoggedModelNotFound."""
        self.govern.permit(who, "write", refs.make("logged-model", model_id))
        ref = refs.make("logged-model", model_id)
        with self._db.write() as tx:
            _found(store.get(tx, model_id=model_id), model_id)
            store.set_state(tx, model_id=model_id, state="active", now_us=now_us() // 1000 * 1000)
            trash.take(tx, ref=ref)
            self.govern.audit(tx, who, "tracking.logged_model.restore", ref)

    def set_tags(self, who: Principal, model_id: str, tags: Mapping[str, str]) -> LoggedModel:
        """Set tags; raises LoggedModelNotFound."""
        self.govern.permit(who, "write", refs.make("logged-model", model_id))
        new_tags = check_texts(without_doubles(tags), "tags")
        with self._db.write() as tx:
            _found(store.get(tx, model_id=model_id), model_id)
            store.put_tags(tx, model_id=model_id, tags=new_tags)
            return _found(store.get(tx, model_id=model_id), model_id)

    def delete_tag(self, who: Principal, model_id: str, key: str) -> None:
        """Remove a tag; raises LoggedModelNotFound and TagNotFound."""
        self.govern.permit(who, "write", refs.make("logged-model", model_id))
        with self._db.write() as tx:
            _found(store.get(tx, model_id=model_id), model_id)
            if not store.delete_tag(tx, model_id=model_id, key=key):
                raise TagNotFound(f"No tag with key {key!r} found for model with ID {model_id!r}.")

    def log_params(self, who: Principal, model_id: str, params: Mapping[str, str]) -> None:
        """Add parameters; raises LoggedModelNotFound and ParameterChanged."""
        self.govern.permit(who, "write", refs.make("logged-model", model_id))
        new_params = check_texts(dict(params), "params")
        with self._db.write() as tx:
            _found(store.get(tx, model_id=model_id), model_id)
            stored = store.add_params(tx, model_id=model_id, params=new_params)
            check_unchanged(stored, new_params, model_id)

    def note_version(self, tx: Tx, model_id: str, *, name: str, version: int) -> None:
        """Note in a tag that a registered version holds the model, in the caller's transaction; idempotent.

        A model that is gone is passed over.
        """
        tx.lock(f"tracking.logged_model:{model_id}")
        model = store.get(tx, model_id=model_id)
        if model is not None:
            tag = with_version(model.tags.get(VERSIONS_TAG), name, version)
            store.put_tags(tx, model_id=model_id, tags={VERSIONS_TAG: tag})


def _found(model: LoggedModel | None, model_id: str) -> LoggedModel:
    if model is None:
        raise LoggedModelNotFound(f"Logged model with ID '{model_id[:100]}' not found.")
    return model
