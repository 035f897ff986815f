"""Models' processes on the nodes of a Ray cluster, as batch predictions use them beside those of this machine.

Ray brings the model and the code that predicts to its nodes, starts an actor for each process where a processor is free,
and says which of them are lost. Nodes need the packages of the model, NumPy, PyArrow and msgspec. Ray is imported here
alone, and by whoever asks for it.
"""

import os
import re
import shutil
import socket
import tempfile
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trimtab.domains.deploy.batch.errors import ModelProcessFailed
from trimtab.domains.deploy.batch.processes import (
    LONGEST_BATCH_S,
    LONGEST_LOAD_S,
    Loading,
    bulk_options,
    ended,
    too_long,
)
from trimtab.domains.deploy.exports.package.context import copy_code
from trimtab.kernel.errors import Unavailable
from trimtab.serving.bulk import messages
from trimtab.serving.bulk.messages import Greeting, Order, Reply
from trimtab.serving.bulk.node import MODEL, Gone, Node

_LONGEST_WAIT_S = 900.0
"""How long a process may take to be placed on a node, what it needs to come there, and the model to load."""
_LOOK_S = 10.0
_PLACE = re.compile(r"(?:ray://)?\[?([^\s/\[\]]+)\]?:(\d{1,5})")
_NOT_SENT = ("compiling", "ray_serve")
_MOST_PROCESSES = 64


class Cluster:
    """A Ray cluster that has been told one model; a context manager that leaves it, and ends what was started there."""

    def __init__(self, address: str, model: Path) -> None:
        """Connect to the address, as ``ray.init`` takes it, and send the model; raises Unavailable."""
        try:
            self._ray: Any = import_module("ray")
        except ModuleNotFoundError:
            raise Unavailable(
                "Predicting on Ray needs Ray, in the version of the cluster: pip install 'ray[client]'.",
                field="ray",
            ) from None
        _look(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ["RAY_RUNTIME_ENV_IGNORE_GITIGNORE"] = "1"  # a model is all of its folder
        with tempfile.TemporaryDirectory(prefix="trimtab-ray-") as folder:
            code, sent = Path(folder) / "trimtab", Path(folder) / MODEL
            copy_code(code, but=_NOT_SENT)
            shutil.copytree(model, sent)
            try:
                self._ray.init(
                    address=address,
                    runtime_env={"py_modules": [str(code), str(sent)]},
                    log_to_driver=False,
                    logging_level="error",
                )
                self.processors = self._processors()
            except Exception as error:
                self._ray.shutdown()
                raise Unavailable(f"Ray at {address} cannot be used: {_line(error)}", field="ray") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def start(self, loading: Loading, log: Path) -> "RayProcess":
        """Start a process where a processor is free; what it says stays on its node, but for its last words."""
        del log
        actor = self._ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(Node)
        return RayProcess(self._ray, actor.remote(bulk_options(loading)))

    def _processors(self) -> int:
        return max(1, min(_MOST_PROCESSES, int(self._ray.cluster_resources().get("CPU", 1))))


class RayProcess:
    """One loaded model on some node. One thread asks, another may end it."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray = ray
        self._actor = actor

    def greeting(self) -> Greeting:
        """Return what it serves, once it has loaded; raises ModelNotLoaded or ModelProcessFailed."""
        answer = self._actor.greet.remote(LONGEST_LOAD_S)
        body = self._answer(answer, "while it loaded", LONGEST_LOAD_S, waits_s=_LONGEST_WAIT_S)
        return messages.decode_greeting(body)

    def ask(self, order: Order) -> Reply:
        """Return the answer to an order; raises ModelProcessFailed."""
        answer = self._actor.ask.remote(messages.encode(order), LONGEST_BATCH_S)
        body = self._answer(answer, f"at row {order.first_row} or after it", LONGEST_BATCH_S)
        return messages.decode_reply(body)

    def end(self) -> None:
        """End it by force; whoever waits for its answer gets none."""
        self._ray.kill(self._actor)

    def _answer(self, answer: Any, when: str, longest_s: float, *, waits_s: float | None = None) -> bytes:
        try:
            found: bytes | Gone = self._ray.get(answer, timeout=waits_s)
        except self._ray.exceptions.GetTimeoutError as error:
            raise ModelProcessFailed(
                f"Ray has not started a process within {waits_s:g} s: 'ray status' says what it waits for."
            ) from error
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise ModelProcessFailed(f"A process on Ray was lost {when}: {_line(error)}") from error
        if isinstance(found, bytes):
            return found
        if found.late:
            raise too_long(longest_s)
        raise ended(found.code, found.said, when)


def _look(address: str) -> None:
    """Raise Unavailable where nothing listens at a host's port: Ray itself would try for minutes."""
    place = _PLACE.fullmatch(address)
    if place is None:
        return
    try:
        socket.create_connection((place[1], int(place[2])), _LOOK_S).close()
    except (OSError, OverflowError) as error:
        raise Unavailable(f"Ray at {address} cannot be reached: {error}.", field="ray") from error


def _line(error: Exception) -> str:
    """Return what of Ray's long messages says most: a module that a node lacks, else the first line."""
    text = str(getattr(error, "error_message", None) or error)  # without Ray's heading
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    lacking = [line for line in lines if line.startswith("ModuleNotFoundError")]
    return (lacking or lines)[0][:500]
