"""``trimtab.rollouts``: take a version from its first request to all of them, or back out, by a plan."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.kernel.errors import Unavailable
from trimtab.sdk.client import Client, connect

_POLL_S = 0.25


def start(
    endpoint: str,
    challenger: str | int,
    *,
    strategy: str = "canary",
    steps: Sequence[float] = (),
    bake_s: float = 600.0,
    judge: Mapping[str, Any] | None = None,
    reason: str = "",
    allow_pickle: bool = False,
    client: Client | None = None,
    **plan: Any,
) -> dict[str, Any]:
    """Begin a rollout of a version, or of ``models:/NAME/VERSION``, and return it.

    ``strategy`` is canary, linear, blue-green, shadow, ab or bandit; ``judge`` are fields of the judge's policy; further
    keywords are fields of the plan, such as ``finish="time"``, ``approval=True`` or ``floor=10``. Raises Invalid for a
    plan that cannot be followed, and Conflict where a rollout of the endpoint is under way.
    """
    body = {
        "challenger": str(challenger),
        "plan": {"strategy": strategy, "steps": [*steps], "bake_us": round(bake_s * 1e6), **plan},
        "judge": dict(judge or {}),
        "allow_pickle": allow_pickle,
        "reason": reason,
    }
    return (client or connect()).post(f"/endpoints/{endpoint}/rollouts", body)


def get(rollout: str, *, client: Client | None = None) -> dict[str, Any]:
    """Return a rollout with its steps and the judge's evidence."""
    return (client or connect()).get(f"/rollouts/{rollout}")


def list(  # noqa: A001 - reads as trimtab.rollouts.list()
    endpoint: str | None = None, *, state: str | None = None, client: Client | None = None
) -> Sequence[dict[str, Any]]:
    """Return rollouts, newest first."""
    return (client or connect()).get("/rollouts", endpoint=endpoint, state=state)["items"]


def promote(rollout: str, *, reason: str = "", client: Client | None = None) -> dict[str, Any]:
    """Make the challenger the champion at once."""
    return (client or connect()).post(f"/rollouts/{rollout}/promote", {"reason": reason})


def roll_back(rollout: str, *, reason: str = "", client: Client | None = None) -> dict[str, Any]:
    """Give all requests back to the champion at once."""
    return (client or connect()).post(f"/rollouts/{rollout}/rollback", {"reason": reason})


def abort(rollout: str, *, reason: str = "", client: Client | None = None) -> dict[str, Any]:
    """End a rollout without a judgement on its challenger; the champion answers all requests."""
    return (client or connect()).post(f"/rollouts/{rollout}/abort", {"reason": reason})


def approve(rollout: str, *, reason: str = "", client: Client | None = None) -> dict[str, Any]:
    """Agree to a rollout that somebody else started."""
    return (client or connect()).post(f"/rollouts/{rollout}/approve", {"reason": reason})


def wait(rollout: str, *, timeout_s: float = 600.0, client: Client | None = None) -> dict[str, Any]:
    """Return a rollout once it is over; raises Unavailable after ``timeout_s`` seconds."""
    server = client or connect()
    deadline = time.monotonic() + timeout_s
    while (found := get(rollout, client=server))["state"] == "running":
        if time.monotonic() > deadline:
            raise Unavailable(f"Rollout {rollout} is not over after {timeout_s:g} s.")
        time.sleep(_POLL_S)
    return found
