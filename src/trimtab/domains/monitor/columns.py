"""Prediction records as columns: Parquet files for keeping, and the arrays that joins and tests work on."""

import io
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from trimtab.domains.monitor.model import Part
from trimtab.infra.blobs import Blobs
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.serving.segments import Prediction

FEATURE_PREFIX = "input."
NOTHING_NEW, NEW_ROW, NEW_REQUEST = 0, 1, 2
"""What a label tells: a row that was told before, another row of a prediction, or the first of its prediction."""
_KEPT = ("prediction_id", "row", "version", "role", "route", "at_us", "event_us", "score")
_CACHED_PARTS = 64
_CACHED_ROWS = 1_000_000


class Rows:
    """The rows of some predictions as equally long arrays; a prediction's rows follow each other."""

    def __init__(
        self,
        ids: Sequence[str],
        rows: NDArray[np.int64],
        versions: Sequence[str],
        roles: Sequence[str],
        routes: Sequence[str],
        at_us: NDArray[np.int64],
        event_us: NDArray[np.int64],
        scores: NDArray[np.float64],
    ) -> None:
        self.ids = ids
        self.rows = rows
        self.versions = versions
        self.roles = roles
        self.routes = routes
        self.at_us = at_us
        self.event_us = event_us
        self.scores = scores
        self._first: dict[str, int] = {}
        self._copies: dict[str, dict[str, int]] = {}
        for position in range(len(ids) - 1, -1, -1):
            if roles[position] != "shadow":
                self._first[ids[position]] = position
            else:
                self._copies.setdefault(ids[position], {})[versions[position]] = position

    def find(self, prediction_id: str, row: int | None) -> int | None:
        """Return the position of a prediction's row (None: its first), or None where it is not among these."""
        first = self._first.get(prediction_id)
        if first is None:
            return None
        position = first + (row or 0)
        inside = position < len(self.ids) and self.ids[position] == prediction_id
        return position if inside else None

    def find_copies(self, prediction_id: str, row: int | None) -> list[int]:
        """Return the positions of a prediction's row as shadows answered it."""
        found = [first + (row or 0) for first in self._copies.get(prediction_id, {}).values()]
        return [at for at in found if at < len(self.ids) and self.ids[at] == prediction_id]


def flatten(predictions: Iterable[Prediction]) -> tuple[Rows, pa.Table]:
    """Return the answered rows of one endpoint's predictions as arrays and as a table with their inputs."""
    answered = [one for one in predictions if one.status == 200 and one.rows]
    counts = [one.rows for one in answered]
    ids = [one.id for one in answered for _ in range(one.rows)]
    rows = np.concatenate([np.arange(count) for count in counts]) if counts else np.empty(0, np.int64)
    versions = [one.version for one in answered for _ in range(one.rows)]
    roles = [one.role for one in answered for _ in range(one.rows)]
    routes = [one.route for one in answered for _ in range(one.rows)]
    at_us = np.repeat(np.asarray([one.at_us for one in answered], np.int64), counts)
    event_us = np.repeat(np.asarray([one.event_us for one in answered], np.int64), counts)
    scores = np.asarray([score for one in answered for score in scores_of(one)], np.float64)
    columns: dict[str, Any] = {
        "prediction_id": ids,
        "row": rows.astype(np.int64),
        "version": versions,
        "role": roles,
        "route": routes,
        "event_us": event_us,
        "at_us": at_us,
        "latency_us": np.repeat(np.asarray([one.latency_us for one in answered], np.int64), counts),
        "score": scores,
        "output": [_text(output) for one in answered for output in one.outputs],
    }
    for name in sorted({name for one in answered for name in one.columns}):
        values = [value for one in answered for value in one.columns.get(name, [None] * one.rows)]
        columns[FEATURE_PREFIX + name] = _array(values)
    return Rows(ids, rows.astype(np.int64), versions, roles, routes, at_us, event_us, scores), pa.table(
        columns
    )


def inputs(table: pa.Table, keep: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the input columns of the kept rows by the model's names for them."""
    kept = table.filter(pa.array(keep))
    return {
        name.removeprefix(FEATURE_PREFIX): kept.column(name)
        for name in kept.column_names
        if name.startswith(FEATURE_PREFIX)
    }


def scores_of(prediction: Prediction) -> list[float]:
    """Return one number a row: the last class's probability where there is one, else a numeric output, else NaN."""
    if prediction.probabilities is not None:
        return [float(row[-1]) if row else float("nan") for row in prediction.probabilities]
    return [float(value) if isinstance(value, int | float) else float("nan") for value in prediction.outputs]


def write_part(blobs: Blobs, endpoint: str, kind: Any, table: pa.Table) -> Part:
    """Store a table and return the row that finds it again."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", compression_level=1)
    ids = table.column("prediction_id").to_pylist()
    event_us = table.column("event_us").to_numpy()
    return Part(
        id=new_id(),
        endpoint=endpoint,
        kind=kind,
        blob=blobs.put(buffer.getvalue()),
        rows=table.num_rows,
        min_id=min(ids),
        max_id=max(ids),
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
    """The arrays of recently used prediction files, so that late labels do not read them again and again."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._rows: OrderedDict[str, Rows] = OrderedDict()
        self._count = 0

    def put(self, part: Part, rows: Rows) -> None:
        self._rows[part.id] = rows
        self._count += len(rows.ids)
        while len(self._rows) > 1 and (len(self._rows) > _CACHED_PARTS or self._count > _CACHED_ROWS):
            _, oldest = self._rows.popitem(last=False)
            self._count -= len(oldest.ids)

    def get(self, part: Part) -> Rows:
        known = self._rows.get(part.id)
        if known is None:
            table = read_part(self._blobs, part, _KEPT)
            known = Rows(
                table.column("prediction_id").to_pylist(),
                table.column("row").to_numpy(),
                table.column("version").to_pylist(),
                table.column("role").to_pylist(),
                table.column("route").to_pylist(),
                table.column("at_us").to_numpy(),
                table.column("event_us").to_numpy(),
                table.column("score").to_numpy(),
            )
            self.put(part, known)
        self._rows.move_to_end(part.id)
        return known


def _array(values: list[Any]) -> pa.Array:
    """Return values as a column that Parquet can keep: as text where they are of several kinds, or objects."""
    try:
        found = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return pa.array([_text(value) for value in values])
    kind = found.type
    while pa.types.is_list(kind):
        kind = kind.value_type
    return pa.array([_text(value) for value in values]) if pa.types.is_struct(kind) else found


def _text(value: Any) -> str | None:
    return None if value is None else str(value).encode("utf-8", "replace").decode()
