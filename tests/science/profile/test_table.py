import itertools
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.science import plain
from trimtab.science.profile import table
from trimtab.science.profile.table import TableState


def sample(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "id": np.arange(n),
        "delay": rng.exponential(10, n),
        "hour": rng.integers(5, 23, n),
        "carrier": rng.choice(["UA", "AA", "DL"], n, p=[0.5, 0.3, 0.2]),
        "gaps": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
        "late": rng.random(n) < 0.2,
        "at": np.datetime64("2013-01-01") + rng.integers(0, 365, n).astype("m8[D]"),
        "tail": [f"N{i:05d}" for i in rng.integers(0, 10**5, n)],
    }


def test_figures_are_those_of_pandas():
    data = sample()
    found, frame = table.profile(data), pd.DataFrame(data)
    assert found.rows == 3000
    for name in ("id", "delay", "hour", "gaps"):
        one, column = found.column(name), frame[name]
        assert (one.count, one.nulls, one.distinct) == (3000, column.isna().sum(), column.nunique())
        assert (one.min, one.max) == (column.min(), column.max())
        assert one.mean == pytest.approx(column.mean())
        assert one.std == pytest.approx(column.std(ddof=0))
        for level, value in one.quantiles.items():
            assert column.le(value).sum() / column.count() == pytest.approx(
                float(level), abs=0.06 if name == "hour" else 0.002
            )
        assert sum(one.histogram.counts) == pytest.approx(column.count(), abs=20)
    assert {
        top.value: top.count for top in found.column("carrier").top
    } == frame.carrier.value_counts().to_dict()
    assert found.column("tail").distinct == frame["tail"].nunique()


def test_types():
    found = {one.name: one.type for one in table.profile(sample()).columns}
    assert found == {
        "id": "integer",
        "delay": "number",
        "hour": "integer",
        "carrier": "text",
        "gaps": "number",
        "late": "flag",
        "at": "time",
        "tail": "text",
    }


def test_any_holder_gives_the_same_profile():
    data = sample(400)
    frame = pd.DataFrame(data)
    arrow = pa.Table.from_pandas(frame)
    lists = {name: frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame}
    holders = [
        {name: frame[name] for name in frame},
        {name: arrow[name] for name in arrow.column_names},
        lists,
    ]
    first, *others = [plain.dump(table.profile(one)) for one in holders]
    for other in others:
        assert other == first


@pytest.mark.parametrize("cuts", [1, 2, 7])
def test_chunks_merge_to_the_whole(cuts):
    data = sample()
    whole = table.profile(data)
    bounds = np.linspace(0, 3000, cuts + 1).astype(int)
    parts = [
        table.add(TableState(), {name: values[a:b] for name, values in data.items()})
        for a, b in itertools.pairwise(bounds)
    ]
    found = table.finish(table.merge(parts))
    for one, other in zip(whole.columns, found.columns, strict=True):
        assert (one.name, one.type, one.count, one.nulls, one.min, one.max) == (
            other.name,
            other.type,
            other.count,
            other.nulls,
            other.min,
            other.max,
        )
        assert other.distinct == pytest.approx(one.distinct, rel=0.06)
        if one.mean is not None:
            assert other.mean == pytest.approx(one.mean)
            assert other.std == pytest.approx(one.std)
            assert list(other.quantiles.values()) == pytest.approx(
                list(one.quantiles.values()), abs=0.05 * one.std
            )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.integers(-5, 5), st.floats(allow_nan=True, allow_infinity=True)), max_size=40
    )
)
def test_any_numbers_can_be_profiled(values):
    found = table.profile({"x": values}).columns[0]
    assert found.count == len(values)
    assert found.nulls + found.infinite <= found.count
    json.dumps(plain.dump(found), allow_nan=False)
    if found.histogram:
        assert sum(found.histogram.counts) == found.count - found.nulls - found.infinite


def test_a_column_missing_from_a_chunk_counts_as_null():
    state = table.add(table.add(TableState(), {"x": [1, 2]}), {"y": ["a"]})
    found = table.finish(state)
    assert found.rows == 3
    assert (found.column("x").count, found.column("x").nulls) == (3, 1)
    assert (found.column("y").count, found.column("y").nulls) == (3, 2)


def test_mixed_and_empty_columns():
    state = table.add(
        table.add(TableState(), {"x": [1, 2], "z": [None, None]}), {"x": ["a", "b"], "z": [None, None]}
    )
    found = table.finish(state)
    assert found.column("x").type == "mixed"
    assert found.column("z").type == "empty"
    assert table.profile({}).rows == 0
    with pytest.raises(ValueError):
        table.profile({"x": [1], "y": [1, 2]})
