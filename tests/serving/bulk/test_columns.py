"""Arrow columns against signatures: what can never fit, which values do not, and what the model gets of the rest."""

import datetime as dt
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trimtab.serving.bulk.columns import Intake, fields_of, match
from trimtab.serving.errors import MissingColumn, WrongType
from trimtab.serving.routes import Field, Signature

ABC = (Field("a", "double"), Field("b", "long"), Field("c", "float", required=False))


def batch(**columns: Any) -> pa.RecordBatch:
    arrays = {
        name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()
    }
    return pa.RecordBatch.from_pydict(arrays)


def taken(
    fields: tuple[Field, ...], given: pa.RecordBatch, *, packed: bool = True, names: tuple[str, ...] = ()
) -> Any:
    columns = match(fields, given.schema)
    order = names or tuple(field.name for field in fields)
    return Intake(fields, columns, order, packed=packed).take(given)


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(
        MissingColumn, match=r"column 'b', which the model needs, is missing.*Is it 'bb'"
    ) as raised:
        match(ABC, batch(a=[1.0], bb=[1]).schema)
    assert raised.value.field == "b"
    assert match(ABC, batch(a=[1.0], b=[1]).schema) == {"a": "a", "b": "b"}, "c may be left out"


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("double", ["1"]),
        ("long", [True]),
        ("boolean", [1]),
        ("string", [1]),
        ("datetime", [1]),
        ("binary", [1.5]),
        ("double", pa.nulls(1)),
    ],
)
def test_a_column_that_can_never_fit_is_named(kind: str, values: Any) -> None:
    with pytest.raises(WrongType, match="column 'x' is") as raised:
        match((Field("x", kind),), batch(x=values).schema)
    assert raised.value.field == "x"


def test_two_columns_of_one_name_are_refused() -> None:
    twice = pa.schema([("x", pa.int64()), ("x", pa.int64())])
    with pytest.raises(WrongType, match="twice"):
        match((Field("x", "long"),), twice)


def test_inputs_name_the_columns_in_the_order_of_the_signature() -> None:
    given = batch(q=[1], p=[2.0], z=[3.0])
    assert match(ABC[:2], given.schema, inputs=["p", "q"]) == {"a": "p", "b": "q"}
    with pytest.raises(MissingColumn, match="'r'"):
        match(ABC[:2], given.schema, inputs=["p", "r"])
    with pytest.raises(Exception, match="1 inputs are named, but the model takes 2"):
        match(ABC[:2], given.schema, inputs=["p"])


def test_the_columns_of_an_unnamed_tensor_are_all_of_a_table_as_wide() -> None:
    fields = fields_of(Signature([Field("0", "double"), Field("1", "double")], tensor=True), ())
    wide = batch(p=[1.0], q=[2.0], r=[3.0])
    assert match(fields, wide.select(["p", "q"]).schema, tensor=True) == {"0": "p", "1": "q"}
    with pytest.raises(MissingColumn, match="Name the columns with inputs"):
        match(fields, wide.schema, tensor=True)


def test_numbers_become_a_matrix_in_the_models_order() -> None:
    given = batch(
        a=pa.array([1.5, 2.5], pa.float32()), b=pa.array([1, 2], pa.int16()), c=[None, float("nan")]
    )
    rows, kept, refusals = taken(ABC, given, names=("b", "a", "c"))
    assert rows.matrix.shape == (2, 3)
    assert rows.matrix[:, :2].tolist() == [[1, 1.5], [2, 2.5]]
    assert np.isnan(rows.matrix[:, 2]).all()
    assert (kept.tolist(), refusals) == ([0, 1], [])


def test_values_that_do_not_fit_are_refused_row_by_row_with_the_first_reason() -> None:
    fields = (*ABC, Field("d", "integer"))
    given = batch(
        a=[1.0, None, float("nan"), float("inf"), 1.0, 1.0, 1.0],
        b=[1.0, 1.0, 1.0, 1.0, 1.5, 1e30, 1.0],
        c=[1.0] * 7,
        d=[1, 1, 1, 1, 1, 2**31, -(2**31)],
    )
    rows, kept, refusals = taken(fields, given)
    assert kept.tolist() == [0, 6]
    assert rows.matrix.tolist() == [[1, 1, 1, 1], [1, 1, 1, -(2**31)]]
    assert [(one.row, one.column) for one in refusals] == [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b")]
    assert "requires one" in refusals[0].reason
    assert "infinity" in refusals[2].reason
    assert "whole number" in refusals[3].reason
    assert "outside the range" in refusals[4].reason


def test_integers_beyond_doubles_are_passed_exactly() -> None:
    big = 2**53 + 1
    rows, _, _ = taken(ABC, batch(a=[1.0], b=[big], c=[None]))
    assert rows.matrix is None
    assert rows.columns == {"a": [1.0], "b": [big], "c": [None]}


def test_text_and_times_are_passed_as_requests_pass_them() -> None:
    fields = (
        Field("s", "string"),
        Field("t", "datetime"),
        Field("u", "datetime"),
        Field("x", "double"),
        Field("y", "binary"),
        Field("z", "any"),
    )
    given = batch(
        s=pa.array(["p", "q", None]).dictionary_encode(),
        t=pa.array([dt.datetime(2013, 1, 1, 5)] * 3),  # noqa: DTZ001
        u=["2013-01-01T00:00:00Z", "soon", "2013-01-01"],
        x=pa.array([decimal.Decimal("1.5"), decimal.Decimal(2), decimal.Decimal(3)]),
        y=[b"\x00\x01", b"", b""],
        z=[{"k": 1}, None, None],
    )
    rows, kept, refusals = taken(fields, given, packed=False)
    assert kept.tolist() == [0]
    assert rows.columns == {
        "s": ["p"],
        "t": ["2013-01-01T05:00:00"],
        "u": ["2013-01-01T00:00:00Z"],
        "x": [1.5],
        "y": ["AAE="],
        "z": [{"k": 1}],
    }
    assert [(one.row, one.column) for one in refusals] == [(1, "u"), (2, "s")]


def test_tensors_of_the_wrong_length_are_refused() -> None:
    fields = (Field("v", "double", shape=[2]),)
    rows, kept, refusals = taken(fields, batch(v=[[1.0, 2.0], [1.0], [3.0, 4.0]]))
    assert rows.columns == {"v": [[1.0, 2.0], [3.0, 4.0]]}
    assert (kept.tolist(), refusals[0].row) == ([0, 2], 1)


def test_slices_of_larger_batches_are_read_at_their_place() -> None:
    whole = batch(a=[0.0, 1.0, 2.0, None], b=[0, 1, 2, 3], c=[0.0, None, 2.0, 3.0])
    rows, kept, refusals = taken(ABC, whole.slice(2))
    assert rows.matrix.tolist() == [[2, 2, 2]]
    assert (kept.tolist(), [one.row for one in refusals]) == ([0], [1])
