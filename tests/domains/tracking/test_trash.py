"""The trash of tracking: what is deleted comes back or goes for good, and what is held stays."""

import pytest

from trimtab.app import App
from trimtab.domains.govern.errors import Held, HoldNotFound, NotPermitted
from trimtab.domains.tracking.errors import (
    ArtifactNotFound,
    BadPath,
    ExperimentNotFound,
    NotInTrash,
    RunNotFound,
)
from trimtab.domains.tracking.metrics.model import Point
from trimtab.domains.tracking.runs.model import Dataset, DatasetInput, ModelOutput
from trimtab.domains.tracking.trash.model import Purged
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


def _run(app: App, who: Principal, experiment: str = "0") -> str:
    """Make a run that has something of everything."""
    run = app.tracking.runs.create(who, experiment_id=experiment, name="r", tags=[("t", "1")])
    run_id = run.head.id
    points = [Point("loss", 1.0 / (step + 1), now_us(), step) for step in range(50)]
    app.tracking.runs.log(who, run_id, points=points, params=[("lr", "0.1")])
    inputs = [DatasetInput(Dataset("d", "1", "local", "x"), {})]
    app.tracking.runs.log_inputs(who, run_id, datasets=inputs)
    model = app.tracking.logged_models.create(
        who, experiment_id=experiment, name="m", source_run_id=run_id, params={"p": "1"}, tags={"t": "1"}
    )
    app.tracking.runs.log_outputs(who, run_id, [ModelOutput(model.id)])
    app.tracking.artifacts.put(who, f"{experiment}/{run_id}/artifacts/a/b.txt", b"12345")
    app.tracking.artifacts.put(who, f"{experiment}/models/{model.id}/artifacts/MLmodel", b"123")
    return run_id


def _rows_of_tracking(app: App) -> dict[str, int]:
    """Return how many rows the tables about runs, logged models, artifacts and the trash have."""
    if app.db.dialect == "sqlite":
        listing = "select name from sqlite_master where type = 'table' and name like 'tracking%'"
    else:
        listing = "select tablename from pg_tables where tablename like 'tracking%'"
    kept = {"tracking_key", "tracking_experiment", "tracking_metric_fold"}
    with app.db.read() as tx:
        tables = {name for (name,) in tx.all(statement("tables", listing))} - kept
        counts = {name: tx.all(statement("count", f"select count(*) from {name}"))[0][0] for name in tables}
    return {name: count for name, count in counts.items() if count}


def _kinds(app: App, who: Principal) -> list[str]:
    return sorted(item.kind for item in app.tracking.trash.items(who, limit=100))


def test_a_run_comes_back_or_goes_for_good(app: App, owner: Principal, editor: Principal) -> None:
    tracking, trash = app.tracking, app.tracking.trash
    run_id = _run(app, editor)
    assert trash.items(editor, limit=10) == []
    tracking.runs.delete(editor, run_id)
    (item,) = trash.items(editor, limit=10)
    assert (item.ref, item.kind, item.name) == (f"run:{run_id}", "run", "r")
    assert (item.deleted_by, item.size_bytes, item.held) == (editor.id, 5, False)
    trash.restore(editor, item.ref)
    assert trash.items(editor, limit=10) == []
    assert tracking.runs.get(editor, run_id).head.state == "active"
    with pytest.raises(NotInTrash):
        trash.purge(owner, item.ref)
    tracking.runs.delete(editor, run_id)
    with pytest.raises(NotPermitted):
        trash.purge(editor, item.ref)
    assert list(trash.due(owner, before_us=now_us() - 1_000_000)) == []
    assert list(trash.due(owner, before_us=now_us() + 1)) == [item.ref]
    assert trash.would_purge(owner, item.ref) == Purged(0, 1, 0, 1, 5)
    assert trash.purge(owner, item.ref) == Purged(0, 1, 0, 1, 5)
    with pytest.raises(RunNotFound):
        tracking.runs.get(editor, run_id)
    with pytest.raises(ArtifactNotFound):
        tracking.artifacts.get(editor, f"0/{run_id}/artifacts/a/b.txt")
    acts = [record.action for record in app.govern.audit_trail(owner).items]
    assert acts[0] == "tracking.purge"


def test_an_experiment_goes_with_everything_and_its_name_is_free(app: App, owner: Principal) -> None:
    tracking, trash = app.tracking, app.tracking.trash
    experiment = tracking.experiments.create(owner, name="e", tags={"a": "1"}).id
    first, _ = _run(app, owner, experiment), _run(app, owner, experiment)
    tracking.runs.delete(owner, first)
    assert _kinds(app, owner) == ["run"]
    tracking.artifacts.delete(owner, f"{experiment}/{first}/artifacts/a")
    tracking.experiments.delete(owner, experiment)
    assert _kinds(app, owner) == ["artifact", "experiment"], "the runs go with their experiment"
    ref = f"experiment:{experiment}"
    gone = Purged(1, 2, 2, 3, 11)
    assert trash.would_purge(owner, ref) == gone
    assert trash.purge(owner, ref) == gone
    with pytest.raises(ExperimentNotFound):
        tracking.experiments.get(owner, experiment)
    assert _rows_of_tracking(app) == {}
    assert tracking.experiments.create(owner, name="e").id != experiment


