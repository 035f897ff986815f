import json

import msgspec
import numpy as np
import pytest

from trimtab.science import plain
from trimtab.science.drift import alarm, sketch
from trimtab.science.profile import table
from trimtab.science.sequential import change, difference, divergence, judge


def states():
    rng = np.random.default_rng(3)
    values = rng.random(40)
    reference = sketch.build({"x": rng.normal(size=300), "k": list("abcab") * 60})
    window = sketch.count(reference, {"x": rng.normal(size=60), "k": ["a", None] * 30})
    drift = alarm.update(alarm.start(reference), reference, window)
    trial = judge.start()
    one = judge.tally(errors=values > 0.9, latency_us=values * 5000, scores=values, losses=values)
    yield change.update(change.start(reference=0.4), values)
    yield difference.update(difference.start(), [7, 3], [9, 8])
    yield divergence.update(divergence.start([0.3, 0.6]), [3, 4, 5], [5, 5, 5])
    yield judge.update(trial, one, one)
    yield judge.Policy(quality=None)
    yield reference
    yield window
    yield drift
    yield table.add(table.TableState(), {"x": values, "k": ["a"] * 40})
    yield table.profile({"x": values, "k": ["a", None] * 20})


@pytest.mark.parametrize("state", list(states()), ids=lambda state: type(state).__name__)
def test_states_survive_json(state):
    text = json.dumps(plain.dump(state), allow_nan=False)
    assert plain.load(type(state), json.loads(text)) == state


@pytest.mark.parametrize("state", list(states()), ids=lambda state: type(state).__name__)
def test_states_survive_msgspec(state):
    assert msgspec.json.decode(msgspec.json.encode(state), type=type(state)) == state


def test_an_unknown_key_is_refused():
    with pytest.raises(ValueError, match="no field nonsense"):
        plain.load(judge.Limit, {"harm": 0.1, "margin": 0.2, "nonsense": 1})


def test_integers_from_json_become_floats_again():
    assert isinstance(plain.load(judge.Limit, {"harm": 0, "margin": 1}).harm, float)
