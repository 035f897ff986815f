"""Alerts and their states, rules whose conditions are data, and channels."""

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.kernel.events import EventRecord

Severity = Literal["info", "warning", "critical"]
AlertState = Literal["open", "acknowledged", "resolved"]
DeliveryState = Literal["queued", "retrying", "delivered", "failed"]
Operator = Literal["==", "!=", ">", ">=", "<", "<=", "in", "contains", "exists"]

SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
RULES = "alerts.rules"
"""The lock of who stores a rule, which names channels, or removes a channel, which no rule may name."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PLACE = re.compile(r"\{([a-z_][a-z0-9_.]*)\}")
_LONGEST_TITLE = 300
_LONGEST_TEXT = 4000


class Alert(msgspec.Struct, frozen=True):
    """Something that needs a person's eye. ``count`` says how often it was reported while it was active."""

    id: str
    rule: str
    severity: Severity
    state: AlertState
    title: str
    detail: str
    subject: str
    dedupe_key: str
    data: dict[str, Any]
    episode_id: str | None
    opened_us: int
    updated_us: int
    count: int
    acknowledged_us: int | None
    acknowledged_by: str | None
    resolved_us: int | None
    resolved_by: str | None
    note: str
    cause: str | None


class FieldTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A comparison of one field of an event (dots reach inside) with a value."""

    field: str
    op: Operator = "=="
    value: Any = None

    def holds(self, facts: dict[str, Any]) -> bool:
        """Whether the facts pass; a field that is missing or of another type passes only ``!=``."""
        found = _reach(facts, self.field)
        match self.op:
            case "exists":
                return found is not None
            case "==":
                return _comparable(found, self.value) and found == self.value
            case "!=":
                return not (_comparable(found, self.value) and found == self.value)
            case "in":
                return isinstance(self.value, list) and found in self.value
            case "contains":
                return isinstance(found, list | str) and _contains(found, self.value)
            case _:
                return _ordered(found, self.value) and _ORDER[self.op](found, self.value)


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def _reach(facts: dict[str, Any], field: str) -> Any:
    value: Any = facts
    for step in field.split("."):
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    return value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _comparable(left: Any, right: Any) -> bool:
    return type(left) is type(right) or (_number(left) and _number(right))


def _ordered(left: Any, right: Any) -> bool:
    return (_number(left) and _number(right)) or (isinstance(left, str) and isinstance(right, str))


def _contains(found: list[Any] | str, value: Any) -> bool:
    return value in found if isinstance(found, list) else isinstance(value, str) and value in found


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The kind of an event and the tests which its data must all pass."""

    event: str
    where: list[FieldTest] = []

    def holds(self, record: EventRecord) -> bool:
        return record.kind == self.event and all(test.holds(facts_of(record)) for test in self.where)


class Rule(msgspec.Struct, frozen=True):
    """When to open an alert, how severe it is, and whom to tell.

    A rule without a condition governs what other parts report under its name. ``channels`` None means every
    enabled channel. ``key`` tells apart the alerts of one rule. A disabled rule watches nothing, and what is
    reported under its name reaches the inbox but no channel.
    """

    name: str
    condition: Condition | None = None
    clear: Condition | None = None
    severity: Severity | None = None
    title: str = ""
    detail: str = ""
    key: str = "{subject}"
    channels: list[str] | None = None
    enabled: bool = True
    resolve_after_us: int | None = None
    built_in: bool = False
    updated_us: int | None = None
    updated_by: str | None = None


class Channel(msgspec.Struct, frozen=True):
    """Where to send alerts. The secret that signs its messages is stored apart and never read back."""

    name: str
    kind: Literal["webhook"]
    url: str
    min_severity: Severity
    enabled: bool
    created_us: int
    created_by: str


class Delivery(msgspec.Struct, frozen=True):
    """One message to one channel and how it fared. ``id`` is its ``webhook-id`` on every attempt."""

    id: str
    channel: str
    alert_id: str | None
    kind: str
    state: DeliveryState
    attempts: int
    status_code: int | None
    error: str | None
    created_us: int
    updated_us: int


