"""Rows against a signature: what passes, what is mended, and how what is wrong is named."""

import math
import struct

import pytest

from trimtab.kernel.errors import Invalid
from trimtab.serving.routes import Field, Signature
from trimtab.serving.schema import Schema, encode_columns

MIXED = Schema(
    Signature(
        inputs=[
            Field("x", "double"),
            Field("n", "long"),
            Field("i", "integer"),
            Field("ok", "boolean"),
            Field("s", "string"),
            Field("gap", "double", required=False),
        ]
    )
)
GOOD = {"x": [1, 2.5], "n": [3, 4], "i": [5, 6], "ok": [True, False], "s": ["a", "b"], "gap": [None, 7.0]}


def test_good_columns_come_in_the_order_of_the_signature_as_their_types() -> None:
    columns = MIXED.columns(dict(reversed(GOOD.items())))
    assert list(columns) == ["x", "n", "i", "ok", "s", "gap"]
    assert columns["x"] == [1.0, 2.5]
    assert all(type(value) is float for value in columns["x"])


def test_what_the_signature_does_not_know_is_left_out_and_optional_columns_may_be_absent() -> None:
    given = {**GOOD, "more": [1, 2]}
    del given["gap"]
    assert MIXED.columns(given)["gap"] == [None, None]
    assert "more" not in MIXED.columns(given)


def test_nan_is_a_missing_value_and_whole_floats_are_integers() -> None:
    columns = MIXED.columns({**GOOD, "n": [3.0, 4], "gap": [math.nan, 1.0]})
    assert columns["n"] == [3, 4]
    assert columns["gap"] == [None, 1.0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": [1, "two"]}, "column 'x', row 1: expected a number (double), got the string 'two'"),
        ({"x": [1, True]}, "column 'x', row 1: expected a number (double), got true"),
        ({"x": [1, None]}, "column 'x', row 1 is null, but the signature requires a value"),
        ({"x": [1, math.nan]}, "column 'x', row 1 is NaN, but the signature requires a value"),
        ({"x": [1, math.inf]}, "column 'x', row 1: infinity is not a number that a model takes"),
        ({"x": [1, 10**400]}, "column 'x', row 1: the number is too large"),
        ({"n": [1.5, 2]}, "column 'n', row 0: expected an integer of 64 bits (long), got the number 1.5"),
        (
            {"n": [2**63, 2]},
            "column 'n', row 0: the number 9223372036854775808 is outside the range of type long",
        ),
        ({"i": [2**31, 2]}, "column 'i', row 0: the number 2147483648 is outside the range of type integer"),
        ({"ok": [1, False]}, "column 'ok', row 0: expected true or false (boolean), got the number 1"),
        ({"s": [{}, "b"]}, "column 's', row 0: expected a string (string), got an object"),
        ({"x": [1]}, "column 'n' has 2 values, but 'x' has 1"),
        ({"x": 1}, "column 'x' is the number 1, not a list of values"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(Invalid) as caught:
        MIXED.columns({**GOOD, **wrong})  # type: ignore[dict-item]
    assert caught.value.message == message
    assert caught.value.field in GOOD


def test_a_missing_column_is_named_with_its_likely_spelling() -> None:
    given = {name: values for name, values in GOOD.items() if name != "gap"}
    given["ook"] = given.pop("ok")
    with pytest.raises(Invalid, match=r"column 'ok' is missing\. Is it the given column 'ook'\?"):
        MIXED.columns(given)


def test_rows_by_position() -> None:
    schema = Schema(Signature(inputs=[Field("a", "double"), Field("b", "long")]))
    assert schema.from_positions([[1, 2], [3, 4]]) == {"a": [1.0, 3.0], "b": [2, 4]}
    assert schema.from_positions([[2, 1]], ["b", "a"]) == {"a": [1.0], "b": [2]}
    with pytest.raises(Invalid, match="row 1 has 1 values, but there are 2 columns"):
        schema.from_positions([[1, 2], [3]])
    with pytest.raises(Invalid, match="column 'a' is given twice"):
        schema.from_positions([[1, 2]], ["a", "a"])
    with pytest.raises(Invalid, match="there are no rows"):
        schema.from_positions([])


def test_packing_is_float64_column_after_column_with_nan_for_missing() -> None:
    schema = Schema(Signature(inputs=[Field("a", "double", required=False), Field("b", "long")]))
    one = schema.pack({"a": [1.5], "b": [2]}, 1)
    two = schema.pack({"a": [1.5, None], "b": [2, 3]}, 2)
    assert one == struct.pack("<2d", 1.5, 2)
    assert two is not None
    values = struct.unpack("<4d", two)
    assert values[0] == 1.5
    assert math.isnan(values[1])
    assert values[2:] == (2, 3)


def test_integers_that_a_double_cannot_hold_are_not_packed() -> None:
    schema = Schema(Signature(inputs=[Field("a", "long")]))
    assert schema.pack({"a": [2**53]}, 1) is not None
    assert schema.pack({"a": [2**53 + 1]}, 1) is None
    assert MIXED.pack(GOOD, 2) is None  # strings


def test_without_a_signature_everything_passes_that_can_be_sent() -> None:
    schema = Schema(None)
    assert schema.columns({"a": [{"deep": [1]}]}) == {"a": [{"deep": [1]}]}
    with pytest.raises(Invalid, match="cannot be passed"):
        encode_columns({"a": [2**70]})
