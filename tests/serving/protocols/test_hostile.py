"""Bodies that lie: lengths, shapes, types and metadata that contradict themselves are refused and cost nothing."""

import io
import json
import random
import resource
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving.conftest import ABC
from trimtab.kernel import protobuf as wire
from trimtab.kernel.errors import Invalid, TooLarge
from trimtab.serving.arrow import foreign
from trimtab.serving.batch import Batch, Output
from trimtab.serving.protocols import azure, binary, mlflow, tables, tensors, v1, v2, v2_grpc
from trimtab.serving.routes import Field, Signature
from trimtab.serving.schema import Schema

SCHEMA = Schema(ABC)
FREE = Schema(None)
MIXED = Schema(
    Signature(
        [
            Field("i", "integer"),
            Field("f", "float", required=False),
            Field("t", "string", required=False),
            Field("b", "boolean"),
            Field("when", "datetime", required=False),
            Field("raw", "binary", required=False),
        ]
    )
)
SCHEMAS = st.sampled_from([SCHEMA, FREE, MIXED, Schema(Signature([Field("0", "double")] * 1, tensor=True))])
STREAM, FILE, PARQUET = tables.STREAM, tables.FILE, tables.PARQUET[0]


def decoded(adapter: Any, schema: Schema, body: bytes, headers: dict[bytes, bytes]) -> Batch:
    found = adapter.decode(schema, body, headers)
    batch = found() if isinstance(found, Callable) else found
    check(schema, batch)
    return batch


def check(schema: Schema, batch: Batch) -> None:
    """Whatever was taken in is whole and keeps the signature."""
    assert 0 < batch.rows <= tensors.MAX_VALUES
    if batch.packed is not None:
        assert len(batch.packed) == 8 * batch.rows * len(schema.fields)
        table = np.frombuffer(batch.packed, "<f8").reshape(len(schema.fields), batch.rows)
        for field, values in zip(schema.fields, table, strict=True):
            assert not np.isinf(values).any()
            assert not (field.required and np.isnan(values).any())
    columns = batch.by_name(schema.fields)
    assert all(len(values) == batch.rows for values in columns.values())
    assert schema.columns(columns)


def binary_body(inputs: list[dict[str, Any]], raw: bytes, **more: Any) -> tuple[bytes, dict[bytes, bytes]]:
    head = json.dumps({"inputs": inputs, **more}).encode()
    return head + raw, {binary.HEADER: str(len(head)).encode()}


def tensor(name: str, datatype: str, shape: list[int], size: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}


NUMBERS = np.arange(6, dtype="<f8").tobytes()


@pytest.mark.parametrize(
    ("inputs", "raw", "message"),
    [
        ([tensor("x", "FP64", [2, 3], 48)], NUMBERS, None),
        ([tensor("x", "FP64", [2, 3], 40)], NUMBERS[:40], "40 bytes, but shape [2, 3] of FP64 takes 48"),
        ([tensor("x", "FP64", [2, 3], 56)], NUMBERS, "binary_data_size is 56, and 48 bytes are left"),
        ([tensor("x", "FP64", [2, 3], -1)], NUMBERS, "binary_data_size is -1"),
        ([tensor("x", "FP64", [2, 3], "48")], NUMBERS, "binary_data_size is '48'"),
        ([tensor("x", "FP64", [2, 3], True)], NUMBERS, "binary_data_size is True"),
        ([tensor("x", "FP64", [2, 3], 1e300)], NUMBERS, "binary_data_size is 1e+300"),
        ([tensor("x", "FP64", [-2, -3], 48)], NUMBERS, "needs a shape of 1 to 8 sizes from 1"),
        ([tensor("x", "FP64", [2**62, 0], 0)], b"", "needs a shape of 1 to 8 sizes from 1"),
        ([tensor("x", "FP64", [], 48)], NUMBERS, "needs a shape"),
        ([tensor("x", "FP64", [1] * 9, 8)], NUMBERS[:8], "needs a shape"),
        (
            [tensor("x", "FP64", [2**40, 2**40], 48)],
            NUMBERS,
            "has more than the 4194304 values or 262144 rows",
        ),
        ([tensor("x", "INT64", [2, 3], 48)], NUMBERS, None),
        ([tensor("x", "FP9", [2, 3], 48)], NUMBERS, "unknown datatype 'FP9'"),
        ([tensor("x", "BYTES", [2, 3], 48)], NUMBERS, "element"),
        ([tensor("x", "BYTES", [1], 6)], b"\xff\xff\xff\xffab", "says that it has 4294967295 bytes"),
        ([tensor("x", "BYTES", [2], 5)], b"\x01\0\0\0a", "has 1 elements, but shape [2]"),
        ([tensor("x", "FP64", [2, 3], 48)], NUMBERS + b"!", "1 bytes are left over"),
        ([{"name": "x", "datatype": "FP64", "shape": [1]}], b"", "neither data nor binary_data_size"),
        ([tensor("x", "FP64", [2, 2], 32)], NUMBERS[:32], "row 0 has 2 values, but there are 3 columns"),
        ([tensor("a", "BOOL", [1], 1)], b"\1", "input 'a' is BOOL, but the model takes FP64"),
        ([], b"", "the request has no inputs"),
    ],
)
def test_binary_tensors_that_lie(inputs: list[Any], raw: bytes, message: str | None) -> None:
    body, headers = binary_body(inputs, raw)
    if message is None:
        assert decoded(v2, SCHEMA, body, headers).rows == 2
        return
    with pytest.raises((Invalid, TooLarge)) as caught:
        decoded(v2, SCHEMA, body, headers)
    assert message in caught.value.message


