"""Creates, finds, renames, deletes and restores experiments, and keeps their tags."""

from collections.abc import Mapping, Sequence

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.errors import ExperimentExists, ExperimentNotFound, NotActive, TagNotFound
from trimtab.domains.tracking.experiments import store
from trimtab.domains.tracking.experiments.model import (
    DEFAULT_ID,
    Experiment,
    State,
    View,
    check_location,
    check_name,
    check_tag,
    parse_id,
)
from trimtab.domains.tracking.experiments.search import terms_of, where_of
from trimtab.domains.tracking.runs import store as runs_store
from trimtab.domains.tracking.sorting import continue_after, cursor_of
from trimtab.domains.tracking.trash import store as trash
from trimtab.domains.tracking.trash.model import Row
from trimtab.infra.db import Database, Tx
from trimtab.kernel import refs
from trimtab.kernel.pages import Page, check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

MOST_IN_A_PAGE = 50_000


class ExperimentService:
    """Named groups of runs."""

    def __init__(self, db: Database, govern: GovernService) -> None:
        self._db = db
        self.govern = govern

    def create(
        self,
        who: Principal,
        *,
        name: str,
        artifact_location: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Experiment:
        """Make an experiment; raises ExperimentExists, also where a deleted one holds the name."""
        self.govern.permit(who, "write", "experiments")
        check_name(name)
        if artifact_location:
            check_location(artifact_location)
        for key, value in (tags or {}).items():
            check_tag(key, value)
        with self._db.write() as tx:
            number = store.insert(
                tx, name=name, artifact_location=artifact_location, now_us=now_us() // 1000 * 1000
            )
            if number is None:
                raise ExperimentExists(f"Experiment(name={name}) already exists.", field="name")
            store.put_tags(tx, number=number, tags=dict(tags or {}))
            ref = refs.make("experiment", str(number))
            self.govern.audit(tx, who, "tracking.experiment.create", ref, detail={"name": name})
            return _found(store.get(tx, number=number), str(number))

    def get(self, who: Principal, experiment_id: str) -> Experiment:
        """Return an experiment, deleted or not; raises ExperimentNotFound."""
        self.govern.permit(who, "read", "experiments")
        number = parse_id(experiment_id or DEFAULT_ID)
        with self._db.read() as tx:
            return _found(store.get(tx, number=number), str(number))

    def get_by_name(self, who: Principal, name: str) -> Experiment:
        """Return the experiment of a name, deleted or not; raises ExperimentNotFound."""
        self.govern.permit(who, "read", "experiments")
        with self._db.read() as tx:
            experiment = store.get_by_name(tx, name=name)
        if experiment is None:
            raise ExperimentNotFound(f"Could not find experiment with name '{name[:500]}'")
        return experiment

    def named(self, who: Principal, name: str) -> Experiment:
        """Return the active experiment of a name, made where it is new; raises NotActive for one in the trash."""
        self.govern.permit(who, "write", "experiments")
        with self._db.read() as tx:
            found = store.get_by_name(tx, name=name)
        if found is None:
            try:
                return self.create(who, name=name)
            except ExperimentExists:  # someone else was faster
                return self.get_by_name(who, name)
        if found.state != "active":
            raise NotActive(f"The experiment {name!r} is in the trash: restore it or choose another name.")
        return found

    def search(
        self,
        who: Principal,
        *,
        filter: str = "",  # noqa: A002 - the word of the protocol
        order_by: Sequence[str] = (),
        view: View = "active",
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Experiment]:
        """Return the experiments that a filter matches, newest first by default; raises BadFilter."""
        self.govern.permit(who, "read", "experiments")
        size = check_limit(limit, default=1000, most=MOST_IN_A_PAGE)
        where = where_of(filter, view=view, dialect=self._db.dialect)
        terms = terms_of(order_by)
        search = f"experiments {view} {filter} {list(order_by)}"
        if cursor:
            continue_after(where, terms, cursor, search=search)
        with self._db.read() as tx:
            found = store.page(tx, where=where, terms=terms, limit=size + 1)
        if len(found) <= size:
            return Page(found)
        last = found[size - 1]
        values = {
            "e.no": int(last.id),
            "e.name": last.name,
            "e.created_us": last.created_us,
            "e.updated_us": last.updated_us,
        }
        return Page(found[:size], cursor_of([values[term.sql] for term in terms], search=search))

    def rename(self, who: Principal, experiment_id: str, name: str) -> None:
        """Give an experiment another name; raises ExperimentNotFound, NotActive and ExperimentExists."""
        self.govern.permit(who, "write", refs.make("experiment", experiment_id or DEFAULT_ID))
        check_name(name, "new_name")
        number = parse_id(experiment_id or DEFAULT_ID)
        with self._db.write() as tx:
            tx.lock("tracking.experiments")
            experiment = active(tx, number)
            other = store.get_by_name(tx, name=name)
            if other is not None and other.id != experiment.id:
                raise ExperimentExists(f"Experiment(name={name}) already exists.", field="new_name")
            store.rename(tx, number=number, name=name, now_us=now_us() // 1000 * 1000)
            ref = refs.make("experiment", experiment.id)
            detail = {"from": experiment.name, "to": name}
            self.govern.audit(tx, who, "tracking.experiment.rename", ref, detail=detail)

    def delete(self, who: Principal, experiment_id: str) -> None:
        """Move an experiment and its runs to the trash; raises ExperimentNotFound."""
        self.govern.permit(who, "write", refs.make("experiment", experiment_id or DEFAULT_ID))
        self._move(who, experiment_id, "deleted", "tracking.experiment.delete")

    def restore(self, who: Principal, experiment_id: str) -> None:
        """Take an experiment and its runs out of the trash; raises ExperimentNotFound."""
        self.govern.permit(who, "write", refs.make("experiment", experiment_id or DEFAULT_ID))
        self._move(who, experiment_id, "active", "tracking.experiment.restore")

    def _move(self, who: Principal, experiment_id: str, state: State, action: str) -> None:
        number = parse_id(experiment_id or DEFAULT_ID)
        now = now_us() // 1000 * 1000
        with self._db.write() as tx:
            tx.lock("tracking.experiments")
            experiment = store.bare(tx, number=number)
            if experiment is None or experiment.state == state:
                raise ExperimentNotFound(f"No Experiment with id={number} exists")
            store.set_state(tx, number=number, state=state, now_us=now)
            runs_store.set_state_of_all(tx, experiment_no=number, state=state, now_us=now)
            ref = refs.make("experiment", experiment.id)
            trash.take_runs(tx, experiment_no=number)  # they go and come with it
            if state == "deleted":
                trash.put(tx, Row(ref, "experiment", experiment.name, number, now, who.id))
            else:
                trash.take(tx, ref=ref)
            self.govern.audit(tx, who, action, ref)

    def set_tag(self, who: Principal, experiment_id: str, key: str, value: str) -> None:
        """Set a tag; raises ExperimentNotFound and NotActive."""
        self.govern.permit(who, "write", refs.make("experiment", experiment_id or DEFAULT_ID))
        check_tag(key, value)
        number = parse_id(experiment_id or DEFAULT_ID)
        with self._db.write() as tx:
            active(tx, number)
            store.put_tags(tx, number=number, tags={key: value})

    def delete_tag(self, who: Principal, experiment_id: str, key: str) -> None:
        """Remove a tag; raises ExperimentNotFound, NotActive and TagNotFound."""
        self.govern.permit(who, "write", refs.make("experiment", experiment_id or DEFAULT_ID))
        number = parse_id(experiment_id or DEFAULT_ID)
        with self._db.write() as tx:
            active(tx, number)
            if not store.delete_tag(tx, number=number, key=key):
                raise TagNotFound(f"No tag with name: {key} in experiment with id {number}")


def active(tx: Tx, number: int) -> Experiment:
    """Return an experiment that takes changes; raises ExperimentNotFound and NotActive."""
    experiment = _found(store.bare(tx, number=number), str(number))
    if experiment.state != "active":
        raise NotActive(
            f"The experiment {experiment.id} must be in the 'active' state. Current state is {experiment.state}."
        )
    return experiment


def _found(experiment: Experiment | None, experiment_id: str) -> Experiment:
    if experiment is None:
        raise ExperimentNotFound(f"No Experiment with id={experiment_id} exists")
    return experiment
