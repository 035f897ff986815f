import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.science.sequential import quantile

EDGES = quantile.LATENCY_EDGES_US


@pytest.mark.parametrize("p", [0.5, 0.95, 0.99])
def test_intervals_cover_at_all_times_together(p):
    alpha, streams = 0.1, 250
    rng = np.random.default_rng(1)
    truth = float(np.quantile(np.random.default_rng(0).lognormal(8, 0.5, 1_000_000), p))
    missed = 0
    for _ in range(streams):
        counted, bad = np.zeros(len(EDGES) + 1), False
        for _ in range(15):
            counted += quantile.counts(rng.lognormal(8, 0.5, 60))
            bad |= not quantile.interval(counted, p, alpha=alpha).covers(truth)
        missed += bad
    assert missed / streams <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / streams)


def test_slower_is_not_claimed_of_equals():
    alpha, streams = 0.1, 150
    rng = np.random.default_rng(2)
    ever = fine = 0
    for _ in range(streams):
        a, b = np.zeros(len(EDGES) + 1), np.zeros(len(EDGES) + 1)
        wrong = also = False
        for _ in range(15):
            a += quantile.counts(rng.lognormal(8, 0.5, 90))
            b += quantile.counts(rng.lognormal(8, 0.5, 30))
            wrong |= quantile.log_e_slower(a, b, 0.95) >= -np.log(alpha)
            also |= quantile.log_e_not_slower(a, b, 0.95) >= -np.log(alpha)
        ever, fine = ever + wrong, fine + also
    assert ever / streams <= alpha
    assert fine / streams <= alpha


@pytest.mark.parametrize(("times", "rows"), [(2.0, 120), (1.3, 1500)])
def test_slower_is_found(times, rows):
    rng = np.random.default_rng(3)
    needed = []
    for _ in range(20):
        a, b = np.zeros(len(EDGES) + 1), np.zeros(len(EDGES) + 1)
        while quantile.log_e_slower(a, b, 0.95) < np.log(20):
            a += quantile.counts(rng.lognormal(8, 0.3, 90))
            b += quantile.counts(times * rng.lognormal(8, 0.3, 10))
        needed.append(b.sum())
    assert np.median(needed) < rows


def test_evidence_does_not_vanish_with_very_many_rows():
    rng = np.random.default_rng(4)
    a = quantile.counts(rng.lognormal(8, 0.3, 200_000))
    b = quantile.counts(1.5 * rng.lognormal(8, 0.3, 200_000))
    assert quantile.log_e_slower(a, b, 0.95, ratio=1.2) > 100
    assert quantile.log_e_not_slower(a, b, 0.95, ratio=2.0) > 100
    assert quantile.log_e_slower(a, b, 0.95, ratio=2.0) < 0
    assert quantile.log_e_not_slower(a, b, 0.95, ratio=1.2) < 0


def test_value_is_near_the_exact_quantile():
    x = np.random.default_rng(5).lognormal(8, 0.5, 50_000)
    for p in (0.5, 0.95, 0.99):
        assert quantile.value(quantile.counts(x), p) == pytest.approx(np.quantile(x, p), rel=0.02)


@given(st.lists(st.floats(1, 1e9), max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_interval_holds_its_estimate(values, p):
    found = quantile.interval(quantile.counts(values), p)
    assert found.low <= found.high
    if values:
        assert found.covers(found.estimate)


def test_counts_merge_by_addition():
    x, y = [5.0, 100.0, 1e12], [7.0]
    merged = quantile.counts(x) + quantile.counts(y)
    assert (merged == quantile.counts(x + y)).all()
    assert merged.sum() == 4


def test_nothing_seen_nothing_claimed():
    nothing = np.zeros(len(EDGES) + 1)
    assert quantile.log_e_slower(nothing, nothing, 0.95) == 0.0
    found = quantile.interval(nothing, 0.95)
    assert (found.low, found.high) == (0.0, np.inf)


def test_uniform_band_covers():
    rng, alpha, missed = np.random.default_rng(6), 0.1, 0
    for _ in range(200):
        x = rng.random(1000)
        for n in (20, 60, 200, 600, 1000):
            part = np.sort(x[:n])
            gap = max(np.max(np.arange(1, n + 1) / n - part), np.max(part - np.arange(n) / n))
            if gap > quantile.dkw_radius(n, alpha=alpha):
                missed += 1
                break
    assert missed / 200 <= alpha
