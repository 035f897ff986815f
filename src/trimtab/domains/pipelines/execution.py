"""Carries one run from its plan to its end, in a worker process: what is ready starts, what is known is not done again.

Everything a run has reached is in its rows, so that another process can go on from there at any moment.
"""

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec

from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.pipelines import store
from trimtab.domains.pipelines.events import PipelineRunFinished, PipelineRunStarted
from trimtab.domains.pipelines.model import (
    Plan,
    Result,
    Run,
    StepRow,
    argument_digest,
    cache_key,
    resolve,
)
from trimtab.domains.pipelines.progress import Progress
from trimtab.domains.pipelines.step_process import (
    MAKE_PLAN,
    PREPARE,
    RUN_STEP,
    PlanOrder,
    Report,
    StepOrder,
    environment_for_steps,
)
from trimtab.domains.pipelines.values import Argument, blobs_of, refs_in
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx
from trimtab.infra.executors import Call, Executor, Outcome, Session
from trimtab.infra.jobs import Interrupted, JobContext
from trimtab.infra.jobs.queue import LeaseLost
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.kernel.time import DAY_US, now_us
from trimtab.kernel.who import system
from trimtab.sdk.bundles import unpack

ME = system("pipelines")
_LOOK_S = 0.25
_BEAT_S = 2.0
_TAIL = 8192
_PLAN_TIMEOUT_S = 600.0
_TOKEN_US = 30 * DAY_US
"""Longer than any run takes: the token ends with its run, and this is for what no process was left to end."""


class Place(msgspec.Struct, frozen=True):
    """Where runs are carried out. ``folder`` is for files that live as long as a run does."""

    executor: Executor
    folder: Path
    blobs_url: str
    server_url: str
    sign_in: bool


