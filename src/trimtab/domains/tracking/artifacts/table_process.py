"""Reads the first rows of a Parquet file in a process of its own; JSON in, JSON out, null for what is no Parquet file."""

import math
import sys
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

_MOST_COLUMNS = 200
_LONGEST = 500


class Asked(msgspec.Struct):
    file: str
    most: int


def main() -> None:
    """Read what is asked from standard input and write the rows to standard output."""
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    sys.stdout.buffer.write(msgspec.json.encode(first_rows(asked.file, asked.most)))


def first_rows(file: str, most: int) -> dict[str, Any] | None:
    """Return columns, rows and the number of rows; None for what is no Parquet file."""
    try:
        opened = pq.ParquetFile(file)
        names = opened.schema_arrow.names[:_MOST_COLUMNS]
        batch = next(opened.iter_batches(batch_size=most, columns=names), None)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None
    fields = [opened.schema_arrow.field(name) for name in names]
    records: list[dict[str, Any]] = batch.to_pylist() if batch is not None else []
    return {
        "columns": [{"name": field.name, "type": str(field.type)} for field in fields],
        "rows": [[_plain(record.get(name)) for name in names] for record in records],
        "total": opened.metadata.num_rows,
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value)[:_LONGEST]


if __name__ == "__main__":
    main()
