"""The tables of metrics: the tail of recent points, the blocks of compacted ones, and the latest of each metric.

Nothing outside this folder knows how points are laid out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trimtab.domains.tracking.keys import Keys, listed
from trimtab.domains.tracking.metrics import tails
from trimtab.domains.tracking.metrics.model import Latest, Point, PointColumns, decode, encode
from trimtab.domains.tracking.metrics.recent import Recent
from trimtab.infra.db import Tx, load

if TYPE_CHECKING:
    from trimtab.domains.tracking.metrics.chain import Chain

Q = load(__package__ or "")

FOLD_LOCK = "tracking.metric-tail"
_FIRST_STEP, _LAST_STEP = -(2**63), 2**63 - 1


def hold(tx: Tx) -> None:
    """Begin a transaction that appends: it must not overtake one that folds, nor wait for it with rows in its hands."""
    tx.lock(FOLD_LOCK, shared=True)


def append(tx: Tx, run_no: int, columns: PointColumns, numbers: Mapping[str, int], *, recent: Recent) -> bool:
    """Add points to a run; what is there already, to the last field, counts once. ``numbers`` are those of the keys.

    The transaction has begun with `hold`. Returns False, and adds nothing, for a row that is known from lately.
    """
    row = tails.pack(columns, numbers)
    if recent.knows(run_no, row):
        return False
    tx.run(Q.append, run_no=run_no, points=len(columns), columns=row)
    tx.after_commit(lambda: recent.remember(run_no, row))
    return True


def latest(tx: Tx, run_nos: Sequence[int], *, keys: Keys) -> dict[int, dict[str, Latest]]:
    """Return what is known of each metric of each run, also of points that are not folded yet."""
    wanted = listed(tx, run_nos)
    known = _stored(tx, wanted)
    if rows := tx.all(Q.unfolded_of_runs, runs=wanted):
        from trimtab.domains.tracking.metrics import folding

        known.update(folding.merged(known, tails.unpack([(run_no, row) for run_no, row in rows])))
    names = keys.names(tx, {key_no for _, key_no in known})
    found: dict[int, dict[str, Latest]] = {run_no: {} for run_no in run_nos}
    for (run_no, key_no), one in sorted(known.items(), key=lambda item: names[item[0][1]]):
        found[run_no][names[key_no]] = one
    return found


def newest_unfolded(tx: Tx) -> int | None:
    """Return the number of the newest row that the latest values do not know; None where they know all."""
    row = tx.one(Q.newest_unfolded)
    return row[0] if row else None


def fold(tx: Tx, *, most_rows: int) -> int | None:
    """Bring latest values up to date with the oldest rows that wait; return the newest of these, None where none did."""
    tx.lock(FOLD_LOCK)
    rows = tx.all(Q.unfolded_rows, limit=most_rows)
    if not rows:
        return None
    from trimtab.domains.tracking.metrics import folding

    experiments = {run_no: experiment_no for _, run_no, experiment_no, _ in rows}
    known = _stored(tx, listed(tx, list(experiments)))
    changed = folding.merged(known, tails.unpack([(run_no, row) for _, run_no, _, row in rows]))
    put = [
        _row(run_no, key_no, experiments[run_no], changed[run_no, key_no])
        for run_no, key_no in sorted(changed)
    ]
    tx.many(Q.put_latest, put)
    upto: int = rows[-1][0]
    tx.run(Q.set_folded, upto=upto)
    return upto


def _stored(tx: Tx, wanted: Any) -> dict[tuple[int, int], Latest]:
    return {
        (run_no, key_no): Latest(decode(value, nan), step, at_us, least, greatest, points)
        for run_no, key_no, nan, value, step, at_us, least, greatest, points in tx.all(Q.latest, runs=wanted)
    }


def _row(run_no: int, key_no: int, experiment_no: int, one: Latest) -> dict[str, Any]:
    nan = math.isnan(one.value)
    return {
        "run_no": run_no,
        "key_no": key_no,
        "experiment_no": experiment_no,
        "nan": int(nan),
        "value": 0.0 if nan else one.value,
        "step": one.step,
        "at_us": one.at_us,
        "least": one.least,
        "greatest": one.greatest,
        "points": one.points,
    }


def points(
    tx: Tx, run_no: int, key: str, *, keys: Keys, steps: tuple[int, int] | None = None
) -> "Chain | None":
    """Return the distinct points of a metric, or of a span of steps, in the order of steps; None where there are none."""
    number = keys.find(tx, key)
    if number is None:
        return None
    from trimtab.domains.tracking.metrics.blocks import Block
    from trimtab.domains.tracking.metrics.chain import Part, Place, chained

    first, last = steps or (_FIRST_STEP, _LAST_STEP)
    parts: list[tuple[Place, Place, Part]] = [
        ((first_step, first_us), (last_step, last_us), Block(run_no, number, content))
        for first_step, first_us, last_step, last_us, content in tx.all(
            Q.blocks, run_no=run_no, key_no=number, first_step=first, last_step=last
        )
    ]
    if waiting := tx.all(Q.tail, run_no=run_no):
        tail = tails.unpack([(run_no, row) for _, row in waiting])
        tail = tail.take(tail.key == number).by_step()
        if len(tail):
            parts.append((tail.place(0), tail.place(-1), tail))
    found = chained(parts, steps=steps)
    return found if len(found) else None


def keys_of_experiment(tx: Tx, experiment_no: int, *, limit: int) -> list[str]:
    """Return the names of the metrics that the active runs of an experiment have."""
    return [row[0] for row in tx.all(Q.keys, experiment_no=experiment_no, limit=limit)]


def purge(tx: Tx, run_nos: Sequence[int]) -> None:
    """Remove every point of runs for good."""
    wanted = listed(tx, run_nos)
    for query in (Q.purge_tail, Q.purge_blocks, Q.purge_latest):
        tx.run(query, runs=wanted)
    tx.run(Q.lower_folded)


def waiting(tx: Tx, *, more_than: int) -> dict[int, int]:
    """Return how many rows of each run wait in the tail, of runs with more than so many."""
    return dict(tx.all(Q.waiting, more_than=more_than))


def folded_tail(tx: Tx, run_no: int, *, most_rows: int) -> list[tuple[int, bytes]]:
    """Return the oldest rows of a run's tail that the latest values know, as (number, row)."""
    return [(number, row) for number, row in tx.all(Q.folded_tail, run_no=run_no, limit=most_rows)]


