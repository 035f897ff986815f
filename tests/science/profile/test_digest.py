import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.science.profile import digest
from trimtab.science.profile.digest import Digest

numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300)


@pytest.mark.parametrize("draw", ["normal", "lognormal", "exponential", "uniform"])
@pytest.mark.parametrize("chunks", [1, 20])
def test_ranks_are_near_the_exact_ones(draw, chunks):
    x = getattr(np.random.default_rng(0), draw)(size=60_000)
    found = Digest()
    for part in np.array_split(x, chunks):
        found = digest.add(found, part)
    levels = np.asarray([0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999])
    reached = np.searchsorted(np.sort(x), digest.quantiles(found, levels)) / x.size
    assert np.abs(reached - levels).max() < 0.002
    assert np.abs(reached - levels)[[0, -1]].max() < 0.0003
    assert len(found.means) <= digest.CLUSTERS + 1


@settings(max_examples=60, deadline=None)
@given(numbers, numbers)
def test_merging_keeps_weight_and_range(first, second):
    found = digest.merge(digest.add(Digest(), first), digest.add(Digest(), second))
    assert sum(found.weights) == pytest.approx(len(first) + len(second))
    assert (found.low, found.high) == (min(first + second), max(first + second))
    curve = digest.quantiles(found, np.linspace(0, 1, 21))
    assert (np.diff(curve) >= 0).all()
    assert curve[0] == found.low
    assert curve[-1] == found.high


@given(numbers)
def test_shares_run_from_nought_to_one(values):
    found = digest.add(Digest(), values)
    shares = digest.shares(found, [found.low - 1, found.high, found.high + 1])
    assert shares.tolist() == [0.0, 1.0, 1.0]


def test_nothing_seen():
    assert np.isnan(digest.quantiles(Digest(), [0.5])).all()
    assert digest.merge(Digest(), Digest()) == Digest()
    assert digest.add(Digest(), []) == Digest()


def test_large_offsets_keep_their_digits():
    x = 1.7e15 + np.arange(100_000.0)
    found = digest.add(Digest(), x)
    assert digest.quantiles(found, [0.5])[0] - 1.7e15 == pytest.approx(50_000, abs=100)
