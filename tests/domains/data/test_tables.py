"""Reading table files of every kind, piece by piece, and saying what cannot be read."""

import bz2
import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from backports import zstd

from tests.domains.data.conftest import blob_of
from trimtab.domains.data.model import DataFile
from trimtab.domains.data.tables import Unreadable, format_of, group, open_table, plain

CSV = b"n,name,at\n1,a,2013-01-01T00:00:00Z\n2,,2013-01-02T00:00:00Z\n,c,\n"
TABLE = pa.table({"n": [1, 2, None], "name": ["a", None, "c"]})


def zipped(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    target = io.BytesIO()
    pq.write_table(table, target)
    return target.getvalue()


def feather_bytes(table: pa.Table) -> bytes:
    target = io.BytesIO()
    feather.write_feather(table, target)
    return target.getvalue()


def stream_bytes(table: pa.Table) -> bytes:
    target = io.BytesIO()
    with pa.ipc.new_stream(target, table.schema) as writer:
        writer.write_table(table)
    return target.getvalue()


def read(tmp_path: Path, name: str, content: bytes) -> pa.Table:
    path = tmp_path / "blob"  # as in the store, the file itself has no ending
    path.write_bytes(content)
    schema, batches = open_table(path, name)
    return pa.Table.from_batches(batches, schema)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.parquet", parquet_bytes(TABLE)),
        ("t.feather", feather_bytes(TABLE)),
        ("t.arrow", stream_bytes(TABLE)),
        ("t.csv", b"n,name\n1,a\n2,\n,c\n"),
        ("t.csv", b"\xef\xbb\xbfn,name\r\n1,a\r\n2,\r\n,c\r\n"),
        ("t.csv", b"n;name\n1;a\n2;\n;c\n"),
        ("t.tsv", b"n\tname\n1\ta\n2\t\n\tc\n"),
        ("t.csv.gz", gzip.compress(b"n,name\n1,a\n2,NA\nNA,c\n", mtime=0)),
        ("t.csv.bz2", bz2.compress(b"n,name\n1,a\n2,\n,c\n")),
        ("t.csv.zst", zstd.compress(b"n,name\n1,a\n2,\n,c\n")),
        ("t.csv.zip", zipped(inner=b"n,name\n1,a\n2,\n,c\n")),
        ("t.jsonl", b'{"n": 1, "name": "a"}\n{"n": 2}\n{"name": "c"}\n'),
        ("t.ndjson.gz", gzip.compress(b'{"n": 1, "name": "a"}\n{"n": 2}\n{"name": "c"}\n', mtime=0)),
    ],
)
def test_every_format_reads_the_same(tmp_path: Path, name: str, content: bytes) -> None:
    assert read(tmp_path, name, content).to_pydict() == TABLE.to_pydict()


def test_times_and_flags_are_seen_in_text(tmp_path: Path) -> None:
    found = read(tmp_path, "t.csv", b"at,day,flag,x\n2013-01-01T00:00:00Z,2013-01-01,true,1.5\n")
    assert [str(field.type) for field in found.schema] == [
        "timestamp[s, tz=UTC]",
        "date32[day]",
        "bool",
        "double",
    ]


def long_csv(last: str) -> bytes:
    rows = "".join(f"{number},{number}\n" for number in range(1_200_000))
    return f"n,m\n{rows}{last}\n".encode()


@pytest.mark.parametrize(
    ("last", "kind"),
    [("1.5,1", "double"), ("x,1", "string"), (",1", "int64")],
    ids=["number", "text", "nothing"],
)
def test_types_are_those_of_the_whole_file(tmp_path: Path, last: str, kind: str) -> None:
    """The first block alone says integer; the last row is blocks away."""
    found = read(tmp_path, "t.csv", long_csv(last))
    assert str(found.schema.field("n").type) == kind
    assert found.num_rows == 1_200_001


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.parquet", b"no parquet"),
        ("t.feather", b"no feather"),
        ("t.csv", b""),
        ("t.csv", b"a,b\n1,2\n3\n"),
        ("t.csv", b"a,b\n1,2,3\n"),
        ("t.csv.gz", b"no gzip"),
        ("t.csv.gz", gzip.compress(b"a\n1\n" * 1000, mtime=0)[:-20]),
        ("t.csv.zip", b"no zip"),
        ("t.csv.zip", zipped(a=b"x\n1\n", b=b"x\n1\n")),
        ("t.jsonl", b'{"a": 1}\n{"a": \n'),
        ("t.jsonl.bz2", b""),
    ],
)
def test_what_is_no_table_is_said(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read(tmp_path, name, content)
    assert str(caught.value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.PARQUET", ("parquet", None)),
        ("b.csv.gz", ("csv", "gzip")),
        ("b.jsonl.zst", ("jsonl", "zstd")),
        ("b.parquet.gz", None),
        ("b.gz", None),
        (".csv", None),
        ("csv", None),
        ("photo.jpg", None),
    ],
)
def test_formats_go_by_name(path: str, expected: object) -> None:
    assert format_of(path) == expected


def groups(*files: tuple[str, tuple[str, ...]]) -> dict[str | None, list[str]]:
    made = group([(DataFile(path, 0, blob_of(b"")), columns) for path, columns in files])
    return {one.name: [file.path for file in one.files] for one in made}


def test_files_with_the_same_columns_are_one_table() -> None:
    assert groups(("2013-01.csv", ("a", "b")), ("2013-02.csv", ("b", "a"))) == {
        "table": ["2013-01.csv", "2013-02.csv"]
    }


def test_tables_are_named_by_their_files() -> None:
    found = groups(
        ("x/flights-01.csv", ("a",)),
        ("x/flights-02.csv", ("a",)),
        ("weather.csv", ("b",)),
        ("y/01.csv", ("c",)),
        ("y/02.csv", ("c",)),
        ("z/weather.csv", ("d",)),
    )
    assert list(found) == ["flights", "weather", "y", "weather-2"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([Decimal("1.5"), None]), [1.5, None]),
        (pa.array([[1, 2], None]), ["[1,2]", None]),
        (pa.array([{"a": dt.date(2013, 1, 1)}]), ['{"a":"2013-01-01"}']),
        (pa.array([b"\x00\xff", None]), ["00ff", None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.nulls(2), [None, None]),
        (pa.array([1, 2]), [1, 2]),
    ],
)
def test_columns_become_plain(values: pa.Array, expected: list[object]) -> None:
    assert plain(values).to_pylist() == expected


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A Parquet file of 3 million rows in many row groups passes through a few batches at a time."""
    path = tmp_path / "big.parquet"
    chunk = pa.table({"x": pa.array(range(100_000)), "y": pa.array([f"value {n}" for n in range(100_000)])})
    with pq.ParquetWriter(path, chunk.schema) as writer:
        for _ in range(30):
            writer.write_table(chunk)
    highest = _highest_arrow_bytes(
        lambda: sum(batch.num_rows for batch in open_table(path, "big.parquet")[1])
    )
    assert highest < 8 * chunk.nbytes


def _highest_arrow_bytes(work: Callable[[], object]) -> int:
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        work()
    finally:
        pa.set_memory_pool(before)
    return pool.max_memory() or 0
