"""Buckets, quotas, circuits, budgets, caches and field rules as values, with clocks of the tests' own."""

import hmac
import stat
from array import array
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Batch, Output, unpack
from trimtab.serving.edge.rules import MASKED, Rules, coarser, keyed_hash
from trimtab.serving.errors import QuotaExceeded, RateLimited
from trimtab.serving.policies.buckets import Bucket
from trimtab.serving.policies.cache import AnswerCache, feature_key
from trimtab.serving.policies.circuits import Circuit
from trimtab.serving.policies.fields import Anonymiser, hash_key
from trimtab.serving.policies.guard import Guard
from trimtab.serving.policies.quotas import Ledger, period_end_us
from trimtab.serving.policies.retries import RetryBudget
from trimtab.serving.policies.settings import FieldRule, Policies, Quota, Rate, check
from trimtab.serving.routes import Field, Signature
from trimtab.serving.schema import Schema

DAY_US = 86_400_000_000
GAPS = st.lists(st.floats(0, 3), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(requests=st.integers(1, 20), window=st.integers(1, 30), gaps=GAPS)
def test_no_stretch_of_time_gets_more_than_its_tokens(requests: int, window: int, gaps: list[float]) -> None:
    bucket, now = Bucket(Rate(requests, window), now=0.0), 0.0
    taken: list[float] = []
    for gap in gaps:
        now += gap
        wait_s = bucket.wait_s(now)
        assert (wait_s == 0) == (bucket.left(now) >= 1)
        if wait_s:
            assert copy(bucket).wait_s(now + wait_s) < 1e-6  # whoever waits as told is let in
        else:
            bucket.take(now)
            taken.append(now)
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = requests + (taken[last] - start) * requests / window
            assert last - first + 1 <= allowed + 1e-6


@settings(max_examples=40, deadline=None)
@given(requests=st.integers(1, 50), window=st.integers(1, 60), count=st.integers(1, 200))
def test_who_keeps_the_rate_never_waits(requests: int, window: int, count: int) -> None:
    bucket = Bucket(Rate(requests, window), now=0.0)
    for turn in range(count):
        now = turn * window / requests
        assert bucket.wait_s(now) == 0
        bucket.take(now)


def test_a_clock_that_stands_still_gives_nothing() -> None:
    bucket = Bucket(Rate(1, 10), now=5.0)
    bucket.take(5.0)
    assert bucket.wait_s(5.0) == pytest.approx(10)
    assert bucket.wait_s(4.0) == pytest.approx(10)
    assert bucket.full_in_s(10.0) == pytest.approx(5)


def test_quotas_begin_anew_with_the_period(tmp_path: Path) -> None:
    assert period_end_us(DAY_US + 5, "day") == 2 * DAY_US
    assert period_end_us(0, "month") == 31 * DAY_US
    assert period_end_us(31 * DAY_US, "month") == 59 * DAY_US
    ledger = Ledger(tmp_path / "quotas.json")
    ledger.meter("m", "day", 0).used = 7
    ledger.meter("m", "month", 0).used = 9
    ledger.save(0)
    again = Ledger(tmp_path / "quotas.json")
    assert again.meter("m", "day", DAY_US - 1).used == 7
    assert again.meter("m", "day", DAY_US).used == 0
    assert again.meter("m", "month", DAY_US).used == 9
    (tmp_path / "quotas.json").write_text("no JSON")
    broken = Ledger(tmp_path / "quotas.json")
    assert "could not be read" in broken.problem
    assert broken.meter("m", "day", 0).used == 0


def test_a_guard_counts_only_what_it_lets_in(tmp_path: Path) -> None:
    guard = Guard("m", Ledger(tmp_path / "quotas.json"))
    policies = Policies(rate=Rate(3), key_rate=Rate(2), quota=Quota(4), key_quota=Quota(3, "month"))
    guard.configure(policies, hash_key=b"", now=0.0)
    guard.admit("anna", 0.0, 0)
    guard.admit("anna", 0.0, 0)
    with pytest.raises(RateLimited) as refused:
        guard.admit("anna", 0.0, 0)
    assert refused.value.details["retry_after_s"] == 1
    guard.admit("bert", 0.0, 0)
    with pytest.raises(RateLimited):
        guard.admit("bert", 0.0, 0)  # the endpoint's bucket is empty, his own is not
    assert dict(guard.headers("bert", 0.0, 0))[b"ratelimit"] == (
        b'"endpoint";r=0;t=1, "key";r=1;t=1, "endpoint-quota";r=1;t=86400, "key-quota";r=2;t=2678400'
    )
    guard.configure(policies, hash_key=b"", now=0.0)  # a new table fills nobody's bucket
    with pytest.raises(RateLimited):
        guard.admit("bert", 0.0, 0)
    guard.admit("anna", 10.0, 0)
    with pytest.raises(QuotaExceeded) as used_up:
        guard.admit("bert", 20.0, 0)
    assert used_up.value.details["retry_after_s"] == 86_400
    with pytest.raises(QuotaExceeded, match="month"):
        guard.admit("anna", 30.0, DAY_US)  # another day: the endpoint's quota is fresh, her month's is not
    assert guard.limited == 5
    headers = dict(guard.headers("anna", 30.0, DAY_US))
    assert headers[b"ratelimit-policy"] == (
        b'"endpoint";q=3;w=1, "key";q=2;w=1, "endpoint-quota";q=4;w=86400, "key-quota";q=3;w=2592000'
    )
    assert headers[b"ratelimit"].endswith(b'"key-quota";r=0;t=2592000')


def test_a_circuit_opens_probes_and_closes() -> None:
    circuit = Circuit(3, open_s=2.0)
    circuit.failed(0.0)
    circuit.failed(0.0)
    circuit.succeeded()
    for _ in range(3):
        assert circuit.allows(1.0)
        circuit.failed(1.0)
    assert circuit.is_open
    assert not circuit.allows(2.9)
    assert circuit.wait_s(2.0) == 1.0
    circuit.failed(1.5)  # one that was on its way
    assert circuit.allows(3.0)
    circuit.begin(3.0)
    assert not circuit.allows(3.1)  # one probe at a time
    circuit.failed(3.2)
    assert not circuit.allows(7.1)  # twice as long
    assert circuit.allows(7.2)
    circuit.begin(7.2)
    circuit.succeeded()
    assert circuit.allows(7.3)
    assert not circuit.is_open
    off = Circuit(0)
    for _ in range(100):
        off.failed(0.0)
    assert off.allows(0.0)


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1), steps=st.lists(st.tuples(st.integers(0, 50), st.floats(0, 2)), max_size=40))
def test_retries_stay_a_share_of_the_requests(share: float, steps: list[tuple[int, float]]) -> None:
    budget, now, asked, spent = RetryBudget(share, now=0.0), 0.0, 0, 0
    for requests, gap in steps:
        now += gap
        for _ in range(requests):
            budget.asked()
            asked += 1
            spent += budget.spend(now)
    assert spent <= (100 + share * asked + 10 * now + 1e-6 if share else 0)


