"""Experiments: names, tags, the trash, searching; and logged models, which live in them."""

import pytest

from trimtab.app import App
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.tracking.errors import (
    ExperimentExists,
    ExperimentNotFound,
    LoggedModelNotFound,
    NotActive,
    ParameterChanged,
    TagNotFound,
)
from trimtab.domains.tracking.logged_models.model import DatasetScope, ModelOrdering
from trimtab.domains.tracking.metrics.model import Point
from trimtab.kernel.errors import Invalid
from trimtab.kernel.filters import BadFilter
from trimtab.kernel.who import Principal


def test_there_is_a_default(app: App, viewer: Principal) -> None:
    default = app.tracking.experiments.get(viewer, "0")
    assert (default.name, default.artifact_location) == ("Default", "mlflow-artifacts:/0")
    assert app.tracking.experiments.get_by_name(viewer, "Default") == default
    assert default.created_us > 1_600_000_000_000_000


def test_names_are_held_by_one(app: App, editor: Principal, owner: Principal) -> None:
    experiments = app.tracking.experiments
    first = experiments.create(editor, name="a", tags={"k": "v"})
    second = experiments.create(editor, name="b", artifact_location="s3://bucket/x")
    assert (first.id, second.id, second.artifact_location) == ("1", "2", "s3://bucket/x")
    with pytest.raises(ExperimentExists):
        experiments.create(editor, name="a")
    with pytest.raises(ExperimentExists):
        experiments.rename(editor, first.id, "b")
    experiments.rename(editor, first.id, "a")
    experiments.rename(editor, first.id, "c")
    experiments.create(editor, name="a")
    for name in ("", "x" * 501):
        with pytest.raises(Invalid):
            experiments.create(editor, name=name)
    for location in ("runs:/x", "http://x/#y", "mlflow-artifacts:/../x", "a?b=..", "x" * 3000):
        with pytest.raises(Invalid):
            experiments.create(editor, name="z", artifact_location=location)
    with pytest.raises(ExperimentNotFound):
        experiments.get_by_name(editor, "z")
    actions = [record.action for record in app.govern.audit_trail(owner).items]
    assert actions.count("tracking.experiment.create") == 3


def test_the_trash_takes_the_runs_along(app: App, editor: Principal, owner: Principal) -> None:
    experiments = app.tracking.experiments
    one = experiments.create(editor, name="a")
    run = app.tracking.runs.create(editor, experiment_id=one.id)
    experiments.delete(editor, one.id)
    assert experiments.get(editor, one.id).state == "deleted"
    assert app.tracking.runs.get(editor, run.id).head.state == "deleted"
    for attempt in (
        lambda: experiments.delete(editor, one.id),
        lambda: experiments.restore(editor, "0"),
        lambda: experiments.get(editor, "77"),
    ):
        with pytest.raises(ExperimentNotFound):
            attempt()
    for attempt in (
        lambda: experiments.set_tag(editor, one.id, "a", "b"),
        lambda: experiments.rename(editor, one.id, "x"),
        lambda: app.tracking.runs.create(editor, experiment_id=one.id),
        lambda: app.tracking.logged_models.create(editor, experiment_id=one.id),
    ):
        with pytest.raises(NotActive):
            attempt()
    assert [found.id for found in experiments.search(editor).items] == ["0"]
    assert [found.id for found in experiments.search(editor, view="deleted").items] == [one.id]
    experiments.restore(editor, one.id)
    assert app.tracking.runs.get(editor, run.id).head.state == "active"
    actions = [record.action for record in app.govern.audit_trail(owner).items]
    assert actions[:2] == ["tracking.experiment.restore", "tracking.experiment.delete"]


def test_tags(app: App, editor: Principal) -> None:
    experiments = app.tracking.experiments
    experiments.set_tag(editor, "0", "a", "1")
    experiments.set_tag(editor, "0", "a", "2")
    assert experiments.get(editor, "0").tags == {"a": "2"}
    experiments.delete_tag(editor, "0", "a")
    with pytest.raises(TagNotFound):
        experiments.delete_tag(editor, "0", "a")
    with pytest.raises(Invalid):
        experiments.set_tag(editor, "0", "a", "x" * 20_001)


