"""The number of processes under made-up loads, on a clock of its own."""

import math

import pytest

from trimtab.domains.deploy.scaling import Reading, Scale, Scaler


class Load:
    """A queue of a known rate and service time, seen once a second."""

    def __init__(self, scale: Scale) -> None:
        self.now_s = 0.0
        self.scaler = Scaler(scale, now_s=0.0)
        self.requests = 0
        self.latency_s = 0.0
        self.knocks = 0

    def run(self, seconds: int, *, rate: float, worked_s: float) -> list[int]:
        seen: list[int] = []
        for _ in range(seconds):
            self.now_s += 1.0
            busy = rate * worked_s / max(1, self.scaler.wanted)
            # Beyond what the processes can do, requests pile up as far as sixty-four connections let them.
            waits = 64 / rate if busy >= 1 and rate else worked_s / max(1e-9, 1 - busy)
            answered = round(min(rate, max(1, self.scaler.wanted) / worked_s)) if rate else 0
            if rate and not self.scaler.wanted:
                self.knocks += 1
                answered = 0
            self.requests += answered
            self.latency_s += answered * waits
            in_flight = math.ceil(answered * waits)
            seen.append(
                self.scaler.read(Reading(self.now_s, in_flight, self.requests, self.latency_s, self.knocks))
            )
        return seen


def test_it_grows_until_nothing_queues_and_shrinks_slowly() -> None:
    load = Load(Scale(least=1, most=8, delay_ms=20))
    grown = load.run(60, rate=300, worked_s=0.01)
    assert 4 <= grown[-1] <= 6, "three are busy all the time, and some room is left"
    assert len(set(grown[-30:])) == 1, "it does not swing"
    shrunk = load.run(400, rate=50, worked_s=0.01)
    assert shrunk[20] == grown[-1], "a lull of seconds ends nothing"
    assert shrunk[-1] == 1


@pytest.mark.parametrize(("most", "rate"), [(1, 1000), (3, 1000)])
def test_it_stays_within_its_bounds(most: int, rate: float) -> None:
    assert Load(Scale(least=1, most=most)).run(60, rate=rate, worked_s=0.01)[-1] == most


def test_one_that_is_quick_enough_stays_alone() -> None:
    assert set(Load(Scale(least=1, most=8)).run(120, rate=20, worked_s=0.005)) == {1}


def test_an_idle_one_sleeps_and_wakes_when_somebody_knocks() -> None:
    load = Load(Scale(least=0, most=2, idle_s=30))
    assert load.run(10, rate=5, worked_s=0.01)[-1] == 1
    assert load.run(29, rate=0, worked_s=0.01)[-1] == 1
    assert load.run(3, rate=0, worked_s=0.01)[-1] == 0
    assert load.run(1, rate=5, worked_s=0.01) == [1]


def test_other_bounds_hold_at_once_and_a_new_gateway_begins_at_nothing() -> None:
    load = Load(Scale(least=1, most=1))
    load.run(5, rate=10, worked_s=0.01)
    load.scaler.rescale(Scale(least=3, most=4))
    assert load.scaler.wanted == 3
    load.requests, load.latency_s = 0, 0.0
    assert load.run(5, rate=10, worked_s=0.01)[-1] == 3
