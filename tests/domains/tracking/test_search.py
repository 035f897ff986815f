"""Searching runs: every comparison, missing values, ties, NaN, orderings and pages, alike on both engines."""

import math
import random

import pytest

from trimtab.app import App
from trimtab.domains.tracking.metrics.model import Point
from trimtab.domains.tracking.runs.model import Dataset, DatasetInput
from trimtab.kernel.errors import Invalid
from trimtab.kernel.filters import BadFilter
from trimtab.kernel.who import Principal


@pytest.fixture
def runs(app: App, editor: Principal) -> dict[str, str]:
    """Five runs by name; what each lacks is as telling as what it has."""
    made: dict[str, str] = {}
    for index, name in enumerate("abcde"):
        run = app.tracking.runs.create(
            editor, name=name, owner=f"user{index % 2}", started_us=(index + 1) * 1_000_000
        )
        made[name] = run.id
    log = app.tracking.runs.log
    log(
        editor,
        made["a"],
        points=[Point("auc", 0.9, 1)],
        params=[("kind", "Tree"), ("depth", "3")],
        tags=[("team", "risk")],
    )
    log(editor, made["b"], points=[Point("auc", 0.5, 1)], params=[("kind", "tree"), ("my key", "x%y")])
    log(
        editor,
        made["c"],
        points=[Point("auc", math.nan, 1)],
        params=[("kind", "linear")],
        tags=[("team", "")],
    )
    log(editor, made["d"], points=[Point("auc", math.inf, 1)], tags=[("team", "Risk")])
    log(editor, made["e"], points=[Point("auc", -math.inf, 1), Point("val auc", 1e-300, 1)])
    app.tracking.runs.update(editor, made["b"], status="FINISHED", ended_us=9_000_000)
    app.tracking.runs.update(editor, made["d"], status="FAILED", ended_us=8_000_000)
    data = DatasetInput(Dataset("flights", "d1", "local", "x"), {"mlflow.data.context": "training"})
    app.tracking.runs.log_inputs(editor, made["a"], datasets=[data])
    return made


def _names(app: App, who: Principal, filter_text: str = "", *order_by: str) -> str:
    page = app.tracking.runs.search(who, filter=filter_text, order_by=order_by or ["attributes.run_name"])
    assert page.next_cursor is None
    return "".join(run.head.name for run in page.items)


_FILTERS = {
    "": "abcde",
    "metrics.auc > 0.5": "ad",
    "metrics.auc >= 0.5": "abd",
    "metrics.auc < 1": "abe",
    "metrics.auc <= -1e308": "e",
    "metrics.auc = 0.9": "a",
    "metrics.auc = 0": "",
    "metrics.auc != 0.9": "bcde",
    "metrics.`val auc` > 0": "e",
    'metric."val auc" < 1': "e",
    "metrics.unknown != 1": "",
    "params.kind = 'tree'": "b",
    "params.kind != 'tree'": "ac",
    "params.kind LIKE 't%'": "b",
    "param.kind ILIKE 'T%'": "ab",
    "parameters.kind like '%r_e'": "ab",
    "params.`my key` LIKE 'x%y'": "b",
    "params.kind IS NULL": "de",
    "params.kind IS NOT NULL AND tags.team IS NULL": "b",
    "tags.team = ''": "c",
    "tag.team ILIKE 'risk'": "ad",
    "tags.mlflow.runName = 'a'": "a",
    "tags.unknown IS NULL": "abcde",
    "status = 'RUNNING'": "ace",
    "attributes.status != 'RUNNING'": "bd",
    "attr.run_name = 'c'": "c",
    "run.`Run name` LIKE '%'": "abcde",
    "user_id = 'user0'": "ace",
    "start_time > 2000 and start_time <= 4000": "cd",
    "created >= 4000.5": "e",
    "end_time < 9000": "d",
    "end_time != 9000": "d",
    "artifact_uri LIKE 'mlflow-artifacts:/0/%/artifacts'": "abcde",
    "datasets.name = 'flights'": "a",
    "dataset.digest IN ('d1', 'd2')": "a",
    "dataset.context ILIKE 'TRAIN%'": "a",
    "dataset.name NOT IN ('flights')": "",
    "params.kind = 'Tree' AND metrics.auc > 0.8 AND tags.team = 'risk' AND dataset.name = 'flights'": "a",
}


def test_filters(app: App, editor: Principal, runs: dict[str, str]) -> None:
    assert {text: _names(app, editor, text) for text in _FILTERS} == _FILTERS


def test_runs_are_found_by_ids(app: App, editor: Principal, runs: dict[str, str]) -> None:
    assert _names(app, editor, f"run_id IN ('{runs['b']}', '{runs['d']}', 'none')") == "bd"
    assert _names(app, editor, f"attributes.run_id NOT IN ('{runs['b']}')") == "acde"
    assert _names(app, editor, f"run_id = '{runs['e']}'") == "e"


