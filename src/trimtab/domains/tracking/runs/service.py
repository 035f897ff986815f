"""Creates runs, takes what is logged to them, finds them again, and moves them to and from the trash."""

from collections.abc import Iterable, Sequence

from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.tracking.errors import NotActive, RunNotFound, TagNotFound
from trimtab.domains.tracking.events import RunFinished, RunStarted
from trimtab.domains.tracking.experiments.model import DEFAULT_ID, State, View, below, parse_id
from trimtab.domains.tracking.experiments.service import active as active_experiment
from trimtab.domains.tracking.keys import Keys
from trimtab.domains.tracking.logged_models import store as logged_models_store
from trimtab.domains.tracking.metrics import store as metrics_store
from trimtab.domains.tracking.metrics.compaction import Compactor
from trimtab.domains.tracking.metrics.model import Point, PointColumns, check_columns, columns_of
from trimtab.domains.tracking.metrics.settling import settle
from trimtab.domains.tracking.names import (
    MOST_KEY,
    MOST_TAG,
    check_chosen_id,
    check_key,
    check_length,
    check_run_id,
    random_name,
)
from trimtab.domains.tracking.runs import store, walks
from trimtab.domains.tracking.runs.model import (
    ENDED,
    NAME_TAG,
    PIPELINE_RUN_TAG,
    REPRODUCES_TAG,
    SOURCE_TAGS,
    DatasetInput,
    ModelOutput,
    Run,
    RunHead,
    Status,
    check_inputs,
    check_params,
    check_tags,
    check_unchanged,
    choose_name,
    summary,
)
from trimtab.domains.tracking.runs.search import check_experiments, plan
from trimtab.domains.tracking.sorting import cursor_of, place_of
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
_MOST_OWNER = 256