class Execution:
    """One attempt to bring one run to its end."""

    def __init__(
        self,
        run: Run,
        place: Place,
        context: JobContext,
        *,
        db: Database,
        bus: Bus,
        blobs: Blobs,
        govern: GovernService,
        lineage: LineageService,
    ) -> None:
        self._run = run
        self._place = place
        self._context = context
        self._db = db
        self._bus = bus
        self._blobs = blobs
        self._govern = govern
        self._lineage = lineage
        self._ref = refs.make("pipeline-run", run.id)
        self._folder = place.folder / run.id
        self._bundle = str(self._folder / "bundle")
        self._fence = 0
        self._looked = self._beaten = time.monotonic()
        self._progress = Progress(Plan([], {}), [])
        self._calls: dict[str, str] = {}  # id of a call -> name of its step
        self._keys: dict[str, str] = {}
        self._found: list[str] = []  # steps whose result was remembered
        self._results: dict[str, Result] = {}  # of steps that have just ended
        self._made: set[str] = set()

    def carry_out(self) -> None:
        """Go on with the run until it ends; return at once when it has.

        Raises Interrupted when the process is asked to leave, LeaseLost when another process has the run.
        """
        if not self._begin():
            return
        end = self._work()
        with self._db.write() as tx:
            self._hold(tx)
            self._end(tx, end)

    def _work(self) -> "_End":
        """Do what is left of the run and return how it ends; no process, file or token of it is left then."""
        token_id: str | None = None
        session: Session | None = None
        try:
            self._unpack()
            token_id, token = self._token()
            order = PlanOrder(self._bundle, self._run.entry, self._run.params, self._place.blobs_url)
            session = self._place.executor.open(
                folder=self._folder / "session",
                environment=environment_for_steps(self._place.server_url, token),
                prepare=(PREPARE, msgspec.json.encode(order)),
            )
            if not self._load_plan():
                self._make_plan(session, order)
            self._drive(session)
            error = self._progress.first_error()
            outputs = self._progress.outputs()
            return _End("succeeded" if error is None else "failed", error=error, outputs=outputs)
        except _End as end:
            return end
        except (Invalid, NotFound) as error:  # a bundle that is gone will not come back
            return _End("failed", error=error.message)
        finally:
            if session is not None:
                session.close()
            shutil.rmtree(self._folder, ignore_errors=True)
            self._revoke(token_id)

    # beginning

    def _begin(self) -> bool:
        with self._db.write() as tx:
            tx.lock(self._ref)
            fence = store.begin_run(tx, self._run.id, now_us=now_us())
            if fence is None:
                return False
            if self._run.started_us is None:
                event = PipelineRunStarted(self._run.id, self._run.pipeline, self._run.trigger)
                self._bus.emit(tx, event, subject=self._ref, actor=self._run.submitted_by)
        self._fence = fence
        return True

    def _unpack(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        with self._blobs.open(self._run.source_blob) as stream:
            files = unpack(stream.read())
        for name, content in files.items():
            target = Path(self._bundle) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def _token(self) -> tuple[str | None, str | None]:
        """Return the id and text of a token with which steps may call the server, where it asks for one."""
        self._revoke(self._run.token_id)
        if not self._place.sign_in:
            return None, None
        token, text = self._govern.create_token(
            ME, name=f"pipeline run {self._run.id}", role="editor", expires_us=now_us() + _TOKEN_US
        )
        with self._db.write() as tx:
            store.set_token(tx, self._run.id, token.id)
        return token.id, text

    def _revoke(self, token_id: str | None) -> None:
        if token_id is None:
            return
        with contextlib.suppress(NotFound):
            self._govern.revoke_token(ME, token_id)
        with self._db.write() as tx:
            store.set_token(tx, self._run.id, None)

    # the plan

    def _load_plan(self) -> bool:
        with self._db.read() as tx:
            plan = store.plan(tx, self._run.id)
            rows = store.steps(tx, [self._run.id]) if plan is not None else []
        if plan is None:
            return False
        self._progress = Progress(plan, rows)
        return True

    def _make_plan(self, session: Session, order: PlanOrder) -> None:
        """Have a step process build the graph; raises the end of the run where that fails."""
        session.start(Call("plan", MAKE_PLAN, msgspec.json.encode(order), timeout_s=_PLAN_TIMEOUT_S))
        while not (outcomes := session.poll(_LOOK_S)):
            self._look_around(session)
        report = _report(outcomes[0])
        if report.plan is None:
            raise _End("failed", error=f"The pipeline could not be built: {report.error}")
        rows = [
            StepRow(self._run.id, position, step.name, needs=step.needs)
            for position, step in enumerate(report.plan.steps)
        ]
        with self._db.write() as tx:
            self._hold(tx)
            store.set_plan(tx, self._run.id, report.plan, rows)
        self._progress = Progress(report.plan, rows)

    # the work

    def _drive(self, session: Session) -> None:
        progress = self._progress
        while True:
            self._start_ready(session)
            self._mark_running(session)
            self._write()
            if not self._calls and progress.idle:
                return
            self._look_around(session)  # here nothing is lost by leaving: all that has ended is written
            due_s = progress.next_due_s()
            for outcome in session.poll(_LOOK_S if due_s is None else min(_LOOK_S, due_s)):
                self._settle(outcome)

    def _start_ready(self, session: Session) -> None:
        while names := self._progress.take_ready():
            arguments: dict[str, dict[str, Argument]] = {}
            for name in names:
                try:
                    arguments[name] = self._arguments(name)
                except Invalid as error:
                    self._progress.fail(name, error.message)
            known = self._known(list(arguments))
            for name, resolved in arguments.items():
                if name in known:
                    self._take_known(name, known[name])
                else:
                    self._start(session, name, resolved)

    def _arguments(self, name: str) -> dict[str, Argument]:
        step = self._progress.steps[name]
        arguments = {key: resolve(part, self._progress.values) for key, part in step.arguments.items()}
        self._keys[name] = cache_key(step, {key: argument_digest(part) for key, part in arguments.items()})
        return arguments

    def _known(self, names: list[str]) -> dict[str, Result]:
        """Return the remembered results of those steps that may use them and whose bytes are still there."""
        keys = {name: self._keys[name] for name in names if self._progress.steps[name].cache}
        if not keys:
            return {}
        with self._db.read() as tx:
            found = store.cached(tx, sorted(set(keys.values())))
        usable = {
            key
            for key, result in found.items()
            if all(map(self._blobs.touch, blobs_of(result.value, self._blobs)))
        }
        return {name: found[key] for name, key in keys.items() if key in usable}

    def _take_known(self, name: str, result: Result) -> None:
        now, row = now_us(), self._progress.rows[name]
        self._progress.change(name, started_us=now, ended_us=now, cached=True, attempt=max(1, row.attempt))
        self._found.append(name)
        self._results[name] = result
        self._progress.succeed(name, result.value)

    def _start(self, session: Session, name: str, arguments: dict[str, Argument]) -> None:
        step, attempt = self._progress.steps[name], self._progress.rows[name].attempt + 1
        order = StepOrder(
            folder=self._bundle,
            target=step.target,
            arguments=arguments,
            blobs_url=self._place.blobs_url,
            run_id=self._run.id,
            pipeline=self._run.pipeline,
            step=name,
            attempt=attempt,
        )
        payload = msgspec.json.encode(order)
        call = Call(f"{name}#{attempt}", RUN_STEP, payload, timeout_s=step.timeout_s, cpus=step.cpus)
        self._calls[call.id] = name
        self._progress.change(name, attempt=attempt)
        session.start(call)

    def _mark_running(self, session: Session) -> None:
        for call_id, started_us in session.running().items():
            name = self._calls.get(call_id)
            if name is not None and self._progress.rows[name].state == "waiting":
                self._progress.change(name, state="running", started_us=started_us, ended_us=None)

    def _settle(self, outcome: Outcome) -> None:
        name = self._calls.pop(outcome.call_id)
        report = _report(outcome)
        self._progress.change(
            name,
            started_us=outcome.started_us,
            ended_us=outcome.ended_us,
            log_tail=outcome.log[-_TAIL:],
            log_blob=self._blobs.put(outcome.log.encode()) if len(outcome.log) > _TAIL else None,
        )
        if report.result is None:
            self._progress.fail_attempt(name, report.error)
        else:
            self._results[name] = report.result
            self._progress.succeed(name, report.result.value)

    # the rows

    def _write(self) -> None:
        progress = self._progress
        if not progress.changed:
            return
        now = now_us()
        with self._db.write() as tx:
            self._hold(tx)
            store.update_steps(tx, [progress.rows[name] for name in sorted(progress.changed)])
            store.touch_cached(tx, [self._keys[name] for name in self._found], now_us=now)
            for name, result in self._results.items():
                if progress.steps[name].cache and not result.moving and name not in self._found:
                    store.put_cached(tx, self._keys[name], result, run_id=self._run.id, step=name, now_us=now)
                self._link(tx, result.inputs, result.outputs)
        progress.changed.clear()
        self._found.clear()
        self._results.clear()

    def _hold(self, tx: Tx) -> None:
        if not store.hold(tx, self._run.id, fence=self._fence):
            raise LeaseLost(self._run.id)

    def _link(self, tx: Tx, inputs: list[str], outputs: list[str]) -> None:
        self._made.update(outputs)
        for ref in inputs:
            if ref not in self._made:  # what a run has made itself is not where it comes from
                self._lineage.link(tx, ref, self._ref, "input")
        for ref in outputs:
            self._lineage.link(tx, self._ref, ref, "output")

    def _look_around(self, session: Session) -> None:
        """Now and then: leave when asked to, cancel when asked to, show progress and fresh lines of the logs."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        if self._context.stopping:
            raise Interrupted
        with self._db.read() as tx:
            if store.cancel_asked(tx, self._run.id):
                raise _End("cancelled", error="cancelled")
        if now - self._beaten < _BEAT_S:
            return
        self._beaten = now
        self._context.heartbeat(progress=self._progress.share_ended)
        for call_id, name in self._calls.items():
            log = session.log(call_id)[-_TAIL:]
            if log and log != self._progress.rows[name].log_tail:
                self._progress.change(name, log_tail=log)

    # the end

    def _end(self, tx: Tx, end: "_End") -> None:
        now, run = now_us(), self._run
        store.end_run(tx, run.id, state=end.state, now_us=now, outputs=end.outputs, error=end.error)
        store.cancel_steps(tx, run.id, now_us=now)
        if end.state == "succeeded":
            self._link(tx, [], refs_in(end.outputs))
        event = PipelineRunFinished(run.id, run.pipeline, end.state, end.outputs, run.trigger, end.error)
        self._bus.emit(tx, event, subject=self._ref, actor=run.submitted_by)


class _End(Exception):
    """How a run ends; raised where that comes before its time."""

    def __init__(
        self, state: str, *, error: str | None = None, outputs: dict[str, Any] | None = None
    ) -> None:
        super().__init__(state)
        self.state = state
        self.error = error
        self.outputs = outputs or {}


def _report(outcome: Outcome) -> Report:
    """Return what a call reports; a call that did not come to reporting failed with the executor's words."""
    if outcome.state == "done":
        return msgspec.json.decode(outcome.result, type=Report)
    return Report(error=outcome.error)
