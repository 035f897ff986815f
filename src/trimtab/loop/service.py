"""Policies, episodes and the timeline: what the loop may do by itself, and what it did and why."""

import hashlib
from typing import Any

import msgspec

from trimtab.domains.deploy import DeployService
from trimtab.domains.govern import GovernService
from trimtab.domains.pipelines import PipelineService
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Duplicate, Tx, Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, Invalid, did_you_mean
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.loop import store
from trimtab.loop.errors import EpisodeNotFound, EpisodeRunning, LoopNotFound
from trimtab.loop.events import StepTaken
from trimtab.loop.model import (
    ACTIVE,
    Episode,
    EpisodeState,
    LoopPolicy,
    Step,
    StepKind,
    StepState,
)


class LoopService:
    """The memory of the loop; the stories write it, people and the web UI read it."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        *,
        govern: GovernService,
        deploy: DeployService,
        pipelines: PipelineService,
    ) -> None:
        self._db = db
        self._bus = bus
        self._govern = govern
        self._deploy = deploy
        self._pipelines = pipelines

    def set_policy(self, who: Principal, policy: LoopPolicy) -> LoopPolicy:
        """Say how candidates of an endpoint are gated and tried, and what happens when its monitor alarms.

        The endpoint may be deployed later. Raises Invalid for another model than it serves, and PipelineNotFound.
        """
        self._govern.permit(who, "write", refs.make("endpoint", policy.endpoint))
        policy.check()
        endpoint = next((one for one in self._deploy.endpoints(who) if one.name == policy.endpoint), None)
        if endpoint is not None and endpoint.model != policy.model:
            raise Invalid(
                f"Endpoint {policy.endpoint} serves {endpoint.model}, not {policy.model}.", field="model"
            )
        self._pipelines.get_pipeline(who, policy.pipeline)
        with self._db.write() as tx:
            store.put_policy(tx, policy, updated_us=now_us(), updated_by=who.id)
            detail = msgspec.to_builtins(policy)
            self._govern.audit(
                tx, who, "loop.policy.set", refs.make("endpoint", policy.endpoint), detail=detail
            )
        return policy

    def policies(self, who: Principal) -> list[LoopPolicy]:
        """Return every policy."""
        self._govern.permit(who, "read", "loops")
        with self._db.read() as tx:
            return store.policies(tx)

    def policy(self, who: Principal, endpoint: str) -> LoopPolicy:
        """Return an endpoint's policy; raises LoopNotFound."""
        self._govern.permit(who, "read", refs.make("endpoint", endpoint))
        with self._db.read() as tx:
            found = store.policies(tx, endpoint=endpoint)
            if not found:
                known = [policy.endpoint for policy in store.policies(tx)]
                raise LoopNotFound(
                    f"Endpoint {endpoint} has no loop policy.{did_you_mean(endpoint, known)}",
                    field="endpoint",
                )
            return found[0]

    def remove_policy(self, who: Principal, endpoint: str) -> None:
        """Leave what follows an alarm to people."""
        self._govern.permit(who, "write", refs.make("endpoint", endpoint))
        with self._db.write() as tx:
            if not store.delete_policy(tx, endpoint=endpoint):
                raise LoopNotFound(f"Endpoint {endpoint} has no loop policy.", field="endpoint")
            self._govern.audit(tx, who, "loop.policy.remove", refs.make("endpoint", endpoint))

    def episodes(
        self, who: Principal, *, endpoint: str | None = None, limit: int | None = None
    ) -> list[Episode]:
        """Return episodes, newest first."""
        self._govern.permit(who, "read", "episodes")
        with self._db.read() as tx:
            return store.episodes(tx, where=Where().equals(endpoint=endpoint), limit=check_limit(limit))

    def episode(self, who: Principal, episode_id: str) -> Episode:
        """Return an episode; raises EpisodeNotFound."""
        self._govern.permit(who, "read", refs.make("episode", episode_id))
        with self._db.read() as tx:
            return self.find(tx, episode_id)

    def timeline(
        self,
        who: Principal,
        *,
        subject: str | None = None,
        episode: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Step]:
        """Return the steps of the loop, newest first."""
        self._govern.permit(who, "read", "the timeline")
        size = check_limit(limit)
        where = Where().equals(subject=subject, episode_id=episode)
        if cursor:
            where.add("seq < :before", before=cursor_key(cursor, int))
        with self._db.read() as tx:
            found = store.steps(tx, where=where, limit=size + 1)
        page = page_of(found, size, key=lambda one: one[0])
        return Page([step for _, step in page.items], page.next_cursor)

    # What the stories use, inside their own transactions.

    def find(self, tx: Tx, episode_id: str) -> Episode:
        """Return an episode; raises EpisodeNotFound."""
        found = store.episodes(tx, where=Where().equals(id=episode_id), limit=1)
        if not found:
            raise EpisodeNotFound(f"There is no episode {episode_id}.")
        return found[0]

    def active(self, tx: Tx, endpoint: str) -> Episode | None:
        """Return the episode that is changing an endpoint now."""
        where = Where().equals(endpoint=endpoint).add("ended_us is null")
        found = store.episodes(tx, where=where, limit=1)
        return found[0] if found else None

    def in_states(self, tx: Tx, *states: EpisodeState) -> list[Episode]:
        """Return the episodes that stand in one of some states."""
        return store.episodes(
            tx, where=Where().add("ended_us is null").any_of("state", [*states]), limit=1000
        )

    def of_rollout(self, tx: Tx, rollout: str) -> Episode | None:
        """Return the episode that a rollout belongs to."""
        found = store.episodes(tx, where=Where().equals(rollout=rollout), limit=1)
        return found[0] if found else None

    def newest(self, tx: Tx, endpoint: str) -> Episode | None:
        """Return the newest episode that an alarm set off."""
        where = Where().equals(endpoint=endpoint, trigger_kind="alarm")
        found = store.episodes(tx, where=where, limit=1)
        return found[0] if found else None

    def begin(self, tx: Tx, episode: Episode) -> Episode:
        """Store a new episode; raises EpisodeRunning while another one changes the endpoint."""
        try:
            store.put_episode(tx, episode)
        except Duplicate as error:
            raise EpisodeRunning(f"Another change of endpoint {episode.endpoint} is under way.") from error
        return episode

    def move(self, tx: Tx, episode: Episode, state: EpisodeState, **facts: Any) -> Episode:
        """Store an episode's next state with what became known."""
        now = now_us()
        ended = None if state in ACTIVE else now
        moved = msgspec.structs.replace(episode, state=state, updated_us=now, ended_us=ended, **facts)
        store.put_episode(tx, moved)
        return moved

    def step(
        self,
        tx: Tx,
        who: Principal,
        *,
        cause_event: str | None,
        kind: StepKind,
        state: StepState,
        title: str,
        subject: str,
        detail: str = "",
        event_us: int | None = None,
        episode: Episode | None = None,
        data: dict[str, Any] | None = None,
    ) -> Step:
        """Add a line to the timeline, caused by the newest line of its episode.

        ``cause_event`` is the id of the event that led here: the same event adds the same line only once.
        """
        step_id = new_id("st_")
        if cause_event is not None:
            step_id = "st_" + hashlib.sha256(f"{cause_event}/{kind}/{state}".encode()).hexdigest()[:26]
        cause = None
        if episode is not None:
            newest = store.steps(tx, where=Where().equals(episode_id=episode.id), limit=1)
            cause = newest[0][1].id if newest else None
        step = Step(
            id=step_id,
            at_us=now_us(),
            event_us=event_us,
            kind=kind,
            state=state,
            title=title,
            detail=detail,
            subject=subject,
            episode_id=episode.id if episode else None,
            cause_id=cause if cause != step_id else None,
            actor=who.id,
            data=data or {},
        )
        if store.insert_step(tx, step):
            announced = StepTaken(step=step.id, line=kind, state=state, title=title, episode=step.episode_id)
            self._bus.emit(tx, announced, subject=subject, actor=who.id)
        return step


def new_episode(
    *,
    endpoint: str,
    model: str,
    trigger: Any,
    state: EpisodeState,
    title: str,
    event_us: int,
    actor: str,
    champion: str | None,
    **facts: Any,
) -> Episode:
    """Return a fresh episode with what is known so far."""
    now = now_us()
    known: dict[str, Any] = {
        "not_before_us": 0,
        "candidate": None,
        "evaluation": None,
        "champion_evaluation": None,
        "reference": None,
        "pipeline_run": None,
        "rollout": None,
        "baseline": None,
        **facts,
    }
    return Episode(
        id=new_id("ep_"),
        endpoint=endpoint,
        model=model,
        trigger=trigger,
        state=state,
        title=title,
        event_us=event_us,
        champion=champion,
        actor=actor,
        started_us=now,
        updated_us=now,
        ended_us=None,
        **known,
    )


def version_of(candidate: str) -> str:
    """Return the version in a ``models:/NAME/VERSION`` reference of an episode; raises Conflict for another form."""
    version = candidate.rpartition("/")[2]
    if not version.isdigit():
        raise Conflict(f"{candidate} does not name a version.")
    return version
