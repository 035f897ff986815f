"""The server process behind ``trimtab up``: takes its home and its ports, and starts what answers predictions.

Everything else of the server is imported after that, while the gateway starts beside it: this module imports little.
"""

import fcntl
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from trimtab.domains.deploy.gateway import Gateway
from trimtab.domains.deploy.processes import Processes
from trimtab.domains.deploy.settings import HASHES
from trimtab.infra import db
from trimtab.infra.secrets import Secrets
from trimtab.infra.telemetry import configure_logging
from trimtab.kernel.errors import Unavailable
from trimtab.kernel.process import hasten_start
from trimtab.kernel.sockets import listen
from trimtab.reach import inference_grpc_port, needs_sign_in
from trimtab.serving.processes import Tls
from trimtab.settings import Settings, load
from trimtab.version import __version__

_OF_THE_ADDRESS = frozenset(
    [
        "host",
        "port",
        "inference_port",
        "grpc_port",
        "public_url",
        "allowed_hosts",
        "sign_in",
        "log_level",
        "inference_tls_cert",
        "inference_tls_key",
        "inference_tls_client_ca",
    ]
)
"""Settings that say where and to whom the server answers: what is served does not depend on them."""


def start(flags: Mapping[str, Any]) -> None:
    """Run the server of a command line; ``flags`` are settings, None where one was not given."""
    settings, _ = load(flags)
    serve(settings, announce=_announce)


def _announce(url: str, first_token: str | None) -> None:
    print(f"Trimtab is at {url}", flush=True)
    if first_token:
        print(f"Sign in with this token, which is shown only now:\n\n    {first_token}\n", flush=True)


def serve(settings: Settings, *, announce: Callable[[str, str | None], None]) -> None:
    """Serve until a signal to stop.

    ``announce`` is called with the address, and with the owner's first token when one had to be made.
    """
    hasten_start()
    configure_logging(settings.log_level)
    settings.inference_tls  # noqa: B018 (what cannot be served is said before anything is opened)
    settings.replica_secret_path  # noqa: B018
    inference_grpc_port(settings)
    lock = _lock_home(settings.home_path)
    sock = listen(settings.host, settings.port)
    processes = _processes(settings)
    try:
        processes.begin(database=db.mark(settings.database_url))
        from trimtab.running import run

        run(settings, sock, processes, announce=announce)
    finally:
        processes.end()
        sock.close()
        lock.close()


def _processes(settings: Settings) -> Processes:
    """Return what is to answer predictions."""
    tls = settings.inference_tls
    gateway = Gateway(
        settings.serving_folder,
        host=settings.host,
        port=settings.inference_port_number,
        grpc_port=inference_grpc_port(settings),
        tls=Tls(*tls) if tls else None,
        hash_key=Secrets(settings.secret_key_path).derive(HASHES),
        replica_secret=settings.replica_secret_path,
        sign_in=needs_sign_in(settings),
    )
    served = {
        key: value for key, value in msgspec.structs.asdict(settings).items() if key not in _OF_THE_ADDRESS
    }
    return Processes(
        gateway,
        settings.serving_folder,
        memory_mb=settings.replica_memory_mb,
        code=__version__,
        settings=hashlib.sha256(msgspec.json.encode(served)).hexdigest(),
    )


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
