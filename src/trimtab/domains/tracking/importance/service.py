"""Says which parameters of an experiment's runs moved a metric, from the runs that a filter matches."""

import math
import threading
from typing import Literal

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.tracking.runs.service import RunService
from trimtab.infra import aside
from trimtab.kernel.who import Principal

MOST_RUNS = 2000
_MOST_READ = 6000
_PAGE = 1000
_REMEMBERED = 64


class ParameterImportance(msgspec.Struct, frozen=True):
    """A parameter's share of what all explain together; ``correlation`` is Spearman's, None for categories."""

    name: str
    importance: float
    correlation: float | None
    kind: Literal["number", "category"]


class Importance(msgspec.Struct, frozen=True):
    """``explained`` is the share of the metric's variance (of its ranks) that unseen runs' parameters predict."""

    metric: str
    runs: int
    explained: float
    parameters: list[ParameterImportance]


class _Computed(msgspec.Struct):
    explained: float
    parameters: list[ParameterImportance]


class ImportanceService:
    """Importance of parameters; computed aside, remembered as long as the runs stay as they are."""

    def __init__(self, runs: RunService, govern: GovernService) -> None:
        self._runs = runs
        self.govern = govern
        self._lock = threading.Lock()
        self._known: dict[bytes, _Computed] = {}

    def of(self, who: Principal, *, experiment_id: str, metric: str, filter_text: str = "") -> Importance:
        """Return the importance of each parameter for a metric, greatest first, over at most 2,000 newest runs.

        Runs without a finite value are left out. Raises BadFilter, and Unavailable where it takes too long.
        """
        self.govern.permit(who, "read", "runs")
        params: list[dict[str, str]] = []
        values: list[float] = []
        read, cursor = 0, None
        while len(values) < MOST_RUNS and read < _MOST_READ:
            page = self._runs.search(
                who, experiment_ids=[experiment_id], filter=filter_text, limit=_PAGE, cursor=cursor
            )
            for run in page.items:
                latest = run.metrics.get(metric)
                if latest is not None and math.isfinite(latest.value) and len(values) < MOST_RUNS:
                    params.append(run.params)
                    values.append(latest.value)
            read += len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                break
        computed = self._compute(params, values)
        return Importance(metric, len(values), computed.explained, computed.parameters)

    def _compute(self, params: list[dict[str, str]], values: list[float]) -> _Computed:
        if not values:
            return _Computed(0.0, [])
        asked = msgspec.json.encode({"params": params, "values": values})
        key = aside.digest(asked)
        with self._lock:
            known = self._known.get(key)
        if known is None:
            answer = aside.compute("trimtab.domains.tracking.importance.process", asked, seconds=30.0)
            known = msgspec.json.decode(answer, type=_Computed)
            with self._lock:
                while len(self._known) >= _REMEMBERED:
                    del self._known[next(iter(self._known))]
                self._known[key] = known
        return known
