"""Signatures read from samples, beside what the mlflow package reads from the same."""

import datetime as dt

import mlflow.models
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trimtab.kernel.errors import Invalid
from trimtab.sdk.signatures import infer, specs_of

FRAME = pd.DataFrame(
    {
        "flag": [True, False],
        "small": np.array([1, 2], dtype="int8"),
        "int": np.array([1, 2], dtype="int32"),
        "long": [1, 2],
        "single": np.array([1, 2], dtype="float32"),
        "double": [0.5, 1.0],
        "gap": [0.5, np.nan],
        "text": ["a", "b"],
        "text_gap": ["a", None],
        "object": pd.Series(["a", "b"], dtype=object),
        "day": pd.to_datetime(["2013-01-01", "2013-01-02"]),
        "bytes": [b"a", b"b"],
    }
)


def _of_mlflow(data, part: str = "inputs"):
    written = mlflow.models.infer_signature(data).to_dict()[part]
    return msgspec.json.decode(written)


@pytest.mark.filterwarnings("ignore")
def test_frames_read_as_mlflow_reads_them() -> None:
    assert specs_of(FRAME, "inputs") == _of_mlflow(FRAME)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 2)),
        np.zeros(3, dtype="float32"),
        np.zeros((2, 4, 4), dtype="uint8"),
        np.array(["a", "b"]),
    ],
)
def test_arrays_read_as_mlflow_reads_them(array: np.ndarray) -> None:
    assert specs_of(array, "inputs") == _of_mlflow(array)


def test_series_read_as_mlflow_reads_them() -> None:
    for series in (pd.Series([1, 2], name="x"), pd.Series([0.5, 1.0])):
        assert specs_of(series, "outputs") == _of_mlflow(series)


def test_tables_and_dicts_read_as_frames() -> None:
    kinds = {
        "flag": "boolean",
        "long": "long",
        "double": "double",
        "gap": "double",
        "text": "string",
        "day": "datetime",
    }
    table = pa.table(
        {
            "flag": [True, False],
            "long": [1, 2],
            "double": [0.5, 1.0],
            "gap": [0.5, None],
            "text": pa.array(["a", "b"]).dictionary_encode(),
            "day": [dt.datetime(2013, 1, 1), dt.datetime(2013, 1, 2)],  # noqa: DTZ001
        }
    )
    expected = [{"type": kind, "name": name, "required": name != "gap"} for name, kind in kinds.items()]
    assert specs_of(table, "inputs") == expected
    assert specs_of(table.to_pydict(), "inputs") == expected
    nan = pa.table({"x": [0.5, float("nan")]})
    assert specs_of(nan, "inputs") == [{"type": "double", "name": "x", "required": False}]


@pytest.mark.parametrize(
    ("values", "kind", "required"),
    [
        ([1, 2.5], "double", True),
        ([1, None], "long", False),
        ([1, float("nan")], "double", False),
        (["a", float("nan")], "string", False),
        ([np.float32(1), np.float32(2)], "double", True),
        ([np.int64(1)], "long", True),
        (np.array(["a", None], dtype=object), "string", False),
        (np.array([1.0, np.nan]), "double", False),
        (pd.Series(["a", pd.NA], dtype="string"), "string", False),
        (pd.Series([1, None], dtype="Int64"), "long", False),
        (pd.Series(["a", "b"], dtype="category"), "string", True),
        (pd.Series([True, None], dtype="boolean"), "boolean", False),
        (pd.Series([1, pd.NA], dtype=object), "long", False),
    ],
)
def test_columns(values, kind: str, required: bool) -> None:
    assert specs_of({"x": values}, "inputs") == [{"type": kind, "name": "x", "required": required}]


def test_a_column_may_be_a_tensor() -> None:
    assert specs_of({"image": np.zeros((3, 8, 8))}, "inputs") == [
        {"name": "image", "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 8, 8]}}
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "no columns"),
        ({"x": []}, "nothing"),
        ({"x": [1, "a"]}, "one type"),
        ({"x": [{}]}, "dict"),
        ({"x": 3}, "not a column"),
        ({"x": np.array([1 + 2j])}, "complex"),
        ({"x": pa.array([[1]])}, "list"),
        ("text", "cannot be read"),
        (3, "cannot be read"),
    ],
)
def test_what_has_no_name_is_refused(data, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        infer(data)


def test_both_parts_go_to_the_mlmodel_as_texts() -> None:
    signature = infer({"x": [1.0]}, np.array([1, 0])).to_mlmodel()
    assert signature == {
        "inputs": '[{"type":"double","name":"x","required":true}]',
        "outputs": '[{"type":"tensor","tensor-spec":{"dtype":"int64","shape":[-1]}}]',
        "params": None,
    }
