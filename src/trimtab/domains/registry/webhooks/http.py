"""The HTTP face of webhooks for people who look after them; the MLflow API makes and changes them."""

import msgspec

from trimtab.domains.registry.webhooks.model import Webhook, WebhookDelivery
from trimtab.domains.registry.webhooks.service import WebhookService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page


class WebhooksQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str | None = None


def routes(webhooks: WebhookService) -> list[Route]:
    @route("GET", "/api/v1/webhooks", query=WebhooksQuery, returns=Page[Webhook], tags=["models"])
    def list_webhooks(request: Request, query: WebhooksQuery) -> Page[Webhook]:
        """List the registry's webhooks, newest first; the MLflow API makes and changes them."""
        return webhooks.find(request.who, limit=query.limit, cursor=query.cursor)

    @route(
        "GET",
        "/api/v1/webhooks/{id}/deliveries",
        query=WebhooksQuery,
        returns=Page[WebhookDelivery],
        tags=["models"],
    )
    def list_deliveries(request: Request, query: WebhooksQuery) -> Page[WebhookDelivery]:
        """List the messages to a webhook and how they fared, newest first."""
        return webhooks.deliveries(request.who, request.path["id"], limit=query.limit, cursor=query.cursor)

    return [list_webhooks, list_deliveries]
