"""What is said of traces, and evaluation data sets: made, merged, overridden, found, put in the trash and ended."""

import msgspec
import pytest

from tests.domains.traces.building import experiment, stated, trace_id
from tests.domains.traces.test_search import assessment
from trimtab.app import App
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.traces.assessments.model import AssessmentError, Changes
from trimtab.domains.traces.datasets.model import read_record
from trimtab.domains.traces.errors import AssessmentNotFound, EvaluationDatasetNotFound, TraceNotFound
from trimtab.domains.traces.service import purge
from trimtab.domains.tracking.errors import ExperimentNotFound
from trimtab.infra.db import Duplicate
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal


def test_assessments(app: App, owner: Principal, viewer: Principal) -> None:
    said, here = app.traces.assessments, experiment(app, owner)
    app.traces.traces.state(owner, stated(1, here))
    first = said.create(owner, assessment(1, "good", "yes", metadata={"a": "1"}))
    assert said.get(viewer, trace_id(1), first.id) == first
    changes = Changes(
        name="better", kind="feedback", value=None, error=AssessmentError("TIMEOUT"), metadata={"b": "2"}
    )
    changed = said.update(owner, trace_id(1), first.id, changes)
    assert (changed.name, changed.value, changed.error) == ("better", None, AssessmentError("TIMEOUT"))
    assert (changed.metadata, changed.created_us) == ({"a": "1", "b": "2"}, first.created_us)
    assert said.get(viewer, trace_id(1), first.id) == changed
    with pytest.raises(Invalid, match="expectation value on a Feedback"):
        said.update(owner, trace_id(1), first.id, Changes(kind="expectation", value=1))

    over = said.create(owner, assessment(1, "better", [1.5, "x"], overrides=first.id))
    assert said.get(owner, trace_id(1), first.id).valid is False
    said.delete(owner, trace_id(1), over.id)
    said.delete(owner, trace_id(1), over.id)  # it is gone already
    assert said.get(owner, trace_id(1), first.id).valid is True
    assert [one.id for one in app.traces.traces.get(owner, trace_id(1)).assessments] == [first.id]

    with pytest.raises(Duplicate):
        said.create(owner, msgspec.structs.replace(first))
    with pytest.raises(AssessmentNotFound):
        said.create(owner, assessment(1, "x", 1, overrides="a-none"))
    with pytest.raises(AssessmentNotFound):
        said.get(owner, trace_id(1), over.id)
    with pytest.raises(TraceNotFound):
        said.create(owner, assessment(2, "x", 1))
    with pytest.raises(NotPermitted):
        said.create(viewer, assessment(1, "x", 1))
    with pytest.raises(Invalid):
        said.create(owner, assessment(1, "x" * 2000, 1))


