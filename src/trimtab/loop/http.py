"""The HTTP face of the loop: policies, episodes, the timeline, releases, the overview, and search."""

from typing import Any

import msgspec

from trimtab.infra.http import Request, Route, route
from trimtab.kernel.pages import Page
from trimtab.kernel.time import DAY_US
from trimtab.loop.model import Alarm, CanaryPolicy, Episode, GatePolicy, LoopPolicy, Mode, Step
from trimtab.loop.overview import Overview, OverviewService
from trimtab.loop.release import Release
from trimtab.loop.retrain import Retrain
from trimtab.loop.search import Hit, SearchService
from trimtab.loop.service import LoopService


class SetPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """A loop policy without the endpoint, which the path names; see LoopPolicy."""

    model: str
    pipeline: str
    params: dict[str, Any] = {}
    mode: Mode = "auto"
    on: tuple[Alarm, ...] = ("drift", "performance")
    cooldown_us: int = 30 * DAY_US
    gate: GatePolicy = GatePolicy()
    canary: CanaryPolicy = CanaryPolicy()


class StartRelease(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    """``models:/NAME/VERSION``."""
    evaluation: str
    """The data version to gate it on, such as ``data:flights-evaluation@3``."""
    champion_evaluation: str | None = None
    reference: str | None = None
    event_us: int | None = None
    reason: str = ""


class TimelineQuery(msgspec.Struct):
    subject: str | None = None
    episode: str | None = None
    limit: int | None = None
    cursor: str | None = None


class EpisodeQuery(msgspec.Struct):
    endpoint: str | None = None
    limit: int | None = None


class SearchQuery(msgspec.Struct):
    q: str
    limit: int = 20


def routes(
    loop: LoopService, retrain: Retrain, release: Release, overview: OverviewService, search: SearchService
) -> list[Route]:
    @route("GET", "/api/v1/overview", returns=Overview, tags=["loop"])
    def get_overview(request: Request) -> Overview:
        """Return the state of every stage of the loop."""
        return overview.overview(request.who)

    @route("GET", "/api/v1/timeline", query=TimelineQuery, returns=Page[Step], tags=["loop"])
    def timeline(request: Request, query: TimelineQuery) -> Page[Step]:
        """List what the loop did and why, newest first."""
        return loop.timeline(
            request.who, subject=query.subject, episode=query.episode, limit=query.limit, cursor=query.cursor
        )

    @route("GET", "/api/v1/episodes", query=EpisodeQuery, returns=Page[Episode], tags=["loop"])
    def episodes(request: Request, query: EpisodeQuery) -> Page[Episode]:
        """List episodes, newest first."""
        return Page(loop.episodes(request.who, endpoint=query.endpoint, limit=query.limit))

    @route("GET", "/api/v1/episodes/{episode_id}", returns=Episode, tags=["loop"])
    def get_episode(request: Request) -> Episode:
        """Return an episode."""
        return loop.episode(request.who, request.path["episode_id"])

    @route("POST", "/api/v1/episodes/{episode_id}/start", returns=Episode, tags=["loop"])
    def start_episode(request: Request) -> Episode:
        """Begin a retraining that was suggested or waits for its cool-down."""
        retrain.start_by_hand(request.who, request.path["episode_id"])
        return loop.episode(request.who, request.path["episode_id"])

    @route("GET", "/api/v1/loops", returns=Page[LoopPolicy], tags=["loop"])
    def list_policies(request: Request) -> Page[LoopPolicy]:
        """List what happens by itself, endpoint by endpoint."""
        return Page(loop.policies(request.who))

    @route("GET", "/api/v1/loops/{endpoint}", returns=LoopPolicy, tags=["loop"])
    def get_policy(request: Request) -> LoopPolicy:
        """Return an endpoint's policy."""
        return loop.policy(request.who, request.path["endpoint"])

    @route("PUT", "/api/v1/loops/{endpoint}", body=SetPolicy, returns=LoopPolicy, tags=["loop"])
    def set_policy(request: Request, body: SetPolicy) -> LoopPolicy:
        """Say what happens by itself when the endpoint's monitor alarms."""
        policy = LoopPolicy(endpoint=request.path["endpoint"], **msgspec.structs.asdict(body))
        return loop.set_policy(request.who, policy)

    @route("DELETE", "/api/v1/loops/{endpoint}", tags=["loop"])
    def remove_policy(request: Request) -> None:
        """Leave what follows an alarm to people."""
        loop.remove_policy(request.who, request.path["endpoint"])

    @route(
        "POST",
        "/api/v1/endpoints/{name}/releases",
        body=StartRelease,
        returns=Episode,
        status=201,
        tags=["loop"],
    )
    def start_release(request: Request, body: StartRelease) -> Episode:
        """Send a version through gate, canary and judge to an endpoint."""
        return release.start(
            request.who,
            request.path["name"],
            model=body.model,
            evaluation=body.evaluation,
            champion_evaluation=body.champion_evaluation,
            reference=body.reference,
            event_us=body.event_us,
            reason=body.reason,
        )

    @route("GET", "/api/v1/search", query=SearchQuery, returns=Page[Hit], tags=["search"])
    def find(request: Request, query: SearchQuery) -> Page[Hit]:
        """Find anything by name or id."""
        return Page(search.search(request.who, query.q, limit=query.limit))

    return [
        get_overview,
        timeline,
        episodes,
        get_episode,
        start_episode,
        list_policies,
        get_policy,
        set_policy,
        remove_policy,
        start_release,
        find,
    ]
