import numpy as np
import pyarrow as pa
import skops.io

from trimtab.demo import flights, model
from trimtab.demo.flights import DAY_US


def test_it_beats_chance_on_the_next_weeks_and_is_reproducible(table: pa.Table) -> None:
    start = int(table["event_us"][0].as_py())
    past = flights.between(table, from_us=start, to_us=start + 45 * DAY_US)
    fitted = model.train(past)
    ahead = flights.labelled(flights.between(table, from_us=start + 50 * DAY_US, to_us=start + 64 * DAY_US))
    chance = model.predict(fitted, ahead)
    found = model.scores(model.labels(ahead), chance)
    assert found["roc_auc"] > 0.6
    assert 0 < found["brier"] < 0.25
    assert np.array_equal(model.predict(model.train(past), ahead), chance)


def test_it_is_stored_safely_and_takes_what_it_has_never_seen(table: pa.Table) -> None:
    fitted = model.train(table.slice(0, 20_000))
    content = skops.io.dumps(fitted)
    assert set(skops.io.get_untrusted_types(data=content)) <= set(model.TRUSTED_TYPES)
    loaded = skops.io.loads(content, trusted=list(model.TRUSTED_TYPES))
    rows = model.matrix(table.slice(20_000, 3))
    assert np.array_equal(loaded.predict_proba(rows), fitted.predict_proba(rows))
    rows[0, flights.FEATURES.index("carrier")] = "ZZ"
    rows[1, flights.FEATURES.index("temp")] = None
    assert np.isfinite(loaded.predict_proba(rows)).all()


def test_a_table_and_an_array_give_the_same(table: pa.Table) -> None:
    fitted = model.train(table.slice(0, 20_000))
    rows = table.slice(30_000, 50)
    by_table = fitted.predict_proba(rows.select(list(flights.FEATURES)))[:, 1]
    assert np.array_equal(by_table, model.predict(fitted, rows))
