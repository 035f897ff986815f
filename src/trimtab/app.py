"""The composition root: the only module that knows every domain and adapter, and wires them by hand."""

import ipaddress
import logging
import threading
from collections.abc import Mapping, Sequence

from trimtab.domains.alerts import AlertService
from trimtab.domains.alerts import jobs as alerts_jobs
from trimtab.domains.govern import GovernService
from trimtab.domains.lineage import LineageService
from trimtab.domains.tracking import TrackingService
from trimtab.infra import blobs, db
from trimtab.infra.blobs import Blobs
from trimtab.infra.bus import Bus
from trimtab.infra.db import Database
from trimtab.infra.db.migrate import migrate
from trimtab.infra.jobs import Jobs
from trimtab.infra.jobs.pool import WorkerPool
from trimtab.infra.jobs.runner import Runner, release_dead_owners
from trimtab.kernel.errors import TrimtabError
from trimtab.settings import Settings

log = logging.getLogger(__name__)

MIGRATED = (
    "trimtab.infra.bus",
    "trimtab.infra.jobs",
    "trimtab.domains.govern",
    "trimtab.domains.lineage",
    "trimtab.domains.alerts",
    "trimtab.domains.tracking",
    "trimtab.domains.registry",
)


class App:
    """Every service, wired; the same in the server, in worker processes and in tests."""

    def __init__(self, settings: Settings, database: Database, blob_store: Blobs) -> None:
        self.settings = settings
        self.db = database
        self.blobs = blob_store
        self.jobs = Jobs(database)
        self.bus = Bus(database, self.jobs)
        self.govern = GovernService(database, open_to_owner=not needs_sign_in(settings))
        self.lineage = LineageService(database, self.govern)
        self.alerts = AlertService(
            database, self.bus, self.jobs, self.govern, public_url=public_url(settings)
        )
        self.tracking = TrackingService(database, self.bus, blob_store, self.govern, self.lineage)
        alerts_jobs.register(self.jobs, self.alerts, retention_days=settings.retention_days)

        self._background: Background | None = None

    def start(self, environment: Mapping[str, str]) -> None:
        """Begin the background work of a server: deliveries, schedules, worker processes."""
        self._background = Background(self, environment)

    def stop(self) -> None:
        """End the background work in order, then close the connections."""
        if self._background is not None:
            self._background.stop()
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.db.close()


class Background:
    """The threads and processes that a server keeps beside its requests."""

    def __init__(self, app: App, environment: Mapping[str, str]) -> None:
        release_dead_owners(app.db)
        with app.db.write() as tx:
            alerts_jobs.schedule(app.jobs, tx)
        self._app = app
        self._stopping = threading.Event()
        self._runner = Runner(app.db, app.jobs, queue="light", threads=app.settings.light_threads)
        self._pools = [
            WorkerPool(app.db, app.jobs, queue="heavy", most=app.settings.workers, environment=environment),
            WorkerPool(app.db, app.jobs, queue="stream", most=1, environment=environment),
        ]
        self._ticker = threading.Thread(target=self._tick, name="schedules", daemon=True)
        self._runner.start()
        for pool in self._pools:
            pool.start()
        self._ticker.start()

    def stop(self) -> None:
        self._stopping.set()
        for pool in self._pools:
            pool.stop()
        self._runner.stop()
        self._ticker.join(5.0)

    def _tick(self) -> None:
        while not self._stopping.wait(0.5):
            try:
                self._app.jobs.tick()
            except TrimtabError as error:
                log.warning("schedules not read", extra={"error": str(error)})


def build(settings: Settings, *, packages: Sequence[str] = MIGRATED) -> App:
    """Open the engines that the settings name, bring the schema up to date and wire the services."""
    settings.home_path.mkdir(parents=True, exist_ok=True)
    database = db.connect(settings.database_url)
    migrate(database, packages)
    return App(settings, database, blobs.connect(settings.blobs_url))


def public_url(settings: Settings) -> str:
    """Return the address under which people reach this server."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return settings.public_url or f"http://{host}:{settings.port}"


def needs_sign_in(settings: Settings) -> bool:
    """Whether callers must show a token: always on any address that is not loopback."""
    return settings.sign_in == "always" or not is_loopback(settings.host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
