"""The two confidence sequences for one mean: coverage at all times, agreement, and behaviour under splitting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.science.sequential import betting, empirical_bernstein

BOTH = [betting, empirical_bernstein]


@pytest.mark.parametrize("sequence", BOTH)
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: (rng.random(n) < 0.05).astype(float),
        lambda rng, n: rng.beta(10, 30, n),
        lambda rng, n: rng.choice([0.0, 0.5, 1.0], n),
    ],
    ids=["rare", "narrow", "lattice"],
)
def test_covers_at_all_times_together(sequence, draw):
    alpha, streams, looks = 0.1, 120, 12
    rng = np.random.default_rng(2)
    mean = float(draw(np.random.default_rng(0), 1_000_000).mean())
    missed = 0
    for _ in range(streams):
        state, bad = sequence.start(bet_alpha=alpha), False
        for _ in range(looks):
            state = sequence.update(state, draw(rng, 40))
            bad |= not sequence.interval(state, alpha=alpha).covers(mean)
        missed += bad
    assert missed / streams <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / streams)


@pytest.mark.parametrize("sequence", BOTH)
@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(0, 1), max_size=60), cut=st.integers(0, 60))
def test_batches_do_not_matter(sequence, values, cut):
    whole = sequence.interval(sequence.update(sequence.start(), values))
    parts = sequence.update(sequence.update(sequence.start(), values[:cut]), values[cut:])
    split = sequence.interval(parts)
    assert (split.low, split.high) == pytest.approx((whole.low, whole.high))


def test_betting_is_the_narrower_but_for_its_grid():
    rng = np.random.default_rng(4)
    for draw in (lambda n: rng.random(n) < 0.02, rng.random, lambda n: rng.beta(20, 20, n)):
        x = np.asarray(draw(3000), dtype=float)
        tight = betting.interval(betting.update(betting.start(), x)).width
        loose = empirical_bernstein.interval(empirical_bernstein.update(empirical_bernstein.start(), x)).width
        assert tight <= loose + np.pi / 512  # a step of the grid at each end


def test_betting_width_is_near_that_of_a_fixed_sample():
    x = np.random.default_rng(5).random(5000)
    found = betting.interval(betting.update(betting.start(), x))
    assert found.width < 2.3 * (2 * 1.96 * np.sqrt(1 / 12 / 5000))


def test_e_value_is_large_where_the_interval_is_not():
    x = np.random.default_rng(6).random(1000)
    state = betting.update(betting.start(), x)
    found = betting.interval(state, alpha=0.05)
    assert betting.log_e(state, found.low - 0.02) >= np.log(20)
    assert betting.log_e(state, 0.5) < np.log(20)


@pytest.mark.parametrize("sequence", BOTH)
def test_nothing_seen_nothing_known(sequence):
    found = sequence.interval(sequence.update(sequence.start(), []))
    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize("sequence", BOTH)
def test_values_outside_are_refused(sequence):
    with pytest.raises(ValueError):
        sequence.update(sequence.start(), [0.5, 1.01])
    with pytest.raises(ValueError):
        sequence.update(sequence.start(), [np.nan])
