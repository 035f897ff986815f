"""The gate: candidate and champion on the same rows, each check with its interval, and a verdict that is kept."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trimtab.domains.data import DataService
from trimtab.domains.monitor import MonitorService
from trimtab.domains.monitor.reference import load_table
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.evidence.service import estimates_of
from trimtab.domains.registry.model import GateCheck, ModelVersion
from trimtab.domains.registry.runtimes.service import RuntimeService
from trimtab.infra.db import Database
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, NotFound, TrimtabError, did_you_mean
from trimtab.kernel.time import DAY_US
from trimtab.loop.canary import Canary
from trimtab.loop.errors import BadCandidate
from trimtab.loop.model import Episode, GatePolicy
from trimtab.loop.scoring import Scorer
from trimtab.loop.service import LoopService
from trimtab.loop.watching import WHO, watch_again
from trimtab.science import clustering
from trimtab.science.metrics import classification, compare

Floats = NDArray[np.float64]


class Gate:
    """Judges the candidate of an episode; runs in a worker process."""

    def __init__(
        self,
        db: Database,
        *,
        loop: LoopService,
        registry: RegistryService,
        runtimes: RuntimeService,
        data: DataService,
        canary: Canary,
        monitors: MonitorService,
        policy: GatePolicy | None = None,
    ) -> None:
        self._db = db
        self._loop = loop
        self._registry = registry
        self._runtimes = runtimes
        self._data = data
        self._canary = canary
        self._monitors = monitors
        self._default = policy or GatePolicy()

    def run(self, episode_id: str, *, job: str) -> None:
        """Decide on an episode's candidate, record the verdict, and go on with the canary or stay with the champion."""
        episode = self._loop.episode(WHO, episode_id)
        if episode.state == "warming":  # an earlier attempt at this job was cut off after its verdict
            self._canary.prepare(episode_id)
        if episode.state != "gating" or episode.candidate is None:
            return
        policy = self._policy(episode)
        champion = None
        try:
            candidate = self._registry.resolve(WHO, episode.candidate)
            if episode.champion is not None:
                champion = self._registry.get_version(WHO, episode.model, int(episode.champion))
        except (Invalid, NotFound) as error:
            self._canary.not_judged(episode, error.message, cause=job)
            return
        try:
            checks, metrics = self._checks(episode, policy, candidate, champion)
        except (TrimtabError, pa.ArrowException, TypeError, ValueError) as error:
            checks, metrics = [GateCheck(name="runs", passed=False, detail=str(error))], {}
        passed = all(check.passed for check in checks)
        self._registry.record_gate(
            WHO,
            candidate.name,
            candidate.version,
            champion=champion.version if champion else None,
            verdict="passed" if passed else "failed",
            checks=checks,
            evidence={"episode": episode.id, "evaluation": episode.evaluation, "metrics": metrics},
        )
        self._tell(episode, candidate, checks, metrics, passed=passed, job=job)
        if passed:
            self._canary.prepare(episode_id)

    def _policy(self, episode: Episode) -> GatePolicy:
        try:
            return self._loop.policy(WHO, episode.endpoint).gate
        except TrimtabError:
            return self._default

    def _checks(
        self, episode: Episode, policy: GatePolicy, candidate: ModelVersion, champion: ModelVersion | None
    ) -> tuple[list[GateCheck], dict[str, Any]]:
        checks = [_safe(candidate), _signature(candidate, champion)]
        if episode.evaluation is None:
            raise BadCandidate("The candidate came without evaluation data.", field="evaluation")
        rows = load_table(self._data, episode.evaluation, who=WHO)
        truth = _truth(rows, policy.label)
        mine = self._scores(candidate, rows)
        found = classification.evaluate(truth, mine)
        measured = estimates_of(found, rows=rows.num_rows, data=episode.evaluation)
        if measured:
            self._registry.record_estimates(WHO, candidate.name, candidate.version, measured)
        metrics = {name: one.estimate for name, one in found.items() if math.isfinite(one.estimate)}
        groups = _groups(rows, policy.group_by)
        if groups is not None:
            metrics["clustering"] = clustering.correlation(classification.brier_losses(truth, mine), groups)
        auc = found["roc_auc"]
        checks.append(
            GateCheck(
                name="roc_auc",
                passed=auc.estimate >= policy.min_auc,
                value=auc.estimate,
                threshold=policy.min_auc,
                low=auc.low,
                high=auc.high,
                detail=f"on {rows.num_rows:,} rows of {episode.evaluation}",
            )
        )
        if champion is not None:
            theirs_rows = rows
            if episode.champion_evaluation is not None:
                theirs_rows = self._same_rows(episode.champion_evaluation, rows, policy)
            theirs = self._scores(champion, theirs_rows)
            checks += _compared(truth, theirs, mine, policy, groups)
        return checks, metrics

    def _scores(self, version: ModelVersion, rows: pa.Table) -> Floats:
        columns = {name: rows.column(name).to_pylist() for name in rows.column_names}
        name, number = version.name, version.version
        interpreter = self._runtimes.interpreter_now(WHO, name, number)
        with Scorer(self._registry, who=WHO, name=name, version=number, interpreter=interpreter) as scorer:
            return np.asarray(scorer.scores(columns, rows.num_rows), dtype=np.float64)

    def _same_rows(self, evaluation: str, rows: pa.Table, policy: GatePolicy) -> pa.Table:
        """Return the champion's own view of the rows, in the same order; raises BadCandidate for other rows."""
        theirs = load_table(self._data, evaluation, who=WHO)
        if policy.key is None:
            raise BadCandidate(
                "Two views of the evaluation rows need gate.key to match them.", field="gate.key"
            )
        keys = _column(rows, policy.key).to_pylist()
        place = {key: position for position, key in enumerate(_column(theirs, policy.key).to_pylist())}
        if set(place) != set(keys):
            raise BadCandidate(
                f"{evaluation} does not hold the same rows as the candidate's evaluation data."
            )
        ordered = theirs.take(pa.array([place[key] for key in keys]))
        if not np.array_equal(_truth(ordered, policy.label), _truth(rows, policy.label)):
            raise BadCandidate(f"{evaluation} has other labels for the same rows.")
        return ordered

    def _tell(
        self,
        episode: Episode,
        candidate: ModelVersion,
        checks: list[GateCheck],
        metrics: dict[str, float],
        *,
        passed: bool,
        job: str,
    ) -> None:
        failed = [check for check in checks if not check.passed]
        if not passed:
            watch_again(self._monitors, episode.endpoint)
        with self._db.write() as tx:
            episode = self._loop.find(tx, episode.id)
            if episode.state != "gating":
                return
            self._loop.step(
                tx,
                WHO,
                cause_event=job,
                kind="gate",
                state="passed" if passed else "failed",
                title=f"Gate {'passed' if passed else 'failed'}: {candidate.name} {candidate.version}",
                detail="; ".join(_sentence(check) for check in (failed or checks[2:])),
                subject=refs.model(candidate.name, candidate.version),
                event_us=episode.event_us,
                episode=episode,
                data={"checks": [_plain(check) for check in checks]},
            )
            if passed:
                self._loop.move(tx, episode, "warming", baseline=metrics)
                return
            self._loop.step(
                tx,
                WHO,
                cause_event=job,
                kind="decision",
                state="done",
                title=f"Kept version {episode.champion}" if episode.champion else "No version answers yet",
                detail="The candidate is not known to be as good.",
                subject=refs.make("endpoint", episode.endpoint),
                event_us=episode.event_us,
                episode=episode,
            )
            self._loop.move(tx, episode, "kept")


