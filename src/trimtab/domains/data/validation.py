"""Profiles versions, infers what the first one promises, and holds later ones to it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from trimtab.domains.data import store
from trimtab.domains.data.errors import DatasetNotFound, SuiteNotFound, VersionNotFound
from trimtab.domains.data.events import DataValidationFinished
from trimtab.domains.data.model import DataFile, DataVersion, Findings, ValidationState
from trimtab.domains.data.suites import Expectation, Suite, check_expectations
from trimtab.domains.govern import GovernService
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Tx
from trimtab.infra.jobs import Jobs
from trimtab.infra.jobs.model import JobRecord
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal

PROFILE = "data.profile"
_SAID = 3
_MOST_LOST = 100
_MOST_WAITING = 10_000

Progress = Callable[[float, str], None]


class ValidationService:
    """Expectation suites, and the profiles that versions are judged by."""

    def __init__(
        self, db: Database, bus: Bus, jobs: Jobs, blobs: Blobs, govern: GovernService, *, scratch: Path
    ) -> None:
        """``scratch`` is where a blob that is not on this machine is copied while it is read."""
        self._db = db
        self._bus = bus
        self._jobs = jobs
        self._blobs = blobs
        self._scratch = scratch
        self.govern = govern

    def suite(self, who: Principal, name: str, version: int | None = None) -> Suite:
        """Return the expectations of a dataset, the newest for None; raises SuiteNotFound."""
        self.govern.permit(who, "read", refs.data(name))
        with self._db.read() as tx:
            found = (
                store.latest_suite(tx, name=name)
                if version is None
                else store.suite(tx, name=name, version=version)
            )
        if found is None:
            raise SuiteNotFound(
                f"{name} has no expectations{'' if version is None else f' of version {version}'}: they are inferred"
                " from its first version that holds a table."
            )
        return found

    def replace_suite(self, who: Principal, name: str, expectations: Sequence[Expectation]) -> Suite:
        """Keep new expectations under the next number; versions are held to them from then on.

        Raises DatasetNotFound, and Invalid naming the expectation that makes no sense.
        """
        self.govern.permit(who, "write", refs.data(name))
        checked = check_expectations(expectations)
        with self._db.write() as tx:
            tx.lock(f"data.dataset:{name}")
            if store.latest(tx, name=name) is None:
                raise DatasetNotFound(f"There is no dataset {name[:128]!r}.")
            before = store.latest_suite(tx, name=name)
            if before is not None and before.expectations == checked:
                return before
            suite = Suite(name, before.version + 1 if before else 1, checked, now_us(), who.id, None)
            store.insert_suite(tx, suite)
            detail = {"version": suite.version, "expectations": len(checked)}
            self.govern.audit(tx, who, "data.expectations.replace", refs.data(name), detail=detail)
        return suite

    def request(self, who: Principal, name: str, version: int | None = None) -> DataVersion:
        """Have a version validated again by the newest expectations; its state is pending until that is done."""
        self.govern.permit(who, "write", refs.data(name))
        with self._db.write() as tx:
            tx.lock(f"data.dataset:{name}")
            found = _require(tx, name, version)
            if found.validation_state == "none":
                raise Invalid(
                    f"Version {found.version} of {name} holds no table to validate.", field="version"
                )
            store.reopen(tx, name=name, version=found.version)
            self.enqueue(tx, found)
            self.govern.audit(tx, who, "data.validate", found.ref)
        return msgspec.structs.replace(found, validation_state="pending")

    def enqueue(self, tx: Tx, version: DataVersion) -> None:
        """Have a version profiled and validated after the caller's transaction."""
        self._jobs.enqueue(tx, PROFILE, {"name": version.name, "version": version.version}, queue="heavy")

    def run(self, who: Principal, name: str, upto: int, *, progress: Progress) -> None:
        """Profile and validate what is pending up to a version, oldest first, so that the first one sets the rules."""
        self.govern.permit(who, "write", refs.data(name))
        with self._db.read() as tx:
            waiting = store.pending(tx, name=name, upto=upto)
        for number in waiting:
            self._profile(who, name, number, progress)

    def give_up(self, who: Principal, name: str, version: int, problem: str) -> None:
        """Mark a version as failed because its profile could not be made at all."""
        self.govern.permit(who, "write", refs.data(name))
        with self._db.write() as tx:
            tx.lock(f"data.dataset:{name}")
            found = store.version(tx, name=name, version=version)
            if found is not None and found.validation_state == "pending":
                nothing = Findings(None, None, [], [], problem[:2000])
                self._finish(tx, who, found, nothing, "failed", None, None, problem[:300])

    def give_up_lost(self, who: Principal) -> int:
        """Mark the versions whose profile is made by no process any more as failed; return how many."""
        self.govern.permit(who, "write", "data")
        dead = {_wanted(job): job for job in self._jobs.find(state="dead", kind=PROFILE, limit=_MOST_LOST)}
        if not dead:
            return 0
        waiting = {
            _wanted(job)
            for state in ("queued", "running")
            for job in self._jobs.find(state=state, kind=PROFILE, limit=_MOST_WAITING)
        }
        lost = 0
        for (name, version), job in dead.items():
            with self._db.read() as tx:
                found = store.version(tx, name=name, version=version)
            if (name, version) not in waiting and found is not None and found.validation_state == "pending":
                self.give_up(who, name, version, f"The profile could not be made: {job.error}")
                lost += 1
        return lost

    def _profile(self, who: Principal, name: str, number: int, progress: Progress) -> None:
        from trimtab.domains.data import profiling

        with self._db.read() as tx:
            version = store.version(tx, name=name, version=number)
            known = store.findings(tx, name=name, version=number)
            twin = store.twin_findings(tx, name=name, digest=version.digest) if version else None
        if version is None or version.validation_state != "pending":
            return
        found, rows = (known, version.rows) if known and known.profile else twin or (None, None)
        if found is None or found.profile is None:
            with self._blobs.open(version.manifest) as stream:
                files = msgspec.json.decode(stream.read(), type=list[DataFile])
            profiled = profiling.profile_files(files, self._blobs, self._scratch, progress)
            rows = sum(state.rows for _, state in profiled.tables) if profiled.tables else None
            raw = profiled.profile()
            sketches = self._blobs.put(profiled.sketches()) if profiled.tables else None
            found = Findings(self._blobs.put(raw), sketches, profiled.columns, [], None)
        else:
            with self._blobs.open(found.profile) as stream:
                raw = stream.read()
        tables, unreadable = profiling.read_profile(raw)
        with self._db.read() as tx:
            suite = store.latest_suite(tx, name=name)
        inferred = profiling.infer_expectations(tables) if suite is None else []
        with self._db.write() as tx:
            tx.lock(f"data.dataset:{name}")
            suite = store.latest_suite(tx, name=name) or suite
            if suite is None and tables:
                suite = Suite(name, 1, inferred, now_us(), who.id, number)
                store.insert_suite(tx, suite)
            checks = profiling.check_expectations(suite.expectations if suite else [], tables, unreadable)
            failed = [check for check in checks if not check.passed and check.severity == "error"]
            state: ValidationState = "failed" if failed else "passed"
            said = "; ".join(check.message for check in failed[:_SAID])
            found = msgspec.structs.replace(found, checks=checks)
            self._finish(tx, who, version, found, state, rows, suite.version if suite else None, said)

    def _finish(
        self,
        tx: Tx,
        who: Principal,
        version: DataVersion,
        found: Findings,
        state: ValidationState,
        rows: int | None,
        suite_version: int | None,
        message: str,
    ) -> None:
        store.record_findings(
            tx,
            found,
            name=version.name,
            version=version.version,
            state=state,
            rows=rows,
            suite_version=suite_version,
            now_us=now_us(),
        )
        failed = sum(not check.passed and check.severity == "error" for check in found.checks)
        finished = DataValidationFinished(
            version.name, version.version, state, len(found.checks), failed, message[:1000]
        )
        self._bus.emit(tx, finished, subject=version.ref, actor=who.id)


def _wanted(job: JobRecord) -> tuple[str, int]:
    return job.payload["name"], job.payload["version"]


def _require(tx: Tx, name: str, version: int | None) -> DataVersion:
    found = store.latest(tx, name=name) if version is None else store.version(tx, name=name, version=version)
    if found is None:
        if store.latest(tx, name=name) is None:
            raise DatasetNotFound(f"There is no dataset {name[:128]!r}.")
        raise VersionNotFound(f"{name} has no version {version}.")
    return found
