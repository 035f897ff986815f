"""Replicas as processes of this machine, on Unix sockets."""

import hashlib
import itertools
import logging
import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from trimtab.domains.deploy.targets.limits import Limits, cut, memory_bytes
from trimtab.domains.deploy.targets.port import DEFAULT_PATIENCE_S, ReplicaSpec, ReplicaStatus
from trimtab.serving.isolation import Isolation, isolation_file, read_isolation
from trimtab.serving.processes import replica_command, replica_environment
from trimtab.serving.pulse import busy_s

log = logging.getLogger(__name__)

_EXIT_LOAD_FAILED = 3
_FIRST_RESTART_S = 0.2
_LONGEST_RESTART_S = 30.0
_STEADY_S = 60.0
_MOST_IN_A_ROW = 5
_ABORT_S = 1.0
_WATCH_S = 0.5
_LEAVE_S = 1.0
"""How long one that is not needed any more goes on, so that the gateway hears of it first."""
_MOST_LOG_BYTES = 8 << 20


class _Process:
    """One replica: its process, and the pace at which it is started again."""

    def __init__(self, spec: ReplicaSpec, socket: Path, log: Path, limits: Limits) -> None:
        self.spec = spec
        self.socket = socket
        self.pulse = socket.with_suffix(".pulse")
        self.log = log
        self.limits = limits
        self.popen: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.not_before = 0.0
        self.hang_s = DEFAULT_PATIENCE_S
        self.watched = 0.0
        self.aborted = 0.0
        self.restarts = 0
        self.died_early = 0
        self.why = ""
        self.error: str | None = None
        self.isolation: Isolation | None = None

    def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self.pulse.unlink(missing_ok=True)
        isolation_file(self.socket).unlink(missing_ok=True)
        self.isolation = None
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self.popen = subprocess.Popen(
                replica_command(
                    self.spec.model_folder,
                    self.socket,
                    allow_pickle=self.spec.allow_pickle,
                    allow_network=self.spec.allow_network,
                    pulse=self.pulse,
                    interpreter=self.spec.interpreter,
                ),
                env=replica_environment(os.environ, interpreter=self.spec.interpreter),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.limits.impose(self.popen.pid)
        self.started = time.monotonic()
        self.aborted = 0.0
        self.why = ""

    def watch(self) -> None:
        """End a process that hangs, does not get ready or holds too much memory; the next look starts it again."""
        now = time.monotonic()
        if self.popen is None or now - self.watched < _WATCH_S:
            return
        self.watched = now
        if self.aborted:
            if now - self.aborted > _ABORT_S:
                self.popen.kill()
            return
        ready = self.socket.exists()
        if not ready and now - self.started > self.limits.start_s:
            self._abort(f"it was not ready within {self.limits.start_s:g} s")
        elif ready and busy_s(self.pulse) > self.hang_s:
            self._abort(f"a prediction took longer than {self.hang_s:g} s")
        elif (held := memory_bytes(self.popen.pid)) > self.limits.memory_bytes:
            self.why = f"it held {held >> 20} MB of memory, more than {self.limits.memory_bytes >> 20} MB"
            self.note()
            self.popen.kill()
        cut(self.log, most_bytes=_MOST_LOG_BYTES)

    def note(self) -> None:
        """Write into the replica's log why it was ended."""
        line = {"event": "replica-ended", "pid": self.popen.pid if self.popen else None, "message": self.why}
        with suppress(OSError), self.log.open("ab") as out:
            out.write(msgspec.json.encode(line) + b"\n")

    def _abort(self, why: str) -> None:
        """Have it write down where it is, and die."""
        assert self.popen is not None, "only a running process is watched"
        self.why = why
        self.note()
        self.aborted = time.monotonic()
        self.popen.send_signal(signal.SIGABRT)

    def end(self, timeout_s: float) -> None:
        if self.popen is None:
            return
        self.popen.terminate()
        try:
            self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.socket.unlink(missing_ok=True)


class ProcessTarget:
    """The target ``process://``. Its methods are called by one thread, which must outlive the replicas."""

    def __init__(self, folder: Path, *, limits: Limits | None = None) -> None:
        self._folder = folder
        self._limits = limits or Limits.of_machine()
        self._sockets = _socket_folder(folder)
        self._processes: dict[tuple[str, str], list[_Process]] = {}
        self._leaving: list[tuple[float, _Process]] = []
        self._told_of_network = False

    def ensure(
        self, spec: ReplicaSpec, *, replicas: int = 1, patience_s: float = DEFAULT_PATIENCE_S
    ) -> ReplicaStatus:
        held = self._processes.setdefault(spec.key, [])
        if held and held[0].spec != spec:
            self.stop(spec.key)
            held = self._processes[spec.key] = []
        while len(held) < replicas:
            held.append(self._new(spec))
        while len(held) > replicas:
            self._leaving.append((time.monotonic() + _LEAVE_S, held.pop()))
        self._see_off()
        for process in held:
            process.hang_s = max(patience_s, self._limits.least_hang_s)
        ready = [process for process in held if self._look_after(process)]
        if not held:
            return ReplicaStatus("ready")
        sockets = [str(process.socket) for process in held if process.error is None]
        if ready:
            first = ready[0]
            assert first.popen is not None, "what is ready runs"
            return ReplicaStatus("ready", first.popen.pid, sockets, None, first.isolation, spec.interpreter)
        failed = next((process for process in held if process.error is not None), None)
        if failed is not None:
            return ReplicaStatus("failed", error=failed.error)
        pid = held[0].popen.pid if held[0].popen else None
        return ReplicaStatus("starting", pid, sockets)

    def stop(self, key: tuple[str, str]) -> None:
        for process in self._processes.pop(key, ()):
            process.end(10.0)

    def running(self) -> set[tuple[str, str]]:
        return {key for key, held in self._processes.items() if held}

    def _new(self, spec: ReplicaSpec) -> _Process:
        """Return a process to be started, on a socket that none of this version's has."""
        others = {process.socket for process in self._processes[spec.key]}
        others |= {process.socket for _, process in self._leaving}
        number = next(n for n in itertools.count() if self._socket(spec.key, n) not in others)
        return _Process(spec, self._socket(spec.key, number), self._log(spec.key), self._limits)

    def _look_after(self, process: _Process) -> bool:
        """Start a process that does not run, end one that hangs; returns whether it is ready."""
        if process.error is not None:
            return False
        process.watch()
        if process.popen is None or process.popen.poll() is not None:
            self._restart(process)
        if process.error is not None or process.popen is None or process.popen.poll() is not None:
            return False
        if not process.socket.exists():
            return False
        if process.restarts and time.monotonic() - process.started > _STEADY_S:
            process.restarts = process.died_early = 0
        if process.isolation is None:
            process.isolation = self._isolation_of(process)
        return True

    def _see_off(self) -> None:
        """End the processes that are too many, once requests go to the others."""
        now = time.monotonic()
        for entry in list(self._leaving):
            due, process = entry
            if process.popen is None or process.popen.poll() is not None:
                process.socket.unlink(missing_ok=True)
                self._leaving.remove(entry)
            elif now >= due:
                process.popen.terminate()  # it answers what it has, and then ends

    def specs(self) -> list[ReplicaSpec]:
        return [held[0].spec for held in self._processes.values() if held and held[0].error is None]

    def log_tail(self, key: tuple[str, str], lines: int) -> list[str]:
        try:
            with self._log(key).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 65_536))
                return file.read().decode(errors="replace").splitlines()[-lines:]
        except FileNotFoundError:
            return []

    def close(self) -> None:
        every = [process for held in self._processes.values() for process in held]
        every += [process for _, process in self._leaving]
        for process in every:
            if process.popen is not None:
                process.popen.terminate()
        for process in every:
            process.end(5.0)
        self._processes.clear()
        self._leaving.clear()

    def _isolation_of(self, process: _Process) -> Isolation | None:
        found = read_isolation(process.socket)
        if found is not None and found.network == "not-isolated" and not self._told_of_network:
            self._told_of_network = True
            log.warning("models can reach the network", extra={"note": found.note})
        return found

    def _restart(self, process: _Process) -> None:
        now = time.monotonic()
        if process.popen is not None:
            if process.popen.returncode == _EXIT_LOAD_FAILED:
                process.error = self._reason(process)
                return
            if process.not_before <= process.started:
                self._count_death(process)
                delay = min(_LONGEST_RESTART_S, _FIRST_RESTART_S * 2**process.restarts)
                process.not_before = now + (0.0 if process.restarts == 0 else delay)
                process.restarts += 1
        if process.error is None and now >= process.not_before:
            process.start()

    def _count_death(self, process: _Process) -> None:
        """Give up a version that dies again and again by itself: before it is ready, or of its memory.

        What died of a request goes on being started: giving it up would let a few bad requests take an endpoint away.
        """
        by_itself = process.why != "" and "prediction" not in process.why
        if process.socket.exists() and not by_itself:
            return
        process.died_early += 1
        if process.died_early >= _MOST_IN_A_ROW:
            assert process.popen is not None, "it has died"
            why = process.why or f"it ended with {process.popen.returncode} before it was ready"
            process.error = f"it died {process.died_early} times in a row: {why}"

    def _reason(self, process: _Process) -> str:
        for line in reversed(self.log_tail(process.spec.key, 20)):
            with suppress(msgspec.MsgspecError):
                told = msgspec.json.decode(line, type=dict[str, object])
                return str(told.get("error") or told.get("message") or line)[:2000]
        return "the model could not be loaded; its log says why"

    def _socket(self, key: tuple[str, str], number: int) -> Path:
        return self._sockets / f"{hashlib.sha256('/'.join(key).encode()).hexdigest()[:20]}-{number}.sock"

    def _log(self, key: tuple[str, str]) -> Path:
        return self._folder / "logs" / f"{key[0]}-{key[1]}.log"


def _socket_folder(folder: Path) -> Path:
    """Return a private folder whose path is short enough for Unix sockets (108 bytes)."""
    near = folder / "r"
    if len(str(near)) > 70:
        digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        near = Path(tempfile.gettempdir()) / f"trimtab-{os.getuid()}-{digest}"
    near.mkdir(parents=True, exist_ok=True, mode=0o700)
    if near.stat().st_uid != os.getuid():
        raise PermissionError(f"{near} belongs to someone else")
    return near
