import numpy as np
import pytest

from trimtab.science import clustering
from trimtab.science.sequential import change


def first_alarm(rng, before, after, *, at, most, rows=50, **settings):
    state = change.start(**settings)
    for step in range(most):
        rate = before if step < at else after
        state = change.update_counts(state, rng.binomial(rows, rate), rows)
        if state.alarmed_at:
            return state.alarmed_at, state
    return most + 1, state


def test_average_run_length_to_a_false_alarm_is_kept():
    # The mean lies exactly at reference + margin: the worst case of the promise.
    arl, most, runs = 50.0, 250, 60
    rng = np.random.default_rng(1)
    lengths = [
        first_alarm(rng, 0.25, 0.25, at=0, most=most, reference=0.2, margin=0.05, arl=arl)[0]
        for _ in range(runs)
    ]
    # Cut at 250 steps the average is even smaller than the true one.
    assert np.mean(lengths) >= arl


def test_no_alarm_where_nothing_changes():
    rng = np.random.default_rng(2)
    alarms = [
        first_alarm(rng, 0.2, 0.2, at=0, most=60, reference=0.2, margin=0.02)[0] <= 60 for _ in range(60)
    ]
    assert sum(alarms) == 0


@pytest.mark.parametrize(("rate", "delay"), [(0.5, 2), (0.3, 11)])
def test_a_change_is_found_and_dated(rate, delay):
    rng = np.random.default_rng(3)
    found = [first_alarm(rng, 0.2, rate, at=20, most=80, reference=0.2, margin=0.02) for _ in range(20)]
    assert np.median([step - 20 for step, _ in found]) <= delay
    assert abs(np.median([change.report(state).changed_at for _, state in found]) - 21) <= 1
    assert change.report(found[0][1]).recent == pytest.approx(rate, abs=0.15)


def test_a_long_quiet_time_does_not_dull_it():
    rng = np.random.default_rng(4)
    early = np.median([first_alarm(rng, 0.1, 0.3, at=5, most=400, reference=0.1)[0] - 5 for _ in range(10)])
    late = np.median(
        [first_alarm(rng, 0.1, 0.3, at=200, most=400, reference=0.1)[0] - 200 for _ in range(10)]
    )
    assert late <= early + 2


def test_a_fall_is_watched_in_the_mirror():
    up = change.start(reference=0.2, margin=0.05)
    down = change.start(reference=0.8, margin=0.05, direction="fall")
    for _ in range(6):
        up, down = change.update_counts(up, 30, 100), change.update_counts(down, 70, 100)
    assert down.alarmed_at == up.alarmed_at
    assert change.report(down).level == pytest.approx(0.75)
    assert down.wealth == pytest.approx(up.wealth)


def test_days_with_a_mood_of_their_own_are_no_change_once_learned():
    rng = np.random.default_rng(5)

    def rates(days):
        return np.clip(rng.normal(0.2, 0.06, days), 0, 1)

    before, day = (rng.random((60, 200)) < rates(60)[:, None]).ravel(), np.repeat(np.arange(60), 200)
    learned = clustering.correlation(before, day)
    assert 0.01 < learned < 0.06
    alarms = {learned: 0, 0.0: 0}
    for assumed in alarms:
        for _ in range(20):
            state = change.start(reference=0.2, margin=0.01, clustering=assumed)
            for rate in rates(60):
                state = change.update_counts(state, rng.binomial(200, rate), 200)
            alarms[assumed] += state.alarmed_at is not None
    assert alarms[learned] == 0
    assert alarms[0.0] > 15


def test_values_counts_and_mass_agree():
    flags = [1.0] * 20 + [0.0] * 80
    by_value = change.update(change.start(reference=0.1), flags)
    by_count = change.update_counts(change.start(reference=0.1), 20, 100)
    assert by_value.wealth == pytest.approx(by_count.wealth)


def test_a_step_without_rows_is_no_step():
    state = change.start(reference=0.1)
    assert change.update(state, []) == state


def test_the_alarm_stays_until_restart():
    state = change.start(reference=0.1, arl=100)
    for ones in (60, 60, 5, 5, 5):
        state = change.update_counts(state, ones, 100)
    assert change.report(state).alarm
    fresh = change.restart(state, reference=0.3)
    assert not change.report(fresh).alarm
    assert fresh.reference == 0.3
    assert fresh.arl == 100


def test_wrong_input_is_refused():
    with pytest.raises(ValueError):
        change.start(reference=1.5)
    with pytest.raises(ValueError):
        change.update(change.start(reference=0.5), [2.0])
    with pytest.raises(ValueError):
        change.update_counts(change.start(reference=0.5), 11, 10)
