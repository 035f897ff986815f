"""Every way to find runs finds the same ones: along an index, from a few, from all; page by page, over experiments."""

import itertools
import random
from collections.abc import Sequence

import pytest

from trimtab.app import App
from trimtab.domains.tracking.metrics.model import Point
from trimtab.domains.tracking.runs import walks
from trimtab.domains.tracking.runs.model import Run
from trimtab.kernel.who import Principal

FILTERS = (
    "",
    "metrics.a > 0.5",
    "metrics.a != 0.25 and params.p = 'x'",
    "params.p = 'x' and metrics.b <= 0.75",
    f"params.long = '{'y' * 45}'",
    "tags.t = 'u' and metrics.a >= 0.25",
    "params.p IS NULL",
    "params.p LIKE '%x%' and metrics.a = 0.5",
    "metrics.none > 1",
)
ORDERS: tuple[Sequence[str], ...] = (
    (),
    ("metrics.a",),
    ("metrics.a DESC", "params.p"),
    ("params.long DESC", "metrics.b"),
    ("tags.t", "start_time DESC"),
    ("start_time",),
    ("end_time DESC", "metrics.a"),
    ("metrics.none",),
)


@pytest.fixture
def experiments(app: App, editor: Principal) -> list[str]:
    source = random.Random(5)
    made = [app.tracking.experiments.create(editor, name=f"e{number}").id for number in range(3)]
    odd = [float("nan"), float("inf"), float("-inf")]
    for number in range(90):
        started_us = 1_000_000 * source.randrange(20)
        tags = [("t", source.choice("uvw"))] if number % 4 else []
        run = app.tracking.runs.create(
            editor, experiment_id=made[number % 3], started_us=started_us, tags=tags
        )
        points = [
            Point(key, source.choice([*odd, 0.0, 0.25, 0.5, 0.75, 1.0]), 1)
            for key in "ab"
            if source.random() < 0.8
        ]
        params = [("p", source.choice(["x", "xx", "z"]))] if number % 5 else []
        params += [("long", "y" * source.choice([39, 40, 41, 45]) + source.choice(["", "a"]))]
        app.tracking.runs.log(editor, run.id, points=points, params=params)
    return made


def pages(
    app: App, who: Principal, among: Sequence[str], text: str, order: Sequence[str], size: int
) -> list[Run]:
    found: list[Run] = []
    cursor = None
    while True:
        page = app.tracking.runs.search(
            who, experiment_ids=among, filter=text, order_by=order, limit=size, cursor=cursor
        )
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_every_way_finds_the_same(
    app: App, viewer: Principal, experiments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {
        "all at once": {"_MOST_WALKS": 0, "_FEW": 0},
        "from few": {"_FIRST_STRETCH": 0, "_FEW": 1000},
        "a first stretch": {"_FIRST_STRETCH": 7, "_FEW": 3},
        "a walk": {"_FIRST_STRETCH": 0, "_FEW": 0},
    }
    for among, text, order in itertools.product((experiments[:1], experiments), FILTERS, ORDERS):
        expected: list[str] | None = None
        for way, bounds in ways.items():
            with monkeypatch.context() as patch:
                for name, value in bounds.items():
                    patch.setattr(walks, name, value)
                found = [run.id for run in pages(app, viewer, among, text, order, 13 if expected else 1000)]
            expected = found if expected is None else expected
            assert found == expected, (way, text, order)
        assert expected or "none" in text