def test_the_default_experiment_stays(app: App, owner: Principal) -> None:
    _run(app, owner)
    app.tracking.experiments.delete(owner, "0")
    assert app.tracking.trash.purge(owner, "experiment:0").runs == 1
    assert app.tracking.experiments.get(owner, "0").state == "deleted"
    app.tracking.experiments.restore(owner, "0")
    assert _rows_of_tracking(app) == {}


def test_logged_models_and_artifacts(app: App, owner: Principal) -> None:
    tracking, trash = app.tracking, app.tracking.trash
    model = tracking.logged_models.create(owner, experiment_id="0", name="m").id
    path = f"0/models/{model}/artifacts"
    tracking.artifacts.put(owner, f"{path}/a", b"1")
    tracking.artifacts.put(owner, f"{path}/deep/b", b"22")
    assert tracking.artifacts.delete(owner, path) == 2
    (item,) = trash.items(owner, kind="artifact", limit=10)
    assert (item.name, item.size_bytes) == (path, 3)
    tracking.artifacts.put(owner, f"{path}/a", b"new")
    trash.restore(owner, item.ref)
    assert tracking.artifacts.open(owner, f"{path}/a").read() == b"new", "what came later stays"
    assert tracking.artifacts.open(owner, f"{path}/deep/b").read() == b"22"
    tracking.artifacts.delete(owner, f"{path}/deep")
    tracking.artifacts.put(owner, f"{path}/deep", b"a file now")
    (item,) = trash.items(owner, kind="artifact", limit=10)
    with pytest.raises(BadPath):
        trash.restore(owner, item.ref)
    assert trash.purge(owner, item.ref) == Purged(files=1, size_bytes=2)
    tracking.logged_models.delete(owner, model)
    assert trash.purge(owner, f"logged-model:{model}") == Purged(models=1, files=2, size_bytes=13)
    assert _rows_of_tracking(app) == {}


def test_what_is_held_is_not_purged(app: App, owner: Principal, editor: Principal) -> None:
    tracking, trash, govern = app.tracking, app.tracking.trash, app.govern
    experiment = tracking.experiments.create(owner, name="e").id
    run_id, other = _run(app, owner, experiment), _run(app, owner, experiment)
    with pytest.raises(NotPermitted):
        govern.hold(editor, f"run:{run_id}", reason="a lawsuit")
    with pytest.raises(Invalid, match="reason"):
        govern.hold(owner, f"run:{run_id}", reason=" ")
    govern.hold(owner, f"run:{run_id}", reason="a lawsuit")
    assert govern.holds(editor)[0].reason == "a lawsuit"
    path = f"{experiment}/{run_id}/artifacts/a/b.txt"
    tracking.artifacts.put(editor, path, b"changed")
    (kept,) = trash.items(owner, limit=10)
    assert (kept.name, kept.size_bytes, kept.held) == (path, 5, True), "overwriting loses nothing"
    tracking.runs.delete(owner, run_id)
    tracking.runs.delete(owner, other)
    models = tracking.logged_models.search(owner, experiment_ids=[experiment]).items
    for model in models:
        tracking.logged_models.delete(owner, model.id)
    assert [(item.kind, item.held) for item in trash.items(owner, limit=10)].count(
        ("logged-model", True)
    ) == 1
    for ref in (kept.ref, f"run:{run_id}"):
        assert trash.would_purge(owner, ref) is None
        with pytest.raises(Held):
            trash.purge(owner, ref)
    trash.purge(owner, f"run:{other}")
    tracking.experiments.delete(owner, experiment)
    with pytest.raises(Held):
        trash.purge(owner, f"experiment:{experiment}")
    assert tracking.runs.get(owner, run_id).params == {"lr": "0.1"}
    govern.release(owner, f"run:{run_id}", reason="settled")
    with pytest.raises(HoldNotFound):
        govern.release(owner, f"run:{run_id}")
    trash.purge(owner, f"experiment:{experiment}")
    assert _rows_of_tracking(app) == {}
    acts = {record.action for record in govern.audit_trail(owner).items}
    assert {"govern.hold.place", "govern.hold.release", "tracking.purge"} <= acts


def test_the_trash_goes_on_from_page_to_page(app: App, owner: Principal) -> None:
    made = [app.tracking.runs.create(owner).head.id for _ in range(5)]
    for run_id in made:
        app.tracking.runs.delete(owner, run_id)
    seen: list[str] = []
    before = None
    while page := app.tracking.trash.items(owner, before=before, limit=2):
        seen += [item.ref for item in page]
        before = (page[-1].deleted_us, page[-1].ref)
    assert seen == [f"run:{run_id}" for run_id in reversed(made)]
