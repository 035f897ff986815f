"""What is known of a metric beside its curve, brought up to date with points that came in."""

from collections.abc import Mapping

import numpy as np

from trimtab.domains.tracking.metrics.model import Latest
from trimtab.domains.tracking.metrics.series import Series, ranked

Known = Mapping[tuple[int, int], Latest]


def merged(known: Known, points: Series) -> dict[tuple[int, int], Latest]:
    """Return what is now known of the metrics that points belong to, by (run, key).

    The latest value is that of the greatest (step, time, value), NaN counting as zero.
    """
    ordered = points.by_step()
    starts = ordered.groups()
    if not starts.size:
        return {}
    ends = np.append(starts[1:], len(ordered)) - 1
    numbers = np.where(np.isnan(ordered.value), np.inf, ordered.value)
    least = np.minimum.reduceat(numbers, starts)
    numbers = np.where(np.isnan(ordered.value), -np.inf, ordered.value)
    greatest = np.maximum.reduceat(numbers, starts)
    counts = ends - starts + 1
    columns = (
        ordered.run[ends],
        ordered.key[ends],
        ordered.step[ends],
        ordered.at_us[ends],
        ordered.value[ends],
        ranked(ordered.value[ends]),
        least,
        greatest,
        counts,
    )
    found: dict[tuple[int, int], Latest] = {}
    for run_no, key_no, step, at_us, value, rank, low, high, count in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        bounds = (low, high) if low <= high else (None, None)  # all of them NaN
        found[run_no, key_no] = _later(
            known.get((run_no, key_no)), Latest(value, step, at_us, *bounds, count), rank
        )
    return found


def _later(before: Latest | None, now: Latest, rank: float) -> Latest:
    if before is None:
        return now
    before_rank = 0.0 if before.value != before.value else before.value
    newer = (now.step, now.at_us, rank) > (before.step, before.at_us, before_rank)
    head = now if newer else before
    lows = [one for one in (before.least, now.least) if one is not None]
    highs = [one for one in (before.greatest, now.greatest) if one is not None]
    return Latest(
        head.value,
        head.step,
        head.at_us,
        min(lows, default=None),
        max(highs, default=None),
        before.points + now.points,
    )
