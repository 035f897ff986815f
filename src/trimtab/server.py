"""The server process behind ``trimtab up``: listens, serves, and runs the background work."""

import fcntl
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from trimtab.app import App, build
from trimtab.http import asgi
from trimtab.infra.http.direct import DirectProtocol
from trimtab.infra.http.sockets import listen
from trimtab.infra.telemetry import configure_logging
from trimtab.kernel.errors import Unavailable
from trimtab.kernel.process import settle_heap
from trimtab.reach import inference_grpc_port, needs_sign_in, public_url
from trimtab.settings import ENVIRONMENT_PREFIX, Settings

_DRAIN_S = 10
_KEEP_ALIVE_S = 75


def serve(settings: Settings, *, announce: Callable[[str, str | None], None]) -> None:
    """Serve until a signal to stop.

    ``announce`` is called with the address, and with the owner's first token when one had to be made.
    """
    configure_logging(settings.log_level)
    settings.inference_tls  # noqa: B018 (what cannot be served is said before anything is opened)
    settings.replica_secret_path  # noqa: B018
    inference_grpc_port(settings)
    lock = _lock_home(settings.home_path)
    sock = listen(settings.host, settings.port)
    app = build(settings)
    first_token = app.govern.first_token() if needs_sign_in(settings) else None
    application = _with_lifespan(app, asgi(app))
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
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, _stopped)
    uvicorn.Server(config).run(sockets=[sock])
    lock.close()


def _stopped(_number: int, _frame: object) -> None:
    """Take the signal that uvicorn raises once more after it has stopped on it: a stop that was asked for ends with 0."""


def environment_of(settings: Settings) -> dict[str, str]:
    """Return this process's environment with every setting in it, for child processes."""
    given = {
        ENVIRONMENT_PREFIX + key.upper(): str(getattr(settings, key)) for key in Settings.__struct_fields__
    }
    return {**os.environ, **given}


def _with_lifespan(app: App, application: ASGIApp) -> ASGIApp:
    from starlette.routing import Router

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncGenerator[None]:
        app.start(environment_of(app.settings))
        settle_heap()
        try:
            yield
        finally:
            app.stop()

    router = Router(lifespan=lifespan)

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        await (router if scope["type"] == "lifespan" else application)(scope, receive, send)

    return handle


def _lock_home(home: Path) -> IO[str]:
    """Hold the home for this process alone; raises Unavailable when another server has it."""
    home.mkdir(parents=True, exist_ok=True)
    file = (home / "server.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Unavailable(
            f"Another server uses {home}. Stop it or choose another --home.", field="home"
        ) from error
    return file
