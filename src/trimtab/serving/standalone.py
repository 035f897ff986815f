"""One model from a folder, served without a control plane: a gateway and its replicas, as a container runs them.

    python -m trimtab.serving.standalone [serve] [--model DIR] [--model_name NAME] [--port 8080]

What is not said is taken from the platform around (`trimtab.serving.containers`). The process starts replicas and the
gateway, starts a replica again that ended, passes signals on, and ends when the gateway does, with its code; with 3
where the model cannot be loaded and 2 for wrong use. A port that is open to whoever reaches it is what platforms
expect, since they ask for keys themselves; ``TRIMTAB_TOKEN_DIGESTS`` (SHA-256, in hex, separated by commas) has the
gateway ask.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, TrimtabError, Unavailable
from trimtab.serving import containers, routes
from trimtab.serving.control import GatewayControl
from trimtab.serving.files import write_atomically
from trimtab.serving.loaders.mlmodel import ModelFolder
from trimtab.serving.policies.settings import DEFAULT, Policies
from trimtab.serving.processes import (
    OWN,
    Interpreter,
    gateway_command,
    replica_command,
    replica_environment,
)

EXIT_WRONG_USE = 2
EXIT_NOT_LOADED = 3

_TURN_S = 0.1
_KEPT_LOG_BYTES = 64 << 20
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 30.0
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Limits(msgspec.Struct, frozen=True):
    """What is set for the endpoint, as the package brings it."""

    timeout_ms: int = routes.Endpoint([]).timeout_ms
    max_body_bytes: int = routes.Endpoint([]).max_body_bytes
    policies: Policies = DEFAULT


class Plan(msgspec.Struct, frozen=True):
    """What is to be served, and how."""

    model: Path
    endpoint: str
    version: str
    host: str
    port: int
    replicas: int
    allow_pickle: bool
    auth: routes.Auth
    aliases: dict[str, str]
    compiled: Path | None = None
    limits: Limits = Limits()
    grpc_port: int | None = None


def plan(arguments: Sequence[str], environment: Mapping[str, str]) -> Plan:
    """Return what the command line asks for, and where it is silent the environment; raises Invalid and NotFound."""
    parser = argparse.ArgumentParser(prog="python -m trimtab.serving.standalone", description=__doc__)
    parser.add_argument("serve", nargs="?", choices=["serve"], help="SageMaker's word; it changes nothing")
    parser.add_argument("--model", "--model_dir", type=Path, help="folder with an MLmodel file")
    parser.add_argument("--model_name", "--name", default=environment.get("TRIMTAB_ENDPOINT", "model"))
    parser.add_argument("--version", default=environment.get("TRIMTAB_VERSION", "1"))
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - a container's own network
    parser.add_argument("--port", "--http_port", type=int)
    parser.add_argument(
        "--grpc_port", "--grpc-port", type=int, help="speak the Open Inference Protocol's gRPC too"
    )
    parser.add_argument("--replicas", "--workers", type=int, default=1)
    parser.add_argument("--allow-pickle", action="store_true", help="load formats that run code")
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        # Platforms pass words that other servers know (KServe: --enable_grpc and the like).
        say(sys.stderr, event="ignored", arguments=unknown)
    if not 1 <= given.replicas <= 256:
        raise Invalid("--replicas is between 1 and 256.", field="replicas")
    asked = containers.contract(environment, endpoint=given.model_name, version=given.version)
    compiled = environment.get("TRIMTAB_COMPILED")
    model = containers.find_model([given.model] if given.model else asked.folders)
    # What the image's maker allowed holds for the image's own model, and not for one that is put in its place.
    is_own = environment.get("TRIMTAB_MODEL") == str(model)
    return Plan(
        model=model,
        endpoint=given.model_name,
        version=given.version,
        host=given.host,
        port=given.port if given.port is not None else asked.port,
        replicas=given.replicas,
        allow_pickle=given.allow_pickle or (is_own and environment.get("TRIMTAB_ALLOW_PICKLE") == "1"),
        auth=auth_of(environment),
        aliases=asked.aliases,
        compiled=Path(compiled) if compiled and is_own else None,
        limits=_limits(environment.get("TRIMTAB_SETTINGS")),
        grpc_port=given.grpc_port,
    )


def _limits(file: str | None) -> Limits:
    if not file:
        return Limits()
    try:
        return msgspec.json.decode(Path(file).read_bytes(), type=Limits)
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(
            f"TRIMTAB_SETTINGS={file!r} cannot be read: {error}", field="TRIMTAB_SETTINGS"
        ) from None


def auth_of(environment: Mapping[str, str]) -> routes.Auth:
    """Return who may call by ``TRIMTAB_TOKEN_DIGESTS``: whoever reaches the port where it is not set; raises Invalid."""
    digests = [one.strip() for one in environment.get("TRIMTAB_TOKEN_DIGESTS", "").split(",") if one.strip()]
    if not digests:
        return routes.Auth(open=True, anywhere=True)
    if any(not _DIGEST.fullmatch(digest) for digest in digests):
        raise Invalid(
            "TRIMTAB_TOKEN_DIGESTS holds SHA-256 digests in hex, separated by commas.",
            field="TRIMTAB_TOKEN_DIGESTS",
        )
    holders = {digest: routes.Token(f"token {at}", "editor") for at, digest in enumerate(digests, start=1)}
    return routes.Auth(open=False, tokens=holders)


def table(wanted: Plan, sockets: Sequence[Path]) -> routes.RouteTable:
    """Return the route table of the one model."""
    version = routes.Version(
        wanted.version,
        wanted.endpoint,
        100.0,
        "champion",
        [str(socket) for socket in sockets],
        compiled=str(wanted.compiled) if wanted.compiled else None,
    )
    endpoint = routes.Endpoint(
        [version],
        signature=ModelFolder(wanted.model).signature,
        timeout_ms=wanted.limits.timeout_ms,
        max_body_bytes=wanted.limits.max_body_bytes,
        policies=wanted.limits.policies,
    )
    made = routes.RouteTable(1, wanted.auth, {wanted.endpoint: endpoint}, aliases=wanted.aliases)
    routes.check(made)
    return made


class Replica:
    """One replica's process, started again when it ends, after a pause that grows while it does not last."""

    def __init__(
        self,
        command: Sequence[str],
        socket: Path,
        *,
        interpreter: Interpreter = OWN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._command = command
        self._clock = clock
        self._interpreter = interpreter
        self._socket = socket
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S

    def keep(self) -> bool:
        """Start the process where it does not run; return False once the model will never be loaded."""
        process = self._process
        if process is not None and process.poll() is None:
            return True
        now = self._clock()
        if process is not None and self._not_before <= 0:
            if process.returncode == EXIT_NOT_LOADED:
                return False
            if now - self._started_s > _LONGEST_PAUSE_S:
                self._pause_s = _FIRST_PAUSE_S
            self._not_before = now + self._pause_s
            self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * 2)
        if now >= self._not_before:
            self._not_before, self._started_s = 0.0, now
            self._socket.unlink(missing_ok=True)
            self._process = subprocess.Popen(
                self._command,
                env=replica_environment(os.environ, interpreter=self._interpreter),
                stdin=subprocess.DEVNULL,
            )
        return True

    def end(self) -> None:
        """Have the process end after the calls that it has read."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Standalone:
    """The gateway and the replicas of one model."""

    def __init__(self, wanted: Plan, folder: Path) -> None:
        self._plan = wanted
        self._folder = folder
        self._signalled = False
        sockets = [folder / f"{at}.sock" for at in range(wanted.replicas)]
        write_atomically(folder / "routes.json", msgspec.json.encode(table(wanted, sockets)))
        self._replicas = [
            Replica(replica_command(wanted.model, socket, allow_pickle=wanted.allow_pickle), socket)
            for socket in sockets
        ]
        self._uses_replicas = wanted.compiled is None
        self._compiled_runs = False

    def run(self) -> int:
        """Serve until a signal comes or the gateway ends; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        # The replicas load while the gateway starts.
        loads = self._keep_replicas()
        gateway = subprocess.Popen(
            gateway_command(
                self._folder, host=self._plan.host, port=self._plan.port, grpc_port=self._plan.grpc_port
            ),
            stdin=subprocess.DEVNULL,
        )
        try:
            while loads and not self._signalled and gateway.poll() is None:
                time.sleep(_TURN_S)
                self._look_after_compiled()
                loads = self._keep_replicas()
                prune_log(self._folder)
        finally:
            if gateway.poll() is None:
                gateway.terminate()
            code = gateway.wait()
            for replica in self._replicas:
                replica.end()
        return code if loads else EXIT_NOT_LOADED

    def _stop(self, *_: object) -> None:
        self._signalled = True

    def _keep_replicas(self) -> bool:
        if not self._uses_replicas:
            return True
        kept = [replica.keep() for replica in self._replicas]
        return all(kept)

    def _look_after_compiled(self) -> None:
        """Start the replicas after all where the gateway could not load the compiled model."""
        if self._uses_replicas or self._compiled_runs:
            return
        try:
            versions = (
                GatewayControl(self._folder, timeout_s=2).state().endpoints[self._plan.endpoint].versions
            )
        except (Unavailable, KeyError):
            return
        self._compiled_runs = versions[self._plan.version].compiled
        self._uses_replicas = not self._compiled_runs


def prune_log(folder: Path) -> None:
    """Forget the oldest predictions: nobody takes them in here, and a container's disk is small."""
    files = sorted((folder / "log").glob("*.seg"), reverse=True)
    size = 0
    for file in files:
        size += file.stat().st_size
        if size > _KEPT_LOG_BYTES:
            file.unlink(missing_ok=True)


def say(stream: Any, **line: Any) -> None:
    """Write one JSON line."""
    stream.write(json.dumps(line) + "\n")
    stream.flush()


def main() -> int:
    try:
        wanted = plan(sys.argv[1:], os.environ)
        # Short, since a Unix socket's path has 108 bytes at the most.
        folder = Path(tempfile.mkdtemp(prefix="tt-"))
        serving = Standalone(wanted, folder)
    except TrimtabError as error:
        say(sys.stderr, event="failed", code=error.code, field=error.field, message=error.message)
        return EXIT_NOT_LOADED if error.code == "model-not-loaded" else EXIT_WRONG_USE
    try:
        return serving.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
