import numpy as np
import pytest

from tests.science import flights
from trimtab.science.drift import alarm, sketch


def draw(rng, n):
    return {
        "x": rng.normal(size=n),
        "delay": rng.exponential(size=n),
        "carrier": rng.choice(list("abcdef"), n, p=np.arange(1, 7) / 21),
    }


def watch(rng, *, windows, change=lambda data, day, rng: data, rows=700, reference_rows=20_000, **settings):
    reference = sketch.build(draw(rng, reference_rows))
    state = alarm.start(reference, **settings)
    current = None
    for day in range(1, windows + 1):
        current = sketch.count(reference, change(draw(rng, rows), day, rng))
        state = alarm.update(state, reference, current)
        if state.alarmed_at:
            break
    return state, alarm.report(state, reference, current)


@pytest.mark.parametrize("reference_rows", [2000, 20_000])
def test_sixty_days_without_drift_raise_no_alarm(reference_rows):
    rng = np.random.default_rng(1)
    found = [watch(rng, windows=60, reference_rows=reference_rows)[0].alarmed_at for _ in range(12)]
    assert found == [None] * 12


def test_average_time_to_a_false_alarm_is_kept_where_it_is_hardest():
    # A tolerance of nothing and rows drawn from the reference itself: the edge of the promise.
    rng, arl, most = np.random.default_rng(2), 20.0, 100
    lengths = []
    for _ in range(15):
        data = draw(rng, 30_000)
        reference = sketch.build(data)
        state = alarm.start(reference, arl=arl, tolerance=0.0)
        while state.alarmed_at is None and state.windows < most:
            picked = rng.integers(0, 30_000, 200)
            current = sketch.count(reference, {name: values[picked] for name, values in data.items()})
            state = alarm.update(state, reference, current)
        lengths.append(state.windows)
    assert np.mean(lengths) >= arl


CHANGES = {
    "location by 0.1": (lambda data: data | {"x": data["x"] + 0.1}, "x", 20),
    "scale by 1.1": (lambda data: data | {"x": data["x"] * 1.1}, "x", 20),
    "scale by 0.8": (lambda data: data | {"x": data["x"] * 0.8}, "x", 5),
    "a tenth missing": (
        lambda data: data | {"delay": np.where(np.arange(700) % 10 == 0, np.nan, data["delay"])},
        "delay",
        3,
    ),
    "a new category": (
        lambda data: data | {"carrier": np.where(np.arange(700) % 10 == 0, "zz", data["carrier"])},
        "carrier",
        3,
    ),
}


@pytest.mark.parametrize(("change", "name", "delay"), CHANGES.values(), ids=CHANGES)
def test_drift_is_found_and_blamed(change, name, delay):
    rng = np.random.default_rng(3)
    needed = []
    for _ in range(3):
        state, found = watch(
            rng, windows=60, change=lambda data, day, rng: change(data) if day > 15 else data
        )
        assert state.alarmed_at is not None
        assert found.columns[0].name == name
        needed.append(state.alarmed_at - 15)
    assert 1 <= np.median(needed) <= delay


def moody_days(rng, days):
    return np.concatenate([rng.normal(rng.normal(0, 0.5), 1, 300) for _ in range(days)])


def test_days_with_a_mood_of_their_own_are_no_drift_once_learned():
    rng, day = np.random.default_rng(4), np.repeat(np.arange(60), 300)
    alarms = {"learned": 0, "taken for independent": 0}
    for _ in range(10):
        data = moody_days(rng, 60)
        for name, groups in (("learned", day), ("taken for independent", None)):
            reference = sketch.build({"x": data}, groups=groups)
            state = alarm.start(reference)
            for _ in range(60):
                state = alarm.update(state, reference, sketch.count(reference, {"x": moody_days(rng, 1)}))
            alarms[name] += state.alarmed_at is not None
    assert alarms["learned"] == 0
    assert alarms["taken for independent"] == 10


def test_drift_is_found_under_moods_too():
    rng, day = np.random.default_rng(6), np.repeat(np.arange(60), 300)
    reference = sketch.build({"x": moody_days(rng, 60)}, groups=day)
    state = alarm.start(reference)
    while state.alarmed_at is None and state.windows < 40:
        state = alarm.update(state, reference, sketch.count(reference, {"x": moody_days(rng, 1) + 1.0}))
    assert state.alarmed_at is not None


def test_whole_days_of_real_flights_in_random_order_raise_no_alarm():
    # Days in random order do not drift, but each has its weather, its cancellations, its day of the week.
    days, rng, alarms = flights.by_day(), np.random.default_rng(7), {True: 0, False: 0}
    for _ in range(5):
        order = rng.permutation(365)
        before = [days[i] for i in order[:60]]
        data = {name: np.concatenate([day[name] for day in before]) for name in before[0]}
        groups = np.repeat(np.arange(60), [len(day["hour"]) for day in before])
        for learned in alarms:
            reference = sketch.build(data, groups=groups if learned else None)
            state = alarm.start(reference)
            for i in order[60:120]:
                state = alarm.update(state, reference, sketch.count(reference, days[i]))
            alarms[learned] += state.alarmed_at is not None
    assert alarms == {True: 0, False: 5}


def test_the_report_says_what_moved():
    rng = np.random.default_rng(5)
    _, found = watch(rng, windows=5, change=lambda data, day, rng: data | {"x": data["x"] * 1.5})
    worst = found.columns[0]
    assert (worst.name, worst.direction) == ("x", "rise")
    assert worst.leading in ("spread", "tails")
    assert worst.current > worst.reference + 0.05
    assert found.alarm
    assert found.evidence >= found.threshold


def test_small_windows_change_nothing():
    reference = sketch.build({"x": np.arange(100.0)})
    state = alarm.start(reference, min_rows=50)
    assert alarm.update(state, reference, sketch.count(reference, {"x": [1e6] * 49})) == state


def test_a_window_without_a_column_leaves_it_alone():
    reference = sketch.build({"x": np.arange(100.0), "y": np.arange(100.0)})
    state = alarm.update(alarm.start(reference), reference, sketch.count(reference, {"x": [5.0] * 60}))
    assert state.windows == 1
    assert state.columns[1] == alarm.start(reference).columns[1]
