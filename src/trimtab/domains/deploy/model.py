"""Endpoints, the versions they serve, and the pure rules of how their traffic may change."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from trimtab.domains.deploy.errors import BadTraffic, NothingToRollBackTo, NotReady, VersionNotServed
from trimtab.domains.deploy.rollouts.plans import COPIED, Plan
from trimtab.kernel.errors import did_you_mean
from trimtab.serving.routes import Role

VersionState = Literal["starting", "ready", "failed"]
EndpointState = Literal["ready", "starting", "degraded", "stopped"]
Place = Literal["compiled", "process"]
"""Where a version answers: in the gateway itself, or in a process of its own."""
RolloutState = Literal["running", "promoted", "rolled-back", "aborted", "passed"]
Phase = Literal["warming", "approval", "step"]
Action = Literal["deploy", "traffic", "canary", "promote", "rollback"]


class Served(msgspec.Struct, frozen=True):
    """A model version behind an endpoint.

    ``weight`` is its share of the requests in percent. ``activate`` is the weight it takes over by itself once its
    first replica answers: 100 makes it the champion, less a challenger, None leaves it warm. A ``native`` version runs as
    its author saved it, in a process of its own, also where it was compiled. Only with ``allow_network`` can that process
    reach anything over the network.
    """

    version: str
    weight: float
    role: Role
    state: VersionState
    activate: float | None
    allow_pickle: bool
    added_us: int
    error: str | None = None
    pid: int | None = None
    native: bool = False
    allow_network: bool = False


class Endpoint(msgspec.Struct, frozen=True):
    """A name under which versions of one registered model answer."""

    name: str
    model: str
    created_us: int
    updated_us: int
    created_by: str
    served: list[Served]

    @property
    def champion(self) -> str | None:
        """The version that answers unless a challenger is tried."""
        return next((one.version for one in self.served if one.role == "champion"), None)

    @property
    def state(self) -> EndpointState:
        """What callers can expect: ready when every version with traffic answers."""
        with_traffic = [one for one in self.served if one.weight > 0 and one.role != "shadow"]
        if any(one.state == "failed" for one in with_traffic):
            return "degraded"
        if not with_traffic:
            return "starting" if any(one.state == "starting" for one in self.served) else "stopped"
        return "ready" if all(one.state == "ready" for one in with_traffic) else "starting"

    def find(self, version: str) -> Served:
        """Return a served version; raises VersionNotServed."""
        for one in self.served:
            if one.version == version:
                return one
        known = [one.version for one in self.served]
        raise VersionNotServed(
            f"Endpoint {self.name} does not serve version {version} (it serves {', '.join(known) or 'none'})."
            f"{did_you_mean(version, known)}",
            field="version",
        )

    def traffic(self) -> dict[str, float]:
        """Return the weights of the versions that answer requests; shadows only see copies."""
        return {one.version: one.weight for one in self.served if one.weight > 0 and one.role != "shadow"}


class Change(msgspec.Struct, frozen=True):
    """A change of traffic: who, when, why, and the split before and after."""

    id: str
    endpoint: str
    at_us: int
    actor: str
    action: Action
    reason: str
    before: dict[str, float]
    after: dict[str, float]
    champion_before: str | None
    champion_after: str | None


class Step(msgspec.Struct, frozen=True):
    """One step of a rollout: the challenger's share from a moment on; ``seen`` are its requests judged before."""

    weight: float
    at_us: int
    seen: int = 0


class JudgeSaid(msgspec.Struct, frozen=True):
    """The judge's newest word."""

    action: Literal["continue", "promote", "rollback"] = "continue"
    reason: str = ""
    event_us: int = 0


