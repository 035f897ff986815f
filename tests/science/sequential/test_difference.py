import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.science import plain
from trimtab.science.sequential import difference as two
from trimtab.science.sequential.difference import LOSS_KNOTS, Difference


def parallel(rng, p_champion, p_challenger, *, streams, batches, rows=(45, 5), centre=None):
    """Yields the state after each batch for many independent pairs of flag streams at once."""
    state = two.start(centre=(centre or p_champion,) * streams)
    for _ in range(batches):
        a = rng.binomial(rows[0], p_champion, streams)
        b = rng.binomial(rows[1], p_challenger, streams)
        state = two.update(state, np.stack([rows[0] - a, a], axis=1), np.stack([rows[1] - b, b], axis=1))
        yield state


@pytest.mark.parametrize(("rate", "rows"), [(0.01, (45, 5)), (0.3, (20, 20)), (0.9, (30, 10))])
def test_false_alarms_stay_below_alpha_with_a_look_at_every_batch(rate, rows):
    alpha, streams = 0.1, 300
    ever = np.zeros(streams, bool)
    for state in parallel(np.random.default_rng(5), rate, rate, streams=streams, batches=150, rows=rows):
        ever |= two.log_e_above(state) >= -np.log(alpha)
    # 0.1 plus three standard errors of a share of 300
    assert ever.mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / streams)


def test_intervals_cover_at_all_times_together():
    alpha, streams = 0.1, 200
    ever = np.zeros(streams, bool)
    for step, state in enumerate(parallel(np.random.default_rng(6), 0.2, 0.3, streams=streams, batches=120)):
        if step % 3 == 0:
            ever |= two.bound_below(state, alpha=alpha / 2) > 0.1
            ever |= two.bound_above(state, alpha=alpha / 2) < 0.1
    assert ever.mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / streams)


def test_finds_harm_about_as_fast_as_possible():
    # With both rates known, log(20) / KL = 73 challenger rows would be needed on average.
    streams = 100
    needed = np.full(streams, np.inf)
    states = parallel(np.random.default_rng(7), 0.01, 0.05, streams=streams, batches=100)
    for step, state in enumerate(states, start=1):
        found = two.log_e_above(state) >= np.log(20)
        needed[found & np.isinf(needed)] = 5 * step
    assert np.median(needed) < 200
    assert np.quantile(needed, 0.9) < 450


def test_width_is_within_twice_that_of_a_test_of_fixed_size():
    *_, state = parallel(np.random.default_rng(8), 0.3, 0.3, streams=50, batches=100, rows=(50, 50))
    fixed = 2 * 1.96 * np.sqrt(2 * 0.3 * 0.7 / 5000)
    assert np.mean([one.width for one in two.intervals(state, alpha=0.05)]) < 2 * fixed


def test_one_large_batch_counts_nearly_as_much_as_many_small_ones():
    rng = np.random.default_rng(9)
    a, b = rng.random(2000) < 0.2, rng.random(2000) < 0.3

    def flags(x):
        return [x.size - x.sum(), x.sum()]

    once = two.update(two.start(centre=0.2), flags(a), flags(b))
    often = two.start(centre=0.2)
    for i in range(0, 2000, 50):
        often = two.update(often, flags(a[i : i + 50]), flags(b[i : i + 50]))
    assert two.interval(once).low > 0.04
    assert two.interval(once).width < 1.25 * two.interval(often).width


def test_moving_means_are_allowed():
    # Both versions get worse together (an outage upstream): no difference, no alarm.
    streams, alpha = 300, 0.1
    rng = np.random.default_rng(10)
    state = two.start(centre=(0.02,) * streams)
    ever = np.zeros(streams, bool)
    for step in range(80):
        rate = 0.02 if step < 40 else 0.4
        a, b = rng.binomial(20, rate, streams), rng.binomial(20, rate, streams)
        state = two.update(state, np.stack([20 - a, a], 1), np.stack([20 - b, b], 1))
        ever |= two.log_e_above(state) >= -np.log(alpha)
    assert ever.mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / streams)


def test_losses_on_knots_are_never_more_than_their_promise():
    alpha, streams = 0.1, 120
    rng = np.random.default_rng(11)
    state = two.start(knots=LOSS_KNOTS, centre=(0.2,) * streams)
    ever = np.zeros(streams, bool)
    for _ in range(60):

        def draw():
            return np.stack([two.on_knots(rng.beta(1, 4, 10)) for _ in range(streams)])

        state = two.update(state, draw(), draw())
        ever |= two.log_e_above(state) >= -np.log(alpha)
        ever |= two.log_e_below(state, 0.0) >= -np.log(alpha / 2)
    assert ever.mean() <= 1.5 * alpha + 3 * np.sqrt(alpha * (1 - alpha) / streams)


