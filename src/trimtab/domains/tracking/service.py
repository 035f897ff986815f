"""The one face of tracking: a service for each noun, over one database."""

from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.tracking.artifacts.service import ArtifactService
from trimtab.domains.tracking.artifacts.tables import TableService
from trimtab.domains.tracking.artifacts.uploads import UploadService
from trimtab.domains.tracking.catalog.service import CatalogService
from trimtab.domains.tracking.experiments.service import ExperimentService
from trimtab.domains.tracking.importance.service import ImportanceService
from trimtab.domains.tracking.keys import Keys
from trimtab.domains.tracking.logged_models.service import LoggedModelService
from trimtab.domains.tracking.metrics.service import MetricService
from trimtab.domains.tracking.records.models import ModelRecordService
from trimtab.domains.tracking.records.service import RecordService
from trimtab.domains.tracking.runs.service import RunService
from trimtab.domains.tracking.trash.service import TrashService
from trimtab.domains.tracking.views.service import ViewService
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database


class TrackingService:
    """What was trained, how it went and what came of it."""

    def __init__(
        self, db: Database, bus: Bus, blobs: Blobs, govern: GovernService, lineage: LineageService
    ) -> None:
        keys = Keys()
        self.experiments = ExperimentService(db, govern)
        self.metrics = MetricService(db, govern, keys=keys)
        self.runs = RunService(db, bus, govern, lineage, keys=keys, compactor=self.metrics.compactor)
        self.catalog = CatalogService(db, govern, keys=keys)
        self.artifacts = ArtifactService(db, blobs, govern)
        self.tables = TableService(blobs, govern, self.artifacts)
        self.uploads = UploadService(db, blobs, govern, self.artifacts)
        self.logged_models = LoggedModelService(db, bus, govern, lineage)
        self.trash = TrashService(
            db,
            bus,
            govern,
            experiments=self.experiments,
            runs=self.runs,
            logged_models=self.logged_models,
        )
        self.importance = ImportanceService(self.runs, govern)
        self.views = ViewService(db, govern)
        self.records = RecordService(
            db,
            bus,
            govern,
            lineage,
            artifacts=self.artifacts,
            keys=keys,
            compactor=self.metrics.compactor,
        )
        self.model_records = ModelRecordService(db, govern, lineage)

    def start(self) -> None:
        """Begin the background work: compacting metrics and folding their latest values."""
        self.metrics.compactor.start()
        self.metrics.settler.start()

    def stop(self) -> None:
        """End the background work."""
        self.metrics.settler.stop()
        self.metrics.compactor.stop()
