"""Batch predictions in the background: asked for here, carried out by a worker process, taken back at any time."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from trimtab.domains.data import DataService
from trimtab.domains.data.model import check_name
from trimtab.domains.deploy.admission import check_loadable
from trimtab.domains.deploy.batch import store
from trimtab.domains.deploy.batch.datasets import Datasets, data_parts
from trimtab.domains.deploy.batch.errors import BatchPredictionEnded, BatchPredictionNotFound
from trimtab.domains.deploy.batch.events import BatchPredictionFinished, BatchPredictionStarted
from trimtab.domains.deploy.batch.model import (
    ENDED,
    BatchPrediction,
    Options,
    Progress,
    State,
    Summary,
    check_options,
)
from trimtab.domains.deploy.settings import HASHES
from trimtab.domains.govern import GovernService
from trimtab.domains.govern.model import check_reason
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.runtimes.service import RuntimeService
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx, Where
from trimtab.infra.jobs import Interrupted, JobContext, Jobs
from trimtab.infra.secrets import Secrets
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, TrimtabError
from trimtab.kernel.ids import new_id
from trimtab.kernel.pages import Page, check_limit, cursor_key, page_of
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal
from trimtab.serving.policies.settings import FieldRule
from trimtab.serving.processes import OWN, Interpreter

PREDICT = "deploy.batch"
_MOST_ATTEMPTS = 20  # of which most would be kills of the machine: a run that fails by itself gets three
TRIES = 3
_NICE = 10
_NOTE_S = 1.0


class _Cancelled(Exception):
    """Someone took it back while it ran."""


class BatchService:
    """Predictions of registered versions over whole data versions."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        jobs: Jobs,
        blobs: Blobs,
        *,
        govern: GovernService,
        registry: RegistryService,
        runtimes: RuntimeService,
        data: DataService,
        secrets: Secrets,
        rules_of: Callable[[Principal, str], dict[str, FieldRule]],
        folder: Path,
    ) -> None:
        """``folder`` keeps what unfinished ones have written, which is what they go on from.

        ``rules_of`` returns what is done to a model's inputs before they are written down.
        """
        self._db = db
        self._bus = bus
        self._jobs = jobs
        self._registry = registry
        self._runtimes = runtimes
        self._data = data
        self._datasets = Datasets(data, blobs)
        self._folder = folder
        self._secrets = secrets
        self._rules_of = rules_of
        self.govern = govern

    def create(
        self,
        who: Principal,
        *,
        model: str,
        data: str,
        output: str = "",
        path: str = "",
        options: Options,
        reason: str = "",
    ) -> BatchPrediction:
        """Have a registered version predict a data version in the background.

        ``model`` is ``models:/NAME/3`` or ``models:/NAME@alias``, ``data`` is ``data:NAME@3`` or ``data:NAME``;
        both mean what they mean now. The predictions become the next version of the dataset ``output``. ``path``
        chooses one file where a version holds several tables. Raises Invalid, NotFound, MissingColumn, and Forbidden
        as deploying does.
        """
        self.govern.permit(who, "write", "batch predictions")
        check_options(options)
        check_reason(reason)
        found = self._registry.resolve(who, model)
        suspicious = check_loadable(self.govern, who, found, allow_pickle=options.allow_pickle, reason=reason)
        name, version = data_parts(data)
        rows = self._data.get_version(who, name, version)
        output = check_name(output or f"{name}-predictions")
        if output == name:
            raise Invalid("The predictions need a dataset of their own.", field="output")
        self.govern.permit(who, "write", refs.data(output))
        self._datasets.check(who, found, rows, path=path, options=options)
        batch = BatchPrediction(
            id=new_id("bp_"),
            model=found.name,
            model_version=found.version,
            data=name,
            data_version=rows.version,
            path=path,
            output=output,
            options=options,
            state="queued",
            rows_total=rows.rows,
            rows_done=0,
            rows_refused=0,
            rows_per_s=0.0,
            output_version=None,
            refused_version=None,
            summary=None,
            error=None,
            reason=reason,
            created_us=now_us(),
            created_by=who.id,
        )
        with self._db.write() as tx:
            store.insert(tx, batch)
            payload = {"batch": batch.id, "who": msgspec.to_builtins(who)}
            self._jobs.enqueue(tx, PREDICT, payload, queue="heavy", max_attempts=_MOST_ATTEMPTS)
            detail = {"model": refs.model(found.name, found.version), "data": rows.ref, "output": output}
            if suspicious:
                detail["overridden"] = ", ".join(found.strangers[:20]) or "suspicious"
            self.govern.audit(tx, who, "deploy.batch.create", _ref(batch), detail=detail)
            event = BatchPredictionStarted(
                batch=batch.id, model=batch.model, version=batch.model_version, data=rows.ref
            )
            self._bus.emit(tx, event, subject=_ref(batch), actor=who.id)
        return batch

    def get(self, who: Principal, batch_id: str) -> BatchPrediction:
        """Return one; raises BatchPredictionNotFound."""
        self.govern.permit(who, "read", "batch predictions")
        with self._db.read() as tx:
            return self._find(tx, batch_id)

    def list(
        self,
        who: Principal,
        *,
        model: str | None = None,
        data: str | None = None,
        state: State | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[BatchPrediction]:
        """Return batch predictions, the newest first."""
        self.govern.permit(who, "read", "batch predictions")
        size = check_limit(limit)
        where = Where().equals(model=model, data=data, state=state)
        if cursor:
            where.add("id < :before", before=cursor_key(cursor, str))
        with self._db.read() as tx:
            found = store.find(tx, where=where, limit=size + 1)
        return page_of(found, size, key=lambda batch: batch.id)

    def cancel(self, who: Principal, batch_id: str) -> BatchPrediction:
        """Take one back: what runs of it ends within some seconds, and nothing of it is kept."""
        self.govern.permit(who, "write", "batch predictions")
        with self._db.write() as tx:
            tx.lock(f"deploy.batch:{batch_id}")
            batch = self._find(tx, batch_id)
            if batch.state in ENDED:
                raise BatchPredictionEnded(f"The batch prediction has {batch.state} already.")
            self._end(tx, who, batch, "cancelled")
            self.govern.audit(tx, who, "deploy.batch.cancel", _ref(batch))
        return self.get(who, batch_id)

    def model_renamed(self, who: Principal, old_name: str, new_name: str) -> None:
        """Have batch predictions follow a model to its new name."""
        self.govern.permit(who, "write", refs.model(new_name))
        with self._db.write() as tx:
            store.rename_model(tx, old_name=old_name, new_name=new_name)

    def carry_out(
        self, who: Principal, batch_id: str, context: JobContext, *, last_attempt: bool = True
    ) -> None:
        """Predict what is left of one, in a worker process; goes on where an earlier attempt was cut off.

        Raises Interrupted when the process is asked to leave, and what may go better another time unless this is
        the ``last_attempt``.
        """
        self.govern.permit(who, "write", "batch predictions")
        with self._db.write() as tx:
            begun = store.begin(tx, batch_id=batch_id, now_us=now_us())
        batch = self.get(who, batch_id)
        folder = self._folder / batch.id
        if not begun:
            shutil.rmtree(folder, ignore_errors=True)
            return
        try:
            self._carry_out(who, batch, folder, context)
        except Interrupted:
            raise
        except _Cancelled:
            pass
        except TrimtabError as error:
            if error.kind == "unavailable" and not last_attempt:
                raise
            self._fail(who, batch, error.message)
        except Exception as error:  # whatever it is, whoever waits for the predictions must learn of it
            if not last_attempt:
                raise
            self._fail(who, batch, f"{type(error).__name__}: {error}"[:2000])
        shutil.rmtree(folder, ignore_errors=True)

    def _carry_out(self, who: Principal, batch: BatchPrediction, folder: Path, context: JobContext) -> None:
        from trimtab.domains.deploy.batch.run import Run  # it computes, in a worker process

        version = self._registry.get_version(who, batch.model, batch.model_version)
        model = self._registry.materialize(who, batch.model, batch.model_version, folder / "model")
        compiled = self._compiled(who, batch, folder)
        rules = self._rules_of(who, batch.model)
        with self._datasets.table(who, batch, folder) as table:
            run = Run(
                table,
                model,
                model_digest=version.digest,
                options=batch.options,
                folder=folder / "parts",
                compiled=compiled,
                interpreter=OWN if compiled else self._interpreter(who, batch, context),
                nice=_NICE,
                rules=rules,
                hash_key=self._secrets.derive(HASHES) if rules else b"",
            )
            done = run.carry_out(self._teller(batch, context))
        written = self._datasets.add(who, batch, batch.output, run.parts.files(done.parts))
        refused = run.parts.refused_files(done.parts)
        left_out = self._datasets.add(who, batch, batch.refused, refused) if refused else None
        with self._db.write() as tx:
            tx.lock(f"deploy.batch:{batch.id}")
            self._end(tx, who, batch, "succeeded", summary=done.summary, output=written, refused=left_out)

    def _compiled(self, who: Principal, batch: BatchPrediction, folder: Path) -> Path | None:
        """Return the compiled form of the version, unless there is none or it is to be left aside."""
        if batch.options.native:
            return None
        return self._registry.materialize_compiled(who, batch.model, batch.model_version, folder / "compiled")

    def _interpreter(self, who: Principal, batch: BatchPrediction, context: JobContext) -> Interpreter:
        """Return the Python of the version's environment, which is made first where it is not there yet."""
        return self._runtimes.interpreter_now(
            who,
            batch.model,
            batch.model_version,
            tick=lambda: context.heartbeat(note="makes the environment"),
        )

    def _teller(self, batch: BatchPrediction, context: JobContext) -> Callable[[Progress], None]:
        """Return what stores the progress once a second, and stops the run when it was cancelled or must leave."""
        noted = 0.0

        def tell(progress: Progress) -> None:
            nonlocal noted
            if context.stopping:
                raise Interrupted
            if time.monotonic() - noted < _NOTE_S:
                return
            noted = time.monotonic()
            with self._db.write() as tx:
                alive = store.note(tx, batch_id=batch.id, progress=progress)
            if not alive:
                raise _Cancelled
            share = progress.counts.rows / progress.total if progress.total else None
            context.heartbeat(progress=share, note=f"{progress.counts.rows} rows of {batch.data}")

        return tell

    def _fail(self, who: Principal, batch: BatchPrediction, error: str) -> None:
        with self._db.write() as tx:
            tx.lock(f"deploy.batch:{batch.id}")
            self._end(tx, who, batch, "failed", error=error)

    def _end(
        self,
        tx: Tx,
        who: Principal,
        batch: BatchPrediction,
        state: State,
        *,
        error: str | None = None,
        summary: Summary | None = None,
        output: int | None = None,
        refused: int | None = None,
    ) -> None:
        ended = store.finish(
            tx,
            batch_id=batch.id,
            state=state,
            ended_us=now_us(),
            error=error,
            summary=summary,
            output_version=output,
            refused_version=refused,
        )
        if not ended:
            return
        counts = summary.counts if summary else None
        event = BatchPredictionFinished(
            batch=batch.id,
            model=batch.model,
            version=batch.model_version,
            data=refs.data(batch.data, batch.data_version),
            state=state,
            output=refs.data(batch.output, output) if output is not None else None,
            rows=counts.rows if counts else 0,
            refused=counts.refused if counts else 0,
            error=error,
        )
        self._bus.emit(tx, event, subject=_ref(batch), actor=who.id)

    def _find(self, tx: Tx, batch_id: str) -> BatchPrediction:
        found = store.find(tx, where=Where().equals(id=batch_id), limit=1)
        if not found:
            raise BatchPredictionNotFound(f"There is no batch prediction {batch_id[:100]}.")
        return found[0]


def _ref(batch: BatchPrediction) -> str:
    return refs.make("batch-prediction", batch.id)
