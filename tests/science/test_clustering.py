import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.science import clustering


@pytest.mark.parametrize("truth", [0.0, 0.05, 0.5])
def test_the_estimate_is_near_and_rather_too_large(truth):
    rng = np.random.default_rng(1)
    day = np.repeat(np.arange(60), rng.integers(20, 80, 60))
    found = []
    for _ in range(60):
        mood = rng.normal(0, np.sqrt(truth), 60)[day]
        found.append(clustering.correlation(mood + rng.normal(0, np.sqrt(1 - truth), day.size), day))
    assert truth - 0.005 < np.median(found) < 1.4 * truth + 0.01
    assert np.mean(np.asarray(found) >= truth) > 0.7


@given(st.floats(1, 1e6), st.floats(0, 1))
def test_a_group_is_worth_between_one_row_and_all(rows, correlation):
    worth = clustering.effective_rows(rows, correlation)
    assert 1 - 1e-9 <= worth <= rows
    if correlation > 0:
        assert worth <= 1 / correlation + 1e-6


def test_few_groups_tell_nothing():
    assert clustering.correlation([1.0, 1.0, 5.0, 5.0], [0, 0, 1, 1]) == 0.0
    assert clustering.correlation(np.ones(50), np.repeat(np.arange(10), 5)) == 0.0
