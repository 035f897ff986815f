import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from trimtab.science.metrics import classification, delong

rows = st.integers(2, 80).flatmap(
    lambda n: st.tuples(
        st.lists(st.booleans(), min_size=n, max_size=n),
        st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.6, 0.9, 1.0]), min_size=n, max_size=n),
    )
)


@settings(max_examples=30, deadline=None)
@given(rows)
def test_estimates_agree_with_scikit_learn(given_rows):
    y, p = np.asarray(given_rows[0]), np.asarray(given_rows[1])
    found = classification.evaluate(y, p)
    said = p >= 0.5
    assert found["accuracy"].estimate == pytest.approx(sk.accuracy_score(y, said))
    assert found["brier"].estimate == pytest.approx(np.mean((p - y) ** 2))
    assert found["log_loss"].estimate == pytest.approx(
        sk.log_loss(y, np.clip(p, 1e-15, 1 - 1e-15), labels=[0, 1])
    )
    if said.any():
        assert found["precision"].estimate == pytest.approx(sk.precision_score(y, said, zero_division=0))
    if y.any():
        assert found["recall"].estimate == pytest.approx(sk.recall_score(y, said))
        assert found["f1"].estimate == pytest.approx(sk.f1_score(y, said))
    if y.any() and not y.all():
        assert found["roc_auc"].estimate == pytest.approx(sk.roc_auc_score(y, p))
    else:
        assert np.isnan(found["roc_auc"].estimate)


@settings(max_examples=30, deadline=None)
@given(rows)
def test_intervals_hold_their_estimates(given_rows):
    for one in classification.evaluate(*given_rows).values():
        assert np.isnan(one.estimate) or one.low <= one.estimate <= one.high


@pytest.mark.parametrize(
    "name", ["roc_auc", "log_loss", "brier", "accuracy", "precision", "recall", "f1", "ece"]
)
def test_intervals_cover(name):
    def draw(rng, n):
        truth = rng.beta(1, 3, n)
        return rng.random(n) < truth, np.clip(0.8 * truth + 0.02, 0, 1)

    truth = classification.evaluate(*draw(np.random.default_rng(0), 400_000))[name].estimate
    rng = np.random.default_rng(1)
    hits = [classification.evaluate(*draw(rng, 400))[name].covers(truth) for _ in range(150)]
    assert np.mean(hits) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 150)


def test_delong_variance_is_that_of_repetition():
    rng = np.random.default_rng(2)

    def draw():
        y = rng.random(300) < 0.3
        common = rng.normal(size=300) + y
        return delong.areas(y, [common + 0.5 * rng.normal(size=300), common + 0.5 * rng.normal(size=300)])

    areas, covariances = zip(*(draw() for _ in range(400)), strict=True)
    assert np.mean(covariances, axis=0) == pytest.approx(np.cov(np.transpose(areas)), rel=0.2)


def test_calibration_agrees_with_scikit_learn():
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(3)
    p = rng.random(2000)
    y = rng.random(2000) < p**1.5
    observed, predicted = calibration_curve(y, p, n_bins=10)
    curve = classification.calibration(y, p)
    assert [one.observed.estimate for one in curve] == pytest.approx(observed.tolist())
    assert [one.predicted for one in curve] == pytest.approx(predicted.tolist())
    assert sum(one.rows for one in curve) == 2000
    weights = np.asarray([one.rows for one in curve]) / 2000
    expected = float(weights @ np.abs(observed - predicted))
    assert classification.calibration_error(y, p).estimate == pytest.approx(expected)


def test_perfect_separation_is_not_certain():
    found = classification.roc_auc([0] * 20 + [1] * 10, list(range(30)))
    assert found.estimate == found.high == 1.0
    assert found.low == pytest.approx(0.7)


def test_nothing_and_nonsense():
    assert np.isnan(classification.accuracy([], []).estimate)
    for y, p in (([0, 1], [0.5]), ([0, 2], [0.1, 0.2]), ([0, 1], [0.1, 1.2]), ([0, 1], [0.1, np.nan])):
        with pytest.raises(ValueError):
            classification.evaluate(y, p)
