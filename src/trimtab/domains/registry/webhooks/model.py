"""What a webhook is, which events there are, and how a message is signed."""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from trimtab.kernel.errors import Invalid

Status = Literal["ACTIVE", "DISABLED"]

MOST_URL = 2000
_MOST_DESCRIPTION = 1000
_MOST_SECRET = 1000
_NAME = re.compile(r"(?=.{1,63}$)[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.DOTALL | re.IGNORECASE)
_STANDARD = "whsec_"


class WebhookEvent(msgspec.Struct, frozen=True):
    """Something that a webhook is told of, such as ``model_version`` and ``created``."""

    entity: str
    action: str

    def __str__(self) -> str:
        return f"{self.entity}.{self.action}"


_NAMED = {"name": "example_model"}
_VERSION = {**_NAMED, "version": "1"}
_KEY, _VALUE = {"key": "example_key"}, {"value": "example_value"}
_MORE = {"tags": {"example_key": "example_value"}}
_PROMPT = {"name": "example_prompt"}
EXAMPLES: dict[WebhookEvent, dict[str, Any]] = {
    WebhookEvent("registered_model", "created"): {
        **_NAMED, **_MORE, "description": "An example registered model",
    },
    WebhookEvent("model_version", "created"): {
        **_VERSION, "source": "models:/123", "run_id": "abcd1234abcd5678", **_MORE,
        "description": "An example model version",
    },
    WebhookEvent("model_version_tag", "set"): {**_VERSION, **_KEY, **_VALUE},
    WebhookEvent("model_version_tag", "deleted"): {**_VERSION, **_KEY},
    WebhookEvent("model_version_alias", "created"): {**_NAMED, "alias": "example_alias", "version": "1"},
    WebhookEvent("model_version_alias", "deleted"): {**_NAMED, "alias": "example_alias"},
    WebhookEvent("prompt", "created"): {**_PROMPT, **_MORE, "description": "An example prompt"},
    WebhookEvent("prompt_version", "created"): {
        **_PROMPT, "version": "1", "template": "Hello {{name}}!", **_MORE, "description": "An example prompt version",
    },
    WebhookEvent("prompt_tag", "set"): {**_PROMPT, **_KEY, **_VALUE},
    WebhookEvent("prompt_tag", "deleted"): {**_PROMPT, **_KEY},
    WebhookEvent("prompt_version_tag", "set"): {**_PROMPT, "version": "1", **_KEY, **_VALUE},
    WebhookEvent("prompt_version_tag", "deleted"): {**_PROMPT, "version": "1", **_KEY},
    WebhookEvent("prompt_alias", "created"): {**_PROMPT, "alias": "example_alias", "version": "1"},
    WebhookEvent("prompt_alias", "deleted"): {**_PROMPT, "alias": "example_alias"},
    WebhookEvent("budget_policy", "exceeded"): {
        "budget_policy_id": "bp-abc123", "budget_unit": "USD", "budget_amount": 100.0, "current_spend": 105.5,
        "duration_unit": "MONTHS", "duration_value": 1, "target_scope": "ENDPOINT", "workspace": "default",
        "target_value": "ep-abc123", "window_start": 1704067200000,
    },
}  # fmt: skip
"""Every event, with what a test message says of it."""


class Webhook(msgspec.Struct, frozen=True):
    """An address that is told of events; its secret is never shown."""

    id: str
    name: str
    url: str
    events: list[WebhookEvent]
    status: Status
    description: str | None
    created_us: int
    created_by: str
    updated_us: int


class WebhookDelivery(msgspec.Struct, frozen=True):
    """A message to a webhook and how it fared: ``waiting``, ``delivered`` or ``failed``."""

    id: str
    webhook: str
    entity: str
    action: str
    state: str
    attempts: int
    status_code: int | None
    error: str | None
    created_us: int
    updated_us: int


class Tested(msgspec.Struct, frozen=True):
    """What came of a test message."""

    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None


def check_name(name: str) -> str:
    """Return a webhook's name; raises Invalid."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"Webhook name {name[:100]!r} is invalid. It must start and end with a letter or digit, be less than 63"
            " characters long, and contain only letters, digits, dots (.), underscores (_), and hyphens (-).",
            field="name",
        )
    return name


def check_url(url: str, *, private: bool) -> str:
    """Return a webhook's address; raises Invalid. Only ``private`` ones may go without encryption."""
    if not url.strip():
        raise Invalid("Webhook URL cannot be empty or just whitespace.", field="url")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"Invalid webhook URL {url[:200]!r}: {error}", field="url") from error
    allowed = ("http", "https") if private else ("https",)
    if parts.scheme not in allowed:
        raise Invalid(
            f"Invalid webhook URL scheme: {parts.scheme[:50]!r}. Allowed schemes are: {', '.join(allowed)}.",
            field="url",
        )
    if not host or port == 0:
        raise Invalid(f"Webhook URL must include a hostname: {url[:200]!r}", field="url")
    if (
        len(url) > MOST_URL
        or not url.isascii()
        or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url)
    ):
        raise Invalid(f"A webhook's URL has at most {MOST_URL} printable ASCII characters.", field="url")
    return url


def check_events(events: list[WebhookEvent]) -> list[WebhookEvent]:
    """Return the events, each once; raises Invalid for none and for unknown ones."""
    if not events:
        raise Invalid("Webhook events must be a non-empty list.", field="events")
    for event in events:
        if event not in EXAMPLES:
            actions = sorted(known.action for known in EXAMPLES if known.entity == event.entity)
            raise Invalid(
                f"Invalid action {event.action[:100]!r} for entity {event.entity[:100]!r}. Valid actions are: {actions}",
                field="events",
            )
    return [*dict.fromkeys(events)]


def check_texts(*, description: str | None, secret: str | None) -> None:
    if description is not None and len(description) > _MOST_DESCRIPTION:
        raise Invalid(f"A description has at most {_MOST_DESCRIPTION} characters.", field="description")
    if secret is not None and len(secret) > _MOST_SECRET:
        raise Invalid(f"A secret has at most {_MOST_SECRET} characters.", field="secret")


def headers(secret: str | None, *, message_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message: MLflow's own, and those of Standard Webhooks beside them.

    Both sign ``id.timestamp.body`` with HMAC-SHA256. A secret in the form ``whsec_<base64>`` is the key of the Standard
    Webhooks signature decoded, as that specification has it, and of MLflow's as it stands.
    """
    made = {
        "content-type": "application/json",
        "user-agent": "trimtab-webhook/1",
        "x-mlflow-delivery-id": message_id,
        "x-mlflow-timestamp": str(at_s),
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
    }
    if secret:
        signed = f"{message_id}.{at_s}.".encode() + body
        made["x-mlflow-signature"] = f"v1,{_signature(secret.encode(), signed)}"
        made["webhook-signature"] = f"v1,{_signature(_standard_key(secret), signed)}"
    return made


def _signature(key: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def _standard_key(secret: str) -> bytes:
    if secret.startswith(_STANDARD):
        try:
            return base64.b64decode(secret.removeprefix(_STANDARD), validate=True)
        except (binascii.Error, ValueError):
            pass
    return secret.encode()
