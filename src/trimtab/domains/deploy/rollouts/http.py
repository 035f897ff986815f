"""The HTTP face of rollouts: begin one, follow it, and end it by hand."""

from typing import Any

import msgspec

from trimtab.domains.deploy.model import JudgeSaid, Phase, Rollout, RolloutState
from trimtab.domains.deploy.rollouts.plans import Plan
from trimtab.domains.deploy.rollouts.strategies import due_us, requests_needed
from trimtab.domains.deploy.service import DeployService
from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page
from trimtab.kernel.time import now_us


class StartRollout(msgspec.Struct, forbid_unknown_fields=True):
    challenger: str
    """A version such as ``3``, or ``models:/NAME/3``; one that is not served yet is loaded first."""
    plan: Plan = Plan()
    judge: dict[str, Any] = {}
    """Fields of the judge's policy; what is left out keeps its default, a kind of evidence set to null is not judged."""
    allow_pickle: bool = False
    reason: str = ""


class EndRollout(msgspec.Struct, forbid_unknown_fields=True):
    reason: str = ""


class StepView(msgspec.Struct):
    weight: float
    at_us: int
    seconds: float
    requests: int


class RolloutView(msgspec.Struct):
    """A rollout. ``weight`` is the percent of requests that the challenger answers, ``copies`` what the other one sees.

    ``next_us`` is when the present step has baked; ``requests_needed`` about how many labelled requests an A/B needs.
    ``judge``: each kind of evidence with its finding, value, interval, rows of both versions, and e-values: ``e_value`` for
    harm, ``safe_e_value`` and ``better_e_value`` are the largest so far, which decide; what was found stays found.
    """

    id: str
    endpoint: str
    champion: str
    challenger: str
    state: RolloutState
    phase: Phase
    strategy: str
    weight: float
    copies: float
    plan: Plan
    steps: list[StepView]
    judge: list[dict[str, Any]]
    verdict: JudgeSaid
    judged_us: int | None
    policy: dict[str, Any]
    started_us: int
    ended_us: int | None
    next_us: int | None
    requests_needed: int | None
    reason: str
    actor: str
    approved_by: str | None
    approved_us: int | None
    episode_id: str | None


class RolloutQuery(msgspec.Struct):
    endpoint: str | None = None
    state: RolloutState | None = None
    limit: int | None = None


def routes(service: DeployService) -> list[Route]:
    rollouts = service.rollouts

    @route("GET", "/api/v1/rollouts", query=RolloutQuery, returns=Page[RolloutView], tags=["rollouts"])
    def list_rollouts(request: Request, query: RolloutQuery) -> Page[RolloutView]:
        """List rollouts of every endpoint, newest first."""
        found = rollouts.list(request.who, endpoint=query.endpoint, state=query.state, limit=query.limit)
        return Page([view(one) for one in found])

    @route("GET", "/api/v1/endpoints/{name}/rollouts", returns=Page[RolloutView], tags=["rollouts"])
    def of_endpoint(request: Request) -> Page[RolloutView]:
        """List an endpoint's rollouts with the judge's evidence, newest first."""
        return Page([view(one) for one in rollouts.list(request.who, endpoint=request.path["name"])])

    @route(
        "POST",
        "/api/v1/endpoints/{name}/rollouts",
        body=StartRollout,
        returns=RolloutView,
        status=201,
        tags=["rollouts"],
    )
    def start(request: Request, body: StartRollout) -> RolloutView:
        """Begin a rollout of a version by a plan."""
        started = rollouts.start(
            request.who,
            request.path["name"],
            body.challenger,
            plan=body.plan,
            policy=body.judge,
            allow_pickle=body.allow_pickle,
            reason=body.reason,
        )
        return view(started)

    @route("GET", "/api/v1/rollouts/{id}", returns=RolloutView, tags=["rollouts"])
    def get(request: Request) -> RolloutView:
        """Return a rollout with the judge's evidence."""
        return view(rollouts.get(request.who, request.path["id"]))

    @route("POST", "/api/v1/rollouts/{id}/approve", body=EndRollout, returns=RolloutView, tags=["rollouts"])
    def approve(request: Request, body: EndRollout) -> RolloutView:
        """Agree to a rollout that somebody else started."""
        return view(rollouts.approve(request.who, request.path["id"], reason=body.reason))

    @route("POST", "/api/v1/rollouts/{id}/promote", body=EndRollout, returns=RolloutView, tags=["rollouts"])
    def promote(request: Request, body: EndRollout) -> RolloutView:
        """Make the challenger the champion at once."""
        reason = body.reason or "promoted by hand"
        return view(rollouts.promote(request.who, request.path["id"], reason=reason))

    @route("POST", "/api/v1/rollouts/{id}/rollback", body=EndRollout, returns=RolloutView, tags=["rollouts"])
    def roll_back(request: Request, body: EndRollout) -> RolloutView:
        """Give all requests back to the champion at once."""
        reason = body.reason or "rolled back by hand"
        return view(rollouts.roll_back(request.who, request.path["id"], reason=reason))

    @route("POST", "/api/v1/rollouts/{id}/abort", body=EndRollout, returns=RolloutView, tags=["rollouts"])
    def abort(request: Request, body: EndRollout) -> RolloutView:
        """End a rollout without a judgement on its challenger; the champion answers all requests."""
        return view(rollouts.abort(request.who, request.path["id"], reason=body.reason or "ended by hand"))

    return [list_rollouts, of_endpoint, start, get, approve, promote, roll_back, abort]


def view(rollout: Rollout) -> RolloutView:
    """Return a rollout as callers see it."""
    known = max((int(one.get("n_challenger") or 0) for one in rollout.judge), default=0)
    ends = [step.at_us for step in rollout.steps[1:]] + [rollout.ended_us or now_us()]
    counts = [step.seen for step in rollout.steps[1:]] + [known]
    steps = [  # the last end and count are those of now, also where there is no step yet
        StepView(
            step.weight, step.at_us, seconds=(end - step.at_us) / 1e6, requests=max(count - step.seen, 0)
        )
        for step, end, count in zip(rollout.steps, ends, counts, strict=False)
    ]
    fields: dict[str, Any] = msgspec.structs.asdict(rollout)
    fields |= {
        "strategy": rollout.plan.strategy,
        "weight": rollout.weight,
        "copies": rollout.copies,
        "steps": steps,
        "next_us": due_us(rollout) if rollout.state == "running" else None,
        "requests_needed": requests_needed(rollout.plan, rollout.policy) if rollout.plan.steps else None,
    }
    return RolloutView(**fields)
