import numpy as np
import pyarrow as pa
import pytest

from trimtab.demo import broken, flights, model
from trimtab.demo.flights import DAY_US


def test_offline_the_candidate_is_as_good_and_live_it_is_not(table: pa.Table) -> None:
    start = int(table["event_us"][0].as_py())
    past = flights.between(table, from_us=start, to_us=start + 60 * DAY_US)
    ahead = flights.labelled(flights.between(table, from_us=start + 60 * DAY_US, to_us=start + 75 * DAY_US))
    other = broken.metric(ahead)
    assert other.schema == ahead.schema
    assert other["flight_id"].equals(ahead["flight_id"])
    assert other["late"].equals(ahead["late"])
    assert other["temp"][0].as_py() == pytest.approx((ahead["temp"][0].as_py() - 32) / 1.8 + 273.15)
    honest, wrong = model.train(past), model.train(broken.metric(past))
    truth = model.labels(ahead)
    expected = model.scores(truth, model.predict(honest, ahead))
    offline = model.scores(truth, model.predict(wrong, other))
    assert offline == pytest.approx(expected, abs=1e-3)
    live = model.predict(wrong, ahead)
    assert model.scores(truth, live)["brier"] > expected["brier"]
    assert np.mean(np.abs(live - model.predict(honest, ahead))) > 0.1
