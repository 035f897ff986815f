"""A person ships a version: it takes the same way as a retrained one, through the gate and the canary."""

from trimtab.domains.data import DataService
from trimtab.domains.deploy import DeployService
from trimtab.domains.deploy.errors import EndpointNotFound
from trimtab.domains.govern import GovernService
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.model import ModelVersion
from trimtab.infra.db import Database, Tx
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.loop.errors import BadCandidate
from trimtab.loop.model import GATE, Episode
from trimtab.loop.service import LoopService, new_episode


class Release:
    """Begins an episode by hand."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        *,
        govern: GovernService,
        loop: LoopService,
        deploy: DeployService,
        registry: RegistryService,
        data: DataService,
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._govern = govern
        self._loop = loop
        self._deploy = deploy
        self._registry = registry
        self._data = data

    def start(
        self,
        who: Principal,
        endpoint: str,
        *,
        model: str,
        evaluation: str,
        champion_evaluation: str | None = None,
        reference: str | None = None,
        event_us: int | None = None,
        reason: str = "",
    ) -> Episode:
        """Send a version through gate, canary and judge; raises EpisodeRunning while another change is under way.

        Where the endpoint is new there is nobody to be judged against: the gate alone decides.

        ``evaluation`` is the data version that it is gated on; ``champion_evaluation`` the champion's own view of the
        same rows, where its features differ.
        """
        self._govern.permit(who, "write", refs.make("endpoint", endpoint))
        version = self._registry.resolve(who, model)
        champion = self._champion(who, endpoint, version)
        for name, given in (("evaluation", evaluation), ("champion_evaluation", champion_evaluation)):
            if given is not None:
                self._known(who, name, given)
        episode = new_episode(
            endpoint=endpoint,
            model=version.name,
            trigger="release",
            state="gating",
            title=f"Release of {version.name} {version.version}",
            event_us=event_us if event_us is not None else now_us(),
            actor=who.id,
            champion=champion,
            candidate=f"models:/{version.name}/{version.version}",
            evaluation=evaluation,
            champion_evaluation=champion_evaluation,
            reference=reference,
        )
        with self._db.write() as tx:
            tx.lock(f"loop.endpoint:{endpoint}")
            self._supersede(tx, who, endpoint)
            self._loop.begin(tx, episode)
            self._loop.step(
                tx,
                who,
                cause_event=None,
                kind="manual",
                state="started",
                title=f"{who.name} ships version {version.version}",
                detail=reason,
                subject=refs.model(version.name, version.version),
                event_us=event_us,
                episode=episode,
            )
            self._jobs.enqueue(tx, GATE, {"episode": episode.id}, queue="heavy", dedupe_key=episode.id)
            detail = {"model": episode.candidate, "evaluation": evaluation, "reason": reason}
            self._govern.audit(tx, who, "loop.release", refs.make("endpoint", endpoint), detail=detail)
        return episode

    def _supersede(self, tx: Tx, who: Principal, endpoint: str) -> None:
        """Close what has not begun to change anything: a person's release goes before it."""
        waiting = self._loop.active(tx, endpoint)
        if waiting is None or waiting.state not in ("waiting", "suggested"):
            return
        self._loop.step(
            tx,
            who,
            cause_event=None,
            kind="decision",
            state="done",
            title="Retraining put aside for a release",
            subject=refs.make("endpoint", endpoint),
            episode=waiting,
        )
        self._loop.move(tx, waiting, "kept")

    def _champion(self, who: Principal, endpoint: str, version: ModelVersion) -> str | None:
        """Return the version that the candidate has to beat, None where the endpoint is new."""
        try:
            served = self._deploy.endpoint(who, endpoint)
        except EndpointNotFound:
            return None
        if version.name != served.model:
            raise BadCandidate(
                f"Endpoint {endpoint} serves {served.model}, not {version.name}.", field="model"
            )
        if served.champion == str(version.version):
            raise BadCandidate(f"Version {version.version} is the champion already.", field="model")
        return served.champion

    def _known(self, who: Principal, field: str, reference: str) -> None:
        try:
            name, version = refs.data_parts(reference)
            self._data.get_version(who, name, int(version) if version else None)
        except ValueError as error:
            raise Invalid(
                f"{reference!r} is not a data version such as data:flights@1.", field=field
            ) from error
