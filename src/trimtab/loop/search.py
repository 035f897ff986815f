"""Finds objects of any domain by a part of their name or id."""

from collections.abc import Iterator

import msgspec

from trimtab.domains.data import DataService
from trimtab.domains.deploy import DeployService
from trimtab.domains.monitor import MonitorService
from trimtab.domains.pipelines import PipelineService
from trimtab.domains.registry import RegistryService
from trimtab.domains.tracking import TrackingService
from trimtab.kernel import refs
from trimtab.kernel.pages import check_limit
from trimtab.kernel.who import Principal


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
            for label, ref in self._names(who)
            if wanted in label.lower() or wanted in ref.lower()
        ]
        found.sort(key=lambda one: (not one[0].lower().startswith(wanted), one[0].lower()))
        if len(wanted) == 26:
            found.append((f"prediction {wanted}", refs.make("prediction", wanted)))
        return [Hit(refs.split(ref)[0], label, ref, refs.href(ref)) for label, ref in found[:size]]

    def _names(self, who: Principal) -> Iterator[tuple[str, str]]:
        for endpoint in self._deploy.endpoints(who):
            yield endpoint.name, refs.make("endpoint", endpoint.name)
        for model in self._registry.search_models(who, limit=1000).items:
            yield model.name, refs.model(model.name)
        for dataset in self._data.datasets(who, limit=1000).items:
            yield dataset.name, refs.data(dataset.name)
        for monitor in self._monitors.monitors(who):
            yield monitor.name, refs.make("monitor", monitor.name)
        for pipeline, _, _ in self._pipelines.find_pipelines(who, limit=1000).items:
            yield pipeline.name, refs.make("pipeline", pipeline.name)
        for experiment in self._tracking.experiments.search(who, limit=1000).items:
            yield experiment.name, refs.make("experiment", experiment.id)
        for run in self._tracking.runs.search(who, limit=1000).items:
            yield run.head.name, refs.run(run.head.id)