_ORDERINGS = [
    ((), "edcba"),
    (("start_time ASC",), "abcde"),
    (("metrics.auc",), "ebadc"),
    (("metrics.auc DESC",), "dabec"),
    (("metrics.`val auc` DESC",), "edcba"),
    (("params.kind ASC",), "acbed"),
    (("params.kind DESC",), "bcaed"),
    (("tags.team",), "cdaeb"),
    (("end_time",), "dbeca"),
    (("end_time DESC", "start_time ASC"), "bdace"),
    (("attributes.status", "metrics.auc DESC"), "dbaec"),
    (("user_id", "run_name DESC"), "ecadb"),
    (("metrics.unknown", "created"), "abcde"),
]


def test_orderings(app: App, editor: Principal, runs: dict[str, str]) -> None:
    for order_by, expected in _ORDERINGS:
        found = app.tracking.runs.search(editor, order_by=order_by).items
        names = "".join(run.head.name for run in found)
        if "params.kind" in str(order_by) or "tags.team" in str(order_by):
            # Where capital letters stand among small ones is the database's own order of text.
            assert sorted(names) == sorted(expected), order_by
            assert names[-2:] == expected[-2:], order_by
        else:
            assert names == expected, order_by
        pages, cursor = "", None
        for _ in range(4):
            page = app.tracking.runs.search(editor, order_by=order_by, limit=2, cursor=cursor)
            pages += "".join(run.head.name for run in page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
        assert pages == names, order_by


def test_pages_go_through_ties(app: App, editor: Principal) -> None:
    rng = random.Random(3)
    for index in range(40):
        run = app.tracking.runs.create(editor, name="same", started_us=rng.randrange(3))
        if index % 4:
            app.tracking.runs.log(editor, run.id, points=[Point("m", float(rng.randrange(3)), 1)])
    for order_by in ([], ["metrics.m"], ["metrics.m DESC", "end_time"], ["run_name", "metrics.m"]):
        whole = [run.id for run in app.tracking.runs.search(editor, order_by=order_by, limit=1000).items]
        assert len(set(whole)) == 40
        paged: list[str] = []
        cursor = None
        while True:
            page = app.tracking.runs.search(editor, order_by=order_by, limit=7, cursor=cursor)
            paged += [run.id for run in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert paged == whole


def test_experiments_bound_a_search(app: App, editor: Principal) -> None:
    made = [app.tracking.experiments.create(editor, name=f"e{number}").id for number in range(3)]
    for experiment_id in made:
        app.tracking.runs.create(editor, experiment_id=experiment_id, name=experiment_id)

    def search(ids: list[str] | None) -> set[str]:
        return {run.head.experiment_id for run in app.tracking.runs.search(editor, experiment_ids=ids).items}

    assert search(made[:1]) == {made[0]}
    assert search(made[:2]) == set(made[:2])
    assert search([]) == set()
    assert search(None) == set(made)
    assert search([str(number) for number in range(800)]) == set(made)
    with pytest.raises(Invalid, match="must be a valid integer"):
        search(["x"])


_MEANINGLESS = {
    "metrics.auc = 'x'": "numeric",
    "metrics.auc LIKE 'x'": "comparator 'LIKE'",
    "params.kind > 'x'": "comparator '>'",
    "params.kind = 3": "quoted string",
    "params.kind IN ('a')": "comparator 'IN'",
    "thing.kind = 'a'": "entity type 'thing'",
    "attributes.nothing = 'a'": "Invalid attribute key 'nothing'",
    "statu = 'a'": "Did you mean 'status'",
    "status IN ('RUNNING')": "run_id",
    "start_time = 'x'": "numeric",
    "start_time > 99999999999999999999": "out of range",
    "datasets.size = 'x'": "dataset key",
    "status IS NULL": "comparator",
    "metrics.auc IS NULL": "comparator",
    "metrics.auc > 1 OR metrics.auc < 0": "character 19",
}


def test_filters_that_mean_nothing(app: App, editor: Principal) -> None:
    for text, says in _MEANINGLESS.items():
        with pytest.raises(BadFilter, match=says):
            app.tracking.runs.search(editor, filter=text)
    assert app.tracking.runs.search(editor, filter="start_time > 1e30").items == []


def test_orderings_that_mean_nothing(app: App, editor: Principal) -> None:
    for order_by in (["nothing"], ["datasets.name"], ["metrics.a", "metrics.a DESC"], ["x.y"], ["a b"]):
        with pytest.raises(BadFilter):
            app.tracking.runs.search(editor, order_by=order_by)


def test_a_cursor_is_for_its_search(app: App, editor: Principal, runs: dict[str, str]) -> None:
    cursor = app.tracking.runs.search(editor, limit=2).next_cursor
    assert cursor is not None
    for other in (
        {"filter": "metrics.auc > 0"},
        {"order_by": ["start_time"]},
        {"view": "all"},
        {"experiment_ids": ["0"]},
    ):
        with pytest.raises(Invalid, match="another"):
            app.tracking.runs.search(editor, limit=2, cursor=cursor, **other)  # type: ignore[arg-type]
    for broken in ("x", cursor[:-4], "W10"):
        with pytest.raises(Invalid):
            app.tracking.runs.search(editor, limit=2, cursor=broken)
    for limit in (0, 50_001):
        with pytest.raises(Invalid, match="limit"):
            app.tracking.runs.search(editor, limit=limit)
