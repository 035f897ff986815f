"""The composition root: the only module that knows every domain and adapter, and wires them by hand."""

import os
from collections.abc import Sequence
from pathlib import Path

from trimtab.domains.alerts import AlertService
from trimtab.domains.alerts import jobs as alerts_jobs
from trimtab.domains.data import DataService
from trimtab.domains.data import jobs as data_jobs
from trimtab.domains.data.events import DataValidationFinished
from trimtab.domains.deploy import DeployService
from trimtab.domains.deploy import jobs as deploy_jobs
from trimtab.domains.deploy.batch import jobs as batch_jobs
from trimtab.domains.deploy.batch.events import BatchPredictionFinished
from trimtab.domains.deploy.batch.service import BatchService
from trimtab.domains.deploy.edge import jobs as edge_jobs
from trimtab.domains.deploy.edge.service import EdgeService
from trimtab.domains.deploy.events import RolloutEnded, ServedVersionDeleted, VersionFailed
from trimtab.domains.deploy.exports.package.service import PackageService
from trimtab.domains.deploy.exports.service import ExportService
from trimtab.domains.deploy.plane import Plane
from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.monitor import MonitorService
from trimtab.domains.monitor import jobs as monitor_jobs
from trimtab.domains.pipelines import PipelineService
from trimtab.domains.pipelines import jobs as pipelines_jobs
from trimtab.domains.pipelines.events import PipelineRunFinished
from trimtab.domains.pipelines.execution import Place
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry import jobs as registry_jobs
from trimtab.domains.registry.events import GateDecided
from trimtab.domains.registry.imports.service import ImportService
from trimtab.domains.registry.runtimes import jobs as runtimes_jobs
from trimtab.domains.registry.runtimes.environments import Environments
from trimtab.domains.registry.runtimes.service import RuntimeService
from trimtab.domains.registry.trust import Trust
from trimtab.domains.traces import TracesService
from trimtab.domains.traces import jobs as traces_jobs
from trimtab.domains.tracking import TrackingService
from trimtab.domains.tracking.events import RunFinished
from trimtab.infra import blobs, db, executors
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database
from trimtab.infra.db.migrate import migrate
from trimtab.infra.jobs import Job, JobContext, Jobs
from trimtab.infra.outbound import Outbound
from trimtab.infra.secrets import Secrets
from trimtab.infra.signing import Signer
from trimtab.kernel.time import DAY_US, now_us
from trimtab.loop import gc
from trimtab.loop import jobs as loop_jobs
from trimtab.loop.canary import Canary
from trimtab.loop.gc import Collector
from trimtab.loop.overview import OverviewService
from trimtab.loop.release import Release
from trimtab.loop.retrain import Retrain
from trimtab.loop.search import SearchService
from trimtab.loop.service import LoopService
from trimtab.loop.trash import TrashStory
from trimtab.reach import inference_url, may_send_to_private, needs_sign_in, public_url
from trimtab.settings import Settings

STEP_PROCESS = "trimtab.domains.pipelines.step_process"

EXPIRE = "infra.expire"

MIGRATED = (
    "trimtab.infra.bus",
    "trimtab.infra.jobs",
    "trimtab.domains.govern",
    "trimtab.domains.lineage",
    "trimtab.domains.data",
    "trimtab.domains.alerts",
    "trimtab.domains.tracking",
    "trimtab.domains.registry",
    "trimtab.domains.traces",
    "trimtab.domains.pipelines",
    "trimtab.domains.deploy",
    "trimtab.domains.monitor",
    "trimtab.loop",
)
RULED_EVENTS = (
    DataValidationFinished,
    RunFinished,
    PipelineRunFinished,
    GateDecided,
    VersionFailed,
    ServedVersionDeleted,
    RolloutEnded,
    BatchPredictionFinished,
)
"""The kinds of events that alert rules may watch."""


