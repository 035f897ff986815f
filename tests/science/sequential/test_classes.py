"""Bins of classes: which have their own, what falls into the others, and what the distance over them sees."""

import json

import numpy as np
import pytest

from trimtab.science import plain
from trimtab.science.sequential import classes, difference, divergence, total
from trimtab.science.sequential.divergence import Divergence

NO, YES, MAYBE, NEW = map(classes.code, ("no", "yes", "maybe", "new"))
PAST = [NO] * 60 + [YES] * 30 + [MAYBE] * 10


def seen(state: Divergence, champion: list[int], challenger: list[int]) -> float:
    """Distance after so many rows of each."""
    counted = [
        divergence.counts(classes.places(state, codes), state.edges) for codes in (champion, challenger)
    ]
    return divergence.distance(divergence.update(state, *counted)).estimate


def start(past: list[int]) -> Divergence:
    state = classes.start(past)
    assert state is not None
    return state


def test_common_classes_have_bins_of_their_own_and_what_is_new_has_another() -> None:
    state = start(PAST)
    assert state.classes == (NO, YES, MAYBE)
    assert classes.places(state, [MAYBE, NEW, YES, NO]).tolist() == [2, 3, 1, 0]


@pytest.mark.parametrize(
    ("challenger", "distance"),
    [
        ([NO] * 100, 0.4),
        ([NEW] * 100, 1.0),
        ([NO] * 30 + [YES] * 60 + [MAYBE] * 10, 0.3),
        ([NO] * 60 + [YES] * 30 + [NEW] * 10, 0.1),
        (PAST, 0.0),
    ],
    ids=["the commonest", "something new", "swapped", "a rare one is new", "alike"],
)
def test_the_distance_is_the_share_that_moved(challenger: list[int], distance: float) -> None:
    assert seen(start(PAST), PAST, challenger) == pytest.approx(distance)


def test_what_moves_between_two_of_very_many_classes_is_seen() -> None:
    rng = np.random.default_rng(0)
    codes = [classes.code(f"class {number}") for number in range(500)]
    past = rng.choice(codes, 5000).tolist()
    state = start(past)
    assert 28 <= len(state.edges) <= 32
    assert seen(state, past, [codes[0]] * 1000) > 0.4


def test_classes_that_are_lost_here_and_there_are_seen_in_total() -> None:
    """Half of forty classes, every other one: no run of the commonest classes has moved by much."""
    rng = np.random.default_rng(1)
    codes = np.sort([classes.code(str(number)) for number in range(40)])
    past = rng.choice(codes, 4000).tolist()
    state = start(past)
    assert state.classes is not None
    assert len(state.classes) == 40
    left = np.asarray(state.classes)[::2]
    for _ in range(8):
        batches = [rng.choice(codes, 100), rng.choice(left, 100)]
        counted = [divergence.counts(classes.places(state, batch), state.edges) for batch in batches]
        state = divergence.update(state, *counted)
    found = divergence.distance(state)
    assert found.low > 0.2
    assert found.estimate == pytest.approx(0.5, abs=0.06)
    assert divergence.log_e_distance(state, 0.2) > np.log(20)
    assert divergence.log_e_near(state, 0.25) < 0
    assert np.abs(difference.means(state.shares)[0] - difference.means(state.shares)[1]).max() < 0.2


def test_rows_wait_for_both_sides() -> None:
    state = total.start(2)
    for _ in range(5):
        state = total.update(state, [1, 2], [0, 0])
    for _ in range(2):
        state = total.update(state, [0, 0], [3, 0])
    at_once = total.update(total.start(2), [5, 10], [6, 0])
    assert total.log_e_near(state, 0.5) == pytest.approx(total.log_e_near(at_once, 0.5))
    assert (total.estimate(state), total.bound_above(total.start(2), alpha=0.05)) == (
        pytest.approx(2 / 3),
        1.0,
    )


def test_bounds_cover_at_all_times_together() -> None:
    """In 60 trials with a look after every batch, with a distance of 0.1, about the promised share of bounds misses at most."""
    rng, missed = np.random.default_rng(2), np.zeros(2)
    for _ in range(60):
        state, low, high = total.start(4), 0.0, 1.0
        for _ in range(12):
            state = total.update(
                state, rng.multinomial(40, [0.4, 0.3, 0.2, 0.1]), rng.multinomial(20, [0.4, 0.2, 0.2, 0.2])
            )
            low = max(low, total.bound_below(state, alpha=0.1))
            high = min(high, total.bound_above(state, alpha=0.1))
        missed += (low > 0.1, high < 0.1)
    assert (missed <= 13).all()
    assert 0.1 <= high < 0.4


def test_texts_that_hardly_repeat_make_no_bins() -> None:
    assert classes.start([classes.code(str(number)) for number in range(1000)]) is None
    assert classes.start([NO, NO, YES]) is None, "three rows tell too little"
    assert classes.start([]) is None


def test_a_champion_of_one_class_is_left_by_any_other() -> None:
    assert seen(start([NO] * 20), [NO] * 50, [NO] * 25 + [NEW] * 25) == pytest.approx(0.5)


def test_bins_of_classes_are_kept_as_json() -> None:
    state = start(PAST)
    assert plain.load(Divergence, json.loads(json.dumps(plain.dump(state)))) == state
