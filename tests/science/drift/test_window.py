import numpy as np
import pytest

from tests.science import flights
from trimtab.science.drift import sketch, window


def draw(rng, n):
    return {
        "normal": rng.normal(size=n),
        "skew": rng.lognormal(size=n),
        "hour": rng.integers(5, 23, n),
        "carrier": rng.choice(list("abcdefgh"), n, p=np.arange(1, 9) / 36),
        "gaps": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
    }


@pytest.mark.parametrize("rows", [150, 1000])
@pytest.mark.parametrize("reference_rows", [1500, 20_000])
def test_false_alarms_in_a_window_stay_below_alpha(rows, reference_rows):
    rng, alpha, runs = np.random.default_rng(1), 0.1, 150
    policy = window.Policy(alpha=alpha, min_psi=0.0)
    reference = sketch.build(draw(rng, reference_rows))
    alarms = 0
    for run in range(runs):
        if run % 10 == 0:  # the promise is over references, too
            reference = sketch.build(draw(rng, reference_rows))
        alarms += window.decide(reference, sketch.count(reference, draw(rng, rows)), policy).alarm
    assert alarms / runs <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)


def test_the_noise_floor_is_reached_as_often_as_it_says():
    rng = np.random.default_rng(2)
    above = []
    for rows in (300, 3000):
        for _ in range(150):
            reference = sketch.build({"x": rng.normal(size=8000)})
            found = window.decide(
                reference,
                sketch.count(reference, {"x": rng.normal(size=rows)}),
                window.Policy(alpha=0.1, min_psi=0),
            )
            above.append(found.columns[0].psi > found.columns[0].noise_floor)
    assert 0.04 < np.mean(above) < 0.17


CHANGES = {
    "location": lambda data, rng: data | {"normal": data["normal"] + 0.3},
    "scale": lambda data, rng: data | {"normal": data["normal"] * 1.25},
    "narrower": lambda data, rng: data | {"normal": data["normal"] * 0.8},
    "tails": lambda data, rng: data | {"normal": np.where(rng.random(1500) < 0.05, 8.0, data["normal"])},
    "categories": lambda data, rng: (
        data | {"carrier": np.where(rng.random(1500) < 0.2, "a", data["carrier"])}
    ),
    "new category": lambda data, rng: (
        data | {"carrier": np.where(rng.random(1500) < 0.05, "zz", data["carrier"])}
    ),
    "missing": lambda data, rng: data | {"skew": np.where(rng.random(1500) < 0.1, np.nan, data["skew"])},
    "fewer missing": lambda data, rng: data | {"gaps": np.nan_to_num(data["gaps"])},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_drift_is_found_in_its_column(change):
    rng = np.random.default_rng(3)
    reference = sketch.build(draw(rng, 20_000))
    before = draw(rng, 1500)
    after = change(before, rng)
    touched = {name for name in before if after[name] is not before[name]}
    found = window.decide(reference, sketch.count(reference, after))
    assert found.alarm
    assert {one.name for one in found.columns if one.alarm} == touched
    assert found.score == max(one.psi for one in found.columns)


def test_a_small_effect_is_no_alarm_however_sure():
    rng = np.random.default_rng(4)
    reference = sketch.build({"x": rng.normal(size=200_000)})
    current = sketch.count(reference, {"x": rng.normal(0.03, 1, 200_000)})
    (found,) = window.decide(reference, current).columns
    assert found.adjusted < 1e-6
    assert not found.alarm


def test_scale_shows_in_the_spread_and_location_in_the_location():
    rng = np.random.default_rng(5)
    reference = sketch.build({"x": rng.normal(size=20_000)})
    wide = window.decide(reference, sketch.count(reference, {"x": 1.3 * rng.normal(size=2000)})).columns[0]
    moved = window.decide(reference, sketch.count(reference, {"x": rng.normal(size=2000) + 0.3})).columns[0]
    assert wide.spread_z > 5 > abs(wide.location_z)
    assert moved.location_z > 5
    assert moved.wasserstein == pytest.approx(0.3, abs=0.06)


def test_components_are_standard_normal():
    rng = np.random.default_rng(6)
    z = np.asarray(
        [
            window.smooth_components(
                rng.multinomial(3000, np.full(20, 0.05)), rng.multinomial(700, np.full(20, 0.05))
            )
            for _ in range(800)
        ],
        dtype=float,
    )
    assert z.mean(0) == pytest.approx(0, abs=0.15)
    assert z.std(0) == pytest.approx(1, abs=0.1)


def test_days_with_a_mood_of_their_own_are_no_drift_once_learned():
    rng, alpha, runs = np.random.default_rng(8), 0.1, 100

    def days(n):
        return np.concatenate([rng.normal(rng.normal(0, 0.5), 1, 300) for _ in range(n)])

    alarms = {"learned": 0, "taken for independent": 0}
    for name in alarms:
        for run in range(runs):
            if run % 10 == 0:
                groups = np.repeat(np.arange(60), 300) if name == "learned" else None
                reference = sketch.build({"x": days(60)}, groups=groups)
            found = window.decide(
                reference, sketch.count(reference, {"x": days(1)}), window.Policy(alpha=alpha, min_psi=0)
            )
            alarms[name] += found.alarm
    assert alarms["learned"] / runs <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / runs)
    assert alarms["taken for independent"] / runs > 0.6


def test_too_few_rows_decide_nothing():
    reference = sketch.build({"x": np.arange(1000.0)})
    found = window.decide(reference, sketch.count(reference, {"x": [1e9] * 99}))
    assert not found.enough
    assert not found.alarm


def test_windows_of_real_flights_drawn_at_random_raise_no_more_alarms_than_stated():
    january = {
        name: np.concatenate([day[name] for day in flights.by_day()[:31]]) for name in flights.by_day()[0]
    }
    rng, alarms, runs = np.random.default_rng(7), 0, 100
    cut = rng.permutation(27_004)
    reference = sketch.build({name: values[cut[:13_000]] for name, values in january.items()})
    for _ in range(runs):
        drawn = rng.choice(cut[13_000:], 700, replace=False)
        current = sketch.count(reference, {name: values[drawn] for name, values in january.items()})
        alarms += window.decide(reference, current, window.Policy(alpha=0.05, min_psi=0.0)).alarm
    # 0.05 plus three standard errors of a share of 100
    assert alarms / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_whole_days_of_real_flights_in_random_order_raise_no_more_alarms_than_stated():
    days, rng, found = flights.by_day(), np.random.default_rng(9), []
    for _ in range(4):
        order = rng.permutation(365)
        before = [days[i] for i in order[:60]]
        data = {name: np.concatenate([day[name] for day in before]) for name in before[0]}
        groups = np.repeat(np.arange(60), [len(day["hour"]) for day in before])
        reference = sketch.build(data, groups=groups)
        found += [window.decide(reference, sketch.count(reference, days[i])).alarm for i in order[60:110]]
    # 0.01 plus three standard errors of a share of 200
    assert np.mean(found) <= 0.01 + 3 * np.sqrt(0.01 * 0.99 / 200)
