"""An endpoint with a champion, a loop policy, and a registered pipeline; background work is done by hand."""

import pytest

from tests.background import work_off
from tests.domains.deploy.conftest import Models, models
from trimtab.app import App
from trimtab.domains.monitor.events import MonitorAlarmed, WindowsClosed
from trimtab.domains.pipelines.events import PipelineRunFinished
from trimtab.domains.pipelines.model import Spec
from trimtab.kernel.events import Event
from trimtab.kernel.time import DAY_US
from trimtab.kernel.who import Principal, system
from trimtab.loop.model import Episode, LoopPolicy
from trimtab.sdk.bundles import pack
from trimtab.sdk.parameters import Parameter

__all__ = ["Stage", "models"]

PLANE = system("deploy")
DAY = DAY_US
_SPEC = Spec(parameters=[Parameter("until_us", "integer", default=0)])


class Stage:
    """What the stories react to, sent by hand."""

    def __init__(self, app: App, owner: Principal, models: Models) -> None:
        self.app = app
        self.owner = owner
        self.models = models

    def send(self, event: Event, *, subject: str = "endpoint:churn") -> None:
        """Commit an event and have everything that follows from it done, but for heavy work."""
        with self.app.db.write() as tx:
            self.app.bus.emit(tx, event, subject=subject, actor="system:test")
        work_off(self.app)

    def alarm(self, *, at_us: int = 100 * DAY, cause: str = "performance") -> None:
        self.send(
            MonitorAlarmed(
                monitor="churn",
                endpoint="churn",
                champion="1",
                cause=cause,  # type: ignore[arg-type]
                event_us=at_us,
                title="Predictions of churn got worse",
                detail="The Brier score is 0.2, above 0.1.",
                evidence={"recent": 0.2},
            )
        )

    def day_passes(self, at_us: int) -> None:
        self.send(WindowsClosed(monitor="churn", endpoint="churn", windows=1, watermark_us=at_us))

    def finish_run(self, *, state: str = "succeeded", **outputs: str) -> None:
        (run,) = self.app.pipelines.find_runs(self.owner, limit=1).items
        self.send(
            PipelineRunFinished(
                run_id=run.id,
                pipeline=run.pipeline,
                state=state,
                outputs=outputs,
                trigger=run.trigger,
                error=None if state == "succeeded" else "step fit failed",
            )
        )

    def answer(self, version: int) -> None:
        """Have a deployed version answer."""
        self.app.deploy.replica_ready(PLANE, "churn", str(version), pid=version)
        work_off(self.app)

    def episode(self) -> Episode:
        return self.app.loop.episodes(self.owner, endpoint="churn")[0]

    def lines(self) -> list[str]:
        """Return the timeline, oldest first, as "kind state"."""
        return [f"{step.kind} {step.state}" for step in reversed(self.app.loop.timeline(self.owner).items)]


@pytest.fixture
def stage(app: App, owner: Principal, models: Models) -> Stage:
    models.version()
    app.deploy.deploy(owner, "churn", "models:/churn/1")
    app.deploy.replica_ready(PLANE, "churn", "1", pid=1)
    blob, _ = app.pipelines.add_bundle(owner, pack({"train.py": b"def train():\n    pass\n"}))
    app.pipelines.register(owner, "train", source_blob=blob, entry="train:train", spec=_SPEC)
    app.loop.set_policy(
        owner,
        LoopPolicy(endpoint="churn", model="churn", pipeline="train", params={"until_us": "{event_us}"}),
    )
    work_off(app)
    return Stage(app, owner, models)
