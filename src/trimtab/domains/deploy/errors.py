"""What can go wrong with endpoints and rollouts."""

from trimtab.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class EndpointNotFound(NotFound):
    code = "endpoint-not-found"


class VersionNotServed(NotFound):
    code = "version-not-served"


class RolloutNotFound(NotFound):
    code = "rollout-not-found"


class OtherModel(Conflict):
    """An endpoint serves the versions of one registered model."""

    code = "other-model"


class NotReady(Conflict):
    """The version has no running replica yet, or its replica failed."""

    code = "version-not-ready"


class NothingToRollBackTo(Conflict):
    code = "nothing-to-roll-back-to"


class RolloutRunning(Conflict):
    code = "rollout-running"


class BadTraffic(Invalid):
    code = "bad-traffic"


class NeedsApproval(Conflict):
    """Somebody other than the one who started the rollout has to approve it first."""

    code = "rollout-needs-approval"


class FourEyes(Forbidden):
    """Who started a rollout may not approve it."""

    code = "four-eyes"


class RolloutOver(Conflict):
    code = "rollout-over"
