"""Point-in-time joins against a naive loop, and what they refuse."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.kernel.errors import Invalid
from trimtab.sdk.features import point_in_time_join

at = datetime.fromisoformat
KEYS = st.one_of(st.none(), st.integers(0, 3))
MOMENTS = st.one_of(st.none(), st.integers(-20, 20))
ENTITIES = st.lists(st.tuples(KEYS, MOMENTS), max_size=25)
FEATURES = st.lists(st.tuples(KEYS, MOMENTS, st.one_of(st.none(), st.integers(0, 99))), max_size=40)


def naive(
    entities: list[tuple[Any, Any]], features: list[tuple[Any, Any, Any]], max_age: int | None
) -> list[tuple[Any, ...]]:
    """The definition, word by word."""
    joined = []
    for key, moment in entities:
        best: tuple[Any, Any] = (None, None)
        for feature_key, feature_moment, value in features:
            if (
                None in (key, moment, feature_key, feature_moment)
                or key != feature_key
                or feature_moment > moment
            ):
                continue
            if best[0] is None or feature_moment >= best[0]:
                best = (feature_moment, value)
        if best[0] is not None and max_age is not None and moment - best[0] > max_age:
            best = (None, None)
        joined.append((key, moment, *best))
    return joined


def rows(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in table.to_pylist()]


@settings(max_examples=50, deadline=None)
@given(ENTITIES, FEATURES, st.one_of(st.none(), st.integers(0, 10)))
def test_it_joins_what_the_definition_says(
    entities: list[tuple[Any, Any]], features: list[tuple[Any, Any, Any]], max_age: int | None
) -> None:
    left = pa.table(
        {
            "k": pa.array([e[0] for e in entities], pa.int64()),
            "t": pa.array([e[1] for e in entities], pa.int64()),
        }
    )
    right = pa.table({
        "k": pa.array([f[0] for f in features], pa.int32()),
        "ft": pa.array([f[1] for f in features], pa.int64()),
        "x": pa.array([f[2] for f in features], pa.int8()),
    })  # fmt: skip
    joined = point_in_time_join(left, right, on="k", entity_time="t", feature_time="ft", max_age=max_age)
    assert rows(joined) == naive(entities, features, max_age)
    assert joined.schema.field("x").type == pa.int8()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30),
    st.lists(st.integers(0, 50), max_size=30),
    st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_it_never_looks_ahead(moments: list[int], known: list[int], unit: str) -> None:
    left = pa.table({"k": ["a"] * len(moments), "t": pa.array(moments, pa.timestamp(unit))})
    right = pa.table({"k": ["a"] * len(known), "ft": pa.array(known, pa.timestamp("us"))})
    for _, moment, found in rows(point_in_time_join(left, right, on="k", entity_time="t", feature_time="ft")):
        assert found is None or pd.Timestamp(found) <= pd.Timestamp(moment)


ENTITY_FRAME = {"k": ["a", "b"], "t": [at("2013-01-02"), at("2013-01-02")]}
FEATURE_FRAME = {
    "k": ["a", "a", "b"],
    "ft": [at("2013-01-01"), at("2013-01-03"), at("2013-01-01")],
    "x": [1.0, 2.0, 3.0],
}


@pytest.mark.parametrize("left", [pa.table, pd.DataFrame, lambda frame: pa.table(frame).to_reader(), dict])
@pytest.mark.parametrize(
    "right", [pa.table, pd.DataFrame, lambda frame: pa.table(frame).to_reader(max_chunksize=1)]
)
def test_it_takes_any_frame(left: Any, right: Any) -> None:
    joined = point_in_time_join(
        left(ENTITY_FRAME), right(FEATURE_FRAME), on=["k"], entity_time="t", feature_time="ft"
    )
    assert joined.column_names == ["k", "t", "ft", "x"]
    assert joined["x"].to_pylist() == [1.0, 3.0]


def test_polars_frames() -> None:
    pl = pytest.importorskip("polars")
    joined = point_in_time_join(
        pl.DataFrame(ENTITY_FRAME), pl.DataFrame(FEATURE_FRAME), on="k", entity_time="t", feature_time="ft"
    )
    assert joined["x"].to_pylist() == [1.0, 3.0]


def test_datasets_stream(tmp_path: Any) -> None:
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    pq.write_table(pa.table(FEATURE_FRAME), tmp_path / "f.parquet")
    joined = point_in_time_join(
        ENTITY_FRAME, ds.dataset(tmp_path), on="k", entity_time="t", feature_time="ft"
    )
    assert joined["x"].to_pylist() == [1.0, 3.0]


def test_the_order_of_the_entities_is_kept_over_many_rows() -> None:
    rng = np.random.default_rng(7)
    left = pa.table(
        {"k": rng.integers(0, 50, 50_000), "t": rng.integers(0, 10_000, 50_000), "n": np.arange(50_000)}
    )
    right = pa.table(
        {"k": rng.integers(0, 50, 80_000), "t": rng.integers(0, 10_000, 80_000), "x": rng.normal(size=80_000)}
    )
    joined = point_in_time_join(left, right, on="k", entity_time="t", feature_time="t")
    assert joined["n"].to_pylist() == list(range(50_000))
    assert joined.column_names == ["k", "t", "n", "x"]


def test_simultaneous_features_the_last_row_wins() -> None:
    right = {"k": ["a"] * 3, "ft": [1, 1, 1], "x": [1, 2, 3]}
    joined = point_in_time_join({"k": ["a"], "t": [1]}, right, on="k", entity_time="t", feature_time="ft")
    assert joined["x"].to_pylist() == [3]


def test_dates_and_zones_compare() -> None:
    left = {"t": [datetime(2013, 1, 2, 23, tzinfo=UTC)]}
    stamped = pa.table(
        {
            "ft": pa.array([datetime(2013, 1, 2, 22, tzinfo=UTC)], pa.timestamp("ns", "America/New_York")),
            "x": [1],
        }
    )
    assert point_in_time_join(left, stamped, on=[], entity_time="t", feature_time="ft")["x"].to_pylist() == [
        1
    ]
    dated = {"ft": [date(2013, 1, 2), date(2013, 1, 3)], "x": [1, 2]}
    assert point_in_time_join(
        {"t": [at("2013-01-02T05:00")]}, dated, on=[], entity_time="t", feature_time="ft"
    )["x"].to_pylist() == [1]


def test_old_features_are_left_out() -> None:
    join = {"on": "k", "entity_time": "t", "feature_time": "ft"}
    fresh = point_in_time_join(ENTITY_FRAME, FEATURE_FRAME, **join, max_age=timedelta(days=1))
    assert fresh["x"].to_pylist() == [1.0, 3.0]
    stale = point_in_time_join(ENTITY_FRAME, FEATURE_FRAME, **join, max_age=86_399.999999)
    assert stale["x"].to_pylist() == [None, None]


def test_it_spills_beyond_its_memory() -> None:
    rng = np.random.default_rng(3)
    left = pa.table({"k": rng.integers(0, 500, 200_000), "t": rng.integers(0, 10**9, 200_000)})
    right = pa.table(
        {
            "k": rng.integers(0, 500, 400_000),
            "ft": rng.integers(0, 10**9, 400_000),
            "x": rng.normal(size=400_000),
        }
    )
    small = point_in_time_join(left, right, on="k", entity_time="t", feature_time="ft", memory_limit="100MB")
    assert small.equals(point_in_time_join(left, right, on="k", entity_time="t", feature_time="ft"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"on": "kk"}, "no column 'kk'. Did you mean 'k'"),
        ({"entity_time": "tt"}, "no column 'tt'"),
        ({"feature_time": "x"}, "must be a date"),
        ({"max_age": -1}, "negative"),
        ({"entities": {"k": [1], "t": [at("2013-01-01")]}}, "The key 'k' is int64"),
        ({"entities": {"k": ["a"], "t": [datetime(2013, 1, 1, tzinfo=UTC)]}}, "time zone"),
        ({"entities": {"k": ["a"], "t": [1]}}, "cannot be compared"),
        ({"entities": {"k": ["a"], "t": [at("2013-01-01")], "x": [1]}}, "Both sides have a column 'x'"),
        ({"entities": 5}, "type int"),
    ],
)
def test_what_cannot_be_joined_is_said(change: dict[str, Any], says: str) -> None:
    asked = {
        "entities": ENTITY_FRAME,
        "features": FEATURE_FRAME,
        "on": "k",
        "entity_time": "t",
        "feature_time": "ft",
        **change,
    }
    with pytest.raises(Invalid, match=says):
        point_in_time_join(asked.pop("entities"), asked.pop("features"), **asked)


def test_strange_names_are_only_names() -> None:
    left = {'k"; drop': ["a"], "t time": [2]}
    joined = point_in_time_join(
        left,
        {'k"; drop': ["a"], "f": [1], "x'y\"": [7]},
        on='k"; drop',
        entity_time="t time",
        feature_time="f",
    )
    assert joined["x'y\""].to_pylist() == [7]
