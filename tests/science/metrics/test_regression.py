import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from trimtab.science.metrics import regression

numbers = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
pairs = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=60)


@settings(max_examples=80, deadline=None)
@given(pairs)
def test_estimates_agree_with_scikit_learn(rows):
    y, predicted = np.asarray(rows).T
    found = regression.evaluate(y, predicted)
    assert found["mae"].estimate == pytest.approx(sk.mean_absolute_error(y, predicted))
    assert found["rmse"].estimate == pytest.approx(sk.root_mean_squared_error(y, predicted))
    if np.ptp(y) > 0.01:
        assert found["r2"].estimate == pytest.approx(sk.r2_score(y, predicted), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", ["mae", "rmse", "r2", "bias"])
def test_intervals_cover(name):
    def draw(rng, n):
        x = rng.normal(size=n)
        return 2 * x + rng.normal(size=n), 1.8 * x + 0.1

    truth = regression.evaluate(*draw(np.random.default_rng(0), 500_000))[name].estimate
    rng = np.random.default_rng(1)
    hits = [regression.evaluate(*draw(rng, 300))[name].covers(truth) for _ in range(400)]
    assert np.mean(hits) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)


def test_nothing_and_constants():
    assert np.isnan(regression.rmse([], []).estimate)
    assert np.isnan(regression.r2([1.0, 1.0], [1.0, 2.0]).estimate)
    with pytest.raises(ValueError):
        regression.mae([1.0], [1.0, 2.0])