@pytest.mark.parametrize("length", [b"-1", b"0", b"99999", b"9" * 30, b"x", b"", b"1e3"])
def test_a_header_length_that_lies(length: bytes) -> None:
    body, _ = binary_body([tensor("x", "FP64", [2, 3], 48)], NUMBERS)
    with pytest.raises(Invalid, match=r"Inference-Header-Content-Length|not an inference request"):
        decoded(v2, SCHEMA, body, {binary.HEADER: length})


def test_binary_columns_of_every_type() -> None:
    columns = [
        ("i", "UINT16", np.array([7, 8], "<u2").tobytes()),
        ("f", "BF16", (np.array([1.5, -2], "<f4").view("<u4") >> 16).astype("<u2").tobytes()),
        ("t", "BYTES", b"\x02\0\0\0\xc3\xa9\0\0\0\0"),
        ("b", "BOOL", b"\1\0"),
        ("raw", "BYTES", b"\x01\0\0\0\xff\0\0\0\0"),
    ]
    inputs = [tensor(name, kind, [2], len(raw)) for name, kind, raw in columns]
    body, headers = binary_body(inputs, b"".join(raw for _, _, raw in columns))
    batch = decoded(v2, MIXED, body, headers)
    assert batch.columns == {
        "i": [7, 8],
        "f": [1.5, -2.0],
        "t": ["é", ""],
        "b": [True, False],
        "when": [None, None],
        "raw": ["/w==", ""],
    }


def test_integers_beyond_float64_keep_their_value() -> None:
    big = 2**60 + 1
    raw = np.array([1.0]).tobytes() + np.array([big], "<i8").tobytes()
    body, headers = binary_body([tensor("a", "FP64", [1], 8), tensor("b", "INT64", [1], 8)], raw)
    assert decoded(v2, SCHEMA, body, headers).columns["b"] == [big]
    table = pa.table({"a": [1.0], "b": [big]})
    assert decoded(mlflow, SCHEMA, stream(table), {b"content-type": STREAM}).columns["b"] == [big]


def test_binary_answers() -> None:
    outputs = [
        Output("predictions", "FP64", [2], [1.5, None]),
        Output("text", "BYTES", [2], ["é", {"k": 1}]),
        Output("half", "FP16", [2], [1.0, 2.0]),
        Output("odd", "INT64", [2], [1, None]),
    ]
    answer = v2.encode(outputs, endpoint="m", version="1", prediction_id="p", batch=Batch({}, 2, answer=True))
    length = int(dict(answer.headers)[binary.HEADER])
    told = json.loads(answer.content[:length])
    sizes = [one.get("parameters", {}).get("binary_data_size") for one in told["outputs"]]
    assert sizes == [16, 17, 4, None]
    assert told["outputs"][3]["data"] == [1, None]
    assert len(answer.content) == length + 37


