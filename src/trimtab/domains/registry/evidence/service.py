"""What is known of a version beside its files: metrics with their intervals, and what the scan of the files found."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from trimtab.domains.registry import store as versions
from trimtab.domains.registry.errors import ScanNotFound
from trimtab.domains.registry.evidence import store
from trimtab.domains.registry.model import MetricEstimate
from trimtab.domains.registry.scan import AT_LEISURE, FileScan
from trimtab.domains.registry.versions import SCAN, Versions
from trimtab.infra.db import Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

EVALUATE = "registry.evaluate"
Task = Literal["classification", "regression"]
_MOST_ESTIMATES = 1000
_MOST_KEY = 250
_MOST_ROWS = 1_000_000
_METHODS = {
    "roc_auc": "delong",
    "accuracy": "wilson",
    "precision": "wilson",
    "recall": "wilson",
    "f1": "wilson",
}


class EvaluationRows(msgspec.Struct, frozen=True):
    """What is known of each row and what the model said of it."""

    task: Task
    truth: list[float]
    predicted: list[float]
    data: str = ""


class Evidence(Versions):
    """Estimates and scans by version."""

    def record_estimates(
        self, who: Principal, name: str, version: int, estimates: Sequence[MetricEstimate]
    ) -> list[MetricEstimate]:
        """Keep metrics with their intervals; one with the same key and data is replaced. Return all of the version.

        Raises ModelVersionNotFound and Invalid.
        """
        self.govern.permit(who, "write", refs.model(name, version))
        if not estimates or len(estimates) > _MOST_ESTIMATES:
            raise Invalid(f"Give between 1 and {_MOST_ESTIMATES} metrics.", field="metrics")
        for one in estimates:
            _check(one)
        now = now_us()
        kept = [msgspec.structs.replace(one, at_us=now, actor=who.id) for one in estimates]
        with self._db.write() as tx:
            self._version(tx, name, version)
            store.put_estimates(tx, kept, name=name, version=version)
            self.govern.audit(
                tx,
                who,
                "registry.version.measure",
                refs.model(name, version),
                detail={"metrics": sorted({one.key for one in kept})[:100]},
            )
            for data in {one.data for one in kept if one.data.startswith("data:")}:
                self._lineage.link(tx, data, refs.model(name, version), "input")
        return self.estimates(who, name, version)

    def estimates(self, who: Principal, name: str, version: int) -> list[MetricEstimate]:
        """Return a version's metrics with their intervals by key; raises ModelVersionNotFound."""
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            self._version(tx, name, version)
            return store.estimates(tx, Where().equals(model=name, version=version)).get(version, [])

    def evaluate(self, who: Principal, name: str, version: int, evaluation: EvaluationRows) -> str:
        """Have metrics with intervals computed from rows, by a worker process; return the id of the job.

        Raises ModelVersionNotFound and Invalid.
        """
        self.govern.permit(who, "write", refs.model(name, version))
        rows = len(evaluation.truth)
        if rows != len(evaluation.predicted) or not 1 <= rows <= _MOST_ROWS:
            raise Invalid(f"Give as many predictions as truths, at most {_MOST_ROWS:,}.", field="predicted")
        if evaluation.task == "classification":
            if any(value not in (0, 1) for value in evaluation.truth):
                raise Invalid("The truths of a classification are 0 and 1.", field="truth")
            if any(not 0 <= value <= 1 for value in evaluation.predicted):
                raise Invalid("The predictions of a classification are probabilities.", field="predicted")
        blob = self._blobs.put(msgspec.json.encode(evaluation))
        with self._db.write() as tx:
            self._version(tx, name, version)
            payload = {"name": name, "version": version, "rows": blob, "who": msgspec.to_builtins(who)}
            return self._jobs.enqueue(tx, EVALUATE, payload, queue="heavy")

    def carry_out_evaluation(self, who: Principal, name: str, version: int, rows: str) -> None:
        """Compute the metrics of stored rows and keep them; runs in a worker process."""
        self.govern.permit(who, "write", refs.model(name, version))
        from trimtab.science.metrics import classification, regression

        with self._blobs.open(rows) as stream:
            given = msgspec.json.decode(stream.read(), type=EvaluationRows)
        if given.task == "classification":
            found = classification.evaluate(given.truth, given.predicted)
        else:
            found = regression.evaluate(given.truth, given.predicted)
        estimates = estimates_of(found, rows=len(given.truth), data=given.data)
        if estimates:
            self.record_estimates(who, name, version, estimates)
        self._blobs.delete(rows)

    def scan(self, who: Principal, name: str, version: int) -> FileScan:
        """Return what the scan of a version's files found; raises ModelVersionNotFound and ScanNotFound."""
        self.govern.permit(who, "read", refs.model(name, version))
        with self._db.read() as tx:
            self._version(tx, name, version)
            found = store.scan(tx, name=name, version=version)
        if found is None:
            raise ScanNotFound(f"The files of {name} version {version} were not scanned yet.")
        return found

    def rescan(self, who: Principal, name: str, version: int) -> str:
        """Have a version's files scanned again, by the rules of now; return the id of the job."""
        self.govern.permit(who, "write", refs.model(name, version))
        with self._db.write() as tx:
            self._version(tx, name, version)
            payload = {"name": name, "version": version}
            return self._jobs.enqueue(tx, SCAN, payload, queue="heavy", dedupe_key=f"{name}/{version}")

    def carry_out_scan(self, who: Principal, name: str, version: int) -> FileScan:
        """Scan a version's files without haste and keep the verdict; runs in a worker process."""
        self.govern.permit(who, "write", refs.model(name, version))
        with self._db.read() as tx:
            found = self._version(tx, name, version)
            files = versions.files(tx, name=name, version=version)
        scan = self._sources.rescan(found, files, trust=self._trust, now_us=now_us(), limits=AT_LEISURE)
        with self._db.write() as tx:
            before = self._version(tx, name, version)
            store.put_scan(tx, name=name, version=version, scan=scan)
            store.set_verdict(tx, name=name, version=version, scan=scan)
            if before.verdict != scan.verdict:
                self.govern.audit(
                    tx,
                    who,
                    "registry.version.scan",
                    refs.model(name, version),
                    detail={"from": before.verdict, "to": scan.verdict, "strangers": scan.strangers[:20]},
                )
        return scan


