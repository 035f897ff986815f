"""The loop as a ring of stages, each with its state now, its newest fact and the page behind it."""

from collections.abc import Callable
from typing import Literal

import msgspec

from trimtab.domains.alerts import AlertService
from trimtab.domains.data import DataService
from trimtab.domains.deploy import DeployService
from trimtab.domains.deploy.plane import Plane
from trimtab.domains.monitor import MonitorService
from trimtab.domains.pipelines import PipelineService
from trimtab.domains.registry import RegistryService
from trimtab.domains.tracking import TrackingService
from trimtab.kernel import refs
from trimtab.kernel.who import Principal
from trimtab.loop.model import ACTIVE
from trimtab.loop.service import LoopService

StageName = Literal[
    "data",
    "features",
    "training",
    "evaluation",
    "registry",
    "rollout",
    "serving",
    "monitoring",
    "alerting",
    "retraining",
]
StageState = Literal["ok", "active", "waiting", "alarm", "empty"]


class Stage(msgspec.Struct):
    """One stage of the loop: ``headline`` is its newest fact in a few words."""

    name: StageName
    state: StageState
    headline: str
    detail: str
    href: str


class Overview(msgspec.Struct):
    """Every stage in the loop's order."""

    stages: list[Stage]


class OverviewService:
    """Asks every domain how it stands."""

    def __init__(
        self,
        *,
        loop: LoopService,
        data: DataService,
        tracking: TrackingService,
        pipelines: PipelineService,
        registry: RegistryService,
        deploy: DeployService,
        monitors: MonitorService,
        alerts: AlertService,
        plane: Callable[[], Plane | None],
    ) -> None:
        self._loop = loop
        self._data = data
        self._tracking = tracking
        self._pipelines = pipelines
        self._registry = registry
        self._deploy = deploy
        self._monitors = monitors
        self._alerts = alerts
        self._plane = plane

    def overview(self, who: Principal) -> Overview:
        """Return the ring; each stage needs the permission to read its domain."""
        return Overview(
            [
                self._data_stage(who),
                *self._training_stages(who),
                *self._registry_stages(who),
                *self._serving_stages(who),
                self._monitoring_stage(who),
                self._alerting_stage(who),
                self._retraining_stage(who),
            ]
        )

    def _data_stage(self, who: Principal) -> Stage:
        datasets = self._data.datasets(who, limit=1000).items
        if not datasets:
            return Stage("data", "empty", "No data yet", "trimtab data add NAME PATH", "/data")
        newest = max(datasets, key=lambda one: one.updated_us)
        version = self._data.get_version(who, newest.name)
        state: StageState = "alarm" if version.validation_state == "failed" else "ok"
        return Stage(
            "data", state, f"{newest.name} {version.version}", _many(len(datasets), "dataset"), "/data"
        )

    def _training_stages(self, who: Principal) -> list[Stage]:
        runs = self._pipelines.find_runs(who, limit=1).items
        features = Stage(
            "features", "empty", "No pipeline yet", "trimtab pipelines run FILE.py:NAME", "/pipelines"
        )
        if runs:
            running = runs[0].state in ("queued", "running")
            state: StageState = "active" if running else "alarm" if runs[0].state == "failed" else "ok"
            href = refs.href(refs.make("pipeline-run", runs[0].id))
            features = Stage(
                "features", state, f"{runs[0].pipeline} {runs[0].state}", "newest pipeline run", href
            )
        tracked = self._tracking.runs.search(who, limit=1).items
        if not tracked:
            return [
                features,
                Stage("training", "empty", "No run yet", "trimtab.run() or mlflow", "/experiments"),
            ]
        head = tracked[0].head
        state = "active" if head.status == "RUNNING" else "alarm" if head.status == "FAILED" else "ok"
        return [
            features,
            Stage("training", state, head.name, head.status.lower(), refs.href(refs.run(head.id))),
        ]

    def _registry_stages(self, who: Principal) -> list[Stage]:
        gates = [step for step in self._loop.timeline(who, limit=200).items if step.kind == "gate"]
        evaluation = Stage(
            "evaluation", "empty", "No gate yet", "A candidate is gated before it serves", "/models"
        )
        if gates:
            state: StageState = "ok" if gates[0].state == "passed" else "waiting"
            evaluation = Stage(
                "evaluation", state, gates[0].title, gates[0].detail, refs.href(gates[0].subject)
            )
        models = self._registry.search_models(who, limit=1000).items
        if not models:
            return [evaluation, Stage("registry", "empty", "No model yet", "trimtab models ls", "/models")]
        newest = max(models, key=lambda one: one.updated_us)
        headline = f"{newest.name} {newest.latest_version or ''}".strip()
        registry = Stage("registry", "ok", headline, _many(len(models), "model"), f"/models/{newest.name}")
        return [evaluation, registry]

    def _serving_stages(self, who: Principal) -> list[Stage]:
        endpoints = self._deploy.endpoints(who)
        running = self._deploy.rollouts.list(who, state="running", limit=1)
        if not endpoints:
            serving = Stage("serving", "empty", "No endpoint yet", "trimtab endpoints deploy", "/endpoints")
            return [Stage("rollout", "empty", "No rollout yet", "", "/endpoints"), serving]
        if running:
            one = running[0]
            headline = {
                "warming": f"Version {one.challenger} is being loaded",
                "approval": f"Version {one.challenger} waits for an approval",
                "step": f"Version {one.challenger} takes {one.weight:g} %",
            }[one.phase]
            rollout = Stage(
                "rollout", "active", headline, f"judged against {one.champion}", f"/endpoints/{one.endpoint}"
            )
        else:
            ended = self._deploy.rollouts.list(who, limit=1)
            headline = f"Version {ended[0].challenger} {ended[0].state}" if ended else "No rollout yet"
            rollout = Stage("rollout", "ok" if ended else "empty", headline, "", "/endpoints")
        states = {endpoint.state for endpoint in endpoints}
        state: StageState = "alarm" if "degraded" in states else "waiting" if "starting" in states else "ok"
        plane = self._plane()
        requests = sum(plane.last_minute(one.name).requests for one in endpoints) if plane else 0
        name = endpoints[0].name if len(endpoints) == 1 else _many(len(endpoints), "endpoint")
        return [
            rollout,
            Stage("serving", state, name, f"{_many(requests, 'request')} in the last minute", "/endpoints"),
        ]

    def _monitoring_stage(self, who: Principal) -> Stage:
        monitors = self._monitors.monitors(who)
        if not monitors:
            return Stage("monitoring", "empty", "No monitor yet", "trimtab monitors create", "/monitors")
        alarmed = [one for one in monitors if one.state in ("alarm", "failed")]
        if alarmed:
            return Stage(
                "monitoring",
                "alarm",
                f"{alarmed[0].name}: {alarmed[0].state}",
                "",
                f"/monitors/{alarmed[0].name}",
            )
        pending = any(one.state == "pending" for one in monitors)
        state: StageState = "waiting" if pending else "ok"
        headline = "Reading the reference" if pending else "Within the reference"
        return Stage("monitoring", state, headline, _many(len(monitors), "monitor"), "/monitors")

    def _alerting_stage(self, who: Principal) -> Stage:
        alerts = self._alerts.find(who, state="open", limit=100).items
        if not alerts:
            return Stage("alerting", "ok", "No open alert", "", "/alerts")
        return Stage("alerting", "alarm", alerts[0].title, _many(len(alerts), "open alert"), "/alerts")

    def _retraining_stage(self, who: Principal) -> Stage:
        episodes = self._loop.episodes(who, limit=1)
        if not episodes:
            armed = self._loop.policies(who)
            headline = f"{_many(len(armed), 'endpoint')} retrained on alarm" if armed else "Not armed"
            return Stage("retraining", "waiting" if armed else "empty", headline, "", "/pipelines")
        newest = episodes[0]
        state: StageState = (
            "active" if newest.state in ACTIVE else "alarm" if newest.state == "failed" else "ok"
        )
        return Stage("retraining", state, f"{newest.title}: {newest.state}", newest.id, "/pipelines")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