class RunService:
    """Trainings and what was logged to them."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        govern: GovernService,
        lineage: LineageService,
        *,
        keys: Keys,
        compactor: Compactor,
    ) -> None:
        self._compactor = compactor
        self._db = db
        self._bus = bus
        self.govern = govern
        self._lineage = lineage
        self._keys = keys

    def create(
        self,
        who: Principal,
        *,
        run_id: str | None = None,
        experiment_id: str = DEFAULT_ID,
        name: str | None = None,
        owner: str | None = None,
        started_us: int | None = None,
        tags: Iterable[tuple[str, str]] = (),
    ) -> Run:
        """Start a run; raises ExperimentNotFound and NotActive.

        A caller may choose the id, so that asking again makes no second run: one that is there is returned as it is.
        """
        self.govern.permit(who, "write", "runs")
        checked = check_tags(tags, any_key=True)
        chosen = choose_name(name, checked) or random_name()
        check_length(chosen, MOST_TAG, "run_name")
        check_length(owner or "", _MOST_OWNER, "user_id")
        checked.setdefault(NAME_TAG, chosen)
        number = parse_id(experiment_id or DEFAULT_ID)
        if run_id is not None:
            check_chosen_id(run_id)
        with self._db.write() as tx:
            if run_id is not None:
                tx.lock(f"tracking.run:{run_id}")
                if store.head(tx, run_id=run_id) is not None:
                    return store.load_runs(tx, [self._active(tx, run_id).no], keys=self._keys)[0]
            run_id = run_id or hex32()
            experiment = active_experiment(tx, number)
            head = store.insert(
                tx,
                run_id=run_id,
                experiment_no=number,
                name=chosen,
                started_us=now_us() if started_us is None else started_us,
                owner=who.name if owner is None else owner,
                artifact_uri=below(experiment.artifact_location, f"{run_id}/artifacts"),
            )
            numbers = self._keys.intern(tx, checked)
            store.put_tags(tx, head, checked, numbers)
            ref = refs.run(run_id)
            self._link_origins(tx, ref, checked)
            self._lineage.describe(tx, ref, chosen)
            self.govern.audit(tx, who, "tracking.run.create", ref, detail=summary(head))
            event = RunStarted(run_id=run_id, experiment_id=head.experiment_id, name=chosen)
            self._bus.emit(tx, event, subject=ref, actor=who.id)
        return Run(head, {}, {}, dict(sorted(checked.items())), [], [], [])

    def get(self, who: Principal, run_id: str) -> Run:
        """Return a run, deleted or not, with the latest value of each metric; raises RunNotFound."""
        self.govern.permit(who, "read", "runs")
        with self._db.read() as tx:
            return store.load_runs(tx, [_found(store.head(tx, run_id=run_id), run_id).no], keys=self._keys)[0]

    def head(self, who: Principal, run_id: str) -> RunHead:
        """Return a run without what was logged to it; raises RunNotFound."""
        self.govern.permit(who, "read", "runs")
        with self._db.read() as tx:
            return _found(store.head(tx, run_id=run_id), run_id)

    def search(
        self,
        who: Principal,
        *,
        experiment_ids: Sequence[str] | None = None,
        filter: str = "",  # noqa: A002 - the word of the protocol
        order_by: Sequence[str] = (),
        view: View = "active",
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Run]:
        """Return the runs that a filter matches, newest first by default; None searches all experiments.

        Rows without a value to sort by come last, NaN before them; equal ones by start, newest first, then by id.
        Raises BadFilter.
        """
        self.govern.permit(who, "read", "runs")
        size = check_limit(limit, most=MOST_IN_A_PAGE)
        numbers = None if experiment_ids is None else [parse_id(one) for one in experiment_ids]
        if numbers is not None:
            check_experiments(numbers)
        search = f"runs {view} {numbers} {filter} {list(order_by)}"
        settle(self._db)
        with self._db.read() as tx:
            parts = plan(
                tx,
                filter_text=filter,
                order_by=order_by,
                view=view,
                find_key=lambda name: self._find_key(tx, name),
            )
            after = place_of(cursor, parts.terms, search=search) if cursor else None
            among = store.all_experiments(tx) if numbers is None else sorted(set(numbers))
            if not among:
                return Page([])
            rows = walks.find(tx, parts, experiments=among, limit=size + 1, after=after)
            runs = store.load_runs(tx, [row[0] for row in rows[:size]], keys=self._keys)
        more = cursor_of(rows[size - 1][1:], search=search) if len(rows) > size else None
        return Page(runs, more)

    def update(
        self,
        who: Principal,
        run_id: str,
        *,
        status: Status | None = None,
        ended_us: int | None = None,
        name: str | None = None,
    ) -> RunHead:
        """Change a run's status, end or name; raises RunNotFound and NotActive."""
        self.govern.permit(who, "write", refs.run(run_id))
        check_length(name or "", MOST_TAG, "run_name")
        with self._db.write() as tx:
            head = self._active(tx, run_id)
            numbers = self._keys.intern(tx, [NAME_TAG]) if name else {}
            return self._change(
                tx, who, head, status=status or head.status, ended_us=ended_us, name=name, numbers=numbers
            )

    def _change(
        self,
        tx: Tx,
        who: Principal,
        head: RunHead,
        *,
        status: Status,
        ended_us: int | None,
        name: str | None,
        numbers: dict[str, int],
    ) -> RunHead:
        end = head.ended_us if ended_us is None else ended_us
        store.update(tx, run_no=head.no, name=name or head.name, status=status, ended_us=end)
        if name:
            store.put_tags(tx, head, {NAME_TAG: name}, numbers)
            self._lineage.describe(tx, refs.run(head.id), name)
        if status in ENDED and head.status not in ENDED:
            event = RunFinished(run_id=head.id, experiment_id=head.experiment_id, status=status)
            self._bus.emit(tx, event, subject=refs.run(head.id), actor=who.id)
        changed = store.head(tx, run_id=head.id)
        return _found(changed, head.id)

    def delete(self, who: Principal, run_id: str) -> None:
        """Move a run to the trash; raises RunNotFound."""
        self.govern.permit(who, "write", refs.run(run_id))
        self._move(who, run_id, "deleted", "tracking.run.delete")

    def restore(self, who: Principal, run_id: str) -> None:
        """Take a run out of the trash; raises RunNotFound."""
        self.govern.permit(who, "write", refs.run(run_id))
        self._move(who, run_id, "active", "tracking.run.restore")

    def _move(self, who: Principal, run_id: str, state: State, action: str) -> None:
        with self._db.write() as tx:
            head = _found(store.head(tx, run_id=run_id), run_id)
            if head.state == state:
                return
            now = now_us()
            store.set_state(tx, run_no=head.no, state=state, now_us=now)
            if state == "deleted":
                trash.put(tx, Row(refs.run(run_id), "run", head.name, int(head.experiment_id), now, who.id))
            else:
                trash.take(tx, ref=refs.run(run_id))
            self.govern.audit(tx, who, action, refs.run(run_id), detail=summary(head))

    def log(
        self,
        who: Principal,
        run_id: str,
        *,
        points: Sequence[Point] | PointColumns = (),
        params: Sequence[tuple[str, str]] = (),
        tags: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Log all of it or nothing; sending the same again changes nothing.

        Raises RunNotFound, NotActive, ParameterChanged and Invalid.
        """
        self.govern.permit(who, "write", refs.run(run_id))
        columns = points if isinstance(points, PointColumns) else columns_of(points)
        check_columns(columns)
        new_params = check_params(params)
        new_tags = check_tags(tags)
        names = {*columns.keys, *new_params, *new_tags}
        with self._db.write() as tx:
            if columns.keys:
                metrics_store.hold(tx)
            head = self._active(tx, run_id)
            numbers = self._keys.intern(tx, names)
            if new_params:
                check_unchanged(store.add_params(tx, head, new_params, numbers), new_params, run_id)
            if columns.keys:
                if metrics_store.append(tx, head.no, columns, numbers, recent=self._compactor.recent):
                    tx.after_commit(lambda: self._compactor.noticed(head.no, len(columns)))
                logged_models_store.append_metrics(tx, run_id=run_id, points=columns.of_models)
            self._put_tags(tx, who, head, new_tags, numbers)

    def _put_tags(
        self, tx: Tx, who: Principal, head: RunHead, tags: dict[str, str], numbers: dict[str, int]
    ) -> None:
        if name := tags.pop(NAME_TAG, None):
            self._change(tx, who, head, status=head.status, ended_us=None, name=name, numbers=numbers)
        if tags:
            store.put_tags(tx, head, tags, numbers)
            self._link_origins(tx, refs.run(head.id), tags)

    def _link_origins(self, tx: Tx, ref: str, tags: dict[str, str]) -> None:
        if commit := tags.get(SOURCE_TAGS["commit"]):
            self._lineage.link(tx, refs.make("commit", commit[:100]), ref, "code")
        if pipeline_run := tags.get(PIPELINE_RUN_TAG):
            self._lineage.link(tx, refs.make("pipeline-run", pipeline_run[:100]), ref, "output")
        if (original := tags.get(REPRODUCES_TAG)) and refs.run(original[:100]) != ref:
            self._lineage.link(tx, refs.run(original[:100]), ref, "derived")

    def append_to_tag(self, who: Principal, run_id: str, key: str, item: str) -> None:
        """Append one JSON value to the JSON list in a tag, as legacy clients note the models of a run."""
        self.govern.permit(who, "write", refs.run(run_id))
        check_key(key, "key")
        with self._db.write() as tx:
            tx.lock(f"tracking.run:{run_id}")
            head = self._active(tx, run_id)
            numbers = self._keys.intern(tx, [key])
            known = store.tag(tx, run_no=head.no, key_no=numbers[key])
            value = (
                f"{known[:-1]}, {item}]" if known and known != "[]" and known.endswith("]") else f"[{item}]"
            )
            store.put_tags(tx, head, {key: check_length(value, MOST_TAG, "value")}, numbers)

    def delete_tag(self, who: Principal, run_id: str, key: str) -> None:
        """Remove a tag; raises RunNotFound, NotActive and TagNotFound."""
        self.govern.permit(who, "write", refs.run(run_id))
        with self._db.write() as tx:
            head = self._active(tx, run_id)
            number = self._keys.find(tx, key)
            if number is None or not store.delete_tag(tx, run_no=head.no, key_no=number):
                raise TagNotFound(f"No tag with name: {key[:MOST_KEY]} in run with id {run_id}")

    def log_inputs(
        self,
        who: Principal,
        run_id: str,
        *,
        datasets: Sequence[DatasetInput] = (),
        models: Sequence[str] = (),
    ) -> None:
        """Note what went into a run; raises RunNotFound, NotActive and Invalid."""
        self.govern.permit(who, "write", refs.run(run_id))
        check_run_id(run_id)
        inputs = check_inputs(datasets)
        with self._db.write() as tx:
            head = self._active(tx, run_id)
            store.add_inputs(tx, run_no=head.no, experiment_no=int(head.experiment_id), inputs=inputs)
            store.put_models(tx, run_no=head.no, role="input", models=[ModelOutput(one) for one in models])
            for one in inputs:
                if _is_data_ref(one.dataset.source):
                    self._lineage.link(tx, one.dataset.source, refs.run(run_id), "input")
            for model_id in models:
                self._lineage.link(tx, refs.make("logged-model", model_id), refs.run(run_id), "input")

    def log_outputs(self, who: Principal, run_id: str, models: Sequence[ModelOutput]) -> None:
        """Note which logged models came out of a run; raises RunNotFound and NotActive."""
        self.govern.permit(who, "write", refs.run(run_id))
        with self._db.write() as tx:
            head = self._active(tx, run_id)
            store.put_models(tx, run_no=head.no, role="output", models=models)
            for one in models:
                self._lineage.link(tx, refs.run(run_id), refs.make("logged-model", one.model_id), "output")

    def counts(self, who: Principal, experiment_ids: Sequence[str]) -> dict[str, int]:
        """Return how many runs each experiment has, not counting the trash; those without are left out."""
        self.govern.permit(who, "read", "runs")
        with self._db.read() as tx:
            found = store.counts(tx, [parse_id(one) for one in experiment_ids])
        return {str(number): count for number, count in found.items()}

    def datasets(
        self, who: Principal, experiment_ids: Sequence[str], *, limit: int = 1000
    ) -> list[tuple[str, str, str, str | None]]:
        """Return (experiment, name, digest, context) of the data sets that runs of experiments used."""
        self.govern.permit(who, "read", "runs")
        numbers = [parse_id(one) for one in experiment_ids]
        with self._db.read() as tx:
            rows = store.dataset_summaries(tx, numbers, limit=limit)
        return [(str(number), name, digest, context) for number, name, digest, context in rows]

    def _active(self, tx: Tx, run_id: str) -> RunHead:
        head = _found(store.head(tx, run_id=run_id), run_id)
        if head.state != "active":
            raise NotActive(f"The run {run_id} must be in the 'active' state. Current state is {head.state}.")
        return head

    def _find_key(self, tx: Tx, name: str) -> int:
        number = self._keys.find(tx, name)
        return -1 if number is None else number


def _found(head: RunHead | None, run_id: str) -> RunHead:
    if head is None:
        raise RunNotFound(f"Run with id={run_id[:MOST_KEY]} not found")
    return head


def _is_data_ref(source: str) -> bool:
    try:
        return refs.split(source)[0] == "data"
    except ValueError:
        return False
