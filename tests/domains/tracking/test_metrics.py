"""Where the points of curves lie: the tail, the blocks, and what is kept beside them."""

import math
import random
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.app import App
from trimtab.domains.tracking.metrics import (
    blocks,
    chain,
    compaction,
    folding,
    series,
    settling,
    store,
    tails,
)
from trimtab.domains.tracking.metrics.model import Point, PointColumns, columns_of
from trimtab.infra.db.queries import statement
from trimtab.kernel.who import Principal

whole = st.integers(-(2**63), 2**63 - 1)
times = st.integers(0, 2**63 - 1)
values = st.floats(width=64)
points = st.lists(st.tuples(st.sampled_from("abc"), whole, times, values), min_size=1, max_size=40)


@given(st.lists(st.tuples(whole, times, values), min_size=1, max_size=60), st.sampled_from([1, 1024]))
def test_a_block_gives_back_what_it_took(rows: list[tuple[int, int, float]], long: int) -> None:
    step, at_us = (np.asarray([row[place] for row in rows], np.int64) for place in (0, 1))
    value = np.asarray([row[2] for row in rows])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_LONG_POINTS", long)
        contents = [
            (times_us, blocks.encode(step, times_us, value)) for times_us in (at_us, at_us // 1000 * 1000)
        ]
    for times_us, content in contents:
        for kept in (np.arange(len(rows)), np.arange(0, len(rows), 3)):
            for found in (
                blocks.Block(7, 8, content).take(kept),
                blocks.Block(7, 8, content).whole().take(kept),
            ):
                assert found.step.tolist() == step[kept].tolist()
                assert found.at_us.tolist() == times_us[kept].tolist()
                assert found.value.tobytes() == value[kept].tobytes()


def test_a_full_block_of_noise_is_read_without_being_decompressed() -> None:
    """The low bytes of noise lie as they are, so that a chart of it costs little; nothing takes more than its bytes."""
    source = np.random.default_rng(1)
    step, value = np.arange(blocks.MOST_POINTS), source.random(blocks.MOST_POINTS)
    content = blocks.encode(step, step * 1_000_000, value)
    assert len(content) < 8 * blocks.MOST_POINTS
    assert value.view(np.uint8)[::8].tobytes() in content
    assert blocks.Block(1, 1, content).whole().value.tobytes() == value.tobytes()


def test_a_block_of_a_later_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 9"):
        blocks.Block(1, 1, bytes([9]) + bytes(60))


spans = st.none() | st.tuples(st.integers(-5, 60), st.integers(-5, 60))


@given(
    st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=8), min_size=1, max_size=5),
    spans,
    st.booleans(),
)
def test_a_chain_takes_what_all_points_together_have(
    gaps: list[list[int]], span: tuple[int, int] | None, overlapping: bool
) -> None:
    """Parts one behind the other, or two that overlap, give the same points, whichever part they lie in."""
    parts: list[tuple[chain.Place, chain.Place, chain.Part]] = []
    everything: list[series.Series] = []
    start = 0
    for number, gap in enumerate(gaps):
        step = np.cumsum(gap) + (0 if overlapping else start)
        at_us = np.arange(step.size) * 1000 + number
        one = series.of_one(1, 2, step, at_us, np.sin(step) + number)
        content = blocks.encode(step, at_us, one.value)
        parts.append((one.place(0), one.place(-1), one if number % 2 else blocks.Block(1, 2, content)))
        everything.append(one)
        start = int(step[-1]) + 1
    wanted = series.within(everything, span)
    found = chain.chained(parts[::-1], steps=span)
    if wanted is None:
        assert len(found) == 0
        return
    assert (len(found), found.value.tolist()) == (len(wanted), wanted.value.tolist())
    rows = np.arange(0, len(wanted), 2)
    for mine, theirs in ((found.take(rows), wanted.take(rows)), (found.whole(), wanted)):
        for column in ("run", "key", "step", "at_us", "value"):
            assert getattr(mine, column).tolist() == getattr(theirs, column).tolist()


@given(points)
def test_a_row_of_the_tail_gives_back_what_it_took(rows: list[tuple[str, int, int, float]]) -> None:
    columns = PointColumns(
        *(list(column) for column in zip(*((k, v, t, s) for k, s, t, v in rows), strict=True))
    )
    series = tails.unpack([(7, tails.pack(columns, {"a": 1, "b": 2, "c": 3}))])
    assert set(series.run.tolist()) == {7}
    assert ["-abc"[key] for key in series.key.tolist()] == list(columns.keys)
    assert (series.step.tolist(), series.at_us.tolist()) == (columns.steps, columns.at_us)
    assert series.value.tobytes() == (np.asarray(columns.values) + 0.0).tobytes()


