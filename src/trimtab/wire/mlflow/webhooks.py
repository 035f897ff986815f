"""The webhooks of the MLflow API."""

from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.domains.registry.webhooks.model import EXAMPLES, Status, Webhook, WebhookEvent
from trimtab.domains.registry.webhooks.service import WebhookService
from trimtab.infra.http import Request
from trimtab.kernel.errors import Invalid
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.errors import missing
from trimtab.wire.mlflow.messages import Empty, Int64, millis, required

_DEFAULT_PAGE = 100
_MOST_IN_A_PAGE = 1000
_ENTITIES = [*dict.fromkeys(event.entity for event in EXAMPLES)]
_ACTIONS = ("created", "updated", "deleted", "set", "exceeded")
_STATUSES: tuple[Status, ...] = ("ACTIVE", "DISABLED")


class EventMessage(msgspec.Struct):
    entity: str | int | None = None
    action: str | int | None = None


class CreateWebhook(msgspec.Struct):
    name: str | None = None
    description: str | None = None
    url: str | None = None
    events: list[EventMessage] | None = None
    secret: str | None = None
    status: str | None = None


class ListWebhooks(msgspec.Struct):
    max_results: Int64 | None = None
    page_token: str | None = None


class TestWebhook(msgspec.Struct):
    event: EventMessage | None = None


class EventView(msgspec.Struct):
    entity: str
    action: str


class WebhookView(msgspec.Struct, omit_defaults=True):
    webhook_id: str
    name: str
    url: str
    events: list[EventView]
    status: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None = None


class OneWebhook(msgspec.Struct):
    webhook: WebhookView


class FoundWebhooks(msgspec.Struct, omit_defaults=True):
    webhooks: list[WebhookView] = []
    next_page_token: str | None = None


class ResultView(msgspec.Struct, omit_defaults=True):
    success: bool = msgspec.field()
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None


class TestResult(msgspec.Struct):
    result: ResultView


def handlers(webhooks: WebhookService) -> list[Handler]:
    @handler("POST", "/mlflow/webhooks", CreateWebhook)
    def create(request: Request, body: CreateWebhook) -> OneWebhook:
        made = webhooks.create(
            request.who,
            name=required(body.name, "name"),
            url=required(body.url, "url"),
            events=_events(body.events) or _none(),
            description=body.description or None,
            secret=body.secret or None,
            status=_status(body.status) or "ACTIVE",
        )
        return OneWebhook(view(made))

    @handler("GET", "/mlflow/webhooks", ListWebhooks)
    def find(request: Request, body: ListWebhooks) -> FoundWebhooks:
        size = body.max_results or _DEFAULT_PAGE
        if not 1 <= size <= _MOST_IN_A_PAGE:
            raise Invalid(f"max_results must be between 1 and {_MOST_IN_A_PAGE}.", field="max_results")
        page = webhooks.find(request.who, limit=size, cursor=body.page_token or None)
        return FoundWebhooks([view(one) for one in page.items], page.next_cursor)

    @handler("GET", "/mlflow/webhooks/{webhook_id}", Empty)
    def get(request: Request, _: Empty) -> OneWebhook:
        return OneWebhook(view(webhooks.get(request.who, request.path["webhook_id"])))

    @handler("PATCH", "/mlflow/webhooks/{webhook_id}", CreateWebhook)
    def change(request: Request, body: CreateWebhook) -> OneWebhook:
        changed = webhooks.change(
            request.who,
            request.path["webhook_id"],
            name=body.name or None,
            url=body.url or None,
            events=_events(body.events) or None,
            description=body.description,
            secret=body.secret,
            status=_status(body.status),
        )
        return OneWebhook(view(changed))

    @handler("DELETE", "/mlflow/webhooks/{webhook_id}", Empty)
    def delete(request: Request, _: Empty) -> None:
        webhooks.delete(request.who, request.path["webhook_id"])

    @handler("POST", "/mlflow/webhooks/{webhook_id}/test", TestWebhook)
    def test(request: Request, body: TestWebhook) -> TestResult:
        event = _event(body.event) if body.event is not None else None
        outcome = webhooks.test(request.who, request.path["webhook_id"], event)
        return TestResult(
            ResultView(outcome.success, outcome.response_status, outcome.response_body, outcome.error_message)
        )

    return [create, find, get, change, delete, test]


def view(webhook: Webhook) -> WebhookView:
    return WebhookView(
        webhook_id=webhook.id,
        name=webhook.name,
        url=webhook.url,
        events=[EventView(event.entity.upper(), event.action.upper()) for event in webhook.events],
        status=webhook.status,
        creation_timestamp=millis(webhook.created_us),
        last_updated_timestamp=millis(webhook.updated_us),
        description=webhook.description or None,
    )


def _events(given: list[EventMessage] | None) -> list[WebhookEvent]:
    return [_event(one) for one in given or ()]


def _none() -> list[WebhookEvent]:
    raise missing("events")


def _event(given: EventMessage) -> WebhookEvent:
    return WebhookEvent(
        _named(given.entity, _ENTITIES, "events.entity"), _named(given.action, _ACTIONS, "events.action")
    )


def _named(given: str | int | None, known: Sequence[str], field: str) -> str:
    """Return the name of an enumeration's value given as its name or its number, which counts from 1."""
    if isinstance(given, int) and 1 <= given <= len(known):
        return known[given - 1]
    if isinstance(given, str) and given.upper() == given and given.lower() in known:
        return given.lower()
    raise _wrong(given, field)


def _status(given: str | None) -> Status | None:
    for status in _STATUSES:
        if given == status:
            return status
    if given is None:
        return None
    raise _wrong(given, "status")


def _wrong(given: Any, field: str) -> Invalid:
    return Invalid(f"Invalid value {str(given)[:100]!r} for parameter '{field}' supplied.", field=field)
