"""What steps pass to each other comes back whole, and equal content has equal digests."""

import dataclasses
import math
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.domains.pipelines.codec import Codec
from trimtab.domains.pipelines.values import INLINE_MOST_BYTES, blobs_of, json_value, refs_in, select, show
from trimtab.infra import blobs
from trimtab.kernel.errors import Invalid


@pytest.fixture
def codec(tmp_path: Path) -> Codec:
    return Codec(blobs.connect(f"file://{tmp_path / 'blobs'}"), scratch=tmp_path / "scratch")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip
ANY = st.recursive(
    JSON | st.binary(max_size=20) | st.dates() | st.just(math.inf) | st.integers(2**63, 2**70),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3)
    | st.dictionaries(st.integers(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(JSON)
def test_json_is_stored_as_json(codec: Codec, value: Any) -> None:
    stored = codec.encode(value)
    assert stored.type == "json"
    assert codec.decode(stored) == value
    assert codec.encode(value).digest == stored.digest


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ANY)
def test_everything_comes_back_equal(codec: Codec, value: Any) -> None:
    stored = codec.encode(value)
    back = codec.decode(stored)
    assert back == value
    assert type(back) is type(value)
    assert codec.encode(value).digest == stored.digest


@dataclasses.dataclass
class Model:
    weights: Any


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"raw", "bytes"),
        (date(2013, 1, 1), "date"),
        (datetime(2013, 1, 1, 5, tzinfo=UTC), "datetime"),
        (datetime(2013, 1, 1, 5, tzinfo=timezone(timedelta(hours=-5))), "datetime"),
        ((1, 2), "tuple"),
        ([1, (2, 3)], "list"),
        ({"a": b"x", "b": {1, 2}}, "dict"),
        ({1: "a"}, "pickle"),
        ({1, 2}, "pickle"),
        (Model([1]), "pickle"),
        (math.nan, "pickle"),
        ("x" * 20_000, "json"),
    ],
)
def test_types_have_their_formats(codec: Codec, value: Any, kind: str) -> None:
    stored = codec.encode(value)
    assert stored.type == kind
    assert repr(codec.decode(stored)) == repr(value)


def test_small_values_are_inline_and_large_ones_blobs(codec: Codec) -> None:
    assert codec.encode("x" * 10).inline is not None
    large = codec.encode("x" * (INLINE_MOST_BYTES + 1))
    assert (large.inline, large.blob is not None) == (None, True)


def test_numbers_of_numpy_become_plain(codec: Codec) -> None:
    stored = codec.encode(
        {"auc": np.float64(0.75), "n": np.int64(3), "ok": np.bool_(True), "single": np.float32(0.5)}
    )
    assert stored.inline == '{"auc":0.75,"n":3,"ok":true,"single":0.5}'


@pytest.mark.parametrize(
    "dtype", ["float64", "int8", "bool", "datetime64[us]", "U5", [("a", "i4"), ("b", "f8")]]
)
def test_arrays(codec: Codec, dtype: Any) -> None:
    array = np.zeros((3, 2), dtype)
    back = codec.decode(codec.encode(array))
    assert codec.encode(array).type == "numpy"
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)
    back[0] = array[1]  # a step may change what it is given


def test_arrays_of_objects_are_pickled(codec: Codec) -> None:
    array = np.array([{"a": 1}, None], dtype=object)
    assert codec.encode(array).type == "pickle"
    assert codec.decode(codec.encode(array))[0] == {"a": 1}


