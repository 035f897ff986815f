"""How the processes of the data plane are started: their command lines, and what they see of the environment.

Both end with the *thread* that started them, as Linux has it: start them from one that lives on.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_PASSED = frozenset(
    ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
)
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def gateway_command(
    state: Path,
    *,
    host: str,
    port: int,
    tls: tuple[Path, Path] | None = None,
    client_authority: Path | None = None,
    request_s: float | None = None,
) -> list[str]:
    """Return the command line of a gateway that ends with this process; port 0 takes a free one (see its state).

    ``tls`` is a certificate chain and its key; with a ``client_authority`` only clients that it signed are let in.
    """
    command = [sys.executable, "-m", "trimtab.serving.gateway", "--state", str(state)]
    command += ["--host", host, "--port", str(port), "--parent", str(os.getpid())]
    if tls is not None:
        command += ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])]
    if client_authority is not None:
        command += ["--tls-client-ca", str(client_authority)]
    return [*command, "--request-s", str(request_s)] if request_s is not None else command


def replica_command(
    model: Path,
    socket: Path,
    *,
    allow_pickle: bool = False,
    pulse: Path | None = None,
    python: str = sys.executable,
) -> list[str]:
    """Return the command line of a replica that ends with this process; ``python`` is of the model's environment.

    ``pulse`` is a file that tells since when it has been predicting.
    """
    command = [python, "-m", "trimtab.serving.replica", "--model", str(model), "--socket", str(socket)]
    command += ["--parent", str(os.getpid())]
    command += ["--pulse", str(pulse)] if pulse is not None else []
    return [*command, "--allow-pickle"] if allow_pickle else command


def replica_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a replica may see of its parent's environment: no secrets, and one thread for numeric libraries.

    Replicas, not threads, are what scales; threads of several replicas on the same cores only slow each other down.
    """
    passed = {name: value for name, value in environment.items() if name in _PASSED}
    return {**dict.fromkeys(_ONE_THREAD, "1"), "PYTHONDONTWRITEBYTECODE": "1", **passed}
