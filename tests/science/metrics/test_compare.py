import numpy as np
import pytest
from sklearn import metrics as sk

from trimtab.science.metrics import classification, compare


def draw(rng, n, noise):
    y = rng.random(n) < 0.3
    signal = rng.normal(size=n) + y
    return y, signal + 0.7 * rng.normal(size=n), signal + noise * rng.normal(size=n)


def test_auc_difference_is_that_of_scikit_learn():
    y, a, b = draw(np.random.default_rng(0), 500, 0.4)
    found = compare.auc(y, a, b)
    assert found.champion == pytest.approx(sk.roc_auc_score(y, a))
    assert found.estimate == pytest.approx(sk.roc_auc_score(y, b) - sk.roc_auc_score(y, a))


def test_auc_false_positives_and_coverage():
    rng, runs = np.random.default_rng(1), 400
    found = [compare.auc(*draw(rng, 300, 0.7)) for _ in range(runs)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / runs)
    assert np.mean([one.p_value <= 0.05 for one in found]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_non_inferiority_is_not_claimed_of_an_inferior_model():
    rng = np.random.default_rng(2)
    rows = [draw(rng, 400, 1.2) for _ in range(300)]
    truth = np.mean([compare.auc(*one).estimate for one in rows])
    claimed = np.mean([compare.auc(*one).non_inferior(-truth, higher_is_better=True) for one in rows])
    # a margin exactly as large as the loss: one side of a 95 % interval
    assert claimed <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 300)
    assert compare.auc(*draw(rng, 20_000, 0.7)).non_inferior(0.02, higher_is_better=True)


def test_paired_losses_cover_and_see_what_unpaired_ones_would_not():
    rng, runs = np.random.default_rng(3), 80
    hits, wins = [], []
    for _ in range(runs):
        hard = rng.exponential(size=400)
        first, second = hard + 0.1 * rng.normal(size=400), hard - 0.02 + 0.1 * rng.normal(size=400)
        found = compare.losses(first, second, resamples=400)
        hits.append(found.low <= -0.02 <= found.high)
        wins.append(found.superior(higher_is_better=False))
    assert np.mean(hits) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / runs)
    assert np.mean(wins) > 0.6


def test_groups_are_drawn_together():
    rng = np.random.default_rng(4)
    day = np.repeat(np.arange(30), 50)
    gap = rng.normal(0, 0.2, 30)[day] + 0.1 * rng.normal(size=1500)
    alone = compare.losses(np.zeros(1500), gap)
    together = compare.losses(np.zeros(1500), gap, groups=day)
    assert together.estimate == pytest.approx(alone.estimate)
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_many_rows_in_blocks_give_the_same_interval():
    rng = np.random.default_rng(5)
    gap = rng.normal(0.01, 1, 50_000)
    found = compare.losses(np.zeros(50_000), gap)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(50_000), rel=0.1)


def test_any_metric_can_be_compared():
    rng = np.random.default_rng(6)
    y = rng.random(600) < 0.4
    a, b = np.clip(y + 0.8 * rng.normal(size=600), 0, 1), np.clip(y + 0.3 * rng.normal(size=600), 0, 1)

    def f1(truth, p):
        return classification.f1(truth, p).estimate

    found = compare.metric(y, a, b, f1, resamples=200)
    assert found.superior(higher_is_better=True)
    assert found.champion == pytest.approx(sk.f1_score(y, a >= 0.5))
    grouped = compare.metric(y, a, b, f1, groups=np.repeat(np.arange(20), 30), resamples=100)
    assert grouped.estimate == found.estimate
    assert grouped.low < grouped.estimate < grouped.high


def test_equal_models_differ_by_nothing():
    y, a, _ = draw(np.random.default_rng(7), 100, 0.5)
    found = compare.auc(y, a, a)
    assert (found.estimate, found.p_value) == (0.0, 1.0)
    same = compare.losses(a, a)
    assert (same.low, same.estimate, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_one_class_and_other_lengths_are_refused():
    with pytest.raises(ValueError):
        compare.auc([1, 1], [0.1, 0.2], [0.1, 0.2])
    with pytest.raises(ValueError):
        compare.losses([1.0], [1.0, 2.0])
    with pytest.raises(ValueError):
        compare.metric([1.0], [1.0], [], lambda y, p: 0.0)
