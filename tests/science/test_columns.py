import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trimtab.science import columns

HOLDERS = {
    "list": lambda values: values,
    "numpy": lambda values: np.array(values, dtype=object),
    "arrow": pa.array,
    "chunked": lambda values: pa.chunked_array([pa.array(values[:2]), pa.array(values[2:])]),
    "pandas": pd.Series,
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_numbers_are_alike_however_held(hold):
    found = columns.numbers(hold([1.5, 2.0, None, 4.0]))
    assert np.array_equal(found, [1.5, 2.0, np.nan, 4.0], equal_nan=True)
    assert columns.kind_of(hold([1.5, 2.0, None, 4.0])) == "numeric"


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_texts_are_alike_however_held(hold):
    assert columns.labels(hold(["b", "a", None, "a"])) == ({"b": 1, "a": 2}, 1)
    assert columns.kind_of(hold(["b", "a", None, "a"])) == "categorical"


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_flags_are_alike_however_held(hold):
    assert columns.labels(hold([True, False, None, True])) == ({"true": 2, "false": 1}, 1)
    assert columns.kind_of(hold([True, False, None, True])) == "categorical"


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_times_are_microseconds(hold):
    noon = dt.datetime(2013, 7, 1, 12, tzinfo=dt.UTC)
    values = [noon, noon + dt.timedelta(hours=1), None, noon]
    assert columns.kind_of(hold(values)) == "numeric"
    found = columns.numbers(hold(values))
    assert found[1] - found[0] == 3_600_000_000
    assert found[0] == noon.timestamp() * 1e6
    assert np.isnan(found[2])


def test_whole_numbers_are_the_same_value_in_any_type():
    for values in (
        [1, 2, 1],
        [1.0, 2.0, 1.0],
        np.array([1, 2, 1]),
        np.array([1.0, 2.0, 1.0]),
        pa.array([1, 2, 1]),
    ):
        assert columns.labels(values)[0] == {"1": 2, "2": 1}


def test_arrow_dictionaries_and_masks():
    assert columns.labels(pa.array(["a", None, "a"]).dictionary_encode()) == ({"a": 2}, 1)
    masked = np.ma.array([1, 2, 3], mask=[False, True, False])
    assert np.array_equal(columns.numbers(masked), [1.0, np.nan, 3.0], equal_nan=True)


def test_pandas_missing_values():
    assert np.isnan(columns.numbers(pd.array([1, None], dtype="Int64"))[1])
    assert columns.labels(pd.array(["a", None], dtype="string")) == ({"a": 1}, 1)
    assert columns.is_missing(pd.NA)
    assert columns.is_missing(np.datetime64("NaT"))


def test_a_text_is_no_number():
    with pytest.raises(ValueError):
        columns.numbers(["one"])


def test_empty_columns():
    assert columns.numbers([]).size == 0
    assert columns.labels([]) == ({}, 0)
    assert columns.kind_of([None, None]) == "categorical"
