import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.science.downsample import lttb, minmax

series = st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))), max_size=300)


@pytest.mark.parametrize("way", [lttb, minmax])
@settings(max_examples=120, deadline=None)
@given(y=series, points=st.integers(4, 60))
def test_any_series_gives_rising_indices_within_budget(way, y, points):
    found = way.indices(range(len(y)), y, points)
    assert len(found) <= points
    assert (np.diff(found) > 0).all()
    assert len(found) == len(y) or len(y) > points
    finite = np.flatnonzero(np.isfinite(y))
    if finite.size and len(y) > points:
        kept = np.isfinite(np.asarray(y)[found])
        assert found[kept][0] == finite[0]
        assert found[kept][-1] == finite[-1]


@pytest.mark.parametrize("way", [lttb, minmax])
def test_a_spike_is_kept(way):
    y = np.random.default_rng(0).normal(size=10_000)
    y[4321] = 50.0
    assert 4321 in way.indices(np.arange(10_000), y, 200)


@pytest.mark.parametrize("way", [lttb, minmax])
def test_gaps_stay_gaps(way):
    y = np.sin(np.arange(10_000) / 500)
    y[3000:3500] = np.nan
    found = way.indices(np.arange(10_000), y, 100)
    missing = found[np.isnan(y[found])]
    assert missing.tolist() == [3000]
    assert 2999 in found
    assert 3500 in found


@pytest.mark.parametrize("way", [lttb, minmax])
def test_of_many_gaps_the_widest_are_kept(way):
    y = np.ones(9000)
    y[::3] = np.nan
    y[5000:5100] = np.nan
    found = way.indices(np.arange(9000), y, 90)
    assert len(found) <= 90
    assert any(4995 < i < 5105 for i in found[np.isnan(y[found])])


def test_no_extreme_is_lost_by_minmax():
    y = np.random.default_rng(1).standard_cauchy(5000)
    found = minmax.indices(np.arange(5000), y, 300)
    assert y[found].max() == y.max()
    assert y[found].min() == y.min()


def test_lttb_is_that_of_the_thesis():
    # The textbook loop, one triangle at a time.
    rng = np.random.default_rng(2)
    x, y = np.arange(1000.0), np.cumsum(rng.normal(size=1000))
    points = 50
    edges = np.linspace(1, 999, points - 1).astype(int)
    kept = [0]
    for i in range(points - 2):
        a = kept[-1]
        if i < points - 3:
            cx, cy = x[edges[i + 1] : edges[i + 2]].mean(), y[edges[i + 1] : edges[i + 2]].mean()
        else:
            cx, cy = x[-1], y[-1]
        best = max(
            range(edges[i], edges[i + 1]),
            key=lambda b, a=a, cx=cx, cy=cy: abs((x[a] - cx) * (y[b] - y[a]) - (x[a] - x[b]) * (cy - y[a])),
        )
        kept.append(best)
    kept.append(999)
    assert lttb.indices(x, y, points).tolist() == kept


def test_all_missing_and_nonsense():
    assert lttb.indices(range(100), [np.nan] * 100, 10).tolist() == []
    with pytest.raises(ValueError):
        lttb.indices([1, 2], [1], 10)
    with pytest.raises(ValueError):
        lttb.indices([1], [1], 2)
    with pytest.raises(ValueError):
        minmax.indices([1], [1], 3)
