"""Runs the compiler as a process that sees no secrets, gains no privileges, and is ended when it takes too long."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from trimtab.serving.compiling.verdict import VERDICT_FILE, Verdict
from trimtab.serving.processes import replica_environment

_LOOK_S = 0.1
_TELL_S = 5.0
_LAST_WORDS = 2000
_KILLED_BY = {
    signal.SIGXCPU: "it used up its processor time",
    signal.SIGKILL: "it was killed, most likely for its memory",
}


class Limits(msgspec.Struct, frozen=True):
    """What one compilation may take. Processor time counts all threads; memory is that for data."""

    wall_s: float = 600.0
    cpu_s: int = 600
    memory_mb: int = 6144


def run(
    model: Path,
    out: Path,
    *,
    allow_pickle: bool = False,
    rows: Path | None = None,
    limits: Limits | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Verdict:
    """Compile a model folder into ``out`` and return the verdict, also where the process fails or is ended.

    ``tick`` is called every few seconds while it runs; what it raises ends the process.
    """
    limits = limits or Limits()
    out.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "trimtab.serving.compiling", "--model", str(model), "--out", str(out)]
    command += [
        "--memory-mb",
        str(limits.memory_mb),
        "--cpu-s",
        str(limits.cpu_s),
        "--parent",
        str(os.getpid()),
    ]
    command += ["--allow-pickle"] if allow_pickle else []
    command += ["--rows", str(rows)] if rows is not None else []
    log = out / "compile.log"
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=replica_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        in_time = _wait(process, limits.wall_s, tick)
    finally:
        _end(process)
    took_s = round(time.monotonic() - started, 2)
    if not in_time:
        return _failed(f"it took longer than {limits.wall_s:g} seconds", took_s)
    if process.returncode == 0:
        try:
            return msgspec.json.decode((out / VERDICT_FILE).read_bytes(), type=Verdict)
        except (OSError, msgspec.MsgspecError) as error:
            return _failed(f"its verdict cannot be read: {error}", took_s)
    if process.returncode < 0:
        sent = signal.Signals(-process.returncode)
        return _failed(_KILLED_BY.get(sent, f"it was ended by {sent.name}"), took_s)
    return _failed(f"its process ended with {process.returncode}: {_last_line(log)}", took_s)


def _wait(process: subprocess.Popen[bytes], wall_s: float, tick: Callable[[], None]) -> bool:
    """Return whether the process ended in time."""
    started = told = time.monotonic()
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LOOK_S)
            return True
        now = time.monotonic()
        if now - started > wall_s:
            return False
        if now - told >= _TELL_S:
            told = now
            tick()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process with all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _failed(why: str, took_s: float) -> Verdict:
    return Verdict("failed", f"The native model serves: compiling failed, {why}.", took_s=took_s)


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-_LAST_WORDS:].decode(errors="replace").strip().splitlines()
    return lines[-1][:500] if lines else "it said nothing"
