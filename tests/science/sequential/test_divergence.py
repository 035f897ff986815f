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


def test_edges_of_ties_and_constants():
    assert divergence.edges_from([0.5] * 10) == (0.5,)
    assert divergence.edges_from([0, 1] * 10, bins=4) == (0.0,)
    with pytest.raises(ValueError):
        divergence.edges_from([np.nan])


def test_nan_scores_are_counted_last():
    assert divergence.counts([np.nan, 0.1], [0.5]).tolist() == [1, 1]