class App:
    """Every service, wired; the same in the server, in worker processes and in tests."""

    def __init__(self, settings: Settings, database: Database, blob_store: Blobs) -> None:
        self.settings = settings
        self.db = database
        self.blobs = blob_store
        self.jobs = Jobs(database)
        self.bus = Bus(database, self.jobs)
        self.govern = GovernService(database, open_to_owner=not needs_sign_in(settings))
        self.jobs.handler(EXPIRE, self._expire)
        self.lineage = LineageService(database, self.govern)
        self.data = DataService(
            database,
            self.bus,
            self.jobs,
            blob_store.keeping(blobs.KEEP_LONG_S),
            self.govern,
            self.lineage,
            scratch=settings.home_path / "scratch",
        )
        data_jobs.register(self.jobs, self.data)
        outbound = Outbound(private=may_send_to_private(settings))
        secrets = Secrets(settings.secret_key_path)
        self.alerts = AlertService(
            database,
            self.bus,
            self.jobs,
            self.govern,
            public_url=public_url(settings),
            outbound=outbound,
            secrets=secrets,
        )
        self.tracking = TrackingService(database, self.bus, blob_store, self.govern, self.lineage)
        self.registry = RegistryService(
            database,
            self.bus,
            blob_store,
            jobs=self.jobs,
            govern=self.govern,
            lineage=self.lineage,
            tracking=self.tracking,
            outbound=outbound,
            secrets=secrets,
            trust=Trust(settings.trusted_names.split(",")),
        )
        self.traces = TracesService(database, self.govern, self.tracking)
        traces_jobs.register(self.bus, database)
        self.registry_imports = ImportService(database, self.govern, self.registry)
        self.runtimes = RuntimeService(
            database,
            self.bus,
            self.jobs,
            govern=self.govern,
            registry=self.registry,
            environments=Environments(settings.home_path / "environments", os.environ),
            building=settings.model_environments,
        )
        runtimes_jobs.register(self.bus, self.jobs, self.runtimes)
        registry_jobs.register(self.bus, self.jobs, self.registry, compile_models=settings.compile_models)
        alerts_jobs.register(self.jobs, self.alerts, retention_days=settings.retention_days)
        alerts_jobs.watch(self.bus, self.alerts, RULED_EVENTS)
        self._executor = executors.connect(settings.executor, preload=[STEP_PROCESS])
        self.pipelines = PipelineService(
            database, self.bus, self.jobs, self.govern, self.lineage, blob_store.keeping(blobs.KEEP_LONG_S)
        )
        pipelines_jobs.register(
            self.jobs, self.pipelines, place=self.place, retention_days=settings.retention_days
        )

        self.deploy = DeployService(
            database,
            self.bus,
            self.jobs,
            govern=self.govern,
            lineage=self.lineage,
            registry=self.registry,
        )
        deploy_jobs.register(self.bus, self.jobs, self.deploy)
        self.exports = ExportService(self.govern, self.deploy, inference_url=inference_url(settings))
        self.packages = PackageService(
            database,
            govern=self.govern,
            deploy=self.deploy,
            registry=self.registry,
            runtimes=self.runtimes,
            signer=Signer(settings.signing_key_path),
            scratch=settings.home_path / "scratch",
        )
        self.batches = BatchService(
            database,
            self.bus,
            self.jobs,
            blob_store.keeping(blobs.KEEP_LONG_S),
            govern=self.govern,
            registry=self.registry,
            runtimes=self.runtimes,
            data=self.data,
            secrets=secrets,
            rules_of=self.deploy.settings.rules_of,
            folder=settings.home_path / "batch",
        )
        batch_jobs.register(self.bus, self.jobs, self.batches)
        self.edge = EdgeService(
            database,
            self.jobs,
            blob_store,
            govern=self.govern,
            registry=self.registry,
            runtimes=self.runtimes,
            data=self.data,
            secrets=secrets,
            rules_of=self.deploy.settings.rules_of,
            server_url=public_url(settings),
            log_folder=self.serving_folder / "log",
        )
        edge_jobs.register(self.bus, self.jobs, self.edge, endpoints=self.deploy)
        self.monitors = MonitorService(
            database,
            self.bus,
            self.jobs,
            blob_store,
            govern=self.govern,
            lineage=self.lineage,
            data=self.data,
            deploy=self.deploy,
            log_folder=self.serving_folder / "log",
        )
        monitor_jobs.register(self.jobs, self.monitors, retention_days=settings.retention_days)
        self.loop = LoopService(
            database, self.bus, govern=self.govern, deploy=self.deploy, pipelines=self.pipelines
        )
        self.retrain = Retrain(
            database,
            self.jobs,
            govern=self.govern,
            loop=self.loop,
            alerts=self.alerts,
            deploy=self.deploy,
            pipelines=self.pipelines,
            monitors=self.monitors,
        )
        self.canary = Canary(
            database,
            self.jobs,
            govern=self.govern,
            loop=self.loop,
            alerts=self.alerts,
            deploy=self.deploy,
            monitors=self.monitors,
            registry=self.registry,
        )
        self.release = Release(
            database,
            self.jobs,
            govern=self.govern,
            loop=self.loop,
            deploy=self.deploy,
            registry=self.registry,
            data=self.data,
        )
        loop_jobs.register(self.bus, self.jobs, retrain=self.retrain, canary=self.canary, gate=self._gate)
        self.overview = OverviewService(
            loop=self.loop,
            data=self.data,
            tracking=self.tracking,
            pipelines=self.pipelines,
            registry=self.registry,
            deploy=self.deploy,
            monitors=self.monitors,
            alerts=self.alerts,
            plane=lambda: self.plane,
        )
        self.search = SearchService(
            data=self.data,
            tracking=self.tracking,
            pipelines=self.pipelines,
            registry=self.registry,
            deploy=self.deploy,
            monitors=self.monitors,
        )
        self.trash = TrashStory(
            govern=self.govern,
            data=self.data,
            tracking=self.tracking,
            registry=self.registry,
            trash_days=settings.trash_days,
        )
        self.collector = Collector(
            database,
            self.jobs,
            blob_store,
            govern=self.govern,
            data=self.data,
            tracking=self.tracking,
            registry=self.registry,
            pipelines=self.pipelines,
            monitors=self.monitors,
            edge=self.edge,
            deploy=self.deploy,
            runtimes=self.runtimes,
            trash_days=settings.trash_days,
        )
        self.jobs.handler(gc.GC, self.collector.run)
        self.plane: Plane | None = None
        """The hand on the data plane, in a running server."""

    def place(self) -> Place:
        """Return where this process carries out pipeline runs."""
        settings = self.settings
        host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "localhost") else settings.host  # noqa: S104
        return Place(
            executor=self._executor,
            folder=settings.home_path / "runs",
            blobs_url=settings.blobs_url,
            server_url=f"http://[{host}]:{settings.port}"
            if ":" in host
            else f"http://{host}:{settings.port}",
            sign_in=needs_sign_in(settings),
        )

    def _expire(self, _: Job, __: JobContext) -> None:
        """Forget events and finished jobs that are older than their retention."""
        before_us = now_us() - self.settings.retention_days * DAY_US
        self.bus.expire(before_us=before_us)
        self.jobs.expire(before_us=before_us)
        self.registry.webhooks.expire(before_us=before_us)

    def _gate(self, episode: str, job: str) -> None:
        from trimtab.loop.gate import Gate  # it computes, in a worker process

        gate = Gate(
            self.db,
            loop=self.loop,
            registry=self.registry,
            runtimes=self.runtimes,
            data=self.data,
            canary=self.canary,
            monitors=self.monitors,
        )
        gate.run(episode, job=job)

    @property
    def serving_folder(self) -> Path:
        """Where the data plane keeps its sockets, models and prediction log."""
        return self.settings.serving_folder

    def close(self) -> None:
        """Close the connections."""
        self.db.close()


def build(settings: Settings, *, packages: Sequence[str] = MIGRATED) -> App:
    """Open the engines that the settings name, bring the schema up to date and wire the services."""
    settings.home_path.mkdir(parents=True, exist_ok=True)
    database = db.connect(settings.database_url)
    migrate(database, packages)
    return App(settings, database, blobs.connect(settings.blobs_url))