def _check(one: MetricEstimate) -> None:
    if not one.key.strip() or len(one.key) > _MOST_KEY or any(ord(letter) < 32 for letter in one.key):
        raise Invalid(f"A metric's key has 1 to {_MOST_KEY} characters.", field="metrics")
    numbers = [one.estimate, one.level, *(end for end in (one.low, one.high) if end is not None)]
    if not all(math.isfinite(number) for number in numbers):
        raise Invalid(f"The numbers of {one.key!r} are not finite.", field="metrics")
    if (one.low is None) != (one.high is None):
        raise Invalid(f"The interval of {one.key!r} needs both ends.", field="metrics")
    if one.low is not None and one.high is not None and not one.low <= one.estimate <= one.high:
        raise Invalid(f"The estimate of {one.key!r} lies outside of its interval.", field="metrics")
    if not 0 < one.level < 1:
        raise Invalid("The level of an interval lies between 0 and 1, such as 0.95.", field="metrics")
    if len(one.method) > 100 or len(one.data) > 500 or (one.rows is not None and not 0 < one.rows < 2**53):
        raise Invalid(f"{one.key!r}: the method, data or rows are out of range.", field="metrics")


def _interval(low: float, estimate: float, high: float) -> tuple[float | None, float | None]:
    """Return the ends of an interval, which rounding may have put a hair beyond the estimate."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return None, None
    return min(float(low), estimate), max(float(high), estimate)


def estimates_of(found: Mapping[str, Any], *, rows: int, data: str) -> list[MetricEstimate]:
    """Return the estimates of an evaluation by name, for keeping; what is not finite is left out."""
    return [
        MetricEstimate(
            key,
            float(one.estimate),
            *_interval(one.low, float(one.estimate), one.high),
            method=_METHODS.get(key, "analytic"),
            rows=rows,
            data=data,
        )
        for key, one in found.items()
        if math.isfinite(one.estimate)
    ]
