"""Bins of classes: which have their own, what falls into the others, and what the distance over them sees."""

import json

import numpy as np
import pytest

from trimtab.science import plain
from trimtab.science.sequential import classes, divergence
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
    assert 12 <= len(state.edges) <= 16
    assert seen(state, past, [codes[0]] * 1000) > 0.4


def test_texts_that_hardly_repeat_make_no_bins() -> None:
    assert classes.start([classes.code(str(number)) for number in range(1000)]) is None
    assert classes.start([NO, NO, YES]) is None, "three rows tell too little"
    assert classes.start([]) is None


def test_a_champion_of_one_class_is_left_by_any_other() -> None:
    assert seen(start([NO] * 20), [NO] * 50, [NO] * 25 + [NEW] * 25) == pytest.approx(0.5)


def test_bins_of_classes_are_kept_as_json() -> None:
    state = start(PAST)
    assert plain.load(Divergence, json.loads(json.dumps(plain.dump(state)))) == state
