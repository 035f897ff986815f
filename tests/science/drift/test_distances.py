import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from trimtab.science.drift import distances

cells = st.integers(2, 12).flatmap(
    lambda k: st.tuples(*(st.lists(st.integers(0, 200), min_size=k, max_size=k) for _ in range(2)))
)


@given(cells)
def test_distances_are_symmetric_not_negative_and_zero_for_equals(pair):
    first, second = pair
    assume(sum(first) > 0)
    assume(sum(second) > 0)
    for distance in (distances.jensen_shannon, distances.kolmogorov_smirnov):
        assert distance(first, first) == pytest.approx(0, abs=1e-7)
        assert 0 <= distance(first, second) <= 1 + 1e-12
        assert distance(first, second) == pytest.approx(distance(second, first), abs=1e-7)
    assert distances.psi(first, second) >= 0
    assert distances.psi(first, first) == 0


@given(cells)
def test_jensen_shannon_agrees_with_scipy(pair):
    first, second = pair
    assume(sum(first) > 0)
    assume(sum(second) > 0)
    assert distances.jensen_shannon(first, second) == pytest.approx(
        jensenshannon(first, second, base=2), abs=1e-7
    )


@given(cells)
def test_wasserstein_and_kolmogorov_smirnov_agree_with_scipy_on_lattices(pair):
    first, second = pair
    assume(sum(first) > 0)
    assume(sum(second) > 0)
    at = np.arange(len(first)) * 1.5
    expected = stats.wasserstein_distance(at, at, first, second)
    assert distances.wasserstein(first, second, at) == pytest.approx(expected, abs=1e-9)
    sample = [np.repeat(at, counts) for counts in (first, second)]
    assert distances.kolmogorov_smirnov(first, second) == pytest.approx(stats.ks_2samp(*sample).statistic)


def test_chi_squared_agrees_with_scipy_where_nothing_is_pooled():
    first, second = [30, 50, 20, 100], [20, 60, 30, 80]
    found, degrees = distances.chi_squared(first, second)
    expected = stats.chi2_contingency([first, second], correction=False)
    assert found == pytest.approx(expected.statistic)
    assert degrees == expected.dof


def test_chi_squared_pools_small_cells():
    _, degrees = distances.chi_squared([100, 100, 1, 1, 1, 1], [100, 100, 0, 1, 0, 1])
    assert degrees < 3
    assert distances.chi_squared([5, 0], [7, 0]) == (0.0, 0)
    assert distances.chi_squared([0, 0], [7, 0]) == (0.0, 0)


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError):
        distances.psi([0, 0], [1, 2])
