"""The points of metrics and the latest of each. Nothing outside this module knows how points are laid out."""

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.domains.tracking.keys import Keys, listed
from trimtab.domains.tracking.metrics.model import Latest, Point, decode, encode
from trimtab.infra.db import Tx, load

Q = load(__package__ or "")

After = tuple[int, int, float, int]
_FIRST_STEP, _LAST_STEP = -(2**63), 2**63 - 1


def append(tx: Tx, run_no: int, points: Sequence[Point], numbers: Mapping[str, int]) -> None:
    """Add points to a run; a point that is there already, to the last field, changes nothing.

    ``numbers`` holds the number of each key.
    """
    rows: list[dict[str, Any]] = []
    latest: dict[int, dict[str, Any]] = {}
    for point in points:
        value, kind = encode(point.value)
        row: dict[str, Any] = {
            "run_no": run_no,
            "key_no": numbers[point.key],
            "at_us": point.at_us,
            "step": point.step,
            "value": value,
            "kind": int(kind),
        }
        rows.append(row)
        known = latest.get(row["key_no"])
        if known is None or _recency(row) > _recency(known):
            latest[row["key_no"]] = row
    tx.many(Q.append_point, rows)
    tx.many(Q.put_latest, [latest[number] for number in sorted(latest)])


def _recency(row: Mapping[str, Any]) -> tuple[int, int, float]:
    return row["step"], row["at_us"], row["value"]


def latest(tx: Tx, run_nos: Sequence[int]) -> dict[int, dict[str, Latest]]:
    """Return the latest value of each metric of each run."""
    found: dict[int, dict[str, Latest]] = {run_no: {} for run_no in run_nos}
    for run_no, key, value, kind, step, at_us in tx.all(Q.latest, runs=listed(tx, run_nos)):
        found[run_no][key] = Latest(decode(value, kind), step, at_us)
    return found


def history(
    tx: Tx, run_no: int, key: str, *, keys: Keys, limit: int, after: After | None = None
) -> tuple[list[Point], After | None]:
    """Return a metric's points in the order of (time, step, value), and the place of the last where more follow."""
    number = keys.find(tx, key)
    if number is None:
        return [], None
    if after is None:
        rows = tx.all(Q.history, run_no=run_no, key_no=number, limit=limit + 1)
    else:
        at_us, step, value, kind = after
        rows = tx.all(
            Q.history_after,
            run_no=run_no,
            key_no=number,
            at_us=at_us,
            step=step,
            value=value,
            kind=kind,
            limit=limit + 1,
        )
    points = [Point(key, decode(value, kind), at_us, step) for at_us, step, value, kind in rows[:limit]]
    if len(rows) <= limit:
        return points, None
    at_us, step, value, kind = rows[limit - 1]
    return points, (at_us, step, value, kind)


def curve(
    tx: Tx, run_no: int, key: str, *, keys: Keys, steps: tuple[int, int] | None = None
) -> list[tuple[int, int, float]]:
    """Return all points of a metric, or of a span of steps, as (step, at_us, value) in the order of steps."""
    number = keys.find(tx, key)
    if number is None:
        return []
    first, last = steps or (_FIRST_STEP, _LAST_STEP)
    rows = tx.all(Q.curve, run_no=run_no, key_no=number, first_step=first, last_step=last)
    return [(step, at_us, decode(value, kind)) for step, at_us, value, kind in rows]


def keys_of_experiment(tx: Tx, experiment_no: int, *, limit: int) -> list[str]:
    """Return the names of the metrics that the active runs of an experiment have."""
    return [row[0] for row in tx.all(Q.keys, experiment_no=experiment_no, limit=limit)]