def stream(table: pa.Table, **options: Any) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue().to_pybytes()


def file(table: pa.Table) -> bytes:
    out = pa.BufferOutputStream()
    with pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue().to_pybytes()


WIDE = pa.table(
    {
        "i": pa.array([1, 2, 3], pa.int8()),
        "f": pa.array([1.5, None, float("nan")], pa.float32()),
        "t": pa.array(["é", None, ""], pa.large_string()),
        "b": pa.array([True, False, True]),
        "when": pa.array([0, None, 1_500_000], pa.timestamp("us", "UTC")),
        "raw": pa.array([b"\xff", None, b""]),
        "nested": pa.array([[{"x": 1}], None, []]),
        "nothing": pa.nulls(3),
        "word": pa.array(["u", "v", "u"]).dictionary_encode(),
        "amount": pa.array([1, 2, 3]).cast(pa.decimal128(30, 2)),
    }
)
WIDE_COLUMNS = {
    "i": [1, 2, 3],
    "f": [1.5, None, None],
    "t": ["é", None, ""],
    "b": [True, False, True],
    "when": ["1970-01-01T00:00:00.000000Z", None, "1970-01-01T00:00:01.500000Z"],
    "raw": ["/w==", None, ""],
}


@pytest.mark.parametrize("body", [stream(WIDE), file(WIDE)], ids=["stream", "file"])
def test_arrow_columns_of_every_type(body: bytes) -> None:
    kind = FILE if body.startswith(b"ARROW1") else STREAM
    assert decoded(mlflow, MIXED, body, {b"content-type": kind}).columns == WIDE_COLUMNS


def test_encoded_columns_and_parquet_are_read_by_the_other_process() -> None:
    schema = Schema(Signature([Field("word", "string"), Field("amount", "double"), Field("day", "datetime")]))
    table = WIDE.append_column("day", pa.array([0, 1, 2], pa.date32()))
    wanted = {
        "word": ["u", "v", "u"],
        "amount": [1.0, 2.0, 3.0],
        "day": [f"1970-01-0{day}T00:00:00" for day in (1, 2, 3)],
    }
    for body, kind in ((stream(table), STREAM), (stream(table, compression="lz4"), STREAM)):
        assert decoded(mlflow, schema, body, {b"content-type": kind}).columns == wanted
    out = io.BytesIO()
    pq.write_table(table.drop_columns(["nested"]), out)
    assert decoded(mlflow, schema, out.getvalue(), {b"content-type": PARQUET}).columns == wanted


def test_a_table_that_swells_is_refused_in_the_other_process() -> None:
    """180 MB of zeros in a few bytes: more than a request may have, known before they are made."""
    rows = 20_000_000
    table = pa.table({"a": pa.array(np.zeros(rows)), "b": pa.array(np.zeros(rows, "i1"))})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", use_dictionary=False)
    packed = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(packed, table.schema, options=options) as writer:
        writer.write_table(table)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for body, kind in ((out.getvalue(), PARQUET), (packed.getvalue().to_pybytes(), STREAM)):
        assert len(body) < 1_000_000
        with pytest.raises((Invalid, TooLarge), match="262144 rows and 4194304 values"):
            decoded(mlflow, SCHEMA, body, {b"content-type": kind})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_the_other_process_may_die_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    table = stream(pa.table({"a": [1.0], "b": [2]}), compression="zstd")
    headers = {b"content-type": STREAM}
    assert decoded(mlflow, SCHEMA, table, headers).rows == 1
    process = foreign._reader._process
    assert process is not None
    process.kill()
    process.wait()
    assert decoded(mlflow, SCHEMA, table, headers).rows == 1
    monkeypatch.setattr(foreign, "_ANSWER_S", 0.0)
    with pytest.raises(Invalid, match="within the memory and the time"):
        decoded(mlflow, SCHEMA, table, headers)
    monkeypatch.undo()
    assert decoded(mlflow, SCHEMA, table, headers).rows == 1


