import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.science.profile import distinct, frequent
from trimtab.science.profile.distinct import Distinct
from trimtab.science.profile.frequent import Frequent


@pytest.mark.parametrize("size", [0, 1, 10, 1000, 10_000, 200_000])
def test_numbers_are_counted_within_some_per_cent(size):
    x = np.random.default_rng(0).random(size)
    found = distinct.estimate(distinct.add_numbers(Distinct(), np.concatenate([x, x])))
    assert found == pytest.approx(size, rel=0.06, abs=1)


def test_texts_are_counted_alike_in_any_process():
    sketch = distinct.add_texts(Distinct(), (f"value {i}" for i in range(5000)))
    assert distinct.estimate(sketch) == 4991
    assert len(sketch.registers) == distinct.REGISTERS
    assert sketch.registers.isprintable()


@given(st.lists(st.integers(0, 500)), st.lists(st.integers(0, 500)))
def test_merging_is_adding(first, second):
    one, other = distinct.add_numbers(Distinct(), first), distinct.add_numbers(Distinct(), second)
    assert distinct.merge(one, other) == distinct.add_numbers(one, second)


def test_negative_zero_is_zero():
    assert distinct.add_numbers(Distinct(), [0.0]) == distinct.add_numbers(Distinct(), [-0.0])


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 9)),
    st.dictionaries(st.text(max_size=3), st.integers(1, 9)),
)
def test_few_values_are_counted_exactly(first, second):
    found = frequent.merge(frequent.add(Frequent(), first), frequent.add(Frequent(), second))
    assert found.exact
    assert found.counts == {key: first.get(key, 0) + second.get(key, 0) for key in first | second}


def test_frequent_values_survive_many_rare_ones():
    rng = np.random.default_rng(1)
    found = Frequent()
    for chunk in range(8):
        rare = {f"{chunk}-{i}": 1 for i in range(900)}
        found = frequent.merge(found, frequent.add(Frequent(), rare | {"often": 50 + int(rng.integers(3))}))
    assert next(iter(found.counts)) == "often"
    assert 400 - found.missed <= found.counts["often"] <= 424
    assert len(found.counts) <= frequent.CAPACITY
