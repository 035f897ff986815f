"""The settings of an endpoint as values, and as the words in which people write and read them."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from trimtab.domains.deploy.scaling import Scale
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.serving import routes
from trimtab.serving.policies import settings as policies
from trimtab.serving.policies.settings import FieldRule, Period, Policies, Quota, Rate, RuleKind
from trimtab.serving.tunnel import SCHEME, address_of

_ROUTE = routes.Endpoint([])
_OFF = ("off", "none", "no")


class EndpointSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that is set for an endpoint; what nobody has set has its default."""

    timeout_ms: int = _ROUTE.timeout_ms
    max_body_bytes: int = _ROUTE.max_body_bytes
    policies: Policies = policies.DEFAULT
    remotes: dict[str, list[str]] = {}
    """For each version, the addresses of replicas on other hosts that answer beside those of this one."""
    scale: Scale = Scale()


DEFAULT = EndpointSettings()

_TIME_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE_BYTES = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}  # fmt: skip
_WINDOW_S = {
    "s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600,
}  # fmt: skip
_PERIODS: dict[str, Period] = {"day": "day", "d": "day", "month": "month"}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_PER = re.compile(r"(\d[\d_]*)\s*/\s*([A-Za-z]+)")
_MOST = 2**53
MOST_REPLICAS = 64
_MOST_COLUMN = 500
_MOST_RULES = 1000
_STRICTNESS: tuple[RuleKind, ...] = ("drop", "mask", "hash", "generalise")


class Setting(msgspec.Struct, frozen=True):
    """One setting: where it lies, how it is read and shown, what it means, and an example of its value."""

    part: Literal["endpoint", "policies", "scale"]
    attribute: str
    read: Callable[[str], Any]
    show: Callable[[Any], str]
    about: str
    example: str


def _amount(text: str, units: Mapping[str, int], what: str, example: str) -> int:
    match = _AMOUNT.fullmatch(text.strip())
    if match is None or match.group(2) not in units:
        raise Invalid(f"{text[:80]!r} is not {what}, such as {example}.")
    value = round(float(match.group(1)) * units[match.group(2)])
    if value > _MOST:
        raise Invalid(f"{text[:80]!r} is too much.")
    return value


def _time(text: str) -> int:
    return _amount(text, _TIME_MS, "a time", "500ms or 60s")


def _time_or_off(text: str) -> int:
    return 0 if text in _OFF else _time(text)


def _size(text: str) -> int:
    return _amount(text, _SIZE_BYTES, "a size", "4MB")


def _count(text: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or len(text) > 15:
        raise Invalid(f"{text[:80]!r} is not a number of requests.")
    return int(text)


def _count_or_off(text: str) -> int:
    return 0 if text in _OFF else _count(text)


def _rate(text: str) -> Rate | None:
    if text in _OFF:
        return None
    match = _PER.fullmatch(text.strip())
    if match is None or match.group(2) not in _WINDOW_S:
        raise Invalid(f"{text[:80]!r} is not a rate, such as 100/s, 600/min or 5000/h.")
    return Rate(_bounded(match.group(1)), _WINDOW_S[match.group(2)])


def _quota(text: str) -> Quota | None:
    if text in _OFF:
        return None
    match = _PER.fullmatch(text.strip())
    if match is None or match.group(2) not in _PERIODS:
        raise Invalid(f"{text[:80]!r} is not a quota, such as 1000000/day or 5000000/month.")
    return Quota(_bounded(match.group(1)), _PERIODS[match.group(2)])


def _bounded(digits: str) -> int:
    number = digits.replace("_", "")
    if len(number) > 15:
        raise Invalid(f"{digits[:80]} requests are too many to count.")
    return int(number)


def _share(text: str) -> float:
    if text in _OFF:
        return 0.0
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)\s*%", text.strip())
    if match is None or float(match.group(1)) > 100:
        raise Invalid(f"{text[:80]!r} is not a share of the requests, such as 10%.")
    return float(match.group(1)) / 100


def _remotes(text: str) -> dict[str, list[str]]:
    """Return the replicas on other hosts in ``VERSION=HOST:PORT, ...``."""
    remotes: dict[str, list[str]] = {}
    if text in _OFF:
        return remotes
    for part in re.split(r"[\s,]+", text.strip()):
        version, equals, place = part.partition("=")
        if not (equals and version.isascii() and version.isdigit()):
            raise Invalid(f"{part[:80]!r} is not VERSION=HOST:PORT, such as 3=10.0.0.2:7001.")
        address_of(SCHEME + place)
        remotes.setdefault(version, []).append(SCHEME + place)
    return remotes


