"""Loop policies, episodes and the steps of the causal timeline."""

from typing import Any, Literal

import msgspec

from trimtab.domains.deploy.rollouts.plans import Plan, judge_rules
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import DAY_US

EpisodeState = Literal[
    "waiting",
    "suggested",
    "retraining",
    "gating",
    "warming",
    "canary",
    "promoted",
    "kept",
    "rolled-back",
    "failed",
]
GATE = "loop.gate"
"""The kind of the job that judges a candidate; an episode's id is its key."""
ACTIVE: tuple[EpisodeState, ...] = ("waiting", "suggested", "retraining", "gating", "warming", "canary")
StepKind = Literal[
    "alarm", "retraining", "gate", "canary", "promotion", "rollback", "deploy", "data", "manual", "decision"
]
StepState = Literal["started", "passed", "failed", "done", "info"]


class GatePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a candidate must show on the evaluation rows before it sees traffic.

    ``label`` names the column of the truth (0 or 1). The candidate's ROC AUC may be lower than the champion's by at
    most ``auc_margin`` and its Brier score higher by at most ``brier_margin``, each with 95 % confidence on the same
    rows; ``group_by`` names a column whose rows are not independent (microseconds are grouped by day).
    """

    label: str = "label"
    key: str | None = None
    group_by: str | None = None
    min_auc: float = 0.5
    auc_margin: float = 0.01
    brier_margin: float = 0.005
    must_improve: bool = False


class CanaryPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The challenger's share of the requests in percent, or several ``steps``, each held for ``bake_us``.

    ``judge`` are fields of the judge's policy.
    """

    weight: float = 20.0
    judge: dict[str, Any] = {}
    steps: tuple[float, ...] = ()
    bake_us: int = 0

    def plan(self) -> Plan:
        """Return the plan of the rollout; raises Invalid."""
        steps = self.steps or (self.weight,)
        return Plan(steps=steps, bake_us=self.bake_us, min_requests=0).settled()


Mode = Literal["auto", "suggest"]
Alarm = Literal["drift", "performance"]


class LoopPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens by itself when an endpoint's monitor alarms.

    ``params`` go to the pipeline; the text ``{event_us}`` in them becomes the moment of the alarm in event time. The
    pipeline returns ``candidate`` (models:/NAME/VERSION), ``evaluation`` (data:NAME@VERSION) and, if the monitor's
    reference is to follow, ``reference``. ``mode``: suggest waits for a person to start the retraining.
    """

    endpoint: str
    model: str
    pipeline: str
    params: dict[str, Any] = {}
    mode: Mode = "auto"
    on: tuple[Alarm, ...] = ("drift", "performance")
    cooldown_us: int = 30 * DAY_US
    gate: GatePolicy = GatePolicy()
    canary: CanaryPolicy = CanaryPolicy()

    def check(self) -> None:
        """Raise Invalid for a policy that could not be followed."""
        if not 0 < self.canary.weight < 100:
            raise Invalid("canary.weight lies between 0 and 100.", field="canary.weight")
        self.canary.plan()
        judge_rules(self.canary.judge, "canary")
        if self.cooldown_us < 0:
            raise Invalid("cooldown_us is not negative.", field="cooldown_us")

    def params_at(self, event_us: int) -> dict[str, Any]:
        """Return the pipeline's parameters for an alarm at a moment of event time."""
        return {key: event_us if value == "{event_us}" else value for key, value in self.params.items()}


class Episode(msgspec.Struct, frozen=True):
    """One story: what set it off, where it stands, and what it led to."""

    id: str
    endpoint: str
    model: str
    trigger: Literal["alarm", "release"]
    state: EpisodeState
    title: str
    event_us: int
    not_before_us: int
    champion: str | None
    candidate: str | None
    evaluation: str | None
    champion_evaluation: str | None
    reference: str | None
    pipeline_run: str | None
    rollout: str | None
    baseline: dict[str, float] | None
    actor: str
    started_us: int
    updated_us: int
    ended_us: int | None


class Step(msgspec.Struct, frozen=True):
    """A line of the timeline; ``cause_id`` is the step that led to it."""

    id: str
    at_us: int
    event_us: int | None
    kind: StepKind
    state: StepState
    title: str
    detail: str
    subject: str
    episode_id: str | None
    cause_id: str | None
    actor: str
    data: dict[str, Any]


class Collected(msgspec.Struct):
    """What a collection removed for good, or would: things, files by name, and the bytes that are free on the disk now."""

    experiments: int = 0
    runs: int = 0
    logged_models: int = 0
    artifacts: int = 0
    models: int = 0
    model_versions: int = 0
    traces: int = 0
    evaluation_datasets: int = 0
    files: int = 0
    file_bytes: int = 0
    """The size of those files, of which other files may have the same bytes."""
    held: int = 0
    """What would have gone but for a legal hold."""
    blobs: int = 0
    blob_bytes: int = 0
    """Bytes on the disk that nothing needs any more."""
    environments: int = 0
    """Environments of models that nothing uses, and what builds that were killed have left."""
    environment_bytes: int = 0
    database_bytes: int = 0


class Collection(msgspec.Struct, frozen=True):
    """A collection of garbage. The state is queued, running, done or failed."""

    id: str
    dry_run: bool
    older_than_us: int
    compact: bool
    state: str
    created_us: int
    ended_us: int | None
    actor: str
    error: str | None
    report: Collected
