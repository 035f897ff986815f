"""``trimtab.monitors``: watch endpoints against reference data, and read what was seen."""

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.sdk.client import Client, connect


def create(
    name: str,
    *,
    endpoint: str,
    reference: str,
    features: Sequence[str] | None = None,
    group_by: str | None = None,
    policy: Mapping[str, Any] | None = None,
    baseline: Mapping[str, Any] | None = None,
    client: Client | None = None,
) -> dict[str, Any]:
    """Watch an endpoint against a data version such as ``data:flights@1`` and return the monitor.

    ``policy`` and ``baseline`` take the fields that the HTTP API documents; without a baseline (the champion's mean
    Brier score) there is no performance alarm.
    """
    body = {
        "name": name,
        "endpoint": endpoint,
        "reference": reference,
        "features": [*features] if features is not None else None,
        "group_by": group_by,
        "policy": dict(policy) if policy is not None else None,
        "baseline": dict(baseline) if baseline is not None else None,
    }
    return (client or connect()).post("/monitors", body)


def get(name: str, *, client: Client | None = None) -> dict[str, Any]:
    """Return a monitor."""
    return (client or connect()).get(f"/monitors/{name}")


def list(*, client: Client | None = None) -> Sequence[dict[str, Any]]:  # noqa: A001 - reads as trimtab.monitors.list()
    """Return every monitor."""
    return [*(client or connect()).items("/monitors")]


def windows(
    name: str, *, from_us: int | None = None, to_us: int | None = None, client: Client | None = None
) -> Sequence[dict[str, Any]]:
    """Return the windows of a span of event time, oldest first, with drift and performance."""
    return (client or connect()).get(f"/monitors/{name}/windows", from_us=from_us, to_us=to_us)["items"]


def remove(name: str, *, client: Client | None = None) -> None:
    """Stop watching."""
    (client or connect()).delete(f"/monitors/{name}")
