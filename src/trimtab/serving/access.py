"""Who may call the gateway: everyone on this machine while it is open, else whoever holds a token."""

import base64
import binascii
import hashlib
from collections.abc import Mapping

from trimtab.kernel.errors import Forbidden, Unauthenticated
from trimtab.kernel.time import now_us
from trimtab.serving.routes import Auth, Token

_OPEN = Token(principal="owner", role="admin")
_MAX_KNOWN = 256


class Access:
    """The compiled rules of one route table."""

    def __init__(self, auth: Auth) -> None:
        self._open = auth.open
        self._anywhere = auth.anywhere
        self._tokens = auth.tokens
        self._hosts: set[bytes] = set()
        self._known: dict[bytes, Token] = {}

    def check(self, headers: Mapping[bytes, bytes], *, write: bool = False) -> Token:
        """Return who calls; raises Unauthenticated without a valid token and Forbidden where it does not suffice."""
        if self._open:
            if self._anywhere:
                return _OPEN
            host = headers.get(b"host", b"")
            if host not in self._hosts:
                self._check_host(host)
            origin = headers.get(b"origin")
            if origin is not None and origin.partition(b"://")[2] != host:
                raise Forbidden("a page of another site may not call an open gateway")
            return _OPEN
        given = headers.get(b"authorization", b"")
        token = self._known.get(given) or self._find(_of_amazon(headers) or given)
        if token.expires_us is not None and token.expires_us <= now_us():
            raise Unauthenticated("this token has expired")
        if write and token.role == "viewer":
            raise Forbidden("a viewer's token may predict, but not send labels")
        return token

    def _find(self, authorization: bytes) -> Token:
        token = self._tokens.get(_digest(authorization))
        if token is None:
            raise Unauthenticated("send a valid token: Authorization: Bearer TOKEN")
        if len(self._known) < _MAX_KNOWN:
            self._known[authorization] = token
        return token

    @staticmethod
    def check_scope(who: Token, endpoint: str) -> None:
        """Raise Forbidden where a key is limited to other endpoints."""
        if who.endpoints is not None and endpoint not in who.endpoints:
            raise Forbidden(f"this key is for other endpoints than {endpoint!r}")

    def _check_host(self, host: bytes) -> None:
        """Accept addresses and localhost only: a name could be another site's, pointed at this machine."""
        name = host.rpartition(b":")[0] if host.rpartition(b":")[2].isdigit() else host
        is_address = name.startswith(b"[") or (name != b"" and not name.strip(b"0123456789."))
        if not (is_address or name == b"localhost" or name.endswith(b".localhost")):
            raise Forbidden(
                "an open gateway answers to localhost and to addresses only; "
                "turn on sign-in to call it by a name"
            )
        if len(self._hosts) < _MAX_KNOWN:
            self._hosts.add(host)


def _of_amazon(headers: Mapping[bytes, bytes]) -> bytes:
    """Return the token that an AWS client sends as its session's, since it signs where others put theirs."""
    if not headers.get(b"authorization", b"").startswith(b"AWS4-"):
        return b""
    return b"Bearer " + headers.get(b"x-amz-security-token", b"")


def _digest(authorization: bytes) -> str:
    """Return the SHA-256 of a bearer token, or of the password where the client speaks Basic."""
    scheme, _, value = authorization.partition(b" ")
    secret = value.strip()
    if scheme.lower() == b"basic":
        try:
            secret = base64.b64decode(secret, validate=True).partition(b":")[2]
        except binascii.Error:
            secret = b""
    return hashlib.sha256(secret).hexdigest() if secret else ""
