"""Reads the history of metrics: page by page, or as a curve that fits a chart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.errors import RunNotFound
from trimtab.domains.tracking.experiments.model import parse_id
from trimtab.domains.tracking.keys import Keys
from trimtab.domains.tracking.metrics import store
from trimtab.domains.tracking.metrics.compaction import Compactor
from trimtab.domains.tracking.metrics.model import (
    Curve,
    History,
    PointColumns,
    RunCurve,
    ValueKind,
    decode,
    encode,
    finite,
)
from trimtab.domains.tracking.metrics.settling import Settler, settle
from trimtab.domains.tracking.names import MOST_KEY
from trimtab.domains.tracking.runs import store as runs_store
from trimtab.infra.db import Database, Tx
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import check_limit, decode_cursor, encode_cursor
from trimtab.kernel.who import Principal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from trimtab.domains.tracking.metrics.chain import Chain

MOST_IN_A_PAGE = 1_000_000
MOST_IN_A_CURVE = 10_000
MOST_CURVES = 1000
_NONE = PointColumns([], [], [], [])


class MetricService:
    """The curves of runs. They are written through the runs."""

    def __init__(self, db: Database, govern: GovernService, *, keys: Keys) -> None:
        self._db = db
        self.govern = govern
        self._keys = keys
        self.compactor = Compactor(db, keys=keys)
        self.settler = Settler(db)

    def history(
        self, who: Principal, run_id: str, key: str, *, limit: int | None = None, cursor: str | None = None
    ) -> History:
        """Return a metric's points in the order of (time, step, value); what was never logged has none."""
        self.govern.permit(who, "read", "runs")
        size = check_limit(limit, default=MOST_IN_A_PAGE, most=MOST_IN_A_PAGE)
        after = _place(cursor) if cursor else None
        with self._db.read() as tx:
            head = runs_store.head(tx, run_id=run_id)
            found = None if head is None else store.points(tx, head.no, key, keys=self._keys)
        if found is None:
            return History(_NONE)
        ordered = found.whole().by_time()
        start = 0 if after is None else ordered.rows_upto(*after)
        page = ordered.take(slice(start, start + size))
        steps, times, values = page.step.tolist(), page.at_us.tolist(), page.value.tolist()
        more = start + size < len(ordered)
        last = encode_cursor((times[-1], steps[-1], *encode(values[-1]))) if more else None
        return History(PointColumns([key] * len(steps), values, times, steps), last)

    def curve(
        self,
        who: Principal,
        run_id: str,
        key: str,
        *,
        most: int = 640,
        steps: tuple[int, int] | None = None,
    ) -> Curve:
        """Return a metric in the order of its steps, thinned to what a chart of ``most`` points can show.

        Raises RunNotFound.
        """
        self.govern.permit(who, "read", "runs")
        _check_most(most)
        with self._db.read() as tx:
            found = store.points(tx, _number(tx, run_id), key, keys=self._keys, steps=steps)
        points, total = _thinned(found, most)
        return Curve(key, points, total, len(points) < total)

    def curves(
        self,
        who: Principal,
        run_ids: Sequence[str],
        keys: Sequence[str],
        *,
        most: int = 320,
        steps: tuple[int, int] | None = None,
    ) -> list[RunCurve]:
        """Return several metrics of several runs as `curve` does, without those that a run does not have.

        Raises RunNotFound.
        """
        self.govern.permit(who, "read", "runs")
        _check_most(most)
        if len(run_ids) * len(keys) > MOST_CURVES:
            raise Invalid(
                f"At most {MOST_CURVES} curves at once: {len(run_ids)} runs of {len(keys)} metrics."
            )
        found: list[RunCurve] = []
        with self._db.read() as tx:
            for run_id in run_ids:
                number = _number(tx, run_id)
                for key in keys:
                    series = store.points(tx, number, key, keys=self._keys, steps=steps)
                    if series is not None:
                        points, total = _thinned(series, most)
                        found.append(RunCurve(run_id, key, points, total, len(points) < total))
        return found

    def sample(
        self,
        who: Principal,
        run_ids: Sequence[str],
        key: str,
        *,
        most: int,
        steps: tuple[int, int] | None = None,
    ) -> list[tuple[str, PointColumns]]:
        """Return at most ``most`` evenly spaced points of each run, the last always among them.

        Raises RunNotFound.
        """
        self.govern.permit(who, "read", "runs")
        found: list[tuple[str, PointColumns]] = []
        with self._db.read() as tx:
            for run_id in run_ids:
                series = store.points(tx, _number(tx, run_id), key, keys=self._keys, steps=steps)
                found.append((run_id, _NONE if series is None else _sampled(series, key, most)))
        return found

    def keys(self, who: Principal, experiment_id: str, *, limit: int = 1000) -> list[str]:
        """Return the names of the metrics that an experiment's runs have."""
        self.govern.permit(who, "read", "runs")
        settle(self._db)
        with self._db.read() as tx:
            return store.keys_of_experiment(tx, parse_id(experiment_id), limit=limit)


def _number(tx: Tx, run_id: str) -> int:
    head = runs_store.head(tx, run_id=run_id)
    if head is None:
        raise RunNotFound(f"Run with id={run_id[:MOST_KEY]} not found")
    return head.no


def _check_most(most: int) -> None:
    if not 2 <= most <= MOST_IN_A_CURVE:
        raise Invalid(f"points must be between 2 and {MOST_IN_A_CURVE}, not {most}.", field="points")


def _thinned(series: "Chain | None", most: int) -> tuple[list[tuple[int, int, float | None]], int]:
    """Return at most so many points that keep the first, the last and every visible extreme; and how many there are."""
    if series is None:
        return [], 0
    kept = series.take(_extremes(series, most)) if len(series) > most else series.whole()
    values = map(finite, kept.value.tolist())
    return list(zip(kept.step.tolist(), kept.at_us.tolist(), values, strict=True)), len(series)


def _extremes(series: "Chain", most: int) -> "NDArray[np.intp]":
    import numpy as np

    from trimtab.science.downsample import minmax

    if most < 4:
        return np.asarray([0, len(series) - 1])
    return minmax.indices(np.arange(len(series)), series.value, most)


def _sampled(series: "Chain", key: str, most: int) -> PointColumns:
    kept = series.whole() if len(series) <= most else series.take(_spaced(len(series), most))
    return PointColumns([key] * len(kept), kept.value.tolist(), kept.at_us.tolist(), kept.step.tolist())


def _spaced(count: int, most: int) -> "NDArray[np.intp]":
    """Return the first row of each of ``most`` equal parts, as SQL's ntile makes them, and the last of all."""
    import numpy as np

    length, longer = divmod(count, most)
    parts = np.arange(most)
    places = parts * length + np.minimum(parts, longer)
    places[-1] = count - 1
    return places


def _place(cursor: str) -> tuple[int, int, float, bool]:
    at_us, step, value, kind = decode_cursor(cursor, 4)
    if not (
        isinstance(at_us, int)
        and isinstance(step, int)
        and isinstance(value, int | float)
        and isinstance(kind, int | float)
    ):
        raise Invalid("The cursor belongs to another listing.", field="cursor")
    if int(kind) == ValueKind.NAN:
        return at_us, step, 0.0, True
    return at_us, step, decode(float(value), int(kind)), False
