"""What can go wrong when permission is asked."""

from trimtab.kernel.errors import Forbidden, NotFound, Unauthenticated


class NotPermitted(Forbidden):
    code = "not-permitted"


class BadToken(Unauthenticated):
    code = "bad-token"


class TokenNotFound(NotFound):
    code = "token-not-found"
