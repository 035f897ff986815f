"""Facts that alerts announces."""

from trimtab.kernel.events import Event


class AlertOpened(Event, frozen=True, tag="alerts.alert_opened"):
    """A new alert; an open one that is only counted up announces nothing."""

    alert_id: str
    rule: str
    severity: str
    title: str
    dedupe_key: str
    episode_id: str | None = None


class AlertResolved(Event, frozen=True, tag="alerts.alert_resolved"):
    """An alert that needs nobody any more, by a person or because its condition ended."""

    alert_id: str
    rule: str
    dedupe_key: str
    note: str = ""
    episode_id: str | None = None
