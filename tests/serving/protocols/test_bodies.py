"""Golden tests of the wire protocols: bytes in, bytes out."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.conftest import ABC
from trimtab.kernel.errors import Invalid
from trimtab.serving.batch import Batch, Output
from trimtab.serving.errors import UnsupportedMedia
from trimtab.serving.protocols import feedback, mlflow, v2
from trimtab.serving.routes import Field, Signature
from trimtab.serving.schema import Schema

SCHEMA = Schema(ABC)
FREE = Schema(None)
COLUMNS: dict[str, list[Any]] = {"a": [1.5, -2.0], "b": [3, 4], "c": [None, 0.5]}
TENSOR = Schema(Signature([Field("0", "double"), Field("1", "double")], tensor=True))


def encoded(value: Any) -> bytes:
    return msgspec.json.encode(value)


MLFLOW_BODIES = {
    "records": b'{"dataframe_records": [{"a": 1.5, "b": 3}, {"a": -2, "b": 4, "c": 0.5, "other": 1}]}',
    "split": b'{"dataframe_split": {"columns": ["b", "a", "c"], "index": [0, 1], '
    b'"data": [[3, 1.5, null], [4, -2, 0.5]]}}',
    "split without columns": b'{"dataframe_split": {"data": [[1.5, 3, null], [-2, 4, 0.5]]}}',
    "instances of objects": b'{"instances": [{"a": 1.5, "b": 3, "c": null}, {"a": -2, "b": 4, "c": 0.5}]}',
    "instances of lists": b'{"instances": [[1.5, 3, null], [-2.0, 4, 0.5]]}',
    "instances of both": b'{"instances": [[1.5, 3, null], {"a": -2, "b": 4, "c": 0.5}]}',
    "inputs by column": b'{"inputs": {"a": [1.5, -2], "b": [3, 4], "c": [null, 0.5]}, "params": {"k": 1}}',
    "inputs by row": b'{"inputs": [[1.5, 3, null], [-2, 4, 0.5]]}',
    "python's NaN": b'{"dataframe_records": [{"a": 1.5, "b": 3, "c": NaN}, {"a": -2, "b": 4.0, "c": 0.5}]}',
}


@pytest.mark.parametrize("body", MLFLOW_BODIES.values(), ids=MLFLOW_BODIES)
def test_mlflow_layouts(body: bytes) -> None:
    batch = mlflow.decode(SCHEMA, body)
    assert batch.by_name(SCHEMA.fields) == COLUMNS
    assert list(batch.by_name(SCHEMA.fields)) == ["a", "b", "c"]
    assert batch.rows == 2


def test_mlflow_csv() -> None:
    body = "﻿b,a,c,other\r\n3,1.5,,x\r\n4,-2,0.5,y\r\n".encode()
    batch = mlflow.decode(SCHEMA, body, {b"content-type": b"text/csv; charset=utf-8"})
    assert batch.columns == COLUMNS
    words = Schema(Signature([Field("s", "string"), Field("ok", "boolean")]))
    assert mlflow.decode(words, b's,ok\n"a,b",true\n1,0\n', {b"content-type": b"text/csv"}).columns == {
        "s": ["a,b", "1"],
        "ok": [True, False],
    }


def test_mlflow_without_signature() -> None:
    assert mlflow.decode(FREE, b'{"instances": [[1, "x"], [2, "y"]]}').columns == {
        "0": [1, 2],
        "1": ["x", "y"],
    }
    assert mlflow.decode(FREE, b'{"inputs": [1, 2, 3]}').columns == {"0": [1, 2, 3]}
    records = mlflow.decode(FREE, b'{"dataframe_records": [{"p": 1}, {"q": 2}]}')
    assert records.columns == {"p": [1, None], "q": [None, 2]}


def test_mlflow_values_of_one_column_may_stand_alone() -> None:
    one = Schema(Signature([Field("a", "double")]))
    assert mlflow.decode(one, b'{"instances": [1, 2]}').columns == {"a": [1.0, 2.0]}


def test_mlflow_tensors_of_more_dimensions() -> None:
    images = Schema(Signature([Field("0", "double", shape=[2, 2])]))
    batch = mlflow.decode(images, b'{"instances": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}')
    assert batch.columns == {"0": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not JSON"),
        (b'{"instances": [1', "the body is not JSON"),
        (b'{"instances": ["\xff"]}', "it is not valid UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1]", "the body is a JSON object with one of dataframe_split"),
        (b'{"instance": [[1, 2, 3]]}', "it has none of them. Did you mean 'instances'?"),
        (b'{"instances": [], "inputs": []}', "it has instances and inputs"),
        (b'{"instances": []}', "instances has no rows"),
        (b'{"instances": {"a": [1]}}', "instances is a list of rows; for columns use inputs"),
        (b'{"inputs": 7}', "inputs is an object of columns or a list of rows"),
        (b'{"dataframe_records": {"a": 1}}', "dataframe_records is a list of rows"),
        (b'{"dataframe_records": [7]}', "row 0 is not an object of columns"),
        (
            b'{"dataframe_records": [{"a": 1, "bb": 2}]}',
            "column 'b' is missing in row 0. Is it the given column 'bb'?",
        ),
        (
            b'{"dataframe_records": [{"a": 1, "b": 2}, {"a": "x", "b": 2}]}',
            "column 'a', row 1: expected a number",
        ),
        (b'{"dataframe_records": [{"a": NaN, "b": 2}]}', "column 'a', row 0 is NaN"),
        (b'{"dataframe_records": [{"a": -Infinity, "b": 2}]}', "column 'a', row 0: infinity"),
        (b'{"dataframe_records": [{"a": 1e999, "b": 2}]}', "the body is not JSON: Number out of range"),
        (b'{"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}', "column 'a' is given twice"),
        (b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [1]]}}', "row 1 has 1 values"),
        (
            b'{"dataframe_split": {"columns": "ab", "data": [[1, 2]]}}',
            "dataframe_split.columns is a list of names",
        ),
        (b'{"dataframe_split": [1]}', "dataframe_split is an object with columns and data"),
        (b'{"instances": [[1, 2]]}', "row 0 has 2 values, but there are 3 columns (a, b, c)"),
        (b'{"inputs": {"a": [1, 2], "b": [1]}}', "column 'b' has 1 values, but 'a' has 2"),
        (b'{"instances": [[1, 2, 3]], "params": 3}', "params is an object"),
    ],
)
def test_mlflow_says_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        mlflow.decode(SCHEMA, body)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"a,b", "a line of column names and at least one row"),
        (b"a,b\n1,x\n", "column 'b', row 0: expected an integer of 64 bits (long), got the string 'x'"),
        (b"a,b\n1\n", "row 0 has 1 values, but there are 2 columns"),
        (b"a,b\ninf,1\n", "column 'a', row 0: infinity"),
        (b"a,b\n,1\n", "column 'a', row 0 is null"),
        (b"a,a\n1,1\n", "named twice"),
        (b'a,b\n"1,2\n', "not CSV"),
        (b"\xff", "not valid UTF-8"),
    ],
)
def test_csv_says_what_is_wrong(body: bytes, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        mlflow.decode(SCHEMA, body, {b"content-type": b"text/csv"})
    assert message in caught.value.message


def test_other_types_of_body_are_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="text/plain"):
        mlflow.decode(SCHEMA, b"{}", {b"content-type": b"text/plain"})
    with pytest.raises(UnsupportedMedia, match="text/csv"):
        v2.decode(SCHEMA, b"{}", {b"content-type": b"text/csv"})


def test_mlflow_answers() -> None:
    batch = Batch({}, 2)
    who = {"endpoint": "m", "version": "3", "prediction_id": "p", "batch": batch}
    labels = Output("predictions", "INT64", [2], [0, 1])
    scores = Output("probabilities", "FP64", [2, 2], [0.25, 0.75, 0.5, 0.5])
    assert mlflow.encode([labels, scores], **who).content == b'{"predictions":[0,1]}'
    rows = Output("predictions", "FP64", [2, 2], [0.25, 0.75, 0.5, float("nan")])
    assert mlflow.encode([rows], **who).content == b'{"predictions":[[0.25,0.75],[0.5,null]]}'
    table = [Output("x", "INT64", [2], [1, 2]), Output("y", "BYTES", [2], ["u", "v"])]
    assert mlflow.encode(table, **who).content == b'{"predictions":[{"x":1,"y":"u"},{"x":2,"y":"v"}]}'
    assert mlflow.encode_error(400, "no") == b'{"error_code":"BAD_REQUEST","message":"no"}'
    assert mlflow.encode_error(503, "no") == b'{"error_code":"TEMPORARILY_UNAVAILABLE","message":"no"}'


def tensor(name: str, datatype: str, data: list[Any], shape: list[int] | None = None) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


V2_GOOD = [tensor("a", "FP64", [1.5, -2]), tensor("b", "INT32", [3, 4]), tensor("c", "FP32", [None, 0.5])]


@pytest.mark.parametrize(
    "inputs",
    [
        V2_GOOD,
        list(reversed(V2_GOOD)),
        [{**item, "shape": [2, 1]} for item in V2_GOOD],
        [{**item, "shape": [2, 1], "data": [[value] for value in item["data"]]} for item in V2_GOOD],
        [tensor("x", "FP64", [1.5, 3, None, -2, 4, 0.5], [2, 3])],
        [tensor("x", "FP64", [[1.5, 3, None], [-2, 4, 0.5]], [2, 3])],
        [*V2_GOOD, tensor("other", "BYTES", ["u", "v"])],
    ],
    ids=[
        "columns",
        "any order",
        "flat n by 1",
        "nested n by 1",
        "flat matrix",
        "nested matrix",
        "unknown input",
    ],
)
def test_v2_inputs(inputs: list[Any]) -> None:
    batch = v2.decode(SCHEMA, encoded({"id": "7", "inputs": inputs, "outputs": [{"name": "predictions"}]}))
    assert batch.columns == COLUMNS
    assert (batch.rows, batch.id, batch.outputs) == (2, "7", ("predictions",))


def test_v2_packs_one_row_of_floats() -> None:
    floats = Schema(Signature([Field("a", "double"), Field("b", "float")]))
    batch = v2.decode(floats, encoded({"inputs": [tensor("b", "FP32", [2]), tensor("a", "FP64", [1.5])]}))
    assert batch.packed is not None
    assert batch.by_name(floats.fields) == {"a": [1.5], "b": [2.0]}
    for bad, message in (
        (True, "expected a number"),
        ("x", "expected a number"),
        (None, "row 0 is null"),
        (10**400, "the number is too large"),
    ):
        with pytest.raises(Invalid, match=message):
            v2.decode(floats, encoded({"inputs": [tensor("b", "FP32", [bad]), tensor("a", "FP64", [1])]}))


@pytest.mark.parametrize("optional", [False, True])
def test_columns_of_an_array_count_by_position_where_they_have_other_names(optional: bool) -> None:
    fields = [Field("0", "double", required=not optional), Field("1", "double", required=not optional)]
    schema = Schema(Signature(fields, tensor=True))
    table = pa.table({"a": [1.0], "b": [2.0]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    bodies: list[tuple[bytes, bytes]] = [
        (encoded({"dataframe_records": [{"a": 1, "b": 2}]}), b"application/json"),
        (encoded({"dataframe_records": [{"1": 2, "0": 1}]}), b"application/json"),
        (encoded({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}), b"application/json"),
        (encoded({"inputs": {"a": [1], "b": [2]}}), b"application/json"),
        (b"a,b\n1,2\n", b"text/csv"),
        (sink.getvalue().to_pybytes(), b"application/vnd.apache.arrow.stream"),
    ]
    for body, kind in bodies:
        decoded = mlflow.decode(schema, body, {b"content-type": kind})
        batch = decoded if isinstance(decoded, Batch) else decoded()
        assert batch.by_name(schema.fields) == {"0": [1.0], "1": [2.0]}, body
    for row in ({"0": 1}, {"a": 1}, {"0": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}):
        with pytest.raises(Invalid, match=r"column '[01]' is missing: the model takes an array of 2 columns"):
            mlflow.decode(schema, encoded({"dataframe_records": [row]}))


def test_v2_array_models_take_one_matrix_of_any_name() -> None:
    batch = v2.decode(TENSOR, encoded({"inputs": [tensor("0", "FP32", [1, 2, 3, 4], [2, 2])]}))
    assert batch.by_name(TENSOR.fields) == {"0": [1.0, 3.0], "1": [2.0, 4.0]}
    images = Schema(Signature([Field("0", "double", shape=[2, 2])]))
    batch = v2.decode(images, encoded({"inputs": [tensor("0", "FP64", list(range(8)), [2, 2, 2])]}))
    assert batch.columns == {"0": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "not an inference request: Object missing required field `inputs`"),
        ({"inputs": []}, "the request has no inputs"),
        (
            {"inputs": [tensor("a", "FP128", [1.0])]},
            "input 'a' has the unknown datatype 'FP128'. Did you mean",
        ),
        (
            {"inputs": [tensor("a", "BYTES", ["x"]), tensor("b", "INT64", [1])]},
            "input 'a' is BYTES, but the model take",
        ),
        (
            {"inputs": [tensor("a", "FP64", [1.0, 2.0]), tensor("b", "INT64", [1])]},
            "input 'b' has 1 rows, but 'a' has 2",
        ),
        (
            {"inputs": [tensor("a", "FP64", [1.0], [2]), tensor("b", "INT64", [1])]},
            "has 1 values, but shape [2]",
        ),
        ({"inputs": [tensor("a", "FP64", [1.0], [-1])]}, "input 'a' needs a shape of 1 to 8 sizes from 1"),
        ({"inputs": [tensor("a", "FP64", [1.0])]}, "column 'b' is missing"),
        ({"inputs": [tensor("a", "FP64", [1.0]), tensor("a", "FP64", [1.0])]}, "input 'a' is given twice"),
        (
            {"inputs": [tensor("a", "FP64", ["x"]), tensor("b", "INT64", [1])]},
            "column 'a', row 0: expected a number",
        ),
        ({"inputs": [tensor("a", "FP64", [None]), tensor("b", "INT64", [1])]}, "column 'a', row 0 is null"),
        ({"inputs": [tensor("x", "FP64", [1, [2], 3], [1, 3])]}, "neither flat nor nested"),
        ({"inputs": [tensor("x", "FP64", [1, 2], [1, 2])]}, "row 0 has 2 values, but there are 3 columns"),
    ],
)
def test_v2_says_what_is_wrong(request_: Any, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        v2.decode(SCHEMA, encoded(request_))
    assert message in caught.value.message


def test_v2_answers() -> None:
    outputs = [
        Output("predictions", "INT64", [1], [1]),
        Output("probabilities", "FP64", [1, 2], [0.25, 0.75]),
    ]
    who = {"endpoint": "m", "version": "3", "prediction_id": "p"}
    assert v2.encode(outputs, **who, batch=Batch({}, 1)).content == (
        b'{"model_name":"m","model_version":"3","id":"p","outputs":['
        b'{"name":"predictions","shape":[1],"datatype":"INT64","data":[1]},'
        b'{"name":"probabilities","shape":[1,2],"datatype":"FP64","data":[0.25,0.75]}]}'
    )
    chosen = Batch({}, 1, id="mine", outputs=("predictions",))
    assert v2.encode(outputs, **who, batch=chosen).content == (
        b'{"model_name":"m","model_version":"3","id":"mine","outputs":['
        b'{"name":"predictions","shape":[1],"datatype":"INT64","data":[1]}]}'
    )
    with pytest.raises(Invalid, match="no output 'nope'; it has predictions, probabilities"):
        v2.encode(outputs, **who, batch=Batch({}, 1, outputs=("nope",)))
    assert v2.encode_error(400, "no") == b'{"error":"no"}'


def test_v2_metadata() -> None:
    described = v2.describe("m", ["1", "2"], SCHEMA)
    assert described["inputs"] == [
        {"name": "a", "datatype": "FP64", "shape": [-1]},
        {"name": "b", "datatype": "INT64", "shape": [-1]},
        {"name": "c", "datatype": "FP64", "shape": [-1]},
    ]
    assert described["versions"] == ["1", "2"]
    array = v2.describe("m", [], TENSOR)
    assert array["inputs"] == [{"name": "input", "datatype": "FP64", "shape": [-1, 2]}]


def test_feedback() -> None:
    labels = feedback.decode(
        encoded(
            [
                {"prediction_id": "p", "label": 1},
                {"prediction_id": "q/3", "label": "late", "event_time": "2013-03-01T05:00:00Z"},
                {"prediction_id": "r", "labels": [True, 0.5], "event_time": 7},
            ]
        )
    )
    assert [(label.prediction_id, label.row, label.label, label.event_us) for label in labels] == [
        ("p", None, 1, None),
        ("q", 3, "late", 1362114000_000_000),
        ("r", 0, True, 7),
        ("r", 1, 0.5, 7),
    ]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ([], "there are no labels"),
        ([7], "item 0: feedback is an object"),
        ({"label": 1}, "prediction_id is the text"),
        ({"prediction_id": "p"}, "give either label or labels"),
        ({"prediction_id": "p", "label": 1, "labels": [1]}, "give either label or labels"),
        ({"prediction_id": "p", "label": None}, "a label is a number, a string or a boolean"),
        ({"prediction_id": "p", "label": [1]}, "a label is a number, a string or a boolean"),
        ({"prediction_id": "p", "label": 2**64}, "64 bits at most"),
        ({"prediction_id": "p/x", "label": 1}, "a row is addressed as ID/NUMBER"),
        ({"prediction_id": "p/1", "labels": [1]}, "not to row 1"),
        ({"prediction_id": "p", "label": 1, "event_time": "soon"}, "event_time is RFC 3339"),
        ({"prediction_id": "p", "label": 1, "event_time": 10**30}, "event_time is RFC 3339"),
        ({"prediction_id": "p", "labels": [1] * 10_001}, "at most 10000 labels"),
    ],
)
def test_feedback_says_what_is_wrong(item: Any, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        feedback.decode(encoded(item))
    assert message in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(width=32) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "a",
                    "b",
                    "c",
                    "data",
                    "columns",
                    "inputs",
                    "name",
                    "shape",
                    "datatype",
                    "instances",
                    "label",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
BODIES = (
    st.binary(max_size=60)
    | JSON.map(lambda value: json.dumps(value).encode())
    | st.sampled_from([*mlflow.LAYOUTS]).flatmap(
        lambda layout: JSON.map(lambda value: json.dumps({layout: value}).encode())
    )
    | st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["a", "b", "x"]), "shape": JSON, "datatype": JSON, "data": JSON}
        ),
        max_size=3,
    ).map(lambda value: json.dumps({"inputs": value}).encode())
)


@settings(max_examples=250, deadline=None)
@given(BODIES, st.sampled_from([SCHEMA, FREE, TENSOR]), st.sampled_from([b"application/json", b"text/csv"]))
def test_no_body_can_do_more_than_be_refused(body: bytes, schema: Schema, kind: bytes) -> None:
    for adapter in (mlflow, v2):
        with suppress(Invalid):
            batch = adapter.decode(schema, body, {b"content-type": kind})
            assert batch.rows > 0
            assert all(len(values) == batch.rows for values in batch.columns.values())
            schema.pack(batch.columns, batch.rows)
    with suppress(Invalid):
        feedback.decode(body)
