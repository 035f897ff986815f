"""The log as columns: the same values as row by row, whatever a request brings and in whatever form it was logged."""

import asyncio
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trimtab.domains.monitor.columns import Logged, flatten, text
from trimtab.domains.monitor.lookup import find_prediction, newest_predictions
from trimtab.domains.monitor.model import Part
from trimtab.domains.monitor.parts import PartCache, read_part, write_part
from trimtab.infra.blobs import Blobs
from trimtab.infra.blobs.local import LocalBlobs
from trimtab.kernel.ids import new_id
from trimtab.science.sequential.classes import code
from trimtab.serving import records, segments
from trimtab.serving.batch import Output, predictions
from trimtab.serving.records import Prediction
from trimtab.serving.routes import Field, Signature
from trimtab.serving.schema import Schema
from trimtab.serving.segments import SegmentWriter

NAN = math.nan
TYPES = ("double", "float", "long", "integer", "boolean", "string", "datetime", "any")
VALUES: dict[str, list[Any]] = {
    "double": [1.5, -0.0, 1e308, 5e-324],
    "float": [0.1, 2.0, 3.0, -4.0],
    "long": [2**53 + 1, -(2**63), 2**63 - 1, 0],
    "integer": [1, -1, 2**31 - 1, 0],
    "boolean": [True, False, False, True],
    "string": ["UA", "AA", "", "é\u2028"],
    "datetime": ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"],
    "any": [[1.0, 2.0], [3.0, NAN], [], [4.0, 5.0]],
}
OUTPUTS: dict[str, list[tuple[str, str, int, list[Any]]]] = {
    "classes": [("predictions", "INT64", 0, [0, 1, 1, 0])],
    "chances": [
        ("predictions", "BOOL", 0, [True, False, True, True]),
        ("probabilities", "FP64", 2, [0.1, 0.9, 0.6, 0.4, 0.5, 0.5, 1.0, 0.0]),
    ],
    "numbers": [("predictions", "FP64", 0, [0.1, NAN, 3.0, -1e300])],
    "names": [("predictions", "BYTES", 0, ["yes", "no", "yes", "é"])],
    "gaps": [("predictions", "FP64", 0, [0.5, None, 1.5, None])],
    "vectors": [("predictions", "FP64", 2, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])],
    "named": [("low", "FP64", 0, [0.0, 1.0, 2.0, 3.0]), ("count", "INT64", 0, [1, 2, 3, 4])],
    "large": [("predictions", "UINT64", 0, [2**64 - 1, 1, 2, 3])],
}


def logged_as(
    form: str, types: dict[str, str], columns: dict[str, list[Any]], given: list[Output], **more: Any
) -> tuple[Prediction, Prediction, tuple[Field, ...]]:
    """Return a record with lists, the same as a gateway writes it, and the fields of its layout."""
    fields = [Field(name, kind, required=False) for name, kind in types.items()]
    rows = len(next(iter(columns.values())))
    plain = Prediction(
        new_id(),
        "churn",
        more.get("version", "1"),
        more.get("role", "champion"),
        more.get("at_us", 7),
        more.get("event_us", 8),
        9,
        rows,
        columns,
        predictions(given),
        200,
        probabilities=next((one.by_row() for one in given if one.name == "probabilities"), None),
        route="split",
    )
    packed = Schema(Signature(fields)).pack(columns, rows) if form == "packed" else None
    changed: dict[str, Any] = {}
    if packed is not None:
        changed = {"columns": {}, "packed": packed, "layout": 1}
        known = {name: [None if v != v else v for v in values] for name, values in columns.items()}
        plain = msgspec.structs.replace(plain, columns=known)  # NaN is how packed ones say that there is none
    if form != "lists" and rows >= records.MANY_ROWS:
        lists, others, arrays = records.as_arrays(changed.get("columns", columns), given, fields)
        outputs = [] if arrays.outputs is not None else predictions(others)
        chances = plain.probabilities if arrays.probabilities is None else None
        changed |= {"columns": lists, "outputs": outputs, "arrays": arrays, "probabilities": chances}
    return plain, msgspec.structs.replace(plain, **changed), tuple(fields) if packed is not None else ()


