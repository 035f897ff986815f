"""A server at work: what begins once everything is wired, how requests reach it, and the order in which it ends."""

import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from trimtab.app import EXPIRE, App, build
from trimtab.domains.alerts import jobs as alerts_jobs
from trimtab.domains.data import jobs as data_jobs
from trimtab.domains.deploy.plane import Plane
from trimtab.domains.deploy.processes import Processes
from trimtab.domains.monitor import jobs as monitor_jobs
from trimtab.domains.pipelines import jobs as pipelines_jobs
from trimtab.http import asgi
from trimtab.infra import db
from trimtab.infra.http.direct import DirectProtocol
from trimtab.infra.jobs.pool import WorkerPool
from trimtab.infra.jobs.runner import Runner, release_dead_owners
from trimtab.kernel.errors import TrimtabError
from trimtab.kernel.process import settle_heap
from trimtab.kernel.who import system
from trimtab.loop import gc
from trimtab.loop import jobs as loop_jobs
from trimtab.reach import needs_sign_in, public_url
from trimtab.settings import ENVIRONMENT_PREFIX, Settings

log = logging.getLogger(__name__)

_DRAIN_S = 10
_KEEP_ALIVE_S = 75


def run(
    settings: Settings,
    sock: socket.socket,
    processes: Processes,
    *,
    announce: Callable[[str, str | None], None],
) -> None:
    """Serve on a listening socket until a signal to stop; ``processes`` have begun, and have ended when this returns."""
    app = build(settings)
    first_token = app.govern.first_token() if needs_sign_in(settings) else None
    application = _with_lifespan(app, processes, asgi(app))
    announce(public_url(settings), first_token)
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=DirectProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    server = uvicorn.Server(config)

    def stop(_number: int, _frame: object) -> None:
        # Before the server takes signals itself; and after, when it raises once more what it has stopped on.
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    server.run(sockets=[sock])


def environment_of(settings: Settings) -> dict[str, str]:
    """Return this process's environment with every setting in it, for child processes."""
    given = {
        ENVIRONMENT_PREFIX + key.upper(): str(getattr(settings, key)) for key in Settings.__struct_fields__
    }
    return {**os.environ, **given}


def _with_lifespan(app: App, processes: Processes, application: ASGIApp) -> ASGIApp:
    @asynccontextmanager
    async def lifespan(_: object) -> AsyncGenerator[None]:
        running = Running(app, processes, environment_of(app.settings))
        settle_heap()
        try:
            yield
        finally:
            running.stop()

    router = Router(lifespan=lifespan)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await (router if scope["type"] == "lifespan" else application)(scope, receive, send)

    return handle


class Running:
    """A server at work: its data plane, deliveries, schedules and worker processes."""

    def __init__(self, app: App, processes: Processes, environment: Mapping[str, str]) -> None:
        """Begin all of it; ``environment`` is that of the worker processes."""
        self._app = app
        self._processes = processes
        self._plane = app.plane = Plane(
            app.deploy,
            govern=app.govern,
            registry=app.registry,
            gateway=processes.gateway,
            target=processes.target,
            folder=processes.folder,
            interpreter_of=partial(app.runtimes.interpreter, system("deploy")),
        )
        self._plane.start()
        app.tracking.start()
        self._background = Background(app, environment)

    def stop(self) -> None:
        """End it in order, close the connections, and leave to the next server what it may begin with."""
        self._background.stop()
        self._app.tracking.stop()
        self._plane.stop()
        self._app.close()
        if self._plane.left is not None:
            self._processes.leave(
                database=db.mark(self._app.settings.database_url), replicas=self._plane.left
            )


class Background:
    """The threads and processes that do jobs."""

    def __init__(self, app: App, environment: Mapping[str, str]) -> None:
        release_dead_owners(app.db)
        app.alerts.channels.seal_secrets()
        with app.db.write() as tx:
            app.jobs.schedule(tx, EXPIRE, kind=EXPIRE, cron="41 3 * * *")
            data_jobs.schedule(app.jobs, tx)
            monitor_jobs.schedule(app.jobs, tx)
            alerts_jobs.schedule(app.jobs, tx)
            pipelines_jobs.schedule(app.jobs, tx)
            loop_jobs.schedule(app.jobs, tx)
            gc.schedule(app.jobs, tx)
        self._app = app
        self._stopping = threading.Event()
        self._runner = Runner(app.db, app.jobs, queue="light", threads=app.settings.light_threads)
        self._pools = [
            WorkerPool(app.db, app.jobs, queue="heavy", most=app.settings.workers, environment=environment),
            WorkerPool(app.db, app.jobs, queue="stream", most=1, environment=environment),
            WorkerPool(app.db, app.jobs, queue="pipelines", most=1, environment=environment),
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
        while not self._stopping.wait(0.25):
            try:
                self._app.jobs.tick()
                monitor_jobs.notice(self._app.db, self._app.jobs, self._app.monitors)
            except TrimtabError as error:
                log.warning("schedules not read", extra={"error": str(error)})
