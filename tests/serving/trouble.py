"""A model that makes trouble on request, and a keeper that runs its replicas as the server does."""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from tests.serving.conftest import Plane
from trimtab.domains.deploy.targets.limits import Limits
from trimtab.domains.deploy.targets.port import ReplicaSpec, ReplicaStatus
from trimtab.domains.deploy.targets.process import ProcessTarget
from trimtab.serving.routes import Field, Signature, Version

FINE, HANG, CRASH, LEAK, HUGE = 1.0, 101.0, 102.0, 103.0, 104.0
SIGNATURE = Signature([Field("a", "double")])


TROUBLE = """
import faulthandler, os, sys
from pathlib import Path
import numpy as np
from trimtab.kernel.process import die_with_parent
from trimtab.serving.batch import Output
from trimtab.serving.pulse import Pulse
from trimtab.serving.replica import Replica, listen

class Trouble:
    flavor, names, packed, row_wise, input_errors = "trouble", ("a",), True, True, (ValueError,)
    held = []

    def predict(self, rows, want):
        values = rows.matrix.ravel()
        if HANG in values:
            while True:
                pass
        if CRASH in values:
            os.abort()
        if LEAK in values:
            self.held.append(bytearray(os.urandom(1 << 20)) * 80)
        if HUGE in values:
            self.held.append(np.ones((1 << 40,), dtype=np.uint8))
        return [Output("predictions", "FP64", [rows.count], values.tolist())]

FINE, HANG, CRASH, LEAK, HUGE = NUMBERS
die_with_parent(parent=int(sys.argv[3]))
faulthandler.enable()
Replica(Trouble(), listen(Path(sys.argv[1])), pulse=Pulse(Path(sys.argv[2]))).run()
""".replace("NUMBERS", repr((FINE, HANG, CRASH, LEAK, HUGE)))
"""A replica whose model predicts what it is asked, unless that is one of the numbers above; it needs no library."""


def command(_: Path, socket: Path, *, pulse: Path | None = None, **__: Any) -> list[str]:
    """Return the command line of such a replica."""
    return [sys.executable, "-c", TROUBLE, str(socket), str(pulse), str(os.getpid())]


class Keeper:
    """Keeps replicas of the model running and routed, in one thread, until it is left."""

    def __init__(self, plane: Plane, *, replicas: int = 1, timeout_ms: int = 1000, **limits: Any) -> None:
        self._plane = plane
        self._timeout_ms = timeout_ms
        self._target = ProcessTarget(
            plane.state / "keeper", limits=Limits(**{"memory_bytes": 4 << 30, "least_hang_s": 0.1, **limits})
        )
        self._specs = [
            ReplicaSpec("m", str(number), plane.state, allow_pickle=True) for number in range(replicas)
        ]
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.status: dict[str, ReplicaStatus] = {}
        self.pids: list[int] = []

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(40), self.log()
        self._plane.wait_up()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def log(self, version: str = "0") -> str:
        return "\n".join(self._target.log_tail(("m", version), 400))

    def ask(self, a: float) -> int:
        """Return the status of a request."""
        return self._plane.request("POST", "/endpoints/m/invocations", {"dataframe_records": [{"a": a}]})[0]

    def wait(self, state: str, *, other_than: int | None = None) -> ReplicaStatus:
        """Wait until the first replica is in a state, with another process if one is named."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            status = self.status["0"]
            if status.state == state and (other_than is None or status.pid != other_than):
                return status
            time.sleep(0.02)
        raise AssertionError(f"{self.status}\n{self.log()}")

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.03):
                for spec in self._specs:
                    status = self._target.ensure(spec, patience_s=self._timeout_ms / 1000)
                    self.status[spec.version] = status
                    if status.pid is not None and status.pid not in self.pids:
                        self.pids.append(status.pid)
                if not self._ready.is_set() and all(one.state == "ready" for one in self.status.values()):
                    sockets = [path for one in self.status.values() for path in one.sockets]
                    version = Version("1", "m/1", 100, "champion", sockets)
                    self._plane.route(version, signature=SIGNATURE, timeout_ms=self._timeout_ms)
                    self._ready.set()
        finally:
            self._target.close()
