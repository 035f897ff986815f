"""Signs and sends a message the way Standard Webhooks says, so that receivers can check it with any library."""

import base64
import binascii
import hashlib
import hmac
import secrets
import time

import msgspec

from trimtab.infra.outbound import Outbound
from trimtab.kernel.errors import Invalid

_MARK = "whsec_"
_TIMEOUT_S = 10.0


def new_secret() -> str:
    """Return 256 random bits in the form ``whsec_<base64>``."""
    return _MARK + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> str:
    """Return the secret; raises Invalid where it is not ``whsec_`` and the base64 of 24 to 64 bytes."""
    try:
        length = len(_key(secret))
    except (binascii.Error, ValueError):
        length = 0
    if not secret.startswith(_MARK) or not 24 <= length <= 64:
        raise Invalid("A webhook's secret is 'whsec_' and the base64 of 24 to 64 bytes.", field="secret")
    return secret


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_MARK), validate=True)


def headers(secret: str, *, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers which prove that a message is ours and fresh (standardwebhooks.com, symmetric v1)."""
    signed = f"{message_id}.{at_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()
    return {
        "content-type": "application/json",
        "user-agent": "trimtab-webhook/1",
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{signature}",
    }


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt."""

    ok: bool
    status_code: int | None
    error: str | None
    seconds: float


def send(outbound: Outbound, url: str, secret: str, *, message_id: str, body: bytes) -> Outcome:
    """POST the message once. Redirects are not followed, so that only the configured address ever gets it."""
    signed = headers(secret, message_id=message_id, at_s=int(time.time()), body=body)
    answer = outbound.post(url, body, signed, timeout_s=_TIMEOUT_S)
    status, error = answer.status_code, answer.error
    if status is not None and not 200 <= status < 300:
        error = f"the receiver answered {status}"
    return Outcome(ok=error is None, status_code=status, error=error, seconds=answer.seconds)
