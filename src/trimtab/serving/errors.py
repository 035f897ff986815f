"""What can go wrong between a request and its prediction, free of any protocol."""

from trimtab.kernel.errors import Invalid, NotFound, TrimtabError, Unavailable


class EndpointNotFound(NotFound):
    code = "endpoint-not-found"


class VersionNotFound(NotFound):
    code = "endpoint-version-not-found"


class MissingColumn(Invalid):
    """A table lacks a column that the model needs."""

    code = "column-missing"


class WrongType(Invalid):
    """A table's column can never be what the model's signature says."""

    code = "column-type"


class UnsupportedMedia(Invalid):
    """The body's type or encoding is none that the route reads."""

    code = "unsupported-media"


class NoReplica(Unavailable):
    """No replica of the version was up within the time that a restart may take."""

    code = "no-replica"


class ModelTimeout(Unavailable):
    """The model did not answer within the endpoint's time."""

    code = "model-timeout"


class CircuitOpen(Unavailable):
    """The version failed several times in a row; nobody is made to wait for it until it answers again."""

    code = "circuit-open"


class Overloaded(Unavailable):
    """So many requests wait for the endpoint that one more would only wait, too."""

    code = "overloaded"


class RateLimited(Unavailable):
    """The caller, or all callers together, asked more often than the endpoint's rate allows."""

    code = "rate-limited"


class QuotaExceeded(Unavailable):
    """The endpoint's or the caller's quota of the day or month is used up."""

    code = "quota-exceeded"


class FeedbackLost(Unavailable):
    """The labels could not be written down, so that the sender must send them again."""

    code = "feedback-lost"


class ModelFailed(TrimtabError):
    """The model raised on input that kept the signature."""

    code = "model-failed"


class ModelNotLoaded(Invalid):
    """A model folder that cannot be served here, and what would have to change."""

    code = "model-not-loaded"


class GrpcPortTaken(Unavailable):
    """The address for gRPC belongs to another process."""

    code = "grpc-port-taken"


def first_line(error: Exception) -> str:
    """Return what a foreign library's error says in one line of 500 characters at most; its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:500]
