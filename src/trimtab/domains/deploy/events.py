"""Facts that deploy announces."""

from trimtab.kernel.events import Event


class EndpointDeployed(Event, frozen=True, tag="deploy.endpoint_deployed"):
    """A version began to answer at an endpoint."""

    endpoint: str
    model: str
    version: str


class TrafficChanged(Event, frozen=True, tag="deploy.traffic_changed"):
    """The split of an endpoint's requests changed."""

    endpoint: str
    action: str
    traffic: dict[str, float]
    champion: str
    reason: str


class SettingsChanged(Event, frozen=True, tag="deploy.settings_changed"):
    """Limits, time-outs, caching or the rules of what is written down changed for an endpoint; ``changed`` names them."""

    endpoint: str
    changed: list[str]
    reason: str


class VersionFailed(Event, frozen=True, tag="deploy.version_failed"):
    """A version could not be loaded."""

    endpoint: str
    version: str
    error: str


class ServedVersionDeleted(Event, frozen=True, tag="deploy.served_version_deleted"):
    """A version that answers requests was deleted from the registry; it goes on answering from its own copy."""

    endpoint: str
    model: str
    version: str
    weight: float


class RolloutStarted(Event, frozen=True, tag="deploy.rollout_started"):
    """A challenger saw its first request."""

    endpoint: str
    rollout: str
    champion: str
    challenger: str
    episode: str | None
    strategy: str = "canary"
    weight: float = 0.0
    reason: str = ""


class RolloutStepped(Event, frozen=True, tag="deploy.rollout_stepped"):
    """A challenger got another share of the requests."""

    endpoint: str
    rollout: str
    challenger: str
    weight: float
    reason: str
    episode: str | None


class ApprovalAsked(Event, frozen=True, tag="deploy.approval_asked"):
    """A rollout waits for somebody other than the one who started it."""

    endpoint: str
    rollout: str
    challenger: str
    actor: str
    environment: str


class RolloutApproved(Event, frozen=True, tag="deploy.rollout_approved"):
    """Somebody other than the one who started a rollout agreed to it."""

    endpoint: str
    rollout: str
    challenger: str
    reason: str


class RolloutEnded(Event, frozen=True, tag="deploy.rollout_ended"):
    """A rollout was promoted, rolled back or aborted, or its shadow passed."""

    endpoint: str
    rollout: str
    champion: str
    challenger: str
    state: str
    reason: str
    episode: str | None
    event_us: int = 0