BUILT_IN: tuple[Rule, ...] = (
    Rule(
        name="data-validation-failed",
        condition=Condition("data.validation_finished", [FieldTest("state", "==", "failed")]),
        clear=Condition("data.validation_finished", [FieldTest("state", "==", "passed")]),
        severity="warning",
        title="{name} version {version} fails its expectations",
        detail="{failed} of {checks} checks failed. {message}",
        key="{name}",
        built_in=True,
    ),
)


def facts_of(record: EventRecord) -> dict[str, Any]:
    """Return what tests and templates may name: the event's data, and its kind, subject, actor and time."""
    return {
        "kind": record.kind,
        "subject": record.subject,
        "actor": record.actor,
        "at_us": record.at_us,
        **record.data,
    }


def fill(template: str, facts: dict[str, Any]) -> str:
    """Return the template with each ``{field}`` replaced; a field that the facts lack stays as it is written."""

    def replace(match: re.Match[str]) -> str:
        value = _reach(facts, match[1])
        return match[0] if value is None else str(value)

    return _PLACE.sub(replace, template)


def worst(one: Severity, other: Severity) -> Severity:
    """Return the more severe of two."""
    return one if SEVERITIES.index(one) >= SEVERITIES.index(other) else other


def reaches(severity: Severity, channel: Channel) -> bool:
    """Whether an alert is severe enough for a channel that is enabled."""
    return channel.enabled and SEVERITIES.index(severity) >= SEVERITIES.index(channel.min_severity)


def check_name(name: str, what: str) -> str:
    """Return the name of a rule or channel; raises Invalid for other than letters, digits and ``._-``."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"The name of a {what} has 1 to 100 letters, digits, dots, dashes or underscores and starts with a"
            f" letter or digit; {name[:100]!r} has not.",
            field="name",
        )
    return name


def check_text(value: str, field: str, *, required: bool = False) -> str:
    """Return a title or text; raises Invalid when it is too long, or empty where one is required."""
    most = _LONGEST_TITLE if field == "title" else _LONGEST_TEXT
    if required and not value.strip():
        raise Invalid(f"{field} may not be empty.", field=field)
    if len(value) > most:
        raise Invalid(f"{field} is longer than {most} characters.", field=field)
    return value


def check_rule(rule: Rule) -> Rule:
    """Return the rule; raises Invalid naming the part that makes no sense."""
    check_name(rule.name, "rule")
    check_text(rule.title, "title", required=rule.condition is not None)
    check_text(rule.detail, "detail")
    if rule.condition is None and rule.clear is not None:
        raise Invalid("A rule that opens nothing has nothing to clear: it lacks a condition.", field="clear")
    if rule.resolve_after_us is not None and rule.resolve_after_us <= 0:
        raise Invalid("resolve_after_us must be positive.", field="resolve_after_us")
    if not rule.key:
        raise Invalid("key may not be empty; {subject} tells alerts apart by their object.", field="key")
    for field, condition in (("condition", rule.condition), ("clear", rule.clear)):
        if condition is not None:
            _check_tests(condition.where, f"{field}.where")
            if not condition.event:
                raise Invalid("A condition names the kind of event that it watches.", field=f"{field}.event")
    return rule


def _check_tests(tests: Iterable[FieldTest], field: str) -> None:
    for place, test in enumerate(tests):
        if not test.field:
            raise Invalid("A test names a field of the event.", field=f"{field}[{place}].field")
        if test.op == "in" and not isinstance(test.value, list):
            raise Invalid("The operator 'in' takes a list.", field=f"{field}[{place}].value")
        if test.op in _ORDER and not _ordered(test.value, test.value):
            raise Invalid(
                f"The operator {test.op!r} takes a number or text.", field=f"{field}[{place}].value"
            )


def check_url(url: str) -> str:
    """Return the address of a webhook; raises Invalid for anything but http(s) with a host and no user in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"{url[:200]!r} is not an address: {error}.", field="url") from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise Invalid(f"A webhook needs an http:// or https:// address, not {url[:200]!r}.", field="url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Invalid("A webhook's address holds no user, password or fragment.", field="url")
    if len(url) > 2000 or not url.isascii() or any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise Invalid("A webhook's address has at most 2,000 printable ASCII characters.", field="url")
    return url