batches = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.integers(0, 30)), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(batches)
def test_the_interval_holds_the_estimate_and_widens_with_confidence(counts):
    state = two.start(centre=0.1)
    for a0, a1, b0, b1 in counts:
        state = two.update(state, [a0, a1], [b0, b1])
    tight, wide = two.interval(state, alpha=0.2), two.interval(state, alpha=0.01)
    assert -1.0 <= wide.low <= tight.low <= tight.estimate <= tight.high <= wide.high <= 1.0


@settings(max_examples=60, deadline=None)
@given(batches, st.floats(-0.5, 0.5))
def test_the_interval_is_where_the_e_values_are_small(counts, gap):
    state = two.start(centre=0.1)
    for a0, a1, b0, b1 in counts:
        state = two.update(state, [a0, a1], [b0, b1])
    low = float(two.bound_below(state, alpha=0.05)[0])
    rejected = bool(two.log_e_above(state, gap)[0] > np.log(20) + 1e-6)
    assert rejected <= (gap <= low + 1e-9)
    if low > -1.0:
        assert two.log_e_above(state, low)[0] == pytest.approx(np.log(20), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(batches)
def test_swapping_the_versions_mirrors_the_interval(counts):
    first, second = two.start(centre=0.5), two.start(centre=0.5)
    for a0, a1, b0, b1 in counts:
        first = two.update(first, [a0, a1], [b0, b1])
        second = two.update(second, [a1, a0], [b1, b0])
    # Swapping the flag's meaning turns the difference around exactly.
    one, other = two.interval(first), two.interval(second)
    assert one.low == pytest.approx(-other.high, abs=1e-8)
    assert one.high == pytest.approx(-other.low, abs=1e-8)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_knots_keep_number_and_mean(values):
    mass = two.on_knots(values)
    assert mass.min() >= 0
    assert mass.sum() == pytest.approx(len(values))
    assert mass @ np.asarray(LOSS_KNOTS) == pytest.approx(sum(values), abs=1e-9)


def test_knots_cost_little_evidence():
    rng = np.random.default_rng(12)
    fine = tuple(i / 4096 for i in range(4097))
    coarse_state = two.start(knots=LOSS_KNOTS, centre=0.2)
    fine_state = two.start(knots=fine, centre=0.2)
    for _ in range(8):
        a, b = rng.beta(2, 8, 50), rng.beta(3, 7, 50)
        coarse_state = two.update(coarse_state, two.on_knots(a), two.on_knots(b))
        fine_state = two.update(fine_state, two.on_knots(a, fine), two.on_knots(b, fine))
    coarse, exact = two.log_e_above(coarse_state)[0], two.log_e_above(fine_state)[0]
    assert 0.95 * exact < coarse <= exact * 1.02


def test_rows_wait_for_both_sides():
    state = two.update(two.start(), [50, 50], [1, 0])
    assert state.weight == 0.0
    assert two.rows(state) == (100, 1)
    state = two.update(state, [0, 0], [4, 0])
    assert state.weight > 0
    assert two.rows(state) == (100, 5)


@pytest.mark.parametrize(
    "bad", [{"centre": 0.0}, {"centre": 1.0}, {"knots": (0.0, 0.5)}, {"bets": 0}, {"block": 0}]
)
def test_wrong_settings_are_refused(bad):
    with pytest.raises(ValueError):
        two.start(**bad)


@pytest.mark.parametrize("mass", [[1, 2, 3], [-1, 2], [np.nan, 1]])
def test_wrong_mass_is_refused(mass):
    with pytest.raises(ValueError):
        two.update(two.start(), mass, [1, 1])


def test_values_outside_are_refused():
    with pytest.raises(ValueError):
        two.on_knots([0.5, 1.2])


def test_a_stored_state_goes_on_where_it_stopped():
    state = two.update(two.start(), [40, 10], [30, 12])
    again = plain.load(Difference, plain.dump(state))
    assert two.update(again, [5, 5], [5, 5]) == two.update(state, [5, 5], [5, 5])


def test_knots_may_be_equal():
    one = two.start(largest_bet=8.0, bets=11)
    split = two.start(knots=(0.0, 0.0, 1.0, 1.0), largest_bet=8.0, bets=11)
    for _ in range(5):
        one = two.update(one, [50, 30], [20, 60])
        split = two.update(split, [10, 40, 30, 0], [20, 0, 15, 45])
    assert two.interval(split).estimate == pytest.approx(two.interval(one).estimate)
    assert two.log_e_above(split)[0] == pytest.approx(two.log_e_above(one)[0], abs=1e-3)
    with pytest.raises(ValueError, match="rise"):
        two.start(knots=(0.0, 0.6, 0.5, 1.0))