def test_the_cache_keeps_within_its_bytes_and_time() -> None:
    schema = Schema(Signature(inputs=[Field("a", "double"), Field("b", "string")]))
    cache = AnswerCache(20_000, ttl_s=5.0)

    def key(value: float, version: str = "1") -> bytes:
        found = feature_key("m", version, 1, schema, Batch({"a": [value], "b": ["x"]}, 1))
        assert found is not None
        return found

    answer = [Output("predictions", "FP64", [1], [0.5])]
    assert cache.get(key(1), 0.0) is None
    cache.put(key(1), answer, 0.0)
    assert cache.get(key(1), 4.9) == answer
    assert cache.get(key(1, "2"), 1.0) is None
    assert cache.get(key(1), 5.0) is None
    assert cache.bytes == 0
    for value in range(200):
        cache.put(key(value), answer, 0.0)
        assert cache.bytes <= 20_000
    assert cache.get(key(0), 0.0) is None  # the oldest went first
    assert cache.get(key(199), 0.0) == answer
    cache.put(key(1000), [Output("predictions", "BYTES", [1], ["x" * 15_000])], 0.0)
    assert cache.get(key(1000), 0.0) is None
    assert feature_key("m", "1", 1, schema, Batch({"a": [1.0], "b": [2**80]}, 1)) is None


KEY = b"k" * 32


def anonymised(rule: FieldRule, *values: Any, key: bytes = KEY) -> Any:
    return Anonymiser({"c": rule}, key).apply({"c": list(values), "d": [1]}).get("c")


def test_rules_of_fields() -> None:
    assert anonymised(FieldRule("drop"), "x") is None
    assert anonymised(FieldRule("mask"), "x", 5, None) == [MASKED, MASKED, None]
    one, same, other, number, float_ = anonymised(FieldRule("hash"), "x", "x", "y", 5, 5.0)
    assert one == same != other
    assert number == float_
    assert len(one) == 32
    assert anonymised(FieldRule("hash"), "x", key=b"another") != [one]
    assert Anonymiser({"d": FieldRule("hash")}, KEY).apply({"d": ["x"]})["d"] != [one]
    decade = FieldRule("generalise", "10")
    assert anonymised(decade, 37, -1, "42", "forty", float("inf"), None) == [
        30,
        -10,
        40,
        MASKED,
        MASKED,
        None,
    ]
    month = FieldRule("generalise", "month")
    assert anonymised(month, "1984-07-15", "1984-07-15T10:00:00Z", "soon", 458_697_600, 458_697_600_000_000) == [
        "1984-07", "1984-07", MASKED, "1984-07", "1984-07",
    ]  # fmt: skip
    assert anonymised(FieldRule("generalise", "year"), "1984-07-15", float("nan"), 1e300) == [
        "1984",
        MASKED,
        MASKED,
    ]
    assert anonymised(FieldRule("generalise", "prefix:3"), "80331", 80331) == ["803", "803"]
    outputs = [Output("c", "BYTES", [1], ["x"]), Output("p", "FP64", [1], [1.0])]
    assert Anonymiser({"c": FieldRule("drop")}, KEY).outputs(outputs) == [
        Output("c", "BYTES", [1], [None]),
        outputs[1],
    ]
    chances = Output("probabilities", "FP64", [1, 2], [0.5, 0.5])
    for rule in (FieldRule("mask"), FieldRule("hash"), FieldRule("drop")):
        assert Anonymiser({"probabilities": rule}, KEY).outputs([outputs[1], chances]) == [outputs[1]]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 4),
    ruled=st.sets(st.sampled_from("abcde")),
    values=st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=20),
)
def test_packed_columns_are_divided(rows: int, ruled: set[str], values: list[float]) -> None:
    fields = [Field(name, "double") for name in "abcde"]
    given_columns = {field.name: values[at * rows : (at + 1) * rows] for at, field in enumerate(fields)}
    packed = array("d", [value for column in given_columns.values() for value in column]).tobytes()
    rules = Anonymiser({name: FieldRule("mask") for name in ruled}, KEY)
    for _ in range(2):
        kept, columns = rules.columns(Batch({}, rows, packed=packed), fields)
        assert columns == {name: [MASKED] * rows for name in ruled}
        plain = unpack(kept, rules.untouched) if kept is not None else {}
        assert plain == {name: column for name, column in given_columns.items() if name not in ruled}