def by_row(logged: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Return the rows as a loop over them has it: what readers are promised."""
    names = sorted({name for one in logged for name in one.columns})
    columns: dict[str, list[Any]] = {
        name: [value for one in logged for value in one.columns.get(name, [None] * one.rows)]
        for name in names
    }
    rows: list[dict[str, Any]] = []
    for one in logged:
        for row, output in enumerate(one.outputs):
            score = output if isinstance(output, int | float) else NAN
            rows.append(
                {
                    "prediction_id": one.id,
                    "row": row,
                    "version": one.version,
                    "role": one.role,
                    "route": one.route,
                    "event_us": one.event_us,
                    "at_us": one.at_us,
                    "latency_us": one.latency_us,
                    "score": float(one.probabilities[row][-1] if one.probabilities else score),
                    "output": text(output),
                }
            )
    for name, values in columns.items():
        try:
            kept = pa.array(values)
            while pa.types.is_list(kind := kept.type) or pa.types.is_struct(kind):
                if pa.types.is_struct(kind):
                    raise pa.ArrowInvalid("objects")
                kept = kept.flatten()
            values = pa.array(values).to_pylist()  # noqa: PLW2901 - whole numbers beside fractions are fractions
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            values = [text(value) for value in values]  # noqa: PLW2901
        for row, value in zip(rows, values, strict=True):
            row[f"input.{name}"] = value
    return rows


def kept(blobs: Blobs, logged: Sequence[Logged]) -> tuple[Part, list[dict[str, Any]]]:
    """Return the part that the records make, and its rows as readers see them, but for the codes of classes."""
    requests, table = flatten(logged)
    assert requests.rows == table.num_rows
    part = write_part(blobs, "churn", "predictions", table)
    rows = read_part(blobs, part).to_pylist()
    seen = [{**row, "output": text(row["output"])} for row in rows]
    return part, [{name: value for name, value in row.items() if name != "class"} for row in seen]


def logged_by(folder: Path, made: Sequence[Prediction], fields: Sequence[Field]) -> list[Logged]:
    """Write records to a segment as a gateway does, and read them as a worker does."""

    async def write() -> None:
        writer = SegmentWriter(folder)
        assert writer.layout(fields) == 1
        for one in made:
            writer.append(one)
        writer.close()
        assert writer.lost == 0

    asyncio.run(write())
    found: list[Logged] = []
    for path in segments.sealed(folder):
        found += [(one, names) for one, names in segments.stored(path) if isinstance(one, Prediction)]
    return found


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return LocalBlobs(str(tmp_path / "blobs"))


def test_an_output_has_a_code_where_it_says_more_than_its_score(blobs: Blobs) -> None:
    def made(outputs: list[Any], chances: list[float] | None = None) -> Logged:
        plain = logged_as("lists", {"x": "double"}, {"x": [0.0] * len(outputs)}, [])[0]
        probabilities = None if chances is None else [chances] * len(outputs)
        return msgspec.structs.replace(plain, outputs=outputs, probabilities=probabilities), ()

    numbers = made([1, 0, 1]), made([0.5, None]), made(["yes", "no"], [0.4, 0.6])
    assert flatten(numbers)[0].classes is None
    assert "class" not in flatten(numbers)[1].column_names
    logged = [
        made(["1", "no", None]),
        made([1, 0], [0.1, 0.2, 0.7]),
        made([1.0, 0.0], [0.1, 0.2, 0.7]),
        made([1, "no"], [0.4, 0.6]),
    ]
    requests, table = flatten(logged)
    one, zero, no = code("1"), code("0"), code("no")
    assert requests.classes is not None
    assert requests.classes.tolist() == [one, no, code(""), one, zero, one, zero, -one, -no]
    stored = PartCache(blobs).get(write_part(blobs, "churn", "predictions", table)).classes
    assert stored is not None
    assert stored.tolist() == requests.classes.tolist()


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("rows", [1, 20])
@pytest.mark.parametrize("form", ["lists", "arrays", "packed"])
def test_each_type_alone_and_together(
    blobs: Blobs, tmp_path: Path, form: str, rows: int, *, gaps: bool
) -> None:
    repeat = max(1, rows // 4)
    numeric = TYPES[:2] + TYPES[3:5]  # with larger numbers nothing is packed
    for number, (types, outputs) in enumerate(
        [(TYPES, given) for given in OUTPUTS.values()] + [(numeric, OUTPUTS["classes"])]
    ):
        columns = {kind: (VALUES[kind] * repeat)[:rows] for kind in types}
        if gaps:
            columns = {kind: [None, *values[1:]] for kind, values in columns.items()}
        given = [
            Output(name, kind, [rows, width] if width else [rows], (data * repeat)[: rows * max(1, width)])
            for name, kind, width, data in outputs
        ]
        made = [logged_as(form, dict(zip(types, types, strict=True)), columns, given) for _ in range(3)]
        found = logged_by(tmp_path / str(number), [one for _, one, _ in made], made[0][2])
        _, seen = kept(blobs, found)
        assert [repr(row) for row in seen] == [repr(row) for row in by_row([one for one, _, _ in made])]


def test_forms_and_types_that_change_from_request_to_request(blobs: Blobs, tmp_path: Path) -> None:
    def request(form: str, kind: str, values: list[Any], output: str = "classes", **more: Any) -> Any:
        rows = len(values)
        given = [
            Output(name, of, [rows, width] if width else [rows], (data * rows)[: rows * max(1, width)])
            for name, of, width, data in OUTPUTS[output]
        ]
        return logged_as(form, {"x": kind}, {"x": values}, given, **more)

    changes = [
        [("packed", "double", [1.5] * 20), ("packed", "double", [2.5]), ("packed", "double", [NAN] * 16)],
        [
            ("packed", "double", [1.5] * 20),
            ("arrays", "double", [None, NAN] * 10),
            ("lists", "double", [3.5]),
        ],
        [("packed", "integer", [1, None] * 10), ("arrays", "long", [2**60] * 16), ("lists", "long", [5])],
        [
            ("packed", "boolean", [True, None] * 10),
            ("lists", "boolean", [False]),
            ("arrays", "long", [1] * 16),
        ],
        [("packed", "double", [1.5] * 20), ("lists", "string", ["5f3c"]), ("arrays", "string", ["x"] * 16)],
        [("packed", "integer", [1] * 20), ("packed", "double", [0.5] * 20)],
        [("arrays", "long", [2**60 + 1] * 20), ("packed", "double", [0.5] * 20)],
        [("lists", "any", [[1, 2]]), ("lists", "any", [{"a": 1}]), ("packed", "double", [0.5])],
        [("lists", "any", [[1]]), ("lists", "any", [[0.5]]), ("lists", "any", [[]])],
        [("lists", "any", [None]), ("packed", "double", [1.5])],
        [("lists", "any", [2**63]), ("lists", "any", [True]), ("lists", "any", [b"\xff"])],
    ]
    for number, requests in enumerate(changes):
        for outputs in (("classes",), ("classes", "numbers"), ("chances", "names"), ("numbers", "named")):
            made: list[Any] = []
            for at, (form, kind, values) in enumerate(requests):
                made.append(request(form, kind, values, outputs[at % len(outputs)]))
            # One file has one layout under its number.
            logged: list[Logged] = []
            for at, (_, one, fields) in enumerate(made):
                logged += logged_by(tmp_path / f"{number}-{outputs[0]}-{outputs[-1]}-{at}", [one], fields)
            _, seen = kept(blobs, logged)
            assert [repr(row) for row in seen] == [repr(row) for row in by_row([one for one, _, _ in made])]


def test_rows_are_found_again_beside_shadows_refusals_and_columns_that_are_missing(blobs: Blobs) -> None:
    rng = np.random.default_rng(0)
    logged: list[Logged] = []
    for at, rows in enumerate([1, 20, 3, 1, 16]):
        values = rng.normal(size=rows).tolist()
        given = [Output("predictions", "FP64", [rows], rng.random(rows).tolist())]
        name = "b" if at == 2 else "a"
        _, one, fields = logged_as("packed", {name: "double"}, {name: values}, given)
        refused = msgspec.structs.replace(one, id=new_id(), status=503, outputs=[], error="busy", arrays=None)
        copy = msgspec.structs.replace(one, version="2", role="shadow")
        logged += [(one, fields), (copy, fields), (refused, fields)]
    fresh, table = flatten(logged)
    part = write_part(blobs, "churn", "predictions", table)
    assert (part.min_id, part.max_id) == (
        min(one.id for one, _ in logged),
        max(one.id for one, _ in logged if one.status == 200),
    )
    again = PartCache(blobs).get(part)
    for requests in (fresh, again):
        first = 0
        for one, fields in logged:
            plain = records.plain(one, fields)
            if one.status != 200:
                assert requests.find(one.id, 0) is None
                continue
            for row in (None, *range(one.rows)):
                mine = requests.find(one.id, row)
                (copied,) = requests.find_copies(one.id, row)
                assert mine is not None
                at, place = copied if one.role == "shadow" else mine
                assert (requests.ids[at], requests.versions[at]) == (one.id, one.version)
                assert (place, requests.scores[place]) == (first + (row or 0), plain.outputs[row or 0])
            for row in (-1, one.rows):
                assert requests.find(one.id, row) is None
                assert requests.find_copies(one.id, row) == []
            first += one.rows
    wanted, fields = logged[3]
    found = find_prediction(blobs, [part], wanted.id, 19)
    assert found is not None
    (row,) = found["rows"]
    plain = records.plain(wanted, fields)
    assert row["inputs"] == {"a": plain.columns["a"][19], "b": None}
    assert (row["output"], row["score"]) == (str(plain.outputs[19]), plain.outputs[19])


def test_parts_of_the_release_before_are_read(blobs: Blobs) -> None:
    table = pa.table(
        {
            "prediction_id": ["p", "p", "q"],
            "row": [0, 1, 0],
            "version": ["1", "1", "2"],
            "role": ["champion", "champion", "shadow"],
            "event_us": [5, 5, 6],
            "at_us": [7, 7, 8],
            "latency_us": [1, 1, 2],
            "score": [0.25, 0.75, NAN],
            "output": ["0", "1", "yes"],
            "input.a": [1.5, None, 2.5],
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=1)
    part = Part("1", "churn", "predictions", blobs.put(buffer.getvalue()), 3, "p", "q", 5, 6, 9)
    requests = PartCache(blobs).get(part)
    assert (requests.find("p", 1), requests.find("q", 0), requests.find_copies("q", None)) == (
        (0, 1),
        None,
        [(1, 2)],
    )
    assert (requests.ids, requests.routes, requests.counts.tolist()) == (["p", "q"], ["", ""], [2, 1])
    found = find_prediction(blobs, [part], "p", None)
    assert found is not None
    assert [(row["inputs"], row["output"]) for row in found["rows"]] == [
        ({"a": 1.5}, "0"),
        ({"a": None}, "1"),
    ]
    (newest,) = newest_predictions(blobs, [part], route=None, limit=1)
    assert (newest["id"], newest["version"]) == ("q/0", "2")


def test_records_that_say_less_than_they_promise_are_filled_up(blobs: Blobs) -> None:
    _, one, fields = logged_as(
        "packed",
        {"a": "double"},
        {"a": [1.5] * 20},
        [Output("predictions", "FP64", [3], [0.5, 0.25, 0.75])],
    )
    few = msgspec.structs.replace(
        one, id=new_id(), packed=b"", columns={"a": [1.5]}, arrays=None, outputs=[1]
    )
    _, seen = kept(blobs, [(one, fields), (few, fields)])
    assert [row["output"] for row in seen[:4]] == ["0.5", "0.25", "0.75", None]
    assert [row["input.a"] for row in seen[18:23]] == [1.5, 1.5, 1.5, None, None]
