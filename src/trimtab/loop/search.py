"""Finds objects of any domain by a part of their name or id."""

import re
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from trimtab.domains.data import DataService
from trimtab.domains.deploy import DeployService
from trimtab.domains.monitor import MonitorService
from trimtab.domains.pipelines import PipelineService
from trimtab.domains.registry import RegistryService
from trimtab.domains.tracking import TrackingService
from trimtab.kernel import refs
from trimtab.kernel.errors import NotFound
from trimtab.kernel.pages import check_limit
from trimtab.kernel.who import Principal

_MOST = 1000
"""Of each kind; of runs, data sets and pipelines these are the newest or first, of others those with such a name."""
_PREDICTION_ID = 26
_LONGEST_NUMBER = 19
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_SPECIAL = re.compile(r"[^\w .@:/-]")
"""What could end the text of a filter or mean something in its pattern; a place for any letter stands for it."""


class Hit(msgspec.Struct):
    """An object that was found, and its page."""

    kind: str
    label: str
    ref: str
    href: str


class SearchService:
    """Looks through the names that people know; exact ids of runs and predictions are found too."""

    def __init__(
        self,
        *,
        data: DataService,
        tracking: TrackingService,
        pipelines: PipelineService,
        registry: RegistryService,
        deploy: DeployService,
        monitors: MonitorService,
    ) -> None:
        self._data = data
        self._tracking = tracking
        self._pipelines = pipelines
        self._registry = registry
        self._deploy = deploy
        self._monitors = monitors

    def search(self, who: Principal, text: str, *, limit: int = 20) -> list[Hit]:
        """Return what has the text in its name, names that begin with it first."""
        size = check_limit(limit)
        wanted = text.strip().lower()
        if not wanted:
            return []
        found = [
            (label, ref)
            for label, ref in self._names(who, wanted)
            if wanted in label.lower() or wanted in ref.lower()
        ]
        found.sort(key=lambda one: (not one[0].lower().startswith(wanted), one[0].lower()))
        shown = dict.fromkeys([*self._exact(who, wanted), *found])
        return [Hit(refs.split(ref)[0], label, ref, refs.href(ref)) for label, ref in [*shown][:size]]

    def _exact(self, who: Principal, wanted: str) -> Iterator[tuple[str, str]]:
        """What has the very id, which need not be among the newest."""
        if len(wanted) == _PREDICTION_ID:
            yield f"prediction {wanted}", refs.make("prediction", wanted)
        if _RUN_ID.fullmatch(wanted):
            with suppress(NotFound):
                run = self._tracking.runs.head(who, wanted)
                yield run.name, refs.run(run.id)
        if wanted.isascii() and wanted.isdigit() and len(wanted) < _LONGEST_NUMBER:
            with suppress(NotFound):
                experiment = self._tracking.experiments.get(who, wanted)
                yield experiment.name, refs.make("experiment", experiment.id)

    def _names(self, who: Principal, wanted: str) -> Iterator[tuple[str, str]]:
        like = f"name ILIKE '%{_SPECIAL.sub('_', wanted)}%'"
        for endpoint in self._deploy.endpoints(who):
            yield endpoint.name, refs.make("endpoint", endpoint.name)
        for model in self._registry.search_models(who, filter=like, limit=_MOST).items:
            yield model.name, refs.model(model.name)
        for dataset in self._data.datasets(who, limit=_MOST).items:
            yield dataset.name, refs.data(dataset.name)
        for monitor in self._monitors.monitors(who):
            yield monitor.name, refs.make("monitor", monitor.name)
        for pipeline, _, _ in self._pipelines.find_pipelines(who, limit=_MOST).items:
            yield pipeline.name, refs.make("pipeline", pipeline.name)
        for experiment in self._tracking.experiments.search(who, filter=like, limit=_MOST).items:
            yield experiment.name, refs.make("experiment", experiment.id)
        for run in self._tracking.runs.search(who, limit=_MOST).items:
            yield run.head.name, refs.run(run.head.id)
