"""The policies of one endpoint as the control plane tells them to the gateway, and what they must keep."""

from typing import Literal

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.serving.edge.rules import coarser

Period = Literal["day", "month"]
RuleKind = Literal["drop", "mask", "hash", "generalise"]

MAX_RATE_WINDOW_S = 86_400


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many requests in a window of so many seconds: at once where none came for that long, else spread over it."""

    requests: int
    window_s: int = 1


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many requests in a calendar day or month, by UTC."""

    requests: int
    period: Period = "day"


class FieldRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done to a column before it is written down.

    ``drop`` leaves it out, ``mask`` keeps only that there was a value, ``hash`` writes a keyed hash, by which equal
    values stay equal, and ``generalise`` coarsens: ``by`` is the width of a number's bins, a date's ``day``, ``month``
    or ``year``, or ``prefix:N`` for the first characters of a text.
    """

    kind: RuleKind
    by: str = ""


class Policies(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything beyond time-out and body size that is set for an endpoint; the defaults are what nobody has set.

    ``rate`` and ``quota`` are the endpoint's, ``key_rate`` and ``key_quota`` each caller's. ``retry_share`` is how
    much of the requests may be made once more where a replica went away. ``circuit_failures`` time-outs or broken
    connections in a row open a circuit for ``circuit_open_ms``; 0 never does. ``sticky_by`` is an input column: rows
    with the same value in it are answered by the same version. Answers are kept for ``cache_ttl_ms``; 0 keeps none. ``explain`` keeps
    a process of the native model beside a compiled one, which has no explanations.
    """

    rate: Rate | None = None
    key_rate: Rate | None = None
    quota: Quota | None = None
    key_quota: Quota | None = None
    max_in_flight: int = 1000
    retry_share: float = 0.1
    circuit_failures: int = 5
    circuit_open_ms: int = 2000
    sticky_by: str = ""
    cache_ttl_ms: int = 0
    cache_bytes: int = 64 * 1024 * 1024
    explain: bool = False
    fields: dict[str, FieldRule] = {}

    @property
    def limited(self) -> bool:
        """Whether callers are counted at all."""
        return not (self.rate is self.key_rate is self.quota is self.key_quota is None)


DEFAULT = Policies()

_LEAST = {
    "max_in_flight": 1,
    "circuit_failures": 0,
    "circuit_open_ms": 1,
    "cache_ttl_ms": 0,
    "cache_bytes": 1,
}


def check(policies: Policies, *, where: str = "policies") -> None:
    """Raise Invalid, naming the field, where a policy cannot be kept."""
    for name in ("rate", "key_rate"):
        rate: Rate | None = getattr(policies, name)
        if rate is not None and not (rate.requests >= 1 and 1 <= rate.window_s <= MAX_RATE_WINDOW_S):
            raise Invalid("a rate is at least 1 request in a second up to a day", field=f"{where}.{name}")
    for name in ("quota", "key_quota"):
        quota: Quota | None = getattr(policies, name)
        if quota is not None and quota.requests < 1:
            raise Invalid("a quota is at least 1 request", field=f"{where}.{name}")
    if not 0 <= policies.retry_share <= 1:
        raise Invalid("retry_share is a share from 0 to 1", field=f"{where}.retry_share")
    for name, least in _LEAST.items():
        if getattr(policies, name) < least:
            raise Invalid(f"{name} is at least {least}", field=f"{where}.{name}")
    for column, rule in policies.fields.items():
        check_rule(rule, field=f"{where}.fields.{column}")


def check_rule(rule: FieldRule, *, field: str) -> None:
    """Raise Invalid where a rule says how to generalise in a way that there is none of."""
    if rule.kind != "generalise":
        if rule.by:
            raise Invalid(f"{rule.kind} takes no further word", field=field)
        return
    try:
        coarser(rule.by)
    except ValueError:
        raise Invalid(
            "generalise by the width of a number's bins (10), by day, month or year, or by prefix:N",
            field=field,
        ) from None
