"""Monitors, their windows of event time, and the policy of their alarms."""

from typing import Any, Literal

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import DAY_US

MonitorState = Literal["pending", "watching", "alarm", "failed"]


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a monitor alarms.

    Windows are ``window_us`` of event time. ``arl``: windows to a false alarm on average, at least, for each of the
    two sequential tests; ``drift_tolerance``: a shift of a share or mean rank that nobody minds; ``loss_margin``: a
    rise of the mean loss (Brier score) over the reference that nobody minds; ``alarm_on``: which tests raise an alert.
    """

    window_us: int = DAY_US
    arl: float = 1000.0
    drift_tolerance: float = 0.02
    min_rows: int = 100
    alpha: float = 0.01
    min_psi: float = 0.1
    loss_margin: float = 0.01
    alarm_on: tuple[Literal["drift", "performance"], ...] = ("drift", "performance")

    def check(self) -> None:
        """Raise Invalid for a policy that no test could keep."""
        if self.window_us < 60_000_000:
            raise Invalid("A window is at least a minute of event time.", field="policy.window_us")
        if self.arl < 10:
            raise Invalid("arl is at least 10 windows.", field="policy.arl")
        if not 0 <= self.drift_tolerance < 0.5 or not 0 <= self.loss_margin < 0.5:
            raise Invalid("drift_tolerance and loss_margin lie in 0..0.5.", field="policy")
        if not 0 < self.alpha < 0.5 or self.min_rows < 10 or self.min_psi < 0:
            raise Invalid(
                "alpha lies in 0..0.5, min_rows is at least 10, min_psi at least 0.", field="policy"
            )


class Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How good the champion was where its labels were known: mean Brier score, and other metrics for charts.

    ``clustering`` is the correlation of losses within a window in 0..1: rows of one day share its weather, and say less
    together than as many independent ones. Without it the loss alarm takes rows for independent.
    """

    brier: float
    metrics: dict[str, float] = {}
    clustering: float = 0.0

    def check(self) -> None:
        """Raise Invalid where a figure is outside its range."""
        if not 0 <= self.brier <= 1:
            raise Invalid("The mean Brier score lies in 0..1.", field="baseline.brier")
        if not 0 <= self.clustering <= 1:
            raise Invalid("clustering lies in 0..1.", field="baseline.clustering")


class Monitor(msgspec.Struct, frozen=True):
    """A watch over one endpoint.

    ``sketch`` bins the reference; ``drift_state`` and ``loss_state`` are the running tests; ``watermark_us`` is the
    newest event time seen, ``label_watermark_us`` the newest of a label.
    """

    name: str
    endpoint: str
    reference: str
    features: list[str]
    group_by: str | None
    policy: Policy
    baseline: Baseline | None
    champion: str | None
    state: MonitorState
    problem: str | None
    reference_rows: int
    sketch: dict[str, Any] | None
    drift_state: dict[str, Any] | None
    loss_state: dict[str, Any] | None
    watermark_us: int
    label_watermark_us: int
    created_us: int
    updated_us: int


class Window(msgspec.Struct):
    """One window of event time, as counts that add up: rows by version and by route, cells of the reference's bins, and reports."""

    monitor: str
    start_us: int
    end_us: int
    reference: str
    rows: int = 0
    errors: int = 0
    labelled: int = 0
    versions: dict[str, int] = {}
    routes: dict[str, int] = {}
    counts: dict[str, list[int]] = {}
    counted: int = 0
    drift: dict[str, Any] | None = None
    performance: dict[str, Any] | None = None
    closed: bool = False


class Losses(msgspec.Struct):
    """The champion's losses among the labels that became known in one window of time, as mass on a grid."""

    monitor: str
    start_us: int
    rows: int = 0
    mass: list[float] = []
    used: bool = False


class Part(msgspec.Struct, frozen=True):
    """A Parquet file of predictions or of joined labels, and the ranges that find it."""

    id: str
    endpoint: str
    kind: Literal["predictions", "labels"]
    blob: str
    rows: int
    min_id: str
    max_id: str
    min_event_us: int
    max_event_us: int
    created_us: int


class Trial(msgspec.Struct):
    """The judge's running state for a rollout."""

    rollout: str
    endpoint: str
    champion: str
    challenger: str
    state: dict[str, Any]
    action: str = "continue"


def window_start(event_us: int, window_us: int) -> int:
    """Return the beginning of the window that holds a moment; windows are aligned to the epoch in UTC."""
    return event_us - event_us % window_us
