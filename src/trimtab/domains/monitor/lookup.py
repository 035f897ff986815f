"""Finds single predictions, and spans of labels, in the Parquet files that keep them."""

from collections.abc import Sequence
from typing import Any

import pyarrow.dataset as ds

from trimtab.domains.monitor.columns import FEATURE_PREFIX, text
from trimtab.domains.monitor.model import Part
from trimtab.domains.monitor.parts import read_part
from trimtab.infra.blobs import Blobs

_MOST_LOOKED = 500_000
"""Rows to look through for those of a route that is rarely taken."""


def find_prediction(
    blobs: Blobs, parts: Sequence[Part], prediction_id: str, row: int | None
) -> dict[str, Any] | None:
    """Return a prediction's rows with their inputs and labels, or None."""
    rows: list[dict[str, Any]] = []
    endpoint = ""
    labels: dict[int, Any] = {}
    for part in parts:
        table = read_part(blobs, part)
        mine = table.filter(ds.field("prediction_id") == prediction_id)
        for one in mine.to_pylist():
            if part.kind == "labels":
                labels[one["row"]] = one["label"]
            elif one["role"] != "shadow":
                endpoint = part.endpoint
                rows.append(one)
    if row is not None:
        rows = [one for one in rows if one["row"] == row]
    if not rows:
        return None
    first = rows[0]
    return {
        "id": prediction_id if row is None else f"{prediction_id}/{row}",
        "endpoint": endpoint,
        "version": first["version"],
        "role": first["role"],
        "route": first["route"],
        "at_us": first["at_us"],
        "event_us": first["event_us"],
        "latency_us": first["latency_us"],
        "rows": [_view(one, labels.get(one["row"])) for one in rows],
    }


def newest_predictions(
    blobs: Blobs, parts: Sequence[Part], *, route: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the newest rows of some parts (newest first too), of one route only where one is given."""
    found: list[dict[str, Any]] = []
    looked = 0
    for part in parts:
        looked += part.rows
        table = read_part(
            blobs,
            part,
            ["prediction_id", "row", "version", "role", "route", "event_us", "at_us", "latency_us", "score"],
        )
        if route is not None:
            table = table.filter(ds.field("route") == route)
        tail = table.slice(max(0, table.num_rows - limit)).to_pylist()
        found += [
            {
                "id": f"{one['prediction_id']}/{one['row']}",
                **{key: one[key] for key in one if key != "prediction_id"},
            }
            for one in reversed(tail)
        ]
        if len(found) >= limit or looked >= _MOST_LOOKED:
            break
    return found[:limit]


def _view(row: dict[str, Any], label: Any) -> dict[str, Any]:
    inputs = {
        name.removeprefix(FEATURE_PREFIX): value
        for name, value in row.items()
        if name.startswith(FEATURE_PREFIX)
    }
    return {
        "row": row["row"],
        "inputs": inputs,
        "output": text(row["output"]),
        "score": row["score"],
        "label": label,
    }
