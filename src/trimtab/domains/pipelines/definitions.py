"""Registered pipelines: their source, entry, graph and schedule, by name and version."""

from typing import Any

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.pipelines import store
from trimtab.domains.pipelines.errors import PipelineNotFound
from trimtab.domains.pipelines.model import Pipeline, Run, Spec, check_entry, check_spec
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.pages import Page, check_limit, cursor_key, encode_cursor
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.sdk.bundles import MOST_BYTES, unpack
from trimtab.sdk.graph import check_name
from trimtab.sdk.parameters import check

SUBMIT = "pipelines.submit"


class Definitions:
    """Pipelines by name."""

    def __init__(
        self, db: Database, bus: Bus, jobs: Jobs, govern: GovernService, lineage: LineageService, blobs: Blobs
    ) -> None:
        self._db = db
        self._bus = bus
        self._jobs = jobs
        self.govern = govern
        self._lineage = lineage
        self._blobs = blobs

    def add_bundle(self, who: Principal, content: bytes) -> tuple[str, list[str]]:
        """Store a zip archive of source files; return its blob and the names of its files. Raises Invalid."""
        self.govern.permit(who, "write", "pipelines")
        if len(content) > MOST_BYTES:
            raise Invalid(f"The bundle is larger than {MOST_BYTES >> 20} MiB.", field="bundle")
        files = unpack(content)
        if not files:
            raise Invalid("The bundle holds no files.", field="bundle")
        return self._blobs.put(content), sorted(files)

    def register(self, who: Principal, name: str, *, source_blob: str, entry: str, spec: Spec) -> Pipeline:
        """Register a pipeline, or a new version of it where its source, entry or spec changed.

        ``entry`` is ``module:function`` within the bundle that ``add_bundle`` stored. Raises Invalid.
        """
        self.govern.permit(who, "write", pipeline_ref(name))
        check_name(name, "pipeline")
        check_spec(spec)
        if not self._blobs.touch(source_blob):
            raise Invalid(f"There is no bundle {source_blob}: upload it first.", field="source_blob")
        with self._blobs.open(source_blob) as stream:
            check_entry(entry, unpack(stream.read(MOST_BYTES + 1)))
        now = now_us()
        with self._db.write() as tx:
            tx.lock(pipeline_ref(name))
            known = store.pipeline(tx, name)
            if known is not None and (known.source_blob, known.entry, known.spec) == (
                source_blob,
                entry,
                spec,
            ):
                return known
            pipeline = Pipeline(
                name=name,
                version=known.version + 1 if known is not None else 1,
                entry=entry,
                source_blob=source_blob,
                spec=spec,
                created_us=known.created_us if known is not None else now,
                updated_us=now,
                updated_by=who.id,
                cron=known.cron if known is not None else None,
                cron_params=known.cron_params if known is not None else {},
            )
            store.put_pipeline(tx, pipeline)
            detail = {"version": pipeline.version, "source": source_blob, "entry": entry}
            self.govern.audit(tx, who, "pipelines.register", pipeline_ref(name), detail=detail)
        return pipeline

    def get_pipeline(self, who: Principal, name: str) -> Pipeline:
        """Return a pipeline; raises PipelineNotFound."""
        self.govern.permit(who, "read", pipeline_ref(name))
        with self._db.read() as tx:
            return require(tx, name)

    def find_pipelines(
        self, who: Principal, *, limit: int | None = None, cursor: str | None = None
    ) -> Page[tuple[Pipeline, int, Run | None]]:
        """Return pipelines by name, each with how many runs it has had and the newest."""
        self.govern.permit(who, "read", "pipelines")
        size = check_limit(limit)
        where = Where()
        if cursor:
            where.add("name > :after", after=cursor_key(cursor, str))
        with self._db.read() as tx:
            found = store.pipelines(tx, where=where, limit=size + 1)
            shown = found[:size]
            counts = store.run_counts(tx, [pipeline.name for pipeline in shown])
            items: list[tuple[Pipeline, int, Run | None]] = []
            for pipeline in shown:
                number, newest = counts.get(pipeline.name, (0, ""))
                items.append((pipeline, number, store.run(tx, newest) if newest else None))
        more = encode_cursor((shown[-1].name,)) if len(found) > size else None
        return Page(items, more)

    def count_runs(self, who: Principal, name: str) -> tuple[int, Run | None]:
        """Return how many runs a pipeline has had, and the newest."""
        self.govern.permit(who, "read", pipeline_ref(name))
        with self._db.read() as tx:
            number, newest = store.run_counts(tx, [name]).get(name, (0, ""))
            return number, store.run(tx, newest) if newest else None

    def schedule(
        self, who: Principal, name: str, *, cron: str | None, params: dict[str, Any] | None = None
    ) -> Pipeline:
        """Have a pipeline run by a cron expression (UTC), or no longer where that is None.

        Raises PipelineNotFound, and Invalid for a bad expression or parameter.
        """
        self.govern.permit(who, "write", pipeline_ref(name))
        with self._db.write() as tx:
            tx.lock(pipeline_ref(name))
            pipeline = require(tx, name)
            given = params or {}
            if cron is None:
                self._jobs.unschedule(tx, pipeline_ref(name))
            else:
                check(pipeline.spec.parameters, given)
                self._jobs.schedule(
                    tx,
                    pipeline_ref(name),
                    kind=SUBMIT,
                    payload={"pipeline": name, "params": given},
                    cron=cron,
                )
            pipeline = msgspec.structs.replace(
                pipeline, cron=cron, cron_params=given if cron is not None else {}
            )
            store.put_pipeline(tx, pipeline)
            self.govern.audit(tx, who, "pipelines.schedule", pipeline_ref(name), detail={"cron": cron})
        return pipeline


def pipeline_ref(name: str) -> str:
    return refs.make("pipeline", name)


def require(tx: Tx, name: str) -> Pipeline:
    """Return a pipeline in the caller's transaction; raises PipelineNotFound."""
    found = store.pipeline(tx, name)
    if found is None:
        raise PipelineNotFound(
            f"There is no pipeline {name!r}.{did_you_mean(name, store.pipeline_names(tx))}"
        )
    return found
