import numpy as np
import pytest

from trimtab.science.sequential import divergence


def run(rng, draw, *, edges, most, rows=(90, 10), distance=0.0, alpha=0.05):
    state = divergence.start(edges)
    for step in range(1, most + 1):
        state = divergence.update(
            state,
            divergence.counts(rng.beta(2, 5, rows[0]), edges),
            divergence.counts(draw(rng, rows[1]), edges),
        )
        if divergence.log_e_distance(state, distance) >= -np.log(alpha):
            return step * rows[1], state
    return None, state


EDGES = divergence.edges_from(np.random.default_rng(0).beta(2, 5, 5000))


def test_equals_are_told_apart_at_most_alpha_of_the_time():
    rng = np.random.default_rng(1)
    alarms = [run(rng, lambda r, n: r.beta(2, 5, n), edges=EDGES, most=20, alpha=0.1)[0] for _ in range(50)]
    # 0.1 plus three standard errors of a share of 50
    assert np.mean([one is not None for one in alarms]) <= 0.1 + 3 * np.sqrt(0.09 / 50)


@pytest.mark.parametrize(
    ("draw", "rows"),
    [
        (lambda r, n: 100 * r.beta(2, 5, n), 20),
        (lambda r, n: np.full(n, 0.3), 100),
        (lambda r, n: np.clip(r.beta(2, 5, n) + 0.1, 0, 1), 400),
        (lambda r, n: np.clip(0.29 + 2 * (r.beta(2, 5, n) - 0.29), 0, 1), 600),
    ],
    ids=["per cent", "constant", "shifted", "spread"],
)
def test_a_change_is_found(draw, rows):
    rng = np.random.default_rng(2)
    needed = [run(rng, draw, edges=EDGES, most=100)[0] or np.inf for _ in range(10)]
    assert np.median(needed) <= rows


def test_distance_interval_covers_and_near_is_shown():
    rng = np.random.default_rng(3)
    _, state = run(rng, lambda r, n: r.beta(2, 5, n), edges=EDGES, most=60, rows=(50, 50), alpha=1e-9)
    found = divergence.distance(state)
    assert found.low == 0.0
    assert found.estimate < found.high < 0.15
    assert divergence.log_e_near(state, 0.2) > np.log(20)
    assert divergence.log_e_steady(state, 0.15) > np.log(20)
    assert divergence.rank_shift(state).covers(0.0)


def test_no_difference_beyond_the_tolerance_is_no_harm():
    rng = np.random.default_rng(4)
    found, _ = run(rng, lambda r, n: r.beta(2, 5, n) + 0.02, edges=EDGES, most=100, distance=0.2)
    assert found is None


def started(past):
    edges = divergence.edges_from(past)
    return divergence.start(edges, shares=divergence.shares_of(past, edges))


def compared(past, champion, challenger):
    state = started(past)
    counted = (divergence.counts(scores, state.edges) for scores in (champion, challenger))
    return divergence.update(state, *counted)


def true_distance(one, other):
    every = np.concatenate([one, other])
    below = (np.searchsorted(np.sort(scores), every, side="right") / len(scores) for scores in (one, other))
    return np.abs(np.subtract(*below)).max()


def test_what_moves_between_two_of_the_champions_scores_is_seen():
    champion, challenger = np.array([0.31, 0.999] * 500), np.array([0.02, 0.9997] * 500)
    state = compared(champion, champion, challenger)
    assert divergence.distance(state).estimate == pytest.approx(0.5)
    assert divergence.log_e_distance(state, 0.2) > np.log(1000)
    assert divergence.distance(compared(champion, champion, champion)).estimate == 0.0


@pytest.mark.parametrize("ones", [0.5, 0.2, 0.01])
def test_zeros_and_ones_keep_their_scale_and_nothing_else_passes_for_them(ones):
    past = np.arange(2000) < 2000 * ones
    moved = np.arange(2000) < 2000 * (ones + 0.3)
    state = compared(past, past, moved)
    assert divergence.distance(state).estimate == pytest.approx(0.3)
    assert divergence.rank_shift(state).estimate == pytest.approx(0.3)
    for zero, one in ((0, 100), (0, 0.6), (-1, 1), (0.4, 1)):
        other, share = np.where(past, one, zero), 1 - ones if zero else ones
        if share > 1 / 32:  # less than half a bin is not worth an edge
            assert divergence.distance(compared(past, past, other)).estimate == pytest.approx(share)


