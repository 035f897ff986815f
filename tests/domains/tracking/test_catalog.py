import pytest

from trimtab.app import App
from trimtab.domains.tracking.catalog.model import FacetValue, RunColumn
from trimtab.domains.tracking.metrics.model import Point
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal


@pytest.fixture
def experiment(app: App, editor: Principal) -> str:
    experiment_id = app.tracking.experiments.create(editor, name="catalogue").id
    for number in range(6):
        run = app.tracking.runs.create(editor, experiment_id=experiment_id, tags=[("team", "fraud")])
        model = "tree" if number % 3 else "linear"
        points = [Point("auc", number / 10, 1_000_000 * number)] if number else []
        app.tracking.runs.log(editor, run.id, points=points, params=[("model", model)])
    return experiment_id


def test_columns_tell_how_many_runs_have_them(app: App, viewer: Principal, experiment: str) -> None:
    columns = app.tracking.catalog.columns(viewer, [experiment])
    assert columns.metrics == [RunColumn("auc", 5)]
    assert columns.params == [RunColumn("model", 6)]
    assert columns.tags == [RunColumn("mlflow.runName", 6), RunColumn("team", 6)]
    assert "start_time" in columns.attributes
    assert app.tracking.catalog.columns(viewer, ["999"]).metrics == []


def test_facets_count_what_a_filter_matches(app: App, viewer: Principal, experiment: str) -> None:
    facets = app.tracking.catalog.facets
    whole = facets(viewer, [experiment], by=["params.model", "status", "tags.none"])
    assert whole.total == 6
    assert whole.facets[0].values == [FacetValue("tree", 4), FacetValue("linear", 2)]
    assert whole.facets[1].values == [FacetValue("RUNNING", 6)]
    assert whole.facets[2].values == []
    some = facets(viewer, [experiment], by=["params.model"], filter_text="metrics.auc > 0.25", most=1)
    assert (some.total, some.facets[0].values, some.facets[0].others) == (3, [FacetValue("tree", 2)], 1)


@pytest.mark.parametrize("by", ["parms.model", "params.", "colour", "metrics.auc"])
def test_a_facet_that_means_nothing(app: App, viewer: Principal, experiment: str, by: str) -> None:
    with pytest.raises(Invalid) as refused:
        app.tracking.catalog.facets(viewer, [experiment], by=[by])
    assert refused.value.field == "by"
