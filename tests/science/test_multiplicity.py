import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trimtab.science import multiplicity

some = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(some)
def test_adjusted_values_grow_and_keep_the_order(p):
    for adjust in (multiplicity.holm, multiplicity.benjamini_hochberg):
        adjusted = adjust(p)
        assert (adjusted >= np.asarray(p) - 1e-15).all()
        assert (adjusted <= 1).all()
        order = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[order]) >= 0).all()


@given(some)
def test_holm_is_the_stricter_and_bonferroni_stricter_still(p):
    holm = multiplicity.holm(p)
    assert (holm >= multiplicity.benjamini_hochberg(p) - 1e-12).all()
    assert (holm <= np.minimum(np.asarray(p) * len(p), 1) + 1e-12).all()


def test_promises_hold_on_uniform_p_values():
    rng = np.random.default_rng(1)
    any_false = np.mean([(multiplicity.holm(rng.random(15)) <= 0.1).any() for _ in range(2000)])
    assert any_false <= 0.12
