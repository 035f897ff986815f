"""What can go wrong when permission is asked."""

from trimtab.kernel.errors import Conflict, Forbidden, NotFound, Unauthenticated


class NotPermitted(Forbidden):
    code = "not-permitted"


class BadToken(Unauthenticated):
    code = "bad-token"


class TokenNotFound(NotFound):
    code = "token-not-found"


class HoldNotFound(NotFound):
    code = "hold-not-found"


class Held(Conflict):
    """A legal hold keeps this from being purged."""

    code = "held"