def test_batches_without_end_are_refused() -> None:
    table = pa.table({"a": [1.0], "b": [2]})
    body = pa.BufferOutputStream()
    with pa.ipc.new_stream(body, table.schema) as writer:
        for _ in range(5000):
            writer.write_table(table)
    with pytest.raises(TooLarge, match="4096 batches"):
        decoded(mlflow, SCHEMA, body.getvalue().to_pybytes(), {b"content-type": STREAM})


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([MIXED, FREE, SCHEMA]), st.booleans())
def test_no_broken_arrow_does_more_than_be_refused(
    chance: random.Random, schema: Schema, as_file: bool
) -> None:
    body = bytearray(file(WIDE) if as_file else stream(WIDE))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(body))
        body[at : at + chance.choice((1, 4, 8))] = chance.choice(
            (
                bytes([chance.randrange(256)]),
                (2**31 - 1).to_bytes(4, "little"),
                b"\xff" * 8,
                chance.randbytes(4),
                b"",
            )
        )
    with suppress(Invalid, TooLarge, tables.Foreign):
        check(schema, tables._in_place(schema, bytes(body), None))


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_broken_parquet_does_more_than_be_refused(chance: random.Random) -> None:
    out = io.BytesIO()
    pq.write_table(pa.table({"a": [1.0, 2.0], "b": [3, 4], "c": [0.5, None]}), out)
    body = bytearray(out.getvalue())
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body))
        body[at : at + 1] = bytes([chance.randrange(256)])
    with suppress(Invalid, TooLarge):
        decoded(mlflow, SCHEMA, bytes(body), {b"content-type": PARQUET})


DATATYPES = st.sampled_from([*tensors.DTYPES, "BYTES", "FP8", ""])
SIZES = st.integers(-1, 4) | st.sampled_from([2**31, 2**62, 0])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "i", "t", "x"]),
            DATATYPES,
            st.lists(SIZES, max_size=3),
            st.integers(-1, 40),
        ),
        max_size=4,
    ),
    st.binary(max_size=80),
    SCHEMAS,
    st.integers(0, 400) | st.none(),
)
def test_no_binary_tensor_does_more_than_be_refused(
    inputs: list[Any], raw: bytes, schema: Schema, length: int | None
) -> None:
    body, headers = binary_body([tensor(*one) for one in inputs], raw)
    if length is not None:
        headers[binary.HEADER] = str(length).encode()
    with suppress(Invalid, TooLarge):
        decoded(v2, schema, body, headers)


def message(inputs: list[Any], raw: list[bytes]) -> bytes:
    parts = [wire.block(1, b"m")]
    for name, kind, shape, field, content in inputs:
        described = wire.block(1, name.encode()) + wire.block(2, kind.encode())
        described += wire.packed(3, [size % 2**64 for size in shape])
        if field:
            described += wire.block(5, wire.block(field, content))
        parts.append(wire.block(5, described))
    return b"".join((*parts, *(wire.block(7, one) for one in raw)))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "t"]),
            DATATYPES,
            st.lists(SIZES, max_size=3),
            st.integers(0, 9),
            st.binary(max_size=16),
        ),
        max_size=4,
    ),
    st.lists(st.binary(max_size=16), max_size=3),
    SCHEMAS,
    st.integers(0, 60) | st.none(),
)
def test_no_grpc_message_does_more_than_be_refused(
    inputs: list[Any], raw: list[bytes], schema: Schema, cut: int | None
) -> None:
    body = message(inputs, raw)[:cut]
    with suppress(Invalid, TooLarge):
        v2_grpc.address_of(body)
        decoded(v2_grpc, schema, body, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["a", "b", "c", "b64", "data", "columns", "features", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["instances", "inputs", "parameters", "params", "input_data", "Inputs", "data", "GlobalParameters"]
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(KEYS, JSON, max_size=3).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=40),
    SCHEMAS,
    st.sampled_from([b"application/json", b"text/csv", b"application/jsonlines"]),
)
def test_no_text_does_more_than_be_refused(body: bytes, schema: Schema, kind: bytes) -> None:
    for adapter in (v1, azure, mlflow):
        with suppress(Invalid, TooLarge):
            decoded(adapter, schema, body, {b"content-type": kind})
