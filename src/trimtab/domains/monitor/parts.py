"""Keeps tables of predictions and of joined labels as Parquet files, and gives them back."""

import io
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trimtab.domains.monitor.model import Part
from trimtab.domains.monitor.requests import Requests, from_part
from trimtab.infra.blobs import Blobs
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us

_KEPT = ("prediction_id", "row", "version", "role", "route", "at_us", "event_us", "score", "class")
_CACHED_PARTS = 64
_CACHED_ROWS = 1_000_000


def write_part(blobs: Blobs, endpoint: str, kind: Any, table: pa.Table) -> Part:
    """Store a table and return the row that finds it again."""
    buffer = io.BytesIO()
    # Numbers of measured things hardly repeat: their bytes, sorted by place, take less room than a dictionary that is
    # given up after a megabyte, and a quarter of the time. Readers get texts as texts: the file does not say that they
    # came as places in a dictionary.
    encodings = {field.name: _encoding(field.type) for field in table.schema}
    repeated: Any = [name for name, encoding in encodings.items() if encoding is None]
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=1,
        use_dictionary=repeated,
        column_encoding={name: encoding for name, encoding in encodings.items() if encoding is not None},
        write_statistics=False,
        store_schema=False,
    )
    ids = pc.call_function("min_max", [_distinct(table.column("prediction_id"))])
    event_us = table.column("event_us").to_numpy()
    return Part(
        id=new_id(),
        endpoint=endpoint,
        kind=kind,
        blob=blobs.put(buffer.getvalue()),
        rows=table.num_rows,
        min_id=ids["min"].as_py(),
        max_id=ids["max"].as_py(),
        min_event_us=int(event_us.min()),
        max_event_us=int(event_us.max()),
        created_us=now_us(),
    )


def read_part(blobs: Blobs, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a part's table, or some columns of it; predictions from before there were routes have empty ones."""
    with blobs.open(part.blob) as file:
        source = pq.ParquetFile(file)
        known = source.schema_arrow.names
        table = source.read([name for name in columns if name in known] if columns else None)
    if part.kind == "predictions" and "route" not in known:
        table = table.append_column("route", pa.repeat("", table.num_rows))
    return table


class PartCache:
    """The requests of recently used prediction files, so that late labels do not read them again and again."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._requests: OrderedDict[str, Requests] = OrderedDict()
        self._rows = 0

    def put(self, part: Part, requests: Requests) -> None:
        self._requests[part.id] = requests
        self._rows += requests.rows
        while len(self._requests) > 1 and (len(self._requests) > _CACHED_PARTS or self._rows > _CACHED_ROWS):
            _, oldest = self._requests.popitem(last=False)
            self._rows -= oldest.rows

    def get(self, part: Part) -> Requests:
        known = self._requests.get(part.id)
        if known is None:
            known = from_part(read_part(self._blobs, part, _KEPT))
            self.put(part, known)
        self._requests.move_to_end(part.id)
        return known


def _encoding(kind: pa.DataType) -> str | None:
    if pa.types.is_floating(kind):
        return "BYTE_STREAM_SPLIT"
    return "DELTA_BINARY_PACKED" if pa.types.is_int64(kind) else None


def _distinct(texts: pa.ChunkedArray) -> Any:
    return texts.chunk(0).dictionary if pa.types.is_dictionary(texts.type) else texts
