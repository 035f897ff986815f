"""Distances between versions: as science computes them, from the sketches alone."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domains.data.conftest import Warehouse
from trimtab.app import App
from trimtab.domains.data.compare import ColumnSketch, TableSketch, psi
from trimtab.domains.data.errors import ProfileNotFound
from trimtab.science.drift import distances
from trimtab.science.profile import table


def sketch(values: object) -> ColumnSketch:
    state = table.add(table.TableState(), {"x": values})
    raw = msgspec.json.encode({"name": "t", "rows": state.rows, "columns": state.columns})
    return msgspec.json.decode(raw, type=TableSketch).columns[0]


def exact(old: np.ndarray, new: np.ndarray) -> float:
    edges = np.quantile(old, np.arange(1, 10) / 10)
    return distances.psi(
        np.bincount(np.searchsorted(edges, old), minlength=10),
        np.bincount(np.searchsorted(edges, new), minlength=10),
    )


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 1.0])
def test_numbers_agree_with_the_exact_distance(shift: float) -> None:
    source = np.random.default_rng(7)
    old, new = source.lognormal(size=20_000), source.lognormal(shift, size=30_000)
    assert psi(sketch(old), sketch(new)) == pytest.approx(exact(old, new), rel=0.03, abs=0.002)


def test_few_values_are_compared_one_by_one() -> None:
    old, new = ["a"] * 500 + ["b"] * 500, ["a"] * 600 + ["b"] * 300 + ["c"] * 100
    assert psi(sketch(old), sketch(new)) == pytest.approx(distances.psi([500, 500, 0], [600, 300, 100]))
    assert psi(sketch([0, 1] * 500), sketch([0] * 600 + [1] * 400)) == pytest.approx(
        distances.psi([500, 500], [600, 400])
    )


def test_nulls_are_a_cell_of_their_own() -> None:
    old, new = ["a"] * 900 + [None] * 100, ["a"] * 500 + [None] * 500
    assert psi(sketch(old), sketch(new)) == pytest.approx(distances.psi([900, 100], [500, 500]))


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60),
    st.lists(st.none() | st.integers(-50, 50) | st.just("text"), min_size=1, max_size=60),
)
def test_any_two_columns_have_a_distance(old: list[object], new: list[object]) -> None:
    distance = psi(sketch(old), sketch(new))
    assert distance is not None
    assert distance >= 0
    assert math.isfinite(distance)


@given(st.lists(st.none() | st.floats(-1e6, 1e6) | st.text(max_size=3), min_size=1, max_size=80))
def test_nothing_is_far_from_itself(values: list[object]) -> None:
    assert psi(sketch(values), sketch(values)) == pytest.approx(0.0, abs=1e-9)


def csv(header: str, *rows: str) -> dict[str, bytes]:
    return {"t.csv": "\n".join([header, *rows, ""]).encode()}


def test_versions_are_compared_column_by_column(app: App, warehouse: Warehouse) -> None:
    warehouse.validated("d", csv("a,b,c", *[f"{n},x,{n}" for n in range(100)]))
    warehouse.validated("d", csv("a,c,d", *[f"{n + 50},{n}.5,1" for n in range(200)]))
    found = app.data.compare(warehouse.who, "d", 1, None)
    assert (found.from_version, found.to_version) == (1, 2)
    (only,) = found.tables
    assert (only.rows_from, only.rows_to) == (100, 200)
    by_name = {column.name: column for column in only.columns}
    assert {name: column.change for name, column in by_name.items()} == {
        "a": "same", "b": "removed", "c": "retyped", "d": "added",
    }  # fmt: skip
    assert (by_name["c"].type_from, by_name["c"].type_to) == ("int64", "double")
    assert by_name["a"].level == "large"
    assert by_name["b"].psi is None
    same = app.data.compare(warehouse.who, "d", 2, 2).tables[0]
    assert all(column.level == "alike" for column in same.columns)


def test_tables_are_paired_by_name(app: App, warehouse: Warehouse) -> None:
    a, b, c = {"a.csv": b"x\n1\n"}, {"b.csv": b"y\n1\n"}, {"c.csv": b"z\n1\n"}
    warehouse.validated("d", {**a, **b})
    warehouse.validated("d", {**a, **c})
    found = app.data.compare(warehouse.who, "d", 1, 2)
    assert {one.table: (one.rows_from, one.rows_to) for one in found.tables} == {
        "a": (1, 1), "b": (1, None), "c": (None, 1),
    }  # fmt: skip


def test_without_profiles_there_is_nothing_to_compare(app: App, warehouse: Warehouse) -> None:
    warehouse.add("d", csv("a", "1"))
    with pytest.raises(ProfileNotFound, match="still being profiled"):
        app.data.compare(warehouse.who, "d", 1, 1)
    warehouse.add("photos", {"a.jpg": b"x"})
    with pytest.raises(ProfileNotFound, match="no readable table"):
        app.data.compare(warehouse.who, "photos", 1, 1)
