import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.science import plain
from trimtab.science.profile import table
from trimtab.science.validate import infer, suite
from trimtab.science.validate.suite import Expectation, Suite


def flights(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "id": np.arange(n) + 1_000_000 * seed,
        "carrier": rng.choice(["UA", "AA", "DL"], n),
        "delay": np.where(rng.random(n) < 0.02, np.nan, rng.exponential(10, n)),
        "late": rng.random(n) < 0.2,
        "tail": [f"N{i:05d}" for i in rng.integers(0, 10**5, n)],
        "at": np.datetime64("2013-01-01T00:00") + rng.integers(0, 10**6, n).astype("m8[s]"),
    }


def failures(learned, data):
    return {
        (one.expectation, one.column) for one in suite.check(learned, table.profile(data)) if not one.passed
    }


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=50),
    st.sampled_from([["a", "b"], ["a", None], [None], ["x"] * 3]),
)
def test_a_table_meets_what_was_learned_from_it(numbers, texts):
    profile = table.profile({"x": numbers, "k": (texts * 50)[: len(numbers)]})
    results = suite.check(infer.infer(profile), profile)
    assert [one.message for one in results if not one.passed] == []
    assert suite.passed(results)


def test_more_of_the_same_passes():
    learned = infer.infer(table.profile(flights()))
    later = flights(3000, seed=0)
    later["at"] = later["at"] + np.timedelta64(90, "D")
    assert failures(learned, later) == set()


BROKEN = {
    "column gone": (lambda d: {k: v for k, v in d.items() if k != "late"}, ("columns", None)),
    "other type": (lambda d: d | {"late": ["maybe"] * 2000}, ("type", "late")),
    "other unit": (lambda d: d | {"delay": d["delay"] * 60}, ("range", "delay")),
    "negative": (lambda d: d | {"delay": d["delay"] - 5}, ("range", "delay")),
    "infinite": (
        lambda d: d | {"delay": np.where(np.arange(2000) == 7, np.inf, d["delay"])},
        ("range", "delay"),
    ),
    "nulls": (
        lambda d: d | {"delay": np.where(np.arange(2000) % 5 == 0, np.nan, d["delay"])},
        ("nulls", "delay"),
    ),
    "new value": (
        lambda d: d | {"carrier": np.where(np.arange(2000) == 7, "ZZ", d["carrier"])},
        ("values", "carrier"),
    ),
    "twice": (lambda d: d | {"id": np.repeat(np.arange(1000), 2)}, ("unique", "id")),
    "long text": (lambda d: d | {"tail": ["N" * 50, *d["tail"][1:]]}, ("length", "tail")),
    "few rows": (lambda d: {k: v[:100] for k, v in d.items()}, ("rows", None)),
}


@pytest.mark.parametrize(("change", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_named(change, expected):
    assert expected in failures(infer.infer(table.profile(flights())), change(flights()))


def test_results_and_suites_are_json():
    profile = table.profile(flights(200))
    learned = infer.infer(profile)
    text = json.dumps(plain.dump(learned), allow_nan=False)
    assert plain.load(Suite, json.loads(text)) == learned
    json.dumps(plain.dump(suite.check(learned, profile)), allow_nan=False)


def test_messages_say_what_was_seen_and_wanted():
    wanted = Suite(
        (
            Expectation("values", "k", values=("a", "b")),
            Expectation("nulls", "k", high=0.1),
            Expectation("rows", low=10),
            Expectation("mean", "x", low=0, high=1),
            Expectation("length", "k", high=1),
            Expectation("range", "gone", low=0),
            Expectation("columns", values=("x",), only=True),
        )
    )
    found = suite.check(wanted, table.profile({"k": ["a", "cc", None], "x": [1.0, 2.0, 6.0]}))
    assert [one.message for one in found] == [
        "k has 1 values not allowed: 'cc'",
        "k has 1 nulls (33.33%), expected at most 10.00%",
        "3 rows, expected at least 10",
        "the mean of x is 3, expected 0 to 1",
        "texts of k have 1 to 2 characters, expected at most 1",
        "there is no column gone",
        "not expected: k",
    ]
    assert not any(one.passed for one in found)


def test_warnings_do_not_fail_a_table():
    soft = Suite((Expectation("rows", low=10, severity="warning"),))
    results = suite.check(soft, table.profile({"x": [1]}))
    assert not results[0].passed
    assert suite.passed(results)


def test_more_values_than_a_profile_keeps_cannot_all_be_allowed():
    many = {"k": [f"v{i}" for i in range(3000)]}
    wanted = Suite((Expectation("values", "k", values=("v1", "v2")),))
    assert not suite.check(wanted, table.profile(many))[0].passed
