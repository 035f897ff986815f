"""The HTTP face of alerts: the inbox, rules, channels and their deliveries."""

from typing import Any

import msgspec

from trimtab.domains.alerts.model import (
    Alert,
    AlertState,
    Channel,
    Condition,
    Delivery,
    Rule,
    Severity,
)
from trimtab.domains.alerts.service import AlertService
from trimtab.domains.alerts.webhook import Outcome
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page


class AlertsQuery(msgspec.Struct):
    state: AlertState | None = None
    severity: Severity | None = None
    rule: str | None = None
    subject: str | None = None
    episode_id: str | None = None
    limit: int | None = None
    cursor: str | None = None


class OpenAlert(msgspec.Struct, forbid_unknown_fields=True):
    rule: str
    title: str
    subject: str
    dedupe_key: str
    severity: Severity = "warning"
    detail: str = ""
    data: dict[str, Any] = {}
    episode_id: str | None = None


class Note(msgspec.Struct, forbid_unknown_fields=True):
    note: str = ""


class RuleBody(msgspec.Struct, forbid_unknown_fields=True):
    """A rule without its name; ``channels`` null means every channel."""

    condition: Condition | None = None
    clear: Condition | None = None
    severity: Severity | None = None
    title: str = ""
    detail: str = ""
    key: str = "{subject}"
    channels: list[str] | None = None
    enabled: bool = True
    resolve_after_us: int | None = None

    def rule(self, name: str) -> Rule:
        return Rule(
            name, **{field: getattr(self, field) for field in RuleBody.__struct_fields__ if field != "name"}
        )


class NewRule(RuleBody, forbid_unknown_fields=True, kw_only=True):
    name: str


class AddChannel(msgspec.Struct, forbid_unknown_fields=True):
    """``secret`` is ``whsec_`` and base64; left out, one is made and answered this once."""

    name: str
    url: str
    secret: str | None = None
    min_severity: Severity = "info"
    enabled: bool = True


class NewChannel(Channel, frozen=True):
    """A channel just added; ``secret`` is there where it was made here, this once."""

    secret: str | None


class ChannelChange(msgspec.Struct, forbid_unknown_fields=True):
    enabled: bool


class DeliveriesQuery(msgspec.Struct):
    limit: int | None = None
    cursor: str | None = None


def routes(service: AlertService) -> list[Route]:
    @route("GET", "/api/v1/alerts", query=AlertsQuery, returns=Page[Alert], tags=["alerts"])
    def list_alerts(request: Request, query: AlertsQuery) -> Page[Alert]:
        """List alerts, newest first."""
        return service.find(request.who, **msgspec.structs.asdict(query))

    @route("POST", "/api/v1/alerts", body=OpenAlert, returns=Alert, status=201, tags=["alerts"])
    def open_alert(request: Request, body: OpenAlert) -> Alert:
        """Open an alert, or count up the active one with the same key."""
        return service.open(request.who, **msgspec.structs.asdict(body))

    @route("GET", "/api/v1/alerts/{alert_id}", returns=Alert, tags=["alerts"])
    def get_alert(request: Request) -> Alert:
        """Return an alert."""
        return service.get(request.who, request.path["alert_id"])

    @route("POST", "/api/v1/alerts/{alert_id}/acknowledge", body=Note, returns=Alert, tags=["alerts"])
    def acknowledge_alert(request: Request, body: Note) -> Alert:
        """Say that someone looks after an alert."""
        return service.acknowledge(request.who, request.path["alert_id"], note=body.note)

    @route("POST", "/api/v1/alerts/{alert_id}/resolve", body=Note, returns=Alert, tags=["alerts"])
    def resolve_alert(request: Request, body: Note) -> Alert:
        """End an alert."""
        return service.resolve(request.who, request.path["alert_id"], note=body.note)

    @route("GET", "/api/v1/alert-rules", returns=Page[Rule], tags=["alerts"])
    def list_rules(request: Request) -> Page[Rule]:
        """List rules by name."""
        return Page(service.rules.find(request.who))

    @route("POST", "/api/v1/alert-rules", body=NewRule, returns=Rule, status=201, tags=["alerts"])
    def add_rule(request: Request, body: NewRule) -> Rule:
        """Add a rule."""
        return service.rules.add(request.who, body.rule(body.name))

    @route("GET", "/api/v1/alert-rules/{name}", returns=Rule, tags=["alerts"])
    def get_rule(request: Request) -> Rule:
        """Return a rule."""
        return service.rules.get(request.who, request.path["name"])

    @route("PUT", "/api/v1/alert-rules/{name}", body=RuleBody, returns=Rule, tags=["alerts"])
    def replace_rule(request: Request, body: RuleBody) -> Rule:
        """Replace a rule; also how a built-in one is disabled."""
        return service.rules.replace(request.who, body.rule(request.path["name"]))

    @route("DELETE", "/api/v1/alert-rules/{name}", tags=["alerts"])
    def remove_rule(request: Request) -> None:
        """Remove a rule, or bring a built-in one back to its first form."""
        service.rules.remove(request.who, request.path["name"])

    @route("GET", "/api/v1/alert-channels", returns=Page[Channel], tags=["alerts"])
    def list_channels(request: Request) -> Page[Channel]:
        """List channels by name, without secrets."""
        return Page(service.channels.find(request.who))

    @route("POST", "/api/v1/alert-channels", body=AddChannel, returns=NewChannel, status=201, tags=["alerts"])
    def add_channel(request: Request, body: AddChannel) -> NewChannel:
        """Add a webhook."""
        channel, secret = service.channels.add(request.who, **msgspec.structs.asdict(body))
        return NewChannel(**msgspec.structs.asdict(channel), secret=secret)

    @route("PATCH", "/api/v1/alert-channels/{name}", body=ChannelChange, returns=Channel, tags=["alerts"])
    def change_channel(request: Request, body: ChannelChange) -> Channel:
        """Switch a channel on or off."""
        return service.channels.enable(request.who, request.path["name"], enabled=body.enabled)

    @route("DELETE", "/api/v1/alert-channels/{name}", tags=["alerts"])
    def remove_channel(request: Request) -> None:
        """Remove a channel that no rule names."""
        service.channels.remove(request.who, request.path["name"])

    @route("POST", "/api/v1/alert-channels/{name}/test", returns=Outcome, tags=["alerts"])
    def test_channel(request: Request) -> Outcome:
        """Send a test message now and say what came of it."""
        return service.channels.test(request.who, request.path["name"])

    @route(
        "GET",
        "/api/v1/alert-channels/{name}/deliveries",
        query=DeliveriesQuery,
        returns=Page[Delivery],
        tags=["alerts"],
    )
    def list_deliveries(request: Request, query: DeliveriesQuery) -> Page[Delivery]:
        """List the messages of a channel, newest first."""
        return service.channels.deliveries(
            request.who, request.path["name"], limit=query.limit, cursor=query.cursor
        )

    return [
        list_alerts,
        open_alert,
        get_alert,
        acknowledge_alert,
        resolve_alert,
        list_rules,
        add_rule,
        get_rule,
        replace_rule,
        remove_rule,
        list_channels,
        add_channel,
        change_channel,
        remove_channel,
        test_channel,
        list_deliveries,
    ]