@settings(max_examples=80, deadline=None)
@given(
    value=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.text())),
    rule=st.sampled_from([FieldRule("mask"), FieldRule("hash"), *(FieldRule("generalise", by) for by in ("10", "day", "prefix:2"))]),
)  # fmt: skip
def test_any_value_can_be_anonymised(value: Any, rule: FieldRule) -> None:
    (kept,) = anonymised(rule, value)
    assert kept is None if value is None else kept is not None


@settings(max_examples=200, deadline=None)
@given(
    value=st.one_of(st.floats(-1e9, 1e9), st.integers(-10**9, 10**9), st.dates().map(str), st.datetimes().map(str), st.text()),
    by=st.sampled_from(["0.1", "0.3", "7", "100", "day", "month", "year", "prefix:3"]),
)  # fmt: skip
def test_what_was_coarsened_stays_as_it_is(value: Any, by: str) -> None:
    """A device applies the rules before the server does."""
    (once,) = anonymised(FieldRule("generalise", by), value)
    assert anonymised(FieldRule("generalise", by), once) == [once]
    if not isinstance(value, str) and by[0].isdigit():
        assert once <= value * (1 + 1e-12) or once <= value + 1e-9
        assert value - once <= float(by) * (1 + 1e-6)


@pytest.mark.parametrize(
    ("value", "by", "kept"),
    [("1984-07", "year", "1984"), ("1984", "day", "1984"), ("1984-13", "month", MASKED), (0.1 * 3, "0.1", 0.1 * 3),
     (1.7e308, "0.5", 1.7e308), (-1.7e308, "1e-9", -1.7e308)],
)  # fmt: skip
def test_dates_and_edges_that_were_cut_before(value: Any, by: str, kept: Any) -> None:
    assert anonymised(FieldRule("generalise", by), value) == [kept]


@pytest.mark.parametrize("by", ["0", "-0.0", "-10", "nan", "inf", "prefix:-1", "prefix:", "week", ""])
def test_what_says_nothing_coarser_is_refused_and_drops_a_column_on_a_device(by: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        coarser(by)
    assert Rules({"c": {"kind": "generalise", "by": by}}, KEY).apply({"c": [5.0], "d": [1]}) == {"d": [1]}


@pytest.mark.parametrize(
    ("policies", "field"),
    [
        (Policies(rate=Rate(0)), "rate"),
        (Policies(key_rate=Rate(1, 100_000)), "key_rate"),
        (Policies(quota=Quota(0)), "quota"),
        (Policies(max_in_flight=0), "max_in_flight"),
        (Policies(retry_share=1.5), "retry_share"),
        (Policies(circuit_failures=-1), "circuit_failures"),
        (Policies(cache_bytes=0), "cache_bytes"),
        (Policies(fields={"c": FieldRule("generalise", "by")}), "fields.c"),
        (Policies(fields={"c": FieldRule("generalise", "-1")}), "fields.c"),
        (Policies(fields={"c": FieldRule("generalise", "prefix:x")}), "fields.c"),
        (Policies(fields={"c": FieldRule("drop", "10")}), "fields.c"),
    ],
)
def test_policies_that_cannot_be_kept(policies: Policies, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(policies)
    assert refused.value.field == f"policies.{field}"


def test_the_key_of_hashes_is_the_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "secrets" / "hash.key"
    key = hash_key(file)
    assert len(key) == 32
    assert hash_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["hash.key"]


@settings(max_examples=40, deadline=None)
@given(key=st.binary(min_size=1, max_size=64), text=st.binary(max_size=200))
def test_the_keyed_hash_is_hmac(key: bytes, text: bytes) -> None:
    assert keyed_hash(key)(text) == hmac.digest(key, text, "sha256")