def _column(text: str) -> str:
    if len(text) > _MOST_COLUMN:
        raise Invalid(f"A column's name has at most {_MOST_COLUMN} characters.")
    return "" if text in _OFF else text


def _switch(text: str) -> bool:
    if text not in (*_OFF, "on"):
        raise Invalid(f"{text[:80]!r} is neither on nor off.")
    return text == "on"


def _show_switch(value: bool) -> str:  # noqa: FBT001 - one kind of function
    return "on" if value else "off"


def _seconds(text: str) -> int:
    return _time(text) // 1000


def _show_seconds(value: int) -> str:
    return _show_time(value * 1000)


def _show_number(value: int) -> str:
    return str(value)


def _show_time(value: int) -> str:
    if not value:
        return "off"
    unit, factor = next(
        (u, f) for u, f in (("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)) if value % f == 0
    )
    # A minute and a half reads better as 90s than as 1.5min, but a single minute as 60s.
    return f"{value // 1000}s" if unit == "min" and value < 120_000 else f"{value // factor}{unit}"


def _show_size(value: int) -> str:
    for unit in ("GiB", "GB", "MiB", "MB", "KiB", "kB"):
        if value % _SIZE_BYTES[unit] == 0 and value:
            return f"{value // _SIZE_BYTES[unit]}{unit}"
    return f"{value}B"


def _show_rate(rate: Rate | None) -> str:
    if rate is None:
        return "off"
    unit = {1: "s", 60: "min", 3600: "h"}.get(rate.window_s)
    return f"{rate.requests}/{unit or f'{rate.window_s}s'}"


def _show_quota(quota: Quota | None) -> str:
    return "off" if quota is None else f"{quota.requests}/{quota.period}"


def _show_count(value: int) -> str:
    return str(value) if value else "off"


def _show_share(value: float) -> str:
    return f"{value * 100:g}%" if value else "off"


def _show_remotes(value: dict[str, list[str]]) -> str:
    return (
        ", ".join(
            f"{version}={place.removeprefix(SCHEME)}" for version, places in value.items() for place in places
        )
        or "off"
    )


def _show_column(value: str) -> str:
    return value or "off"


SETTINGS: dict[str, Setting] = {
    "timeout": Setting("endpoint", "timeout_ms", _time, _show_time, "how long a model may take for an answer", "500ms"),
    "max_body": Setting("endpoint", "max_body_bytes", _size, _show_size, "the largest body of a request", "4MB"),
    "rate_limit": Setting("policies", "rate", _rate, _show_rate, "requests of all callers together", "100/s"),
    "key_rate_limit": Setting("policies", "key_rate", _rate, _show_rate, "requests of each key", "10/s"),
    "quota": Setting("policies", "quota", _quota, _show_quota, "requests of all callers in a day or month", "1000000/day"),
    "key_quota": Setting("policies", "key_quota", _quota, _show_quota, "requests of each key in a day or month", "50000/month"),
    "max_in_flight": Setting("policies", "max_in_flight", _count, _show_count, "requests that may wait for the model at once", "200"),
    "retries": Setting("policies", "retry_share", _share, _show_share, "share of the requests that may be made once more when a replica goes away", "10%"),
    "circuit": Setting("policies", "circuit_failures", _count_or_off, _show_count, "time-outs or broken connections in a row after which a version is left alone", "5"),
    "circuit_open": Setting("policies", "circuit_open_ms", _time, _show_time, "for how long it is left alone before one request tries", "2s"),
    "remote_replicas": Setting("endpoint", "remotes", _remotes, _show_remotes, "replicas on other hosts, which share the server's replica_secret_file", "3=10.0.0.2:7001"),
    "sticky_by": Setting("policies", "sticky_by", _column, _show_column, "input column whose value is always answered by the same version", "customer_id"),
    "cache": Setting("policies", "cache_ttl_ms", _time_or_off, _show_time, "for how long answers are kept for the same features", "60s"),
    "cache_size": Setting("policies", "cache_bytes", _size, _show_size, "memory for kept answers", "64MiB"),
    "min_replicas": Setting("scale", "least", _count_or_off, _show_number, "processes of a native model at the least; with 0 an idle one has none", "1"),
    "max_replicas": Setting("scale", "most", _count, _show_number, "and at the most, as requests queue", "4"),
    "target_delay": Setting("scale", "delay_ms", _time, _show_time, "how long requests may queue before another process is started", "20ms"),
    "idle": Setting("scale", "idle_s", _seconds, _show_seconds, "after how long without requests an idle one is ended, where min_replicas is 0", "10min"),
    "explain": Setting("policies", "explain", _switch, _show_switch, "whether a compiled model's native one is kept for explanations", "on"),
}  # fmt: skip
"""Every setting by the name that flags, the API and the UI use."""


def shown(settings: EndpointSettings) -> dict[str, str]:
    """Return every setting as text."""
    return {name: one.show(_place(settings, one)) for name, one in SETTINGS.items()}


def shown_fields(settings: EndpointSettings) -> dict[str, str]:
    """Return the rule of each column as text: ``hash``, ``generalise:10``."""
    return {
        column: f"{rule.kind}:{rule.by}" if rule.by else rule.kind
        for column, rule in sorted(settings.policies.fields.items())
    }


def change(settings: EndpointSettings, changes: Mapping[str, str | None]) -> EndpointSettings:
    """Return the settings with texts read into them; null means the default. Raises Invalid naming the setting."""
    parts: dict[str, dict[str, Any]] = {"endpoint": {}, "policies": {}, "scale": {}}
    for name, text in changes.items():
        one = SETTINGS.get(name)
        if one is None:
            raise Invalid(
                f"There is no setting {name[:80]!r}.{did_you_mean(name, SETTINGS)}", field=name[:80]
            )
        try:
            value = _place(DEFAULT, one) if text is None or text == "default" else one.read(text.strip())
        except Invalid as error:
            raise Invalid(f"{name}: {error.message}", field=name) from None
        parts[one.part][one.attribute] = value
    changed = msgspec.structs.replace(
        settings,
        **parts["endpoint"],
        policies=msgspec.structs.replace(settings.policies, **parts["policies"]),
        scale=msgspec.structs.replace(settings.scale, **parts["scale"]),
    )
    _check(changed)
    return changed


def change_fields(settings: EndpointSettings, rules: Mapping[str, str | None]) -> EndpointSettings:
    """Return the settings with other rules for columns; null means that the column is kept as it is. Raises Invalid."""
    fields = dict(settings.policies.fields)
    for column, text in rules.items():
        if text is None:
            fields.pop(column, None)
            continue
        kind, _, by = text.partition(":")
        if kind not in ("drop", "mask", "hash", "generalise"):
            raise Invalid(
                f"{text[:80]!r} is not drop, mask, hash or generalise:BY.", field=f"fields.{column}"
            )
        if not column or len(column) > _MOST_COLUMN:
            raise Invalid(f"A column's name has 1 to {_MOST_COLUMN} characters.", field="fields")
        fields[column] = FieldRule(kind, by)
    if len(fields) > _MOST_RULES:
        raise Invalid(f"There are at most {_MOST_RULES} rules for an endpoint.", field="fields")
    changed = msgspec.structs.replace(
        settings, policies=msgspec.structs.replace(settings.policies, fields=fields)
    )
    _check(changed)
    return changed


def weakened(before: EndpointSettings, after: EndpointSettings) -> list[str]:
    """Return the columns of which more would be written down than before, or something else."""
    rules = after.policies.fields
    return sorted(
        column
        for column, rule in before.policies.fields.items()
        if rules.get(column) != rule and rules.get(column) != FieldRule("drop")
    )


def stricter(one: FieldRule, other: FieldRule) -> FieldRule:
    """Return the rule by which less is written down.

    >>> stricter(FieldRule("hash"), FieldRule("mask")).kind, stricter(FieldRule("hash"), FieldRule("generalise", "5")).kind
    ('mask', 'hash')
    """
    if one.kind == other.kind == "generalise" and one != other:
        return FieldRule("mask")
    return min(one, other, key=lambda rule: _STRICTNESS.index(rule.kind))


def _place(settings: EndpointSettings, one: Setting) -> Any:
    return getattr(settings if one.part == "endpoint" else getattr(settings, one.part), one.attribute)


def _check(settings: EndpointSettings) -> None:
    """Raise Invalid in the words of flags."""
    names = {one.attribute: name for name, one in SETTINGS.items()}
    if settings.timeout_ms < 1:
        raise Invalid("timeout is at least 1ms.", field="timeout")
    scale = settings.scale
    if scale.most < 1 or scale.most > MOST_REPLICAS:
        raise Invalid(f"max_replicas is 1 to {MOST_REPLICAS}.", field="max_replicas")
    if scale.least > scale.most:
        raise Invalid(
            f"min_replicas is {scale.least}, more than max_replicas: {scale.most}.", field="min_replicas"
        )
    if scale.delay_ms < 1 or scale.idle_s < 1:
        raise Invalid("target_delay is at least 1ms, idle at least 1s.", field="target_delay")
    if settings.max_body_bytes < 1:
        raise Invalid("max_body is at least 1B.", field="max_body")
    try:
        policies.check(settings.policies, where="")
    except Invalid as error:
        place = (error.field or "").lstrip(".")
        raise Invalid(f"{error.message}.", field=names.get(place, place)) from None
