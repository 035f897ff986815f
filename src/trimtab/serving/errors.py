"""What can go wrong between a request and its prediction, free of any protocol."""

from trimtab.kernel.errors import Invalid, NotFound, TrimtabError, Unavailable


class EndpointNotFound(NotFound):
    code = "endpoint-not-found"


class VersionNotFound(NotFound):
    code = "endpoint-version-not-found"


class UnsupportedMedia(Invalid):
    """The body's type or encoding is none that the route reads."""

    code = "unsupported-media"


class NoReplica(Unavailable):
    """No replica of the version was up within the time that a restart may take."""

    code = "no-replica"


class ModelTimeout(Unavailable):
    """The model did not answer within the endpoint's time."""

    code = "model-timeout"


class FeedbackLost(Unavailable):
    """The labels could not be written down, so that the sender must send them again."""

    code = "feedback-lost"


class ModelFailed(TrimtabError):
    """The model raised on input that kept the signature."""

    code = "model-failed"


class ModelNotLoaded(Invalid):
    """A model folder that cannot be served here, and what would have to change."""

    code = "model-not-loaded"
