"""Monitors over endpoints: their reference, their windows, and the way back from a prediction's id."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from trimtab.domains.data import DataService
from trimtab.domains.deploy import DeployService
from trimtab.domains.deploy.rollouts.plans import COPIED
from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.monitor import store
from trimtab.domains.monitor.errors import FeatureNotFound, MonitorExists, MonitorNotFound, PredictionNotFound
from trimtab.domains.monitor.events import ReferenceReady
from trimtab.domains.monitor.model import Baseline, Monitor, Policy, Window
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database, Duplicate, Tx, Where
from trimtab.infra.jobs import Jobs
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid, did_you_mean
from trimtab.kernel.names import is_name
from trimtab.kernel.pages import check_limit
from trimtab.kernel.time import now_us
from trimtab.kernel.who import Principal, system
from trimtab.serving.records import Route

_MOST_WINDOWS = 2000
_MOST_RECENT = 200
_MOST_PARTS = 200
WHO = system("monitor")


class MonitorService:
    """What was predicted, whether the inputs drifted, and how good the predictions turned out to be."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        jobs: Jobs,
        blobs: Blobs,
        *,
        govern: GovernService,
        lineage: LineageService,
        data: DataService,
        deploy: DeployService,
        log_folder: Path,
    ) -> None:
        self._db = db
        self._bus = bus
        self._jobs = jobs
        self._blobs = blobs
        self._govern = govern
        self._lineage = lineage
        self._data = data
        self._deploy = deploy
        self._log_folder = log_folder
        self._ingest: Callable[[Path], int] | None = None

    def create(
        self,
        who: Principal,
        *,
        name: str,
        endpoint: str,
        reference: str,
        features: list[str] | None = None,
        group_by: str | None = None,
        policy: Policy | None = None,
        baseline: Baseline | None = None,
    ) -> Monitor:
        """Watch an endpoint against a data version such as ``data:flights@1``.

        ``features`` default to the columns of the reference that the endpoint's requests have. ``group_by`` names a
        column of event times (microseconds) in the reference by whose windows its natural variation is learned.
        ``baseline`` is how good the champion was; without it there is no performance alarm. The reference is read in
        the background: until then the monitor is pending.
        """
        self._govern.permit(who, "write", "monitors")
        if not is_name(name):
            raise Invalid("A monitor's name has letters, digits, '.', '_' and '-' only.", field="name")
        rules = policy or Policy()
        rules.check()
        if baseline is not None:
            baseline.check()
        champion = self._deploy.endpoint(who, endpoint).champion
        known = self._reference(who, reference)
        self._check_columns(who, known, features or [])
        now = now_us()
        monitor = Monitor(
            name=name,
            endpoint=endpoint,
            reference=known,
            features=features or [],
            group_by=group_by,
            policy=rules,
            baseline=baseline,
            champion=champion,
            state="pending",
            problem=None,
            reference_rows=0,
            sketch=None,
            drift_state=None,
            loss_state=None,
            watermark_us=0,
            label_watermark_us=0,
            created_us=now,
            updated_us=now,
        )
        with self._db.write() as tx:
            try:
                store.insert_monitor(tx, monitor)
            except Duplicate as error:
                raise MonitorExists(f"There is a monitor {name} already.", field="name") from error
            self._begin_reference(tx, monitor)
            ref = refs.make("monitor", name)
            self._govern.audit(
                tx, who, "monitor.create", ref, detail={"endpoint": endpoint, "reference": reference}
            )
        return monitor

    def set_reference(
        self,
        who: Principal,
        name: str,
        *,
        reference: str | None = None,
        baseline: Baseline | None = None,
        champion: str | None = None,
        policy: Policy | None = None,
    ) -> Monitor:
        """Begin the alarms anew, against another reference, baseline, champion or policy where they are given."""
        self._govern.permit(who, "write", refs.make("monitor", name))
        if policy is not None:
            policy.check()
        if baseline is not None:
            baseline.check()
        with self._db.write() as tx:
            tx.lock("monitor.monitors")
            monitor = self._find(tx, name)
            changed = msgspec.structs.replace(
                monitor,
                reference=self._reference(who, reference) if reference else monitor.reference,
                baseline=baseline or monitor.baseline,
                champion=champion or monitor.champion,
                policy=policy or monitor.policy,
                state="pending",
                problem=None,
                updated_us=now_us(),
            )
            store.update_monitor(tx, changed)
            self._begin_reference(tx, changed)
            detail = {"reference": changed.reference, "champion": changed.champion}
            self._govern.audit(tx, who, "monitor.set_reference", refs.make("monitor", name), detail=detail)
        return changed

    def remove(self, who: Principal, name: str) -> None:
        """Stop watching; the endpoint's prediction log stays until it expires."""
        self._govern.permit(who, "write", refs.make("monitor", name))
        with self._db.write() as tx:
            tx.lock("monitor.monitors")  # a batch that is being taken in would write its windows anew
            self._find(tx, name)
            store.delete_monitor(tx, name=name)
            self._govern.audit(tx, who, "monitor.remove", refs.make("monitor", name))

    def monitors(self, who: Principal, *, endpoint: str | None = None) -> list[Monitor]:
        """Return the monitors by name."""
        self._govern.permit(who, "read", "monitors")
        with self._db.read() as tx:
            return store.monitors(tx, where=Where().equals(endpoint=endpoint))

    def monitor(self, who: Principal, name: str) -> Monitor:
        """Return a monitor; raises MonitorNotFound."""
        self._govern.permit(who, "read", refs.make("monitor", name))
        with self._db.read() as tx:
            return self._find(tx, name)

    def windows(
        self, who: Principal, name: str, *, from_us: int | None = None, to_us: int | None = None
    ) -> list[Window]:
        """Return the windows of a span of event time, oldest first; at most the newest 2,000."""
        self._govern.permit(who, "read", refs.make("monitor", name))
        where = Where().equals(monitor=name)
        if from_us is not None:
            where.add("end_us > :from_us", from_us=from_us)
        if to_us is not None:
            where.add("start_us < :to_us", to_us=to_us)
        with self._db.read() as tx:
            self._find(tx, name)
            return store.newest_windows(tx, where=where, limit=_MOST_WINDOWS)

    def feature(
        self, who: Principal, name: str, feature: str, *, from_us: int | None = None, to_us: int | None = None
    ) -> dict[str, Any]:
        """Return ``{kind, labels, edges, reference, current, rows}``: a feature's cells now and in the reference."""
        monitor = self.monitor(who, name)
        sketches = {column["name"]: column for column in (monitor.sketch or {}).get("columns", [])}
        if feature not in sketches:
            hint = did_you_mean(feature, sketches)
            raise FeatureNotFound(f"Monitor {name} has no feature {feature!r}.{hint}", field="feature")
        column = sketches[feature]
        current = [0] * len(column["counts"])
        for window in self.windows(who, name, from_us=from_us, to_us=to_us):
            cells = window.counts.get(feature, [])
            if window.reference == monitor.reference and len(cells) == len(current):
                current = [a + b for a, b in zip(current, cells, strict=True)]
        return {
            "name": feature,
            "kind": column["kind"],
            "edges": column["edges"],
            "values": column["values"],
            "reference": column["counts"],
            "current": current,
            "rows": sum(current),
            "reference_rows": sum(column["counts"]),
            "low": column.get("low"),
            "high": column.get("high"),
        }

    def prediction(self, who: Principal, prediction_id: str) -> dict[str, Any]:
        """Return a prediction by its id, or one row of it by ``ID/ROW``; raises PredictionNotFound."""
        self._govern.permit(who, "read", refs.make("prediction", prediction_id))
        from trimtab.domains.monitor.lookup import find_prediction

        whole, _, row = prediction_id.partition("/")
        if row and not (row.isascii() and row.isdigit()):
            raise PredictionNotFound(f"There is no prediction {prediction_id}.")
        where = Where().add("min_id <= :id and max_id >= :id", id=whole)
        with self._db.read() as tx:
            parts = store.parts(tx, where=where)
        found = find_prediction(self._blobs, parts, whole, int(row) if row else None)
        if found is None:
            raise PredictionNotFound(
                f"There is no prediction {prediction_id}: it may not be taken in yet, or has expired."
            )
        return found

    def recent_predictions(
        self, who: Principal, endpoint: str, *, route: Route | None = None, limit: int = 50
    ) -> list[dict[str, Any]]:
        """Return the newest predictions of an endpoint, one row each, of one route where it is given; at most 200.

        They are looked for in the newest 200 files of its log.
        """
        self._govern.permit(who, "read", refs.make("endpoint", endpoint))
        size = check_limit(limit, most=_MOST_RECENT)
        from trimtab.domains.monitor.lookup import newest_predictions

        with self._db.read() as tx:
            parts = store.newest_parts(tx, endpoint=endpoint, limit=_MOST_PARTS)
        return newest_predictions(self._blobs, parts, route=route, limit=size)

    # Background work

    def take_in(self, who: Principal) -> int:
        """Take in the prediction log that the gateway left; only in worker processes. Return how many segments."""
        self._govern.permit(who, "write", "the prediction log")
        from trimtab.domains.monitor.ingest import Ingest
        from trimtab.domains.monitor.trials import Running

        def running() -> list[Running]:
            found = self._deploy.rollouts.list(WHO, state="running", limit=1000)
            return [
                Running(
                    one.id,
                    one.endpoint,
                    one.champion,
                    one.challenger,
                    one.began_us,
                    one.policy,
                    copies=one.plan.strategy in COPIED,
                    reward=one.plan.reward,
                )
                for one in found
                if one.began_us is not None
            ]

        if self._ingest is None:
            self._ingest = Ingest(self._db, self._bus, self._blobs, rollouts=running).run
        total = 0
        while taken := self._ingest(self._log_folder):
            total += taken
        return total

    def log_waits(self) -> bool:
        """Whether the gateway left something to take in."""
        return any(self._log_folder.glob("*.seg"))

    def build_reference(self, who: Principal, name: str) -> None:
        """Read the reference data into a sketch and begin the alarms; only in worker processes."""
        self._govern.permit(who, "write", refs.make("monitor", name))
        from trimtab.domains.monitor.reference import build

        monitor = self.monitor(who, name)
        built = build(monitor, self._data, who=who)
        with self._db.write() as tx:
            tx.lock("monitor.monitors")
            current = self._find(tx, name)
            if current.reference != monitor.reference:
                return  # a newer reference is on its way
            ready = msgspec.structs.replace(
                current,
                state=built.state,
                problem=built.problem,
                features=built.features,
                reference_rows=built.reference_rows,
                sketch=built.sketch,
                drift_state=built.drift_state,
                loss_state=built.loss_state,
                updated_us=now_us(),
            )
            store.update_monitor(tx, ready)
            store.use_all_losses(tx, monitor=name)
            if monitor.sketch is None or monitor.sketch != built.sketch:
                store.close_windows(tx, monitor=name)
            if ready.problem is None:
                event = ReferenceReady(
                    monitor=name,
                    endpoint=ready.endpoint,
                    reference=ready.reference,
                    rows=ready.reference_rows,
                )
                self._bus.emit(tx, event, subject=refs.make("monitor", name), actor=who.id)

    def expire(self, who: Principal, *, before_us: int) -> None:
        """Forget raw predictions taken in before a moment; windows stay."""
        self._govern.permit(who, "admin", "the prediction log")
        with self._db.write() as tx:
            gone = store.parts(tx, where=Where().add("created_us < :before_us", before_us=before_us))
            store.delete_before(tx, before_us=before_us)
        for part in gone:
            self._blobs.delete(part.blob)

    def blobs_in_use(self, who: Principal) -> Iterator[str]:
        """Go through the blobs of the prediction log."""
        self._govern.permit(who, "admin", "blobs")
        with self._db.read() as tx:
            yield from (part.blob for part in store.parts(tx, where=Where()))

    def _begin_reference(self, tx: Tx, monitor: Monitor) -> None:
        payload = {"monitor": monitor.name, "reference": monitor.reference, "at_us": monitor.updated_us}
        self._jobs.enqueue(tx, "monitor.reference", payload, queue="stream")
        self._lineage.link(tx, monitor.reference, refs.make("monitor", monitor.name), "input")
        self._lineage.link(
            tx, refs.make("endpoint", monitor.endpoint), refs.make("monitor", monitor.name), "input"
        )

    def _reference(self, who: Principal, reference: str) -> str:
        try:
            name, version = refs.data_parts(reference)
            if not reference.startswith("data:"):
                raise ValueError(reference)
        except ValueError as error:
            raise Invalid(
                "The reference is a data version such as data:flights@1.", field="reference"
            ) from error
        try:
            number = int(version) if version is not None else None
        except ValueError as error:
            raise Invalid(f"{version!r} is not the number of a version.", field="reference") from error
        return refs.data(name, self._data.get_version(who, name, number).version)

    def _check_columns(self, who: Principal, reference: str, features: list[str]) -> None:
        """Refuse features that the reference is known not to have; before it is profiled, its reading tells."""
        name, version = refs.data_parts(reference)
        columns = [column.name for column in self._data.findings(who, name, int(version or 0)).columns]
        for feature in features if columns else []:
            if feature not in columns:
                hint = did_you_mean(feature, columns)
                raise Invalid(f"The reference has no column {feature!r}.{hint}", field="features")

    def _find(self, tx: Tx, name: str) -> Monitor:
        found = store.monitors(tx, where=Where().equals(name=name))
        if not found:
            known = [monitor.name for monitor in store.monitors(tx, where=Where())]
            raise MonitorNotFound(f"There is no monitor {name!r}.{did_you_mean(name, known)}", field="name")
        return found[0]