@settings(max_examples=60)
@given(points, st.integers(0, 40))
def test_latest_and_bounds_are_those_of_all_points(rows: list[tuple[str, int, int, float]], cut: int) -> None:
    known: dict[tuple[int, int], folding.Latest] = {}
    for part in (rows[:cut], rows[cut:]):
        if part:
            columns = columns_of([Point(key, value, at_us, step) for key, step, at_us, value in part])
            packed = tails.pack(columns, {"a": 1, "b": 2, "c": 3})
            known.update(folding.merged(known, tails.unpack([(1, packed)])))
    for number, key in enumerate("abc", 1):
        mine = [(step, at_us, value) for one, step, at_us, value in rows if one == key]
        if not mine:
            assert (1, number) not in known
            continue
        ranks = [(step, at_us, 0.0 if math.isnan(value) else value) for step, at_us, value in mine]
        seen = known[1, number]
        assert (seen.step, seen.at_us, 0.0 if math.isnan(seen.value) else seen.value) == max(ranks)
        numbers = [value for _, _, value in mine if not math.isnan(value)]
        assert (seen.least, seen.greatest) == ((min(numbers), max(numbers)) if numbers else (None, None))


def history(app: App, who: Principal, run_id: str, key: str, limit: int = 1000) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    cursor = None
    while True:
        page = app.tracking.metrics.history(who, run_id, key, limit=limit, cursor=cursor)
        found += [(one.at_us, one.step, repr(one.value)) for one in page.columns.points()]
        cursor = page.next_cursor
        if cursor is None:
            return found


def compact(app: App, run_id: str) -> None:
    with app.db.read() as tx:
        row = tx.one(statement("number", "select no from tracking_run where id = :id"), id=run_id)
    assert row is not None
    compaction.compact(app.db, row[0])


def rows_in(app: App, table: str) -> int:
    with app.db.read() as tx:
        row = tx.one(statement("count", f"select count(*) from tracking_metric_{table}"))
    assert row is not None
    return row[0]


def test_compaction_changes_nothing_but_the_place(
    app: App, editor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "MOST_POINTS", 16)
    source = random.Random(3)
    run = app.tracking.runs.create(editor)
    odd = [math.nan, math.inf, -math.inf, -0.0, 0.0]
    logged = [
        Point(
            source.choice("ab"),
            source.choice([*odd, source.random()]),
            source.randrange(40) * 1000,
            source.randrange(20),
        )
        for _ in range(300)
    ]
    for start in range(0, 300, 25):
        app.tracking.runs.log(editor, run.id, points=logged[start : start + 25])
        if start in (100, 200):
            compact(app, run.id)
    expected = {key: history(app, editor, run.id, key) for key in "ab"}
    latest = app.tracking.runs.get(editor, run.id).metrics
    compact(app, run.id)
    assert rows_in(app, "tail") == 0
    assert {key: history(app, editor, run.id, key) for key in "ab"} == expected
    assert {key: history(app, editor, run.id, key, limit=7) for key in "ab"} == expected
    after = app.tracking.runs.get(editor, run.id).metrics
    for key in "ab":
        assert repr(after[key].value) == repr(latest[key].value)
        assert (after[key].least, after[key].greatest) == (-math.inf, math.inf)
        assert after[key].points == len(expected[key]) < 300


