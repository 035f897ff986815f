"""How a run begins: which id, tags and role it has, what is captured, and what a reproduction asks for."""

import getpass
import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, TrimtabError
from trimtab.kernel.ids import new_id
from trimtab.kernel.time import now_us
from trimtab.sdk import capture as captures
from trimtab.sdk import repeating, seeds
from trimtab.sdk.client import Client
from trimtab.sdk.delivery import SESSION_TAG
from trimtab.sdk.entries import Status, check_start
from trimtab.sdk.pipelines import current

PARENT_TAG = "mlflow.parentRunId"
_EVERY_S = 10.0
_RESUME_S = 2.0
_ID = re.compile(r"[0-9a-f]{32}")

Captured = Callable[[], tuple[dict[str, str], dict[str, bytes]]]


class Plan(msgspec.Struct, kw_only=True):
    """What was decided about a run before it begins."""

    run_id: str
    session: str
    name: str | None
    experiment: str | None
    owner: bool
    create: dict[str, Any] | None
    first: dict[str, str]
    steps: dict[str, int]
    capture: Captured | None
    every_s: float
    system_prefix: str
    offline: bool


class _Started:
    """How many runs this process has started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def next(self) -> int:
        with self._lock:
            self._count += 1
            return self._count - 1


_started = _Started()


def plan(
    client: Client,
    *,
    experiment: str | None,
    name: str | None,
    run_id: str | None,
    fresh_id: str,
    tags: Mapping[str, Any],
    parent: str | None,
    rank: int | None,
    capture: bool,
    system_metrics_s: float | None,
    offline: bool | None,
) -> Plan:
    """Decide how a run begins; raises Invalid for tags, names and ids that no server takes."""
    check_start(tags, name)
    from_environment = os.environ.get("TRIMTAB_RUN_ID")
    given = run_id or from_environment
    if given is not None and not _ID.fullmatch(given):
        raise Invalid(f"A run's id is 32 hexadecimal digits, not {given[:60]!r}.", field="id")
    if rank is None:
        rank = int(_number("RANK", 0)) if given else 0
    owner = not rank
    makes = given is None or experiment is not None or (run_id is None and from_environment is not None)
    session = new_id()
    everything = {**_surroundings(), **{str(key): str(value) for key, value in tags.items()}}
    if parent is not None:
        everything[PARENT_TAG] = parent
    if owner:
        everything[SESSION_TAG] = session
    ordinal = _started.next() if owner else -1
    if owner:
        everything |= _reproduction_tags(ordinal)
    if offline is None:
        offline = os.environ.get("TRIMTAB_OFFLINE", "") not in ("", "0", "false")
    known = None if given is None or offline else _last_steps(client, given)
    every_s = _number("TRIMTAB_SYSTEM_METRICS_S", _EVERY_S) if system_metrics_s is None else system_metrics_s
    goes_on = known is not None or not makes
    folder = f"{captures.FOLDER}/resumed/{session}" if goes_on else captures.FOLDER
    return Plan(
        run_id=given or fresh_id,
        session=session,
        name=name,
        experiment=experiment,
        owner=owner,
        create={"experiment": experiment, "name": name, "tags": everything, "started_us": now_us()}
        if makes
        else None,
        first=everything if given is not None and owner else {},
        steps=known or {},
        capture=_capture(ordinal, session, folder) if capture and owner else None,
        every_s=every_s,
        system_prefix=f"system/rank_{rank}/" if rank else "system/",
        offline=offline,
    )


def status_at_exit() -> Status:
    """Return how a process ends that is at its exit: with the error it was not prepared for, or well."""
    if hasattr(sys, "ps1"):
        return "FINISHED"  # errors at a prompt are not the end of anything
    kind = getattr(sys, "last_type", None)
    if kind is None:
        return "FINISHED"
    return "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"


def _capture(ordinal: int, session: str, folder: str) -> Captured:
    state = seeds.capture()  # now: the training goes on to use the generators

    def work() -> tuple[dict[str, str], dict[str, bytes]]:
        found, files = captures.read(ordinal=ordinal, session=session, seeds=state)
        tags = found.code.tags if found.code is not None else {}
        return tags, {f"{folder}/{name}": content for name, content in files.items()}

    return work


def _reproduction_tags(ordinal: int) -> dict[str, str]:
    """Return the tags of a run that a reproduction started, and set the generators as they were then."""
    repetition = repeating.wanted()
    if repetition is None:
        return {}
    tags = {repeating.REPRODUCTION_TAG: repetition.token}
    if ordinal == repetition.ordinal:
        tags[repeating.REPRODUCES_TAG] = repetition.run_id
        seeds.restore(repetition.seeds)
    return tags


def _last_steps(client: Client, run_id: str) -> dict[str, int] | None:
    """Return the last step of each metric of a run; None where there is none or the server does not say soon."""
    found: list[dict[str, int]] = []

    def ask() -> None:
        try:
            with client.again() as connection:
                metrics = connection.get(f"/runs/{run_id}")["metrics"]
        except TrimtabError:
            return
        found.append({key: value["step"] for key, value in metrics.items()})

    asking = threading.Thread(target=ask, name="trimtab-resume", daemon=True)
    asking.start()
    asking.join(_RESUME_S)
    return found[0] if found else None


def _number(variable: str, default: float) -> float:
    try:
        return float(os.environ[variable])
    except (KeyError, ValueError):
        return default


def _surroundings() -> dict[str, str]:
    """Return tags that say who runs what, under the names that MLflow gives them."""
    running = current()
    tags = {
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": (sys.argv[0] if sys.argv else "") or "python",
    }
    try:
        tags["mlflow.user"] = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        tags["mlflow.user"] = str(os.getuid())
    return {**tags, **(running.tags if running else {})}
