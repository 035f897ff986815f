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
    endpoint: str
    rollout: str
    champion: str
    challenger: str
    episode: str | None


class RolloutEnded(Event, frozen=True, tag="deploy.rollout_ended"):
    """A rollout was promoted, rolled back or aborted."""

    endpoint: str
    rollout: str
    champion: str
    challenger: str
    state: str
    reason: str
    episode: str | None
