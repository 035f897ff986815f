"""Says which columns the runs of experiments have, and how runs spread over the values of some."""

import time
from collections.abc import Sequence
from typing import Any

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.catalog import store
from trimtab.domains.tracking.catalog.model import Columns, Facet, Facets, RunColumn
from trimtab.domains.tracking.experiments.model import View, parse_id
from trimtab.domains.tracking.keys import Keys
from trimtab.domains.tracking.metrics.settling import settle
from trimtab.domains.tracking.runs import store as runs_store
from trimtab.domains.tracking.runs.search import COLUMNS, plan, within
from trimtab.infra.db import Database, Query, Tx, Where
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.who import Principal

MOST_FACETS = 20
MOST_VALUES = 200
_LONG_S = 0.1
_WORTH = 20  # times as long as the counting took
_MOST_REMEMBERED = 64
_ATTRIBUTES = {"status": "r.status", "owner": "r.owner"}
_TABLES = {"params": "tracking_run_param", "tags": "tracking_run_tag"}


class CatalogService:
    """The columns and facets of runs."""

    def __init__(self, db: Database, govern: GovernService, *, keys: Keys) -> None:
        self._db = db
        self.govern = govern
        self._keys = keys
        self._counted: dict[tuple[str, ...], tuple[float, Columns]] = {}

    def columns(self, who: Principal, experiment_ids: Sequence[str] = ()) -> Columns:
        """Return the metrics, parameters and tags that runs of experiments have; of all where none is named.

        What took long to count, as among hundreds of thousands of runs, is told again for a while.
        """
        self.govern.permit(who, "read", "runs")
        key = tuple(sorted(set(experiment_ids)))
        known = self._counted.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        began = time.monotonic()
        columns = self._count(experiment_ids)
        spent_s = time.monotonic() - began
        if spent_s > _LONG_S:
            if len(self._counted) >= _MOST_REMEMBERED:
                self._counted.clear()
            self._counted[key] = (time.monotonic() + _WORTH * spent_s, columns)
        return columns

    def _count(self, experiment_ids: Sequence[str]) -> Columns:
        settle(self._db)
        with self._db.read() as tx:
            among = _experiments(tx, experiment_ids)
            if not among:
                return Columns([], [], [], [*COLUMNS])
            queries = (store.Q.metric_columns, store.Q.param_columns, store.Q.tag_columns)
            metrics, params, tags = (self._columns(tx, query, among) for query in queries)
        return Columns(metrics, params, tags, [*COLUMNS])

    def _columns(self, tx: Tx, query: Query, among: Sequence[int]) -> list[RunColumn]:
        counts = store.columns(tx, query, among)
        names = self._keys.names(tx, counts)
        return sorted((RunColumn(names[no], count) for no, count in counts.items()), key=lambda one: one.name)

    def facets(
        self,
        who: Principal,
        experiment_ids: Sequence[str] = (),
        *,
        by: Sequence[str],
        filter_text: str = "",
        view: View = "active",
        most: int = 20,
    ) -> Facets:
        """Return how many runs a filter matches, and the most frequent values among them of ``status``, ``owner``,
        ``params.NAME`` or ``tags.NAME``.

        Raises BadFilter.
        """
        self.govern.permit(who, "read", "runs")
        if len(by) > MOST_FACETS:
            raise Invalid(f"At most {MOST_FACETS} facets at once.", field="by")
        if not 1 <= most <= MOST_VALUES:
            raise Invalid(f"most must be between 1 and {MOST_VALUES}, not {most}.", field="most")
        settle(self._db)
        with self._db.read() as tx:
            among = _experiments(tx, experiment_ids)
            parts = plan(
                tx,
                filter_text=filter_text,
                order_by=(),
                view=view,
                find_key=lambda name: self._find(tx, name),
            )
            if not among:
                return Facets(0, [Facet(one, [], 0) for one in by])
            here, numbers = within(among, "r.experiment_no", tx.dialect)
            where = Where().add(here, **numbers).add_all(parts.where)
            facets = [self._facet(tx, one, where, most) for one in by]
            return Facets(store.total(tx, where), facets)

    def _facet(self, tx: Tx, by: str, where: Where, most: int) -> Facet:
        value, joins, params = self._value(tx, by)
        return store.facet(tx, by, value=value, joins=joins, where=where, params=params, most=most)

    def _value(self, tx: Tx, by: str) -> tuple[str, str, dict[str, Any]]:
        if column := _ATTRIBUTES.get(by):
            return column, "", {}
        entity, _, name = by.partition(".")
        table = _TABLES.get(entity)
        if table is None or not name:
            hint = did_you_mean(by, [*_ATTRIBUTES, "params.", "tags."])
            raise Invalid(f"No facet {by!r} (status, owner, params.NAME, tags.NAME).{hint}", field="by")
        joins = f"join {table} facet on facet.run_no = r.no and facet.key_no = :facet_key"
        return "facet.value", joins, {"facet_key": self._find(tx, name)}

    def _find(self, tx: Tx, name: str) -> int:
        number = self._keys.find(tx, name)
        return -1 if number is None else number


def _experiments(tx: Tx, experiment_ids: Sequence[str]) -> list[int]:
    if not experiment_ids:
        return runs_store.all_experiments(tx)
    return sorted({parse_id(one) for one in experiment_ids})
