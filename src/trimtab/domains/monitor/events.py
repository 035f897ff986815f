"""Facts that monitor announces."""

from typing import Any, Literal

from trimtab.kernel.events import Event


class MonitorAlarmed(Event, frozen=True, tag="monitor.alarmed"):
    """A sequential test crossed its threshold: the inputs drifted, or the predictions got worse."""

    monitor: str
    endpoint: str
    champion: str
    cause: Literal["drift", "performance"]
    event_us: int
    title: str
    detail: str
    evidence: dict[str, Any]


class WindowsClosed(Event, frozen=True, tag="monitor.windows_closed"):
    """Some windows of event time are complete; ``watermark_us`` is the newest event time seen."""

    monitor: str
    endpoint: str
    windows: int
    watermark_us: int


class ReferenceReady(Event, frozen=True, tag="monitor.reference_ready"):
    """A monitor has a new reference and its alarms begin anew."""

    monitor: str
    endpoint: str
    reference: str
    rows: int


class TrialJudged(Event, frozen=True, tag="monitor.trial_judged"):
    """New evidence on a running rollout; ``action`` is what the judge says to do now."""

    rollout: str
    endpoint: str
    action: Literal["continue", "promote", "rollback"]
    reason: str
    evidence: list[dict[str, Any]]
    event_us: int
