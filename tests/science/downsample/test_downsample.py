import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.science.downsample import minmax

series = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), max_size=300)


@settings(max_examples=120, deadline=None)
@given(y=series, points=st.integers(4, 60))
def test_any_series_gives_rising_indices_within_budget(y, points):
    found = minmax.indices(range(len(y)), y, points)
    assert len(found) <= points
    assert (np.diff(found) > 0).all()
    assert len(found) == len(y) or len(y) > points
    finite = np.flatnonzero(np.isfinite(y))
    if finite.size and len(y) > points:
        kept = np.isfinite(np.asarray(y)[found])
        assert found[kept][0] == finite[0]
        assert found[kept][-1] == finite[-1]


def test_a_spike_is_kept():
    y = np.random.default_rng(0).normal(size=10_000)
    y[4321] = 50.0
    assert 4321 in minmax.indices(np.arange(10_000), y, 200)


def test_gaps_stay_gaps():
    y = np.sin(np.arange(10_000) / 500)
    y[3000:3500] = np.nan
    found = minmax.indices(np.arange(10_000), y, 100)
    missing = found[np.isnan(y[found])]
    assert missing.tolist() == [3000]
    assert 2999 in found
    assert 3500 in found


def test_of_many_gaps_the_widest_are_kept():
    y = np.ones(9000)
    y[::3] = np.nan
    y[5000:5100] = np.nan
    found = minmax.indices(np.arange(9000), y, 90)
    assert len(found) <= 90
    assert any(4995 < i < 5105 for i in found[np.isnan(y[found])])


def test_no_extreme_is_lost_by_minmax():
    y = np.random.default_rng(1).standard_cauchy(5000)
    found = minmax.indices(np.arange(5000), y, 300)
    assert y[found].max() == y.max()
    assert y[found].min() == y.min()


def test_all_missing_and_nonsense():
    assert minmax.indices(range(100), [np.nan] * 100, 10).tolist() == []
    with pytest.raises(ValueError):
        minmax.indices([1, 2], [1], 10)
    with pytest.raises(ValueError):
        minmax.indices([1], [1], 3)