def test_searching_experiments(app: App, editor: Principal) -> None:
    experiments = app.tracking.experiments
    for name in ("alpha", "Beta", "gamma%"):
        made = experiments.create(editor, name=name)
        if name != "Beta":
            experiments.set_tag(editor, made.id, "team", name[0])

    def names(text: str, *order_by: str) -> list[str]:
        found = experiments.search(editor, filter=text, order_by=order_by or ["experiment_id"]).items
        return [one.name for one in found]

    assert names("") == ["Default", "alpha", "Beta", "gamma%"]
    assert names("name = 'alpha'") == ["alpha"]
    assert names("attribute.name LIKE '%eta'") == ["Beta"]
    assert names("name ILIKE 'b%'") == ["Beta"]
    assert names("tags.team IS NULL", "experiment_id DESC") == ["Beta", "Default"]
    assert names("tag.team != 'a'") == ["gamma%"]
    assert names("experiment_id IN ('1', '3')") == ["alpha", "gamma%"]
    assert names("creation_time > 0 AND last_update_time >= 1") == ["Default", "alpha", "Beta", "gamma%"]
    assert names("creation_time < 5") == []
    newest = ["creation_time DESC", "experiment_id DESC"]
    first = experiments.search(editor, order_by=newest, limit=3)
    rest = experiments.search(editor, order_by=newest, limit=3, cursor=first.next_cursor)
    assert [one.name for one in first.items + rest.items] == ["gamma%", "Beta", "alpha", "Default"]
    for bad in (
        "size > 1",
        "name > 'a'",
        "metrics.a > 1",
        "creation_time > 1.5",
        "name IN ('a')",
        "experiment_id = 'x'",
    ):
        with pytest.raises(Invalid):
            experiments.search(editor, filter=bad)
    with pytest.raises(BadFilter):
        experiments.search(editor, order_by=["tags.team"])


def test_viewers_may_only_look(app: App, viewer: Principal) -> None:
    experiments, models = app.tracking.experiments, app.tracking.logged_models
    for attempt in (
        lambda: experiments.create(viewer, name="x"),
        lambda: experiments.rename(viewer, "0", "x"),
        lambda: experiments.delete(viewer, "0"),
        lambda: experiments.restore(viewer, "0"),
        lambda: experiments.set_tag(viewer, "0", "a", "b"),
        lambda: experiments.delete_tag(viewer, "0", "a"),
        lambda: models.create(viewer, experiment_id="0"),
        lambda: models.finalize(viewer, "m-1", "READY"),
        lambda: models.delete(viewer, "m-1"),
        lambda: models.restore(viewer, "m-1"),
        lambda: models.set_tags(viewer, "m-1", {}),
        lambda: models.delete_tag(viewer, "m-1", "a"),
        lambda: models.log_params(viewer, "m-1", {}),
    ):
        with pytest.raises(NotPermitted):
            attempt()


