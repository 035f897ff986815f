"""Runs: what may be logged to one, and what happens when many log at once."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from trimtab.app import App
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.tracking.errors import (
    ExperimentNotFound,
    LoggedModelNotFound,
    NotActive,
    ParameterChanged,
    RunNotFound,
    TagNotFound,
)
from trimtab.domains.tracking.metrics.model import Point
from trimtab.domains.tracking.runs.model import Dataset, DatasetInput, ModelOutput
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal


def _actions(app: App, owner: Principal) -> list[str]:
    return [record.action for record in app.govern.audit_trail(owner).items]


def test_a_run_keeps_what_is_logged(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor, name="first", tags=[("team", "risk")])
    app.tracking.runs.log(
        editor,
        run.id,
        points=[Point("loss", 0.5, 1_000, 1), Point("loss", 0.25, 2_000, 2), Point("auc", 0.9, 1_000)],
        params=[("depth", "3"), ("lr", "0.1")],
        tags=[("team", "fraud"), ("note", "")],
    )
    seen = app.tracking.runs.get(editor, run.id)
    assert seen.params == {"depth": "3", "lr": "0.1"}
    assert seen.tags == {"mlflow.runName": "first", "team": "fraud", "note": ""}
    assert seen.metrics["loss"].value == 0.25
    assert (seen.metrics["loss"].step, seen.metrics["loss"].at_us) == (2, 2_000)
    assert (seen.head.status, seen.head.owner, seen.head.experiment_id) == ("RUNNING", "editor", "0")
    assert seen.head.artifact_uri == f"mlflow-artifacts:/0/{run.id}/artifacts"


def test_the_latest_is_by_step_then_time_then_value(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    for point in [
        Point("m", 1.0, 5_000, 3),
        Point("m", 9.0, 9_000, 1),
        Point("m", 2.0, 6_000, 3),
        Point("m", 1.5, 6_000, 3),
    ]:
        app.tracking.runs.log(editor, run.id, points=[point])
    assert app.tracking.runs.get(editor, run.id).metrics["m"].value == 2.0


def test_values_that_are_no_number_survive(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    values = [math.nan, math.inf, -math.inf, 1.7976931348623157e308, 5e-324]
    app.tracking.runs.log(
        editor, run.id, points=[Point("m", value, step, step) for step, value in enumerate(values)]
    )
    history = app.tracking.metrics.history(editor, run.id, "m").columns.points()
    assert [str(point.value) for point in history] == [str(value) for value in values]
    curve = app.tracking.metrics.curve(editor, run.id, "m")
    assert [value for _, _, value in curve.points[:3]] == [None, None, None]
    app.tracking.runs.log(editor, run.id, points=[Point("n", math.nan, 7, 7)])
    assert math.isnan(app.tracking.runs.get(editor, run.id).metrics["n"].value)


def test_repeats_change_nothing(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    points = [
        Point("m", 1.0, 1, 1),
        Point("m", 1.0, 1, 1),
        Point("m", math.nan, 1, 1),
        Point("m", math.nan, 1, 1),
    ]
    for _ in range(2):
        app.tracking.runs.log(editor, run.id, points=points, params=[("a", "1")])
    assert len(app.tracking.metrics.history(editor, run.id, "m").columns.points()) == 2
    assert app.tracking.runs.get(editor, run.id).params == {"a": "1"}


def test_a_parameter_does_not_change_and_takes_its_batch_with_it(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    app.tracking.runs.log(editor, run.id, params=[("a", "1")])
    with pytest.raises(ParameterChanged, match="Changing param values is not allowed"):
        app.tracking.runs.log(editor, run.id, params=[("a", "2")])
    with pytest.raises(ParameterChanged):
        app.tracking.runs.log(
            editor, run.id, params=[("b", "1"), ("a", "2")], points=[Point("m", 1.0, 1)], tags=[("t", "x")]
        )
    seen = app.tracking.runs.get(editor, run.id)
    assert (seen.params, seen.metrics, set(seen.tags)) == ({"a": "1"}, {}, {"mlflow.runName"})
    assert app.tracking.metrics.history(editor, run.id, "m").columns.points() == []


_BAD = [
    {"points": [Point("a/../b", 1.0, 1)]},
    {"points": [Point("bad*", 1.0, 1)]},
    {"points": [Point("m", 1.0, -1)]},
    {"points": [Point("m", 1.0, 1, 2**63)]},
    {"points": [Point("x" * 251, 1.0, 1)]},
    {"params": [("/abs", "1")]},
    {"params": [("a", "x" * 6001)]},
    {"params": [("a", "1"), ("a", "1")]},
    {"tags": [("a", "x" * 8001)]},
    {"tags": [("..", "x")]},
]


def test_bad_input_changes_nothing(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    before = app.tracking.runs.get(editor, run.id)
    good = {"points": [Point("ok", 1.0, 1)], "params": [("ok", "1")], "tags": [("ok", "1")]}
    for bad in _BAD:
        together = {key: [*good[key], *bad.get(key, [])] for key in good}
        with pytest.raises(Invalid):
            app.tracking.runs.log(editor, run.id, **together)  # type: ignore[arg-type]
        assert app.tracking.runs.get(editor, run.id) == before


def test_what_is_unknown_is_named(app: App, editor: Principal) -> None:
    with pytest.raises(ExperimentNotFound):
        app.tracking.runs.create(editor, experiment_id="7")
    with pytest.raises(Invalid, match="must be a valid integer"):
        app.tracking.runs.create(editor, experiment_id="seven")
    with pytest.raises(RunNotFound):
        app.tracking.runs.get(editor, "f" * 32)
    with pytest.raises(RunNotFound):
        app.tracking.runs.log(editor, "f" * 32, params=[("a", "1")])
    run = app.tracking.runs.create(editor)
    with pytest.raises(TagNotFound):
        app.tracking.runs.delete_tag(editor, run.id, "nothing")
    with pytest.raises(LoggedModelNotFound):
        app.tracking.runs.log(editor, run.id, points=[Point("m", 1.0, 1, model_id="m-none")])
    assert app.tracking.runs.get(editor, run.id).metrics == {}


def test_names_and_their_tag_agree(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor, tags=[("mlflow.runName", "tagged")])
    assert run.head.name == "tagged"
    with pytest.raises(Invalid, match="different values"):
        app.tracking.runs.create(editor, name="a", tags=[("mlflow.runName", "b")])
    app.tracking.runs.log(editor, run.id, tags=[("mlflow.runName", "renamed")])
    assert app.tracking.runs.get(editor, run.id).head.name == "renamed"
    app.tracking.runs.update(editor, run.id, name="again")
    assert app.tracking.runs.get(editor, run.id).tags["mlflow.runName"] == "again"


def test_a_finished_run_is_announced_once(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    app.tracking.runs.update(editor, run.id, status="FINISHED", ended_us=5_000)
    app.tracking.runs.update(editor, run.id, status="FINISHED", ended_us=6_000)
    seen = app.tracking.runs.get(editor, run.id)
    assert (seen.head.status, seen.head.ended_us) == ("FINISHED", 6_000)
    kinds = [record.kind for record in app.bus.after(0)]
    assert kinds == ["tracking.run_started", "tracking.run_finished"]


def test_the_trash_and_back(app: App, owner: Principal, editor: Principal) -> None:
    run = app.tracking.runs.create(editor, name="x")
    app.tracking.runs.delete(editor, run.id)
    app.tracking.runs.delete(editor, run.id)
    assert app.tracking.runs.get(editor, run.id).head.state == "deleted"
    for attempt in (
        lambda: app.tracking.runs.log(editor, run.id, params=[("a", "1")]),
        lambda: app.tracking.runs.update(editor, run.id, status="FINISHED"),
        lambda: app.tracking.runs.delete_tag(editor, run.id, "mlflow.runName"),
    ):
        with pytest.raises(NotActive, match="must be in the 'active' state"):
            attempt()
    assert app.tracking.runs.search(editor).items == []
    assert len(app.tracking.runs.search(editor, view="deleted").items) == 1
    app.tracking.runs.restore(editor, run.id)
    app.tracking.runs.log(editor, run.id, params=[("a", "1")])
    assert _actions(app, owner)[:3] == ["tracking.run.restore", "tracking.run.delete", "tracking.run.create"]


def test_viewers_may_only_look(app: App, editor: Principal, viewer: Principal) -> None:
    run = app.tracking.runs.create(editor)
    runs = app.tracking.runs
    for attempt in (
        lambda: runs.create(viewer),
        lambda: runs.log(viewer, run.id, params=[("a", "1")]),
        lambda: runs.update(viewer, run.id, status="FAILED"),
        lambda: runs.delete(viewer, run.id),
        lambda: runs.restore(viewer, run.id),
        lambda: runs.delete_tag(viewer, run.id, "a"),
        lambda: runs.log_inputs(viewer, run.id, models=["m-1"]),
        lambda: runs.log_outputs(viewer, run.id, [ModelOutput("m-1")]),
        lambda: runs.append_to_tag(viewer, run.id, "a", "{}"),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    assert runs.get(viewer, run.id).params == {}
    assert app.tracking.metrics.history(viewer, run.id, "m").columns.points() == []


def test_inputs_and_outputs(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    train = DatasetInput(
        Dataset("flights", "abc", "local", "data:flights@1"), {"mlflow.data.context": "training"}
    )
    again = DatasetInput(Dataset("flights", "abc", "local", "elsewhere"), {"mlflow.data.context": "other"})
    for _ in range(2):
        app.tracking.runs.log_inputs(editor, run.id, datasets=[train, again], models=["m-1"])
        app.tracking.runs.log_outputs(editor, run.id, [ModelOutput("m-2", 3)])
    seen = app.tracking.runs.get(editor, run.id)
    assert seen.datasets == [train]
    assert (seen.model_inputs, seen.model_outputs) == (["m-1"], [ModelOutput("m-2", 3)])
    assert app.tracking.runs.datasets(editor, ["0"]) == [("0", "flights", "abc", "training")]
    graph = app.lineage.graph(editor, f"run:{run.id}")
    assert {"data:flights@1", "logged-model:m-1", "logged-model:m-2"} <= {node.ref for node in graph.nodes}
    with pytest.raises(Invalid, match="maximum length of 36"):
        app.tracking.runs.log_inputs(
            editor, run.id, datasets=[DatasetInput(Dataset("a", "d" * 37, "t", "s"), {})]
        )


def test_many_threads_log_to_one_run(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)

    def work(worker: int) -> None:
        for batch in range(10):
            steps = range(batch * 5, batch * 5 + 5)
            app.tracking.runs.log(
                editor,
                run.id,
                points=[
                    Point(key, worker + step / 100, step, step)
                    for step in steps
                    for key in ("b", "a", f"w{worker}")
                ],
                params=[(f"p{worker}.{batch}", "1"), ("shared", "same")],
                tags=[("t", str(worker))],
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    seen = app.tracking.runs.get(editor, run.id)
    assert len(seen.params) == 81
    assert seen.metrics["a"].step == 49
    assert seen.metrics["a"].value == pytest.approx(7.49)
    assert len(app.tracking.metrics.history(editor, run.id, "a").columns.points()) == 8 * 50
    assert len(app.tracking.metrics.history(editor, run.id, "w3").columns.points()) == 50


def test_one_of_two_values_of_a_parameter_wins(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)

    def attempt(value: int) -> bool:
        try:
            app.tracking.runs.log(editor, run.id, params=[("a", str(value))])
        except ParameterChanged:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(attempt, range(6)))
    assert outcomes.count(True) == 1
    assert app.tracking.runs.get(editor, run.id).params == {"a": str(outcomes.index(True))}


def test_a_list_in_a_tag_grows(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    for number in range(2):
        app.tracking.runs.append_to_tag(editor, run.id, "list", f'{{"n": {number}}}')
    assert app.tracking.runs.get(editor, run.id).tags["list"] == '[{"n": 0}, {"n": 1}]'


def test_a_client_may_choose_the_id(app: App, editor: Principal) -> None:
    runs = app.tracking.runs
    chosen = "0123456789abcdef" * 2
    made = runs.create(editor, run_id=chosen, name="first", tags=[("trimtab.reproduces", "f" * 32)])
    again = runs.create(editor, run_id=chosen, name="again")
    assert (made.id, again.id, again.head.name) == (chosen, chosen, "first")
    graph = app.lineage.graph(editor, f"run:{chosen}", direction="up")
    assert ("run:" + "f" * 32, f"run:{chosen}", "derived") in {
        (edge.source, edge.target, edge.kind) for edge in graph.edges
    }
    with pytest.raises(Invalid):
        runs.create(editor, run_id="../x")
    runs.delete(editor, chosen)
    with pytest.raises(NotActive):
        runs.create(editor, run_id=chosen)