class Rollout(msgspec.Struct, frozen=True):
    """A challenger's way to all the traffic, or back out; ``judge`` is the newest evidence of each test, of ``judged_us``.

    While it runs, its ``phase`` is warming (its version is being loaded), approval (somebody else has to agree) or step.
    """

    id: str
    endpoint: str
    champion: str
    challenger: str
    state: RolloutState
    policy: dict[str, Any]
    steps: list[Step]
    judge: list[dict[str, Any]]
    judged_us: int | None
    started_us: int
    ended_us: int | None
    reason: str
    actor: str
    episode_id: str | None
    plan: Plan = Plan()
    phase: Phase = "step"
    verdict: JudgeSaid = JudgeSaid()
    approved_by: str | None = None
    approved_us: int | None = None

    @property
    def target(self) -> str:
        """The kind of evidence by which versions are compared, where the question is which one is better."""
        return str(self.policy.get("target", "quality"))

    @property
    def weight(self) -> float:
        """The percent of the requests that the challenger answers, or answered last."""
        if not self.steps or self.plan.strategy == "shadow":
            return 0.0
        return 100.0 if self.plan.strategy == "blue-green" else self.steps[-1].weight

    @property
    def copies(self) -> float:
        """The percent of the requests of which the version that does not answer sees copies."""
        return self.steps[-1].weight if self.steps and self.plan.strategy in COPIED else 0.0

    @property
    def began_us(self) -> int | None:
        """When the challenger saw its first request, None while it waits."""
        return self.steps[0].at_us if self.steps else None


def split(
    endpoint: Endpoint,
    weights: Mapping[str, float],
    *,
    champion: str | None = None,
    copies: Mapping[str, float] | None = None,
) -> list[Served]:
    """Return the served versions under new weights; what is not named gets nothing and stays warm.

    The champion stays it while it has traffic, unless another is named. ``copies`` are the percent of the requests that
    a version sees beside those that answer. Raises BadTraffic or NotReady.
    """
    if not weights:
        raise BadTraffic("Name at least one version and its weight, such as 3=100.", field="traffic")
    shadows = copies or {}
    for version, weight in [*weights.items(), *shadows.items()]:
        one = endpoint.find(version)
        if not 0 <= weight <= 100:
            raise BadTraffic(f"The weight of version {version} must be between 0 and 100.", field="traffic")
        if weight > 0 and one.state != "ready":
            raise NotReady(
                f"Version {version} is {one.state}{f': {one.error}' if one.error else ''}.", field="traffic"
            )
    total = sum(weights.values())
    if abs(total - 100) > 1e-6:
        raise BadTraffic(f"The weights add up to {total:g} and not to 100.", field="traffic")
    if champion is None:
        now = endpoint.champion
        champion = (
            now if now is not None and weights.get(now, 0) > 0 else max(weights, key=lambda key: weights[key])
        )
    return [
        msgspec.structs.replace(
            one,
            weight=weights.get(one.version, shadows.get(one.version, 0.0)),
            role="shadow" if shadows.get(one.version) else _role(one.version, weights, champion),
            activate=None,
        )
        for one in endpoint.served
    ]


def _role(version: str, weights: Mapping[str, float], champion: str) -> Role:
    if version == champion:
        return "champion"
    return "challenger" if weights.get(version, 0) > 0 else "warm"


def roll_back(endpoint: Endpoint, changes: Sequence[Change]) -> tuple[str, list[Served]]:
    """Return (version, served) that undo the newest change of who answers.

    A challenger under trial loses its traffic to the champion. Otherwise the champion before this one, which was
    kept warm, takes over. ``changes`` are newest first. Raises NothingToRollBackTo.
    """
    champion = endpoint.champion
    if champion is not None and any(one.role == "challenger" and one.weight > 0 for one in endpoint.served):
        return champion, split(endpoint, {champion: 100.0})
    ready = {one.version for one in endpoint.served if one.state == "ready"}
    seen = {champion}
    for change in changes:
        previous = change.champion_before
        if change.champion_after == champion and previous not in seen and previous in ready and previous:
            return previous, split(endpoint, {previous: 100.0}, champion=previous)
    raise NothingToRollBackTo(f"No earlier version of endpoint {endpoint.name} is kept warm.")


def prune(served: Sequence[Served], *, keep: str | None) -> tuple[list[Served], list[str]]:
    """Return (served, removed): two warm versions are kept for roll-back, the named one before newer ones."""
    warm = sorted(
        (one for one in served if one.role == "warm" and one.activate is None and one.state != "starting"),
        key=lambda one: (one.version == keep, one.state == "ready", one.added_us),
        reverse=True,
    )
    removed = [one.version for one in warm[2:]]
    return [one for one in served if one.version not in removed], removed