def test_what_is_sent_again_counts_once(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    batch = [Point("m", step / 7, step * 1000, step) for step in range(20)]
    for _ in range(3):
        app.tracking.runs.log(editor, run.id, points=batch)
    assert app.tracking.runs.get(editor, run.id).metrics["m"].points == 20
    compact(app, run.id)
    app.tracking.runs.log(editor, run.id, points=batch[5:])  # another request with the same points
    assert len(history(app, editor, run.id, "m")) == 20
    compact(app, run.id)
    assert app.tracking.runs.get(editor, run.id).metrics["m"].points == 20


def test_a_search_sees_what_was_logged_just_before(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    for value in (0.1, 0.9, 0.4):
        app.tracking.runs.log(editor, run.id, points=[Point("auc", value, 1, int(value * 10))])
        found = app.tracking.runs.search(editor, filter=f"metrics.auc >= {value}").items
        assert [one.id for one in found] == [run.id]
    seen = app.tracking.runs.search(editor, filter="metrics.auc > 0.5").items[0].metrics["auc"]
    assert (seen.value, seen.least, seen.greatest, seen.points) == (0.9, 0.1, 0.9, 3)


def test_logging_goes_on_while_it_is_compacted(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    done = threading.Event()

    def keep_compacting() -> None:
        while not done.is_set():
            compact(app, run.id)

    thread = threading.Thread(target=keep_compacting)
    thread.start()
    for step in range(60):
        app.tracking.runs.log(
            editor, run.id, points=[Point("m", float(step), step, step), Point("n", 0.5, step)]
        )
    done.set()
    thread.join()
    assert [step for _, step, _ in history(app, editor, run.id, "m")] == list(range(60))
    assert len(history(app, editor, run.id, "n")) == 60
    compact(app, run.id)
    assert app.tracking.runs.get(editor, run.id).metrics["m"].points == 60


def test_points_of_the_first_version_are_taken_over(app: App, editor: Principal) -> None:
    run = app.tracking.runs.create(editor)
    insert = statement(
        "old",
        "insert into tracking_metric_point (run_no, key_no, at_us, step, value, kind)"
        " select r.no, k.no, :at_us, :step, :value, :kind from tracking_run r, tracking_key k"
        " where r.id = :id and k.name = 'mlflow.runName'",
    )
    with app.db.write() as tx:
        for step, (value, kind) in enumerate([(0.5, 0), (0.0, 1), (1.7976931348623157e308, 2)]):
            tx.run(insert, id=run.id, at_us=step * 1000, step=step, value=value, kind=kind)
    app.tracking.start()
    app.tracking.stop()
    assert rows_in(app, "point") == 0
    assert history(app, editor, run.id, "mlflow.runName") == [
        (0, 0, "0.5"),
        (1000, 1, "nan"),
        (2000, 2, "inf"),
    ]


def test_purged_runs_leave_no_points(app: App, editor: Principal) -> None:
    run, other = (app.tracking.runs.create(editor) for _ in range(2))
    for one in (run, other):
        app.tracking.runs.log(editor, one.id, points=[Point("m", 1.0, 1, step) for step in range(3)])
    compact(app, other.id)
    with app.db.write() as tx:
        numbers = tx.all(statement("numbers", "select no from tracking_run"))
        store.purge(tx, [number for (number,) in numbers])
    assert [rows_in(app, table) for table in ("tail", "block", "latest")] == [0, 0, 0]
    app.tracking.runs.log(editor, run.id, points=[Point("m", 2.0, 1, 9)])
    assert app.tracking.runs.search(editor, filter="metrics.m = 2").items[0].id == run.id


def test_long_tails_are_compacted_in_the_background_and_short_ones_stay(
    app: App, editor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MANY_ROWS", 20)
    long, short = (app.tracking.runs.create(editor) for _ in range(2))
    app.tracking.start()
    try:
        for step in range(20):
            app.tracking.runs.log(editor, long.id, points=[Point("m", 0.5, step, step)])
        app.tracking.runs.log(editor, short.id, points=[Point("m", 0.5, 1)])
        until = time.monotonic() + 20
        while rows_in(app, "tail") > 1 and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        app.tracking.stop()
    assert (rows_in(app, "tail"), rows_in(app, "block")) == (1, 1)
    assert len(history(app, editor, long.id, "m")) == 20


def test_latest_values_follow_without_a_reader(app: App, owner: Principal) -> None:
    run = app.tracking.runs.create(owner)
    for step in range(150):
        app.tracking.runs.log(owner, run.id, points=[Point("loss", 1.0 / (step + 1), step, step)])
    app.tracking.start()
    try:
        until = time.monotonic() + 20
        while _newest_unfolded(app) is not None:
            assert time.monotonic() < until, "nobody folded"
            time.sleep(0.05)
    finally:
        app.tracking.stop()


def test_settling_stops_at_what_was_there_when_it_began(
    app: App, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = app.tracking.runs.create(owner)
    fold = store.fold

    def fold_among_writers(tx: Any, *, most_rows: int) -> int | None:
        upto = fold(tx, most_rows=most_rows)
        tx.after_commit(log_one)
        return upto

    def log_one() -> None:
        at_us = time.time_ns()
        app.tracking.runs.log(owner, run.id, points=[Point("loss", 0.5, at_us, 0)])

    log_one()
    monkeypatch.setattr(store, "fold", fold_among_writers)
    settling.settle(app.db)
    assert _newest_unfolded(app) is not None


def _newest_unfolded(app: App) -> int | None:
    with app.db.read() as tx:
        return store.newest_unfolded(tx)
