"""What can go wrong when the loop is asked for something."""

from trimtab.kernel.errors import Conflict, Invalid, NotFound


class LoopNotFound(NotFound):
    code = "loop-not-found"


class EpisodeNotFound(NotFound):
    code = "episode-not-found"


class EpisodeRunning(Conflict):
    """An endpoint is changed by one episode at a time."""

    code = "episode-running"


class BadCandidate(Invalid):
    """The candidate or its evaluation data cannot be gated."""

    code = "bad-candidate"


class CollectionNotFound(NotFound):
    code = "collection-not-found"