@pytest.mark.parametrize("score", [0.0, 0.3, -1e6, 5e-324, 1.7e308])
def test_a_champion_of_one_score_is_left_both_ways(score):
    past = np.full(300, score)
    away = 1e-3 * abs(score) + 1e-9
    for other, shift in ((score + away, 0.5), (score - away, -0.5)):
        state = compared(past, past, np.full(300, other))
        assert divergence.distance(state).estimate == 1.0
        assert divergence.rank_shift(state).estimate == shift


def test_the_edges_hide_less_than_a_bin_and_a_half_of_any_change():
    rng = np.random.default_rng(5)
    hidden = []
    for _ in range(150):
        places = rng.choice(40, rng.integers(1, 30), replace=False)
        chances = rng.dirichlet(np.full(places.size, rng.choice([0.1, 1.0, 10.0])))
        champion = rng.choice(places, 600, p=chances) + rng.choice([0.0, 0.5]) * rng.random(600)
        challenger = champion + rng.choice([-1.0, -0.25, 0.25, 3.0]) * (rng.random(600) < rng.random())
        edges = divergence.edges_from(champion)
        assert np.isfinite(edges).all()
        below = (np.cumsum(divergence.counts(scores, edges))[:-1] / 600 for scores in (champion, challenger))
        hidden.append(true_distance(champion, challenger) - np.abs(np.subtract(*below)).max())
    assert min(hidden) >= -1e-9
    assert max(hidden) < 1.5 / 16


def test_last_digits_make_no_other_score():
    past = np.array([0.31, 0.72, 0.999] * 200)
    assert divergence.distance(compared(past, past, past.astype(np.float32))).estimate == 0.0
    late = 1.7e9 + 1000 * np.random.default_rng(6).random(1000)
    assert len(divergence.edges_from(late)) == 15, "a small spread far from zero is no atom"


def test_bins_are_ranked_by_the_champions_shares():
    assert started(np.repeat(np.arange(4.0), [10, 20, 30, 40])).ranks.knots == pytest.approx(
        [0, 0, 0.05 / 0.75, 0.15 / 0.75, 0.25 / 0.75, 0.4 / 0.75, 0.55 / 0.75, 1, 1], abs=1e-12
    )
    assert divergence.start([1, 2, 3]).ranks.knots == pytest.approx([0, 1 / 3, 2 / 3, 1])
    for wrong in ([0.5, 0.4, 1.0], [0.5], [0.2, 0.5, 1.5], [np.nan, 0.5, 1.0]):
        with pytest.raises(ValueError, match="share"):
            divergence.start([1, 2, 3], shares=wrong)


def test_edges_of_ties_and_constants():
    assert divergence.edges_from([0.5] * 10) == pytest.approx((0.5 - 5e-6, 0.5 + 5e-6), abs=1e-12)
    assert divergence.edges_from([0.0] * 10) == (-5e-324, 0.0)
    assert divergence.edges_from([0, 1] * 10, bins=4) == pytest.approx((-1e-5, 1e-5, 1 - 1e-5, 1 + 1e-5))
    assert divergence.edges_from([7.0]) == (7.0,)
    zeros = np.concatenate([np.zeros(600), np.random.default_rng(7).lognormal(3, 1, 400)])
    assert divergence.edges_from(zeros)[0] < 0.0 < divergence.edges_from(zeros)[1] < zeros[zeros > 0].min()
    assert divergence.edges_from([np.inf, -np.inf, np.nan, 1, 2, 3], bins=3) == (1.0, 2.0)
    assert np.isfinite(divergence.edges_from([-1.79e308, 1.79e308] * 9)).all()
    with pytest.raises(ValueError):
        divergence.edges_from([np.nan])


def test_nan_scores_are_counted_last():
    assert divergence.counts([np.nan, 0.1], [0.5]).tolist() == [1, 1]
    assert divergence.counts([-np.inf, np.inf, 0.1], [0.0, 0.5]).tolist() == [1, 1, 1]
