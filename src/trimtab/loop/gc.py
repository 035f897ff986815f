"""Returns space: purges what lay in the trash long enough, then removes the blobs that nothing refers to any more.

First the rows, then the bytes: killed at any moment, it leaves blobs that the next collection takes, and never a row
whose bytes are gone. Blobs are shared by all domains, so every one of them is asked for those that it needs.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from trimtab.domains.data import DataService
from trimtab.domains.deploy import DeployService
from trimtab.domains.deploy.edge.service import EdgeService
from trimtab.domains.govern import GovernService
from trimtab.domains.govern.errors import Held
from trimtab.domains.monitor import MonitorService
from trimtab.domains.pipelines import PipelineService
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.runtimes.service import RuntimeService
from trimtab.domains.traces import service as traces
from trimtab.domains.tracking import TrackingService
from trimtab.infra.blobs import Blobs
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Job, JobContext, Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import check_limit
from trimtab.kernel.time import DAY_US, SECOND_US, now_us
from trimtab.kernel.who import Principal, system
from trimtab.loop import store
from trimtab.loop.errors import CollectionNotFound
from trimtab.loop.model import Collected, Collection

log = logging.getLogger(__name__)

GC = "loop.gc"
GRACE_US = 300 * SECOND_US
"""How old a blob must be: whoever stores one refers to it within this time, or has said that it takes longer."""
_ME = system("gc")
_AT_ONCE = 500
_MOST_TRIED = 20_000  # a dry run says of more only that they are so many at least
_MARK_BYTES = 16  # of a digest: two that agree in so many would only be kept longer


class Collector:
    """Collections of garbage, each a job."""

    def __init__(
        self,
        db: Database,
        jobs: Jobs,
        blobs: Blobs,
        *,
        govern: GovernService,
        data: DataService,
        tracking: TrackingService,
        registry: RegistryService,
        pipelines: PipelineService,
        monitors: MonitorService,
        edge: EdgeService,
        deploy: DeployService,
        runtimes: RuntimeService,
        trash_days: int,
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._blobs = blobs
        self._govern = govern
        self._data = data
        self._tracking = tracking
        self._registry = registry
        self._pipelines = pipelines
        self._monitors = monitors
        self._edge = edge
        self._deploy = deploy
        self._runtimes = runtimes
        self._trash_days = trash_days

    def start(
        self,
        who: Principal,
        *,
        dry_run: bool = False,
        older_than_us: int | None = None,
        compact: bool = False,
    ) -> Collection:
        """Have a collection made in the background.

        What lay in the trash longer than ``older_than_us`` goes, by default longer than the setting ``trash_days``.
        ``compact`` writes the whole database file anew where incremental steps cannot shrink it.
        """
        self._govern.permit(who, "admin", "the garbage collection")
        if older_than_us is None:
            older_than_us = self._trash_days * DAY_US or now_us()
        if older_than_us < 0:
            raise Invalid("An age is not negative.", field="older_than_us")
        begun = Collection(
            id=new_id("gc_"),
            dry_run=dry_run,
            older_than_us=older_than_us,
            compact=compact,
            state="queued",
            created_us=now_us(),
            ended_us=None,
            actor=who.id,
            error=None,
            report=Collected(),
        )
        with self._db.write() as tx:
            store.insert_gc(tx, begun)
            job = self._jobs.enqueue(tx, GC, {"gc": begun.id}, queue="heavy", max_attempts=3)
            if not dry_run:
                detail = {"gc": begun.id, "older_than_days": round(older_than_us / DAY_US, 3)}
                self._govern.audit(tx, who, "loop.gc", refs.make("job", job), detail=detail)
        return begun

    def get(self, who: Principal, gc_id: str) -> Collection:
        """Return a collection; raises CollectionNotFound."""
        self._govern.permit(who, "read", "garbage collections")
        with self._db.read() as tx:
            found = store.gcs(tx, where=Where().equals(id=gc_id), limit=1)
        if not found:
            raise CollectionNotFound(f"There is no collection {gc_id[:100]}.")
        return found[0]

    def list(self, who: Principal, *, limit: int | None = None) -> list[Collection]:
        """Return collections, the newest first."""
        self._govern.permit(who, "read", "garbage collections")
        with self._db.read() as tx:
            return store.gcs(tx, where=Where(), limit=check_limit(limit))

    def run(self, job: Job, context: JobContext) -> None:
        """Carry out a collection that was started, or the one that the schedule asks for."""
        gc_id = job.payload.get("gc") or self._by_schedule(job)
        if gc_id is None:
            return
        collection = self.get(_ME, gc_id)
        self._note(collection, "running")
        try:
            self.collect(collection, tell=lambda note: context.heartbeat(note=note))
        except Exception as error:
            self._note(collection, "failed", error=f"{type(error).__name__}: {error}"[:2000])
            raise
        self._note(collection, "done")

    def _by_schedule(self, job: Job) -> str | None:
        """Return a collection for a job of the schedule, the same at every attempt; None where only people purge."""
        if not self._trash_days:
            return None
        gc_id = f"gc_{job.id.removeprefix('job_')}"
        older_than_us = self._trash_days * DAY_US
        begun = Collection(
            gc_id, False, older_than_us, False, "queued", now_us(), None, _ME.id, None, Collected()
        )
        with self._db.write() as tx:
            if not store.gcs(tx, where=Where().equals(id=gc_id), limit=1):
                store.insert_gc(tx, begun)
        return gc_id

    def _note(self, collection: Collection, state: str, *, error: str | None = None) -> None:
        with self._db.write() as tx:
            store.update_gc(
                tx,
                gc_id=collection.id,
                state=state,
                ended_us=None if state == "running" else now_us(),
                error=error,
                report=collection.report,
            )

    def collect(self, collection: Collection, *, tell: Callable[[str], None] = lambda _: None) -> Collected:
        """Purge and sweep, or find out what that would do; the report is filled in on the way."""
        report = collection.report
        before_us = now_us() - collection.older_than_us
        going = self._purge(report, before_us=before_us, dry_run=collection.dry_run, tell=tell)
        self._purge_traces(report, before_us=before_us, dry_run=collection.dry_run)
        if not collection.dry_run:
            self._tracking.uploads.expire(_ME)
        tell("asking which blobs are needed")
        marked_us = now_us()
        needed = self._mark(removed_before_us=before_us, going=going)
        tell("sweeping blobs")
        swept = self._blobs.sweep(needed, before_us=marked_us - GRACE_US, dry_run=collection.dry_run)
        report.blobs, report.blob_bytes = swept
        tell("looking for environments that nothing uses")
        served = [(each.model, one.version) for each in self._deploy.plane_view(_ME) for one in each.served]
        report.environments, report.environment_bytes = self._runtimes.collect(
            _ME, served=served, dry_run=collection.dry_run
        )
        if not collection.dry_run:
            tell("giving space back")
            report.database_bytes = self._db.reclaim(whole=collection.compact)
        return report

    def _purge(
        self, report: Collected, *, before_us: int, dry_run: bool, tell: Callable[[str], None]
    ) -> "Counter[bytes]":
        """Purge what is due; of a dry run return the references to blobs that would end."""
        going: Counter[bytes] = Counter()
        last_told_us = 0
        trashes: tuple[Any, ...] = (self._tracking.trash, self._registry.trash)
        for trash in trashes:
            for ref in trash.due(_ME, before_us=before_us):
                with contextlib.suppress(NotFound):  # restored or purged meanwhile
                    gone = self._purge_one(trash, ref, dry_run=dry_run)
                    if gone is None:
                        report.held += 1
                        continue
                    _add(report, ref, gone)
                    if dry_run:
                        going.update(map(_key, trash.blobs_of(_ME, ref)))
                if now_us() - last_told_us > SECOND_US:
                    last_told_us = now_us()
                    tell(f"purging {ref}")
        return going

    def _purge_traces(self, report: Collected, *, before_us: int, dry_run: bool) -> None:
        """Purge deleted traces and evaluation data sets; a dry run does the same and takes it back."""
        more = True
        while more:
            with contextlib.suppress(_Undone), self._db.write() as tx:
                held = [
                    ref.partition(":")[2] for ref in self._govern.held(tx) if ref.startswith("experiment:")
                ]
                numbers = [int(name) for name in held if name.isdigit()]
                most = _MOST_TRIED if dry_run else _AT_ONCE
                gone = traces.purge(tx, before_us=before_us, held=numbers, limit=most)
                report.traces += len(gone["trace"])
                report.evaluation_datasets += len(gone["evaluation-dataset"])
                more = any(gone.values())
                if dry_run:
                    raise _Undone
            more = more and not dry_run

    def _purge_one(self, trash: Any, ref: str, *, dry_run: bool) -> Any:
        if dry_run:
            return trash.would_purge(_ME, ref)
        try:
            return trash.purge(_ME, ref)
        except Held:
            return None

    def _mark(self, *, removed_before_us: int, going: "Counter[bytes]") -> "Needed":
        if not going:
            return Needed({_key(blob) for blob in self._references(removed_before_us)})
        counts: Counter[bytes] = Counter()
        for blob in self._references(removed_before_us):
            counts[_key(blob)] += 1
        return Needed({key for key, count in counts.items() if count > going[key]})

    def _references(self, removed_before_us: int) -> Iterator[str]:
        """Go through every reference to a blob that there is in any domain."""
        yield from self._data.blobs_in_use(_ME, removed_before_us=removed_before_us)
        yield from self._tracking.trash.blobs_in_use(_ME)
        yield from self._registry.blobs_in_use(_ME)
        yield from self._pipelines.blobs_in_use(_ME)
        yield from self._monitors.blobs_in_use(_ME)
        yield from self._edge.blobs_in_use(_ME)


class _Undone(Exception):
    """Ends a transaction whose changes are to be taken back."""


class Needed:
    """Which blobs are needed; half of each digest is held, so that a million take some 100 MB."""

    def __init__(self, keys: set[bytes]) -> None:
        self._keys = keys

    def __contains__(self, blob: object) -> bool:
        return isinstance(blob, str) and _key(blob) in self._keys


def schedule(jobs: Jobs, tx: Tx) -> None:
    """Have a collection made every night."""
    jobs.schedule(tx, GC, kind=GC, cron="17 4 * * *", queue="heavy")


def _add(report: Collected, ref: str, gone: Any) -> None:
    report.files += gone.files
    report.file_bytes += gone.size_bytes
    if ref.startswith("model:"):
        report.models += gone.models
        report.model_versions += gone.versions
    else:
        report.experiments += gone.experiments
        report.runs += gone.runs
        report.logged_models += gone.models
        report.artifacts += ref.startswith("artifact:")


def _key(blob: str) -> bytes:
    return bytes.fromhex(blob[3 : 3 + 2 * _MARK_BYTES])
