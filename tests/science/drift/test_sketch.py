import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.science.drift import sketch

numbers = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32)), max_size=60
)
texts = st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh")), max_size=60)


@given(numbers, numbers)
def test_every_row_lands_in_one_cell(reference, current):
    found = sketch.build({"x": reference}, kinds={"x": "numeric"})
    column = found.column("x")
    assert sum(column.counts) == len(reference)
    assert len(column.labels) == column.cells == len(column.edges) + 2
    counts = sketch.count(found, {"x": current}).counts["x"]
    assert sum(counts) == len(current)
    assert len(counts) == column.cells
    assert counts[-1] == sum(value is None or np.isnan(value) for value in current)


@given(texts, texts)
def test_every_label_lands_in_one_cell(reference, current):
    found = sketch.build({"k": reference}, kinds={"k": "categorical"}, top=3)
    column = found.column("k")
    counts = sketch.count(found, {"k": current}).counts["k"]
    assert sum(counts) == len(current)
    assert len(counts) == column.cells == len(column.labels)
    assert sketch.count(found, {"k": reference}).counts["k"] == column.counts


@given(numbers, numbers, numbers)
def test_windows_merge_like_rows(reference, one, other):
    found = sketch.build({"x": reference}, kinds={"x": "numeric"})
    parts = [sketch.count(found, {"x": one}), sketch.count(found, {"x": other})]
    assert sketch.merge(parts) == sketch.count(found, {"x": [*one, *other]})


@given(numbers)
def test_cell_of_agrees_with_count(values):
    found = sketch.build({"x": [1.0, 2.0, 3.0, 4.0]})
    cells = sketch.cell_of(found.column("x"), np.asarray([np.nan if v is None else v for v in values]))
    assert (
        tuple(np.bincount(cells, minlength=found.column("x").cells))
        == sketch.count(found, {"x": values}).counts["x"]
    )


def test_bins_hold_their_share_of_a_continuous_column():
    x = np.random.default_rng(0).normal(size=20_000)
    column = sketch.build({"x": x}).column("x")
    shares = np.asarray(column.counts[:-1]) / x.size
    assert len(shares) == 24
    assert shares == pytest.approx(np.diff([0.0, *sketch.LEVELS, 1.0]), abs=1e-3)


def test_few_distinct_numbers_get_a_bin_each():
    column = sketch.build({"hour": np.repeat(np.arange(5, 12), 30)}).column("hour")
    assert column.counts == (30,) * 7 + (0, 0)


def test_columns_come_from_anything():
    frame = pd.DataFrame({"x": [1.0, 2.0, np.nan], "k": ["a", None, "b"], "flag": [True, False, True]})
    table = pa.Table.from_pandas(frame)
    first = sketch.build({name: frame[name] for name in frame})
    second = sketch.build({name: table[name] for name in table.column_names})
    third = sketch.build({name: frame[name].tolist() for name in frame})
    assert first == second == third


def test_missing_columns_are_left_out_and_unknown_ones_ignored():
    found = sketch.build({"x": [1.0, 2.0], "k": ["a", "b"]})
    window = sketch.count(found, {"k": ["a"], "other": [1]})
    assert set(window.counts) == {"k"}
    assert window.rows == 1


def test_texts_in_place_of_numbers_are_left_out():
    reference = sketch.build({"a": [1.0, 2.0], "b": [1.0, 2.0]})
    window = sketch.count(reference, {"a": ["3f9a", None], "b": [1.0, 2.0]})
    assert (window.rows, set(window.counts)) == (2, {"b"})


def test_a_constant_and_an_empty_column():
    found = sketch.build({"one": [7.0, 7.0], "none": [None, None]})
    assert sketch.count(found, {"one": [6.0, 7.0, 8.0]}).counts["one"] == (2, 1, 0)
    assert sketch.count(found, {"none": ["a", None]}).counts["none"] == (1, 1)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError):
        sketch.build({"x": [1.0], "y": [1.0, 2.0]})


def test_groups_that_differ_are_noticed_and_like_ones_are_not():
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(40), 100)
    like = rng.normal(size=4000)
    moody = like + np.repeat(rng.normal(size=40), 100)
    found = sketch.build({"like": like, "moody": moody}, groups=day)
    assert max(found.column("like").clustering) < 0.02
    assert found.column("moody").clustering[0] > 0.3
    assert found.column("moody").group_rows == 100


def test_lists_are_not_counted():
    reference = sketch.build({"n": [1.0, 2.0] * 20, "k": ["a", "b"] * 20})
    lists = pa.array([[1.0], [2.0, 3.0]])
    assert sketch.count(reference, {"n": lists, "k": lists}) == sketch.Window(2, {})
