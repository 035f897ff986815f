"""How the processes of the data plane are started: their command lines, and what they see of the environment.

Both end with the *thread* that started them, as Linux has it: start them from one that lives on.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

_PASSED = frozenset(
    ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
)
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


CONTROL_SOCKET = "control.sock"
"""Where in its folder a gateway that has its ports is told what to serve."""

GATEWAY_LOCK = "gateway.lock"
"""What a gateway holds in its folder for as long as it runs."""

EXIT_FOLDER_TAKEN = 4
"""With what a gateway ends where another one has its folder."""

EXIT_PORT_TAKEN = 5
"""With what a gateway ends whose port somebody else has."""

EXIT_BAD_CERTIFICATE = 6
"""With what a gateway ends whose certificate cannot be used."""

EXIT_NO_GRPC = 7
"""With what a gateway ends that was to speak gRPC without its library."""


class Tls(NamedTuple):
    """Files in PEM: a certificate chain, its key, and the authority whose clients alone are let in, if one is named."""

    certificate: Path
    key: Path
    client_authority: Path | None = None


def gateway_command(
    state: Path,
    *,
    host: str,
    port: int,
    tls: Tls | None = None,
    request_s: float | None = None,
    replica_secret: Path | None = None,
    grpc_port: int | None = None,
    await_routes: bool = False,
    sign_in: bool | None = None,
) -> list[str]:
    """Return the command line of a gateway that ends with this process; port 0 takes a free one (see its state).

    It serves what its folder says was served last, unless it is to ``await_routes``: then nobody is answered before it
    has been told what to serve. ``sign_in`` overrules what the folder says of who may call.
    """
    command = [sys.executable, "-m", "trimtab.serving.gateway", "--state", str(state)]
    command += ["--host", host, "--port", str(port), "--parent", str(os.getpid())]
    if tls is not None:
        command += ["--tls-cert", str(tls.certificate), "--tls-key", str(tls.key)]
        if tls.client_authority is not None:
            command += ["--tls-client-ca", str(tls.client_authority)]
    if replica_secret is not None:
        command += ["--replica-secret", str(replica_secret)]
    if grpc_port is not None:
        command += ["--grpc-port", str(grpc_port)]
    if await_routes:
        command += ["--await-routes"]
    if sign_in is not None:
        command += ["--callers", "tokens" if sign_in else "all"]
    return [*command, "--request-s", str(request_s)] if request_s is not None else command


class Interpreter(msgspec.Struct, frozen=True):
    """A Python that can run a model: this one, or that of the model's own environment.

    ``source`` is a folder with nothing but this package in it, for an environment in which it is not installed.
    """

    python: str = sys.executable
    source: str = ""

    @property
    def own(self) -> bool:
        """Whether it is the one that runs this process."""
        return self.python == sys.executable

    @property
    def name(self) -> str:
        """``own``, or the name of the folder of its environment."""
        return "own" if self.own else Path(self.python).parent.parent.name


OWN = Interpreter()


def replica_command(
    model: Path,
    socket: Path,
    *,
    allow_pickle: bool = False,
    allow_network: bool = False,
    pulse: Path | None = None,
    interpreter: Interpreter = OWN,
) -> list[str]:
    """Return the command line of a replica that ends with this process.

    ``pulse`` is a file that tells since when it has been predicting.
    """
    command = [
        *_module(interpreter, "trimtab.serving.replica"),
        "--model",
        str(model),
        "--socket",
        str(socket),
    ]
    command += ["--parent", str(os.getpid())]
    command += ["--allow-network"] if allow_network else []
    command += ["--pulse", str(pulse)] if pulse is not None else []
    return [*command, "--allow-pickle"] if allow_pickle else command


def trial_command(model: Path, *, interpreter: Interpreter, allow_pickle: bool = False) -> list[str]:
    """Return the command line that loads a model, has it predict its input example, and ends."""
    command = [*_module(interpreter, "trimtab.serving.replica"), "--model", str(model), "--try"]
    command += ["--parent", str(os.getpid())]
    return [*command, "--allow-pickle"] if allow_pickle else command


def _module(interpreter: Interpreter, name: str) -> list[str]:
    # What lies in the folder of the server is not part of a model's environment.
    return [interpreter.python, *([] if interpreter.own else ["-P"]), "-m", name]


def replica_environment(environment: Mapping[str, str], *, interpreter: Interpreter = OWN) -> dict[str, str]:
    """Return what a replica may see of its parent's environment: no secrets, and one thread for numeric libraries.

    Replicas, not threads, are what scales; threads of several replicas on the same cores only slow each other down.
    """
    passed = {name: value for name, value in environment.items() if name in _PASSED}
    if not interpreter.own:
        passed.pop("VIRTUAL_ENV", None)
    if interpreter.source:
        passed["PYTHONPATH"] = interpreter.source
    return {**dict.fromkeys(_ONE_THREAD, "1"), "PYTHONDONTWRITEBYTECODE": "1", **passed}