def block_places(tx: Tx, run_no: int) -> list[tuple[Any, ...]]:
    """Return (number, key, points, first step and time, last step and time) of a run's blocks, in their order."""
    return tx.all(Q.block_places, run_no=run_no)


def blocks_among(tx: Tx, numbers: Sequence[int]) -> list[tuple[int, int, bytes]]:
    """Return (number, key, block) of some blocks."""
    return [(no, key_no, row) for no, key_no, row in tx.all(Q.blocks_among, numbers=listed(tx, numbers))]


def replace(
    tx: Tx,
    *,
    tail: Sequence[int],
    blocks: Sequence[int],
    made: Iterable[Mapping[str, Any]],
    counts: Iterable[Mapping[str, Any]],
) -> bool:
    """Put new blocks in the place of rows of the tail and of older blocks; say whether those were all still there."""
    if tx.run(Q.drop_tail, numbers=listed(tx, tail)) != len(tail):
        return False
    if blocks and tx.run(Q.drop_blocks, numbers=listed(tx, blocks)) != len(blocks):
        return False
    tx.many(Q.insert_block, list(made))
    tx.many(Q.set_points, list(counts))
    tx.run(Q.lower_folded)
    return True


def old_points(tx: Tx, *, limit: int) -> tuple[int, list[Point]] | None:
    """Return a run and points of it that lie in the table of the first version, one row each."""
    rows = tx.all(Q.old_points, limit=limit)
    if not rows:
        return None
    return rows[0][0], [
        Point(key, decode(value, kind), at_us, step) for _, key, at_us, step, value, kind in rows
    ]


def take_over(tx: Tx, run_no: int, columns: PointColumns, numbers: Mapping[str, int]) -> None:
    """Move points of the first version's table into the tail."""
    append(tx, run_no, columns, numbers, recent=Recent())
    rows = [
        {
            "run_no": run_no,
            "key_no": numbers[key],
            "at_us": at_us,
            "step": step,
            "value": encoded,
            "kind": int(kind),
        }
        for key, at_us, step, (encoded, kind) in zip(
            columns.keys, columns.at_us, columns.steps, map(encode, columns.values), strict=True
        )
    ]
    tx.many(Q.drop_old_points, rows)
