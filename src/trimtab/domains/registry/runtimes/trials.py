"""Tries a version in an environment: loads it as a replica does, and has it predict its own input example."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from trimtab.domains.registry.runtimes import processes
from trimtab.serving.processes import Interpreter, replica_environment, trial_command

_MOST_S = 300.0


class Tried(msgspec.Struct, frozen=True):
    """How a trial went; ``message`` says why it failed, or what was tried."""

    passed: bool
    message: str
    took_s: float


def try_model(
    model: Path,
    interpreter: Interpreter,
    *,
    allow_pickle: bool,
    environment: Mapping[str, str] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Tried:
    """Load a model folder in a process without network, secrets, privileges or more than half of the memory."""
    seen = replica_environment(os.environ if environment is None else environment, interpreter=interpreter)
    del seen["PYTHONDONTWRITEBYTECODE"]  # what it compiles now, no replica has to
    ended = processes.run(
        trial_command(model, interpreter=interpreter, allow_pickle=allow_pickle),
        environment=seen,
        folder=model,
        most_s=_MOST_S,
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2,
        tick=tick,
    )
    if ended.code == 0:
        told = _last(ended.output)
        with_example = (
            "It was loaded and predicted its input example."
            if told.get("example")
            else ("It was loaded; it has no input example to predict.")
        )
        return Tried(True, with_example, ended.took_s)
    if ended.code is None:
        return Tried(False, f"loading it took longer than {_MOST_S:g} seconds", ended.took_s)
    message = str(_last(ended.errors).get("message") or "")
    if not message:
        lines = ended.errors.strip().splitlines()
        how = f"by signal {-ended.code}" if ended.code < 0 else f"with code {ended.code}"
        message = f"its process ended {how}: {lines[-1][:500] if lines else 'it said nothing'}"
    return Tried(False, message[:1500], ended.took_s)


def _last(text: str) -> dict[str, Any]:
    for line in reversed(text.strip().splitlines()[-20:]):
        try:
            return msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError:
            continue
    return {}