def test_a_logged_model_lives(app: App, editor: Principal, owner: Principal) -> None:
    models = app.tracking.logged_models
    run = app.tracking.runs.create(editor)
    made = models.create(
        editor, experiment_id="0", name="risk", source_run_id=run.id, params={"a": "1"}, tags={"t": "x"}
    )
    assert (made.status, made.artifact_uri) == ("PENDING", f"mlflow-artifacts:/0/models/{made.id}/artifacts")
    models.log_params(editor, made.id, {"a": "1", "b": "2"})
    with pytest.raises(ParameterChanged):
        models.log_params(editor, made.id, {"a": "2", "c": "3"})
    models.finalize(editor, made.id, "READY")
    models.finalize(editor, made.id, "READY")
    app.tracking.runs.log(editor, run.id, points=[Point("auc", 0.5, 1, 0, made.id, "flights", "d1")] * 2)
    for _ in range(2):
        with app.db.write() as tx:
            models.note_version(tx, made.id, name="risk", version=1)
    models.set_tags(
        editor,
        made.id,
        {"mlflow.modelVersions": '[{"name":"risk","version":1},{"name":"risk","version":"1"}]'},
    )
    seen = models.get(editor, made.id)
    assert (seen.params, len(seen.metrics)) == ({"a": "1", "b": "2"}, 1)
    assert seen.tags == {"t": "x", "mlflow.modelVersions": '[{"name": "risk", "version": 1}]'}
    assert [record.kind for record in app.bus.after(0)] == ["tracking.run_started", "tracking.model_logged"]
    models.delete_tag(editor, made.id, "t")
    with pytest.raises(TagNotFound):
        models.delete_tag(editor, made.id, "t")
    models.delete(editor, made.id)
    with pytest.raises(LoggedModelNotFound):
        models.get(editor, made.id)
    assert models.get(editor, made.id, allow_deleted=True).state == "deleted"
    assert models.search(editor, experiment_ids=["0"]).items == []
    models.restore(editor, made.id)
    assert len(models.search(editor, experiment_ids=["0"]).items) == 1
    actions = [record.action for record in app.govern.audit_trail(owner).items][:3]
    assert actions == [
        "tracking.logged_model.restore",
        "tracking.logged_model.delete",
        "tracking.logged_model.create",
    ]
    for name in ("a/b", "a.b", "it's", "x" * 501):
        with pytest.raises(Invalid):
            models.create(editor, experiment_id="0", name=name)


def test_searching_logged_models(app: App, editor: Principal) -> None:
    models = app.tracking.logged_models
    run = app.tracking.runs.create(editor)
    ids: dict[str, str] = {}
    for index, name in enumerate("abc"):
        kind = None if name == "c" else f"kind{index}"
        made = models.create(
            editor, experiment_id="0", name=name, model_type=kind, params={"lr": f"0.{index}"}
        )
        ids[name] = made.id
        if name != "c":
            points = [
                Point("auc", index / 10, 1, 1, made.id, "train", "t1"),
                Point("auc", 0.9 - index / 10, 2, 2, made.id, "test", "t2"),
            ]
            app.tracking.runs.log(editor, run.id, points=points)

    def names(text: str = "", **options: object) -> str:
        options.setdefault("order_by", [ModelOrdering("name")])
        found = models.search(editor, experiment_ids=["0"], filter=text, **options)  # type: ignore[arg-type]
        return "".join(model.name for model in found.items)

    assert names() == "abc"
    assert names("metrics.auc > 0.85") == "a"
    assert names("metrics.auc > 0.05", datasets=[DatasetScope("train")]) == "b"
    assert names(datasets=[DatasetScope("test", "t2")]) == "ab"
    assert names(datasets=[DatasetScope("test", "other")]) == ""
    assert names("params.lr = 0.1") == names("params.lr IN ('0.1')") == "b"
    assert names("name != 'a' and model_type LIKE 'kind%'") == "b"
    assert names("creation_timestamp > 0 AND last_updated_timestamp_ms > 0") == "abc"
    assert names(order_by=[ModelOrdering("metrics.auc", ascending=False)]) == "abc"
    assert names(order_by=[ModelOrdering("metrics.auc", dataset_name="train", ascending=False)]) == "bac"
    assert names(order_by=[ModelOrdering("model_type", ascending=False)]) == "bac"
    assert names(f"model_id = '{ids['c']}'") == "c"
    cursor, paged = None, ""
    while True:
        page = models.search(
            editor, experiment_ids=["0"], order_by=[ModelOrdering("metrics.auc")], limit=1, cursor=cursor
        )
        paged += page.items[0].name
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == "bac"
    for bad in (
        "metric.auc > 1",
        "nothing = 'a'",
        "name > 'a'",
        "metrics.auc LIKE 'x'",
        "creation_timestamp > 'x'",
    ):
        with pytest.raises(BadFilter):
            models.search(editor, experiment_ids=["0"], filter=bad)
    for field in ("nothing", "params.lr"):
        with pytest.raises(BadFilter):
            models.search(editor, experiment_ids=["0"], order_by=[ModelOrdering(field)])