def test_records_merge_by_their_inputs(app: App, owner: Principal, viewer: Principal) -> None:
    sets, here = app.traces.datasets, experiment(app, owner)
    made = sets.create(owner, "questions", tags={"team": "red", "mlflow.user": "me"}, experiment_ids=[here])
    assert (made.created_by, made.experiment_ids, made.schema) == ("me", [here], None)
    given = [
        {"inputs": {"q": "1", "n": 1}, "expectations": {"a": "x"}, "tags": {"t": "1"}},
        {
            "inputs": {"q": "2"},
            "outputs": None,
            "source": {"source_type": "trace", "source_data": {"trace_id": "tr-1"}},
        },
        {"inputs": {"q": "3"}},
    ]
    assert sets.put_records(owner, made.id, [read_record(one, 0) for one in given]) == (3, 0)
    again = [{"inputs": {"n": 1, "q": "1"}, "expectations": {"b": 2}, "outputs": "o"}, {"inputs": {"q": "4"}}]
    assert sets.put_records(owner, made.id, [read_record(one, 0) for one in again]) == (1, 1)
    records, token = sets.records(viewer, made.id, limit=3)
    assert [one.inputs["q"] for one in records] == ["1", "2", "3"]
    assert [one.inputs["q"] for one in sets.records(viewer, made.id, token=token)[0]] == ["4"]
    assert (records[0].expectations, records[0].outputs, records[0].tags) == (
        {"a": "x", "b": 2},
        "o",
        {"t": "1"},
    )
    assert (records[1].outputs, records[1].source_id, records[2].outputs) == (None, "tr-1", {})
    now = sets.get(viewer, made.id)
    assert now.profile == '{"num_records": 4}'
    assert '"inputs": {"q": "string", "n": "integer"}' in (now.schema or "").replace(
        '"n": "integer", "q": "string"', '"q": "string", "n": "integer"'
    )
    assert now.digest != made.digest or now.updated_us == made.updated_us
    assert sets.delete_records(owner, made.id, [records[0].id, "dr-none"]) == 1
    assert sets.get(owner, made.id).profile == '{"num_records": 3}'
    for wrong in ("text", {"inputs": []}, {"inputs": {}, "source": {"source_type": "X"}}, {"tags": 1}):
        with pytest.raises(Invalid):
            read_record(wrong, 0)
    with pytest.raises(Invalid):
        sets.records(owner, made.id, token="%%")


def test_data_sets_are_found_and_ended(app: App, owner: Principal, viewer: Principal) -> None:
    sets, here = app.traces.datasets, experiment(app, owner)
    ids = {
        name: sets.create(owner, name, tags={"n": str(place)}, experiment_ids=[here] if place else []).id
        for place, name in enumerate(("alpha", "Beta", "gamma"))
    }

    def names(where: str = "", *order_by: str, experiments: tuple[str, ...] = ()) -> list[str]:
        found, cursor = [], None
        while True:
            page = sets.search(
                viewer, filter=where, order_by=order_by, experiment_ids=experiments, limit=1, cursor=cursor
            )
            found += [one.name for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return found

    assert sorted(names()) == ["Beta", "alpha", "gamma"]
    assert sorted(names(experiments=(here,))) == ["Beta", "gamma"]
    assert names("name LIKE '%a' AND tags.n != '0'", "name DESC") == ["gamma", "Beta"]
    assert names("name IN ('alpha', 'x')") == ["alpha"]
    assert names("name ILIKE 'BETA' AND created_time > 0") == ["Beta"]
    for wrong in ("foo = 'x'", "name > 'a'", "tags.n IN ('1')", "created_time > 'x'", "name NOT IN ('a')"):
        with pytest.raises(Invalid):
            names(wrong)
    with pytest.raises(Invalid):
        names("", "foo")

    with pytest.raises(ExperimentNotFound):
        sets.add_experiments(owner, ids["alpha"], ["98765"])
    assert sets.add_experiments(owner, ids["alpha"], [here]).experiment_ids == [here]
    assert sets.remove_experiments(owner, ids["alpha"], [here, "5"]).experiment_ids == []
    sets.set_tags(owner, ids["alpha"], {"x": "1", "n": None, "y": 5})
    sets.delete_tag(owner, ids["alpha"], "x")
    assert sets.get(owner, ids["alpha"]).tags == {"n": "0", "y": "5"}
    with pytest.raises(NotPermitted):
        sets.delete(viewer, ids["alpha"])
    sets.delete(owner, ids["alpha"])
    sets.delete(owner, "d-none")
    with pytest.raises(EvaluationDatasetNotFound):
        sets.get(owner, ids["alpha"])
    assert sets.restore(owner, ids["alpha"]).name == "alpha"
    sets.delete(owner, ids["alpha"])
    with app.db.write() as tx:
        assert purge(tx, before_us=now_us() + 1)["evaluation-dataset"] == [ids["alpha"]]
    with pytest.raises(EvaluationDatasetNotFound):
        sets.restore(owner, ids["alpha"])