def test_arrow_tables(codec: Codec) -> None:
    table = pa.table({"a": [1, None], "b": ["x", "y"], "c": [[1.5], []]})
    assert codec.encode(table).type == "arrow"
    assert codec.decode(codec.encode(table)).equals(table)
    large = pa.table({"a": np.arange(1_000_000)})
    assert codec.decode(codec.encode(large)).equals(large)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])}), "pandas"),
        (
            pd.DataFrame({"t": pd.date_range("2013", periods=3, tz="America/New_York")}, index=[3, 1, 2]),
            "pandas",
        ),
        (pd.DataFrame({"a": [0.1, float("nan")]}, index=pd.Index(["r", "s"], name="key")), "pandas"),
        (pd.DataFrame({"mixed": pd.Series([1, "x"], dtype=object)}), "pickle"),
        (pd.DataFrame({"holes": pd.Series([1, None], dtype=object)}), "pickle"),
        (pd.DataFrame({7: [1]}), "pickle"),
        (pd.DataFrame(), "pandas"),
    ],
)
def test_frames_come_back_with_types_and_index(codec: Codec, frame: pd.DataFrame, kind: str) -> None:
    stored = codec.encode(frame)
    assert stored.type == kind
    pd.testing.assert_frame_equal(codec.decode(stored), frame)


def test_models_of_scikit_learn(codec: Codec) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    assert codec.decode(codec.encode(model)).predict([[1.0]]).tolist() == [1]


def test_what_cannot_be_stored_is_said(codec: Codec, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="A generator cannot be passed between steps"):
        codec.encode(item for item in [1])
    with pytest.raises(Invalid, match="at which nothing is"):
        codec.encode(tmp_path / "missing")


def test_files_are_copied_so_that_steps_may_change_them(codec: Codec, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text("first")
    stored = codec.encode(file)
    assert (stored.type, stored.name, stored.size_bytes) == ("file", "report.txt", 5)
    back = codec.decode(stored)
    assert back.name == "report.txt"
    back.write_text("changed")
    assert codec.decode(stored).read_text() == "first"


def test_folders_keep_their_files(codec: Codec, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.bin").write_bytes(b"\x00")
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "run.sh").chmod(0o755)
    stored = codec.encode(folder)
    back = codec.decode(stored)
    assert sorted(str(path.relative_to(back)) for path in back.rglob("*")) == ["deep", "deep/a.bin", "run.sh"]
    assert (back / "run.sh").stat().st_mode & 0o100
    store = blobs.connect(f"file://{tmp_path / 'blobs'}")
    assert len(set(blobs_of(stored, store))) == 3


def test_a_path_as_constant_is_named_by_what_lies_there(codec: Codec, tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    nothing = codec.constant(file)
    file.write_text("a,b")
    first = codec.constant(file)
    assert codec.decode(first) == file
    file.write_text("a,c")
    second = codec.constant(file)
    folder = codec.constant(tmp_path)
    (tmp_path / "new").write_text("")
    digests = {value.digest for value in (nothing, first, second, folder, codec.constant(tmp_path))}
    assert len(digests) == 5


def test_parts_are_selected_without_loading(codec: Codec) -> None:
    stored = codec.encode({"table": pa.table({"a": [1]}), "n": {"deep": [1, 2]}})
    assert select(stored, ["n", "deep", -1], step="s").value == json_value(2)
    table = select(stored, ["table", "a"], step="s")
    assert (table.value.type, table.path) == ("arrow", ["a"])
    for path in (["tabl"], ["n", "x"], ["n", "deep", 2], ["n", "deep", "x"]):
        with pytest.raises(Invalid, match="Step 's' returned no part"):
            select(stored, path, step="s")


def test_values_are_shown_as_json_or_described(codec: Codec) -> None:
    stored = codec.encode({"auc": 0.5, "model": Model(1), "day": date(2013, 1, 1), "parts": (1, b"x")})
    shown = show(stored)
    assert (shown["auc"], shown["day"], shown["parts"][0]) == (0.5, "2013-01-01", 1)
    assert shown["model"]["type"] == "pickle"


def test_references_are_found_in_results() -> None:
    value = {
        "model": "model:delay/4",
        "list": ["data:flights@1", "data: not one", "hello", 5],
        "url": "https://x",
    }
    assert refs_in(value) == ["data:flights@1", "model:delay/4"]