def _safe(candidate: ModelVersion) -> GateCheck:
    detail = f"stored as {candidate.format}"
    return GateCheck(name="safe_format", passed=candidate.safe, detail=detail)


def _signature(candidate: ModelVersion, champion: ModelVersion | None) -> GateCheck:
    """Callers of the champion must be able to call the candidate: it may need no column that they do not send."""
    from trimtab.serving.routes import signature_of

    name = "signature"
    wanted = signature_of(candidate.signature)
    if wanted is None:
        return GateCheck(name=name, passed=False, detail="the candidate has no signature")
    sent = signature_of(champion.signature) if champion else None
    if sent is None:
        return GateCheck(name=name, passed=True, detail=f"{len(wanted.inputs)} inputs")
    known = {field.name: field.type for field in sent.inputs}
    odd = [
        field.name
        for field in wanted.inputs
        if (field.required and field.name not in known) or known.get(field.name, field.type) != field.type
    ]
    if odd:
        return GateCheck(name=name, passed=False, detail=f"callers do not send {', '.join(odd)} in that form")
    return GateCheck(
        name=name, passed=True, detail=f"{len(wanted.inputs)} inputs, all sent by today's callers"
    )


def _compared(
    truth: NDArray[np.bool_], theirs: Floats, mine: Floats, policy: GatePolicy, groups: Any
) -> list[GateCheck]:
    auc = compare.auc(truth, theirs, mine)
    brier = compare.losses(
        classification.brier_losses(truth, theirs), classification.brier_losses(truth, mine), groups=groups
    )
    better = policy.must_improve
    return [
        GateCheck(
            name="roc_auc_vs_champion",
            passed=auc.superior(higher_is_better=True)
            if better
            else auc.non_inferior(policy.auc_margin, higher_is_better=True),
            value=auc.estimate,
            threshold=0.0 if better else -policy.auc_margin,
            low=auc.low,
            high=auc.high,
            detail=f"{auc.challenger:.3f} against the champion's {auc.champion:.3f} on the same rows",
        ),
        GateCheck(
            name="brier_vs_champion",
            passed=brier.non_inferior(policy.brier_margin, higher_is_better=False),
            value=brier.estimate,
            threshold=policy.brier_margin,
            low=brier.low,
            high=brier.high,
            detail=f"{brier.challenger:.4f} against the champion's {brier.champion:.4f} on the same rows",
        ),
    ]


def _truth(rows: pa.Table, label: str) -> NDArray[np.bool_]:
    values = np.asarray(_column(rows, label).to_pylist(), dtype=np.float64)
    if not np.isin(values, (0.0, 1.0)).all():
        raise BadCandidate(f"The label {label!r} is not 0 or 1 everywhere.", field="gate.label")
    return values.astype(bool)


def _groups(rows: pa.Table, column: str | None) -> Any:
    if column is None:
        return None
    values = _column(rows, column).to_numpy()
    return values // DAY_US if column.endswith("_us") else values


def _column(rows: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in rows.column_names:
        hint = did_you_mean(name, rows.column_names)
        raise BadCandidate(f"The evaluation data has no column {name!r}.{hint}", field="evaluation")
    return rows.column(name)


def _sentence(check: GateCheck) -> str:
    return f"{check.name}: {check.detail}"


def _plain(check: GateCheck) -> dict[str, Any]:
    return {
        "name": check.name,
        "passed": check.passed,
        "value": check.value,
        "threshold": check.threshold,
        "low": check.low,
        "high": check.high,
        "detail": check.detail,
    }
