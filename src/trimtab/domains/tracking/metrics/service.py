"""Reads the history of metrics: page by page, or as a curve that fits a chart."""

from collections.abc import Sequence

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.errors import RunNotFound
from trimtab.domains.tracking.experiments.model import parse_id
from trimtab.domains.tracking.keys import Keys
from trimtab.domains.tracking.metrics import store
from trimtab.domains.tracking.metrics.model import Curve, Point, downsample, finite
from trimtab.domains.tracking.names import MOST_KEY
from trimtab.domains.tracking.runs import store as runs_store
from trimtab.infra.db import Database, Tx
from trimtab.kernel.errors import Invalid
from trimtab.kernel.pages import Page, check_limit, decode_cursor, encode_cursor
from trimtab.kernel.who import Principal

MOST_IN_A_PAGE = 1_000_000
MOST_IN_A_CURVE = 10_000


class MetricService:
    """The curves of runs. They are written through the runs."""

    def __init__(self, db: Database, govern: GovernService, *, keys: Keys) -> None:
        self._db = db
        self.govern = govern
        self._keys = keys

    def history(
        self, who: Principal, run_id: str, key: str, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[Point]:
        """Return a metric's points in the order of (time, step, value); what was never logged has none."""
        self.govern.permit(who, "read", "runs")
        size = check_limit(limit, default=MOST_IN_A_PAGE, most=MOST_IN_A_PAGE)
        after = _place(cursor) if cursor else None
        with self._db.read() as tx:
            head = runs_store.head(tx, run_id=run_id)
            if head is None:
                return Page([])
            points, last = store.history(tx, head.no, key, keys=self._keys, limit=size, after=after)
        return Page(points, encode_cursor(last) if last else None)

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
        if not 2 <= most <= MOST_IN_A_CURVE:
            raise Invalid(f"points must be between 2 and {MOST_IN_A_CURVE}, not {most}.", field="points")
        with self._db.read() as tx:
            points = store.curve(tx, _number(tx, run_id), key, keys=self._keys, steps=steps)
        kept = downsample(points, most)
        return Curve(
            key=key,
            points=[(step, at_us, finite(value)) for step, at_us, value in kept],
            total=len(points),
            downsampled=len(kept) < len(points),
        )

    def sample(
        self,
        who: Principal,
        run_ids: Sequence[str],
        key: str,
        *,
        most: int,
        steps: tuple[int, int] | None = None,
    ) -> list[tuple[str, list[Point]]]:
        """Return at most ``most`` evenly spaced points of each run, the last always among them.

        Raises RunNotFound.
        """
        self.govern.permit(who, "read", "runs")
        found: list[tuple[str, list[Point]]] = []
        with self._db.read() as tx:
            for run_id in run_ids:
                points = store.curve(tx, _number(tx, run_id), key, keys=self._keys, steps=steps)
                kept = [points[index] for index in _evenly(len(points), most)]
                found.append((run_id, [Point(key, value, at_us, step) for step, at_us, value in kept]))
        return found

    def keys(self, who: Principal, experiment_id: str, *, limit: int = 1000) -> list[str]:
        """Return the names of the metrics that an experiment's runs have."""
        self.govern.permit(who, "read", "runs")
        with self._db.read() as tx:
            return store.keys_of_experiment(tx, parse_id(experiment_id), limit=limit)


def _number(tx: Tx, run_id: str) -> int:
    head = runs_store.head(tx, run_id=run_id)
    if head is None:
        raise RunNotFound(f"Run with id={run_id[:MOST_KEY]} not found")
    return head.no


def _evenly(count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    if most == 1:
        return [count - 1]
    return [index * (count - 1) // (most - 1) for index in range(most)]


def _place(cursor: str) -> store.After:
    at_us, step, value, kind = decode_cursor(cursor, 4)
    if not (
        isinstance(at_us, int)
        and isinstance(step, int)
        and isinstance(value, int | float)
        and isinstance(kind, int)
    ):
        raise Invalid("The cursor belongs to another listing.", field="cursor")
    return at_us, step, float(value), kind
