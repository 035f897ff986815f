"""Runs a run again from exactly what was captured when it was started, and says how the two differ."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from trimtab.kernel import refs
from trimtab.kernel.errors import Conflict, Invalid
from trimtab.kernel.ids import new_id
from trimtab.sdk import capture as captures
from trimtab.sdk import repeating, replay, workspace
from trimtab.sdk.client import Client, connect
from trimtab.sdk.repeating import Repetition
from trimtab.sdk.run_differences import (
    Difference,
    Tolerance,
    capture_of,
    compare,
    files_of,
    read_file,
)

Say = Callable[[str], None]


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """How a run came out the second time. ``same`` says that its metrics are, within the tolerance, and its status."""

    original: str
    again: str
    same: bool
    exit_code: int
    folder: str | None
    differences: list[Difference]
    notes: list[str]


def reproduce(
    run_id: str,
    *,
    env: Literal["reuse", "fresh"] = "reuse",
    folder: str | os.PathLike[str] | None = None,
    repository: str | os.PathLike[str] | None = None,
    tolerance: Tolerance | None = None,
    force: bool = False,
    quiet: bool = False,
    say: Say | None = None,
    client: Client | None = None,
) -> Reproduction:
    """Run a run again: its commit and changes, its command, seeds, variables and data versions.

    ``env`` "fresh" installs the locked packages, "reuse" takes the environment of this process. The code is written
    below ``folder``, which is then kept, else below a temporary one. Raises Conflict, unless ``force``, where
    something was not captured; Invalid and Unavailable where code or packages are not to be had.
    """
    connection = client or connect()
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        if say is not None:
            say(text)

    original = connection.get(f"/runs/{run_id}")
    capture = _check(connection, original, force=force, note=note)
    place = _folder(folder)
    try:
        exit_code, token = _run_again(
            connection, original, capture, place, env=env, repository=repository, quiet=quiet, note=note
        )
        again = _find(connection, token, original["id"], exit_code)
        found = compare(connection, original["id"], again, tolerance=tolerance or Tolerance())
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
    same = all(one.same is not False for one in found if one.kind in ("metric", "status"))
    if not same and not capture.environment.variables.get("PYTHONHASHSEED"):
        note("PYTHONHASHSEED was not set, so what depends on the order of sets may differ each time.")
    return Reproduction(
        original=original["id"],
        again=again,
        same=same,
        exit_code=exit_code,
        folder=str(place) if folder is not None else None,
        differences=found,
        notes=notes,
    )


def _check(client: Client, original: dict[str, Any], *, force: bool, note: Say) -> captures.Capture:
    run_id = original["id"]
    capture = capture_of(client, run_id)
    if capture is None:
        raise Conflict(
            f"Of run {run_id} nothing was captured: only runs that trimtab.run() began can be run again."
        )
    missing = captures.what_is_missing(capture)
    if any(
        one["path"].startswith(f"{captures.FOLDER}/resumed/")
        for one in files_of(client, run_id, captures.FOLDER)
    ):
        missing.append("It was interrupted and resumed; no single command gives all of it.")
    if missing and not force:
        raise Conflict(f"Run {run_id} cannot be run again as it was. {' '.join(missing)}")
    for one in missing:
        note(one)
    return capture


def _folder(given: str | os.PathLike[str] | None) -> Path:
    if given is None:
        return Path(tempfile.mkdtemp(prefix="trimtab-reproduce-"))
    folder = Path(given).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Invalid(f"{folder} is there already and not an empty folder.", field="dir")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run_again(
    client: Client,
    original: dict[str, Any],
    capture: captures.Capture,
    place: Path,
    *,
    env: str,
    repository: str | os.PathLike[str] | None,
    quiet: bool,
    note: Say,
) -> tuple[int, str]:
    """Run the command and return its exit code and the token that its runs carry."""
    run_id = original["id"]
    code = workspace.check_out(
        capture,
        place,
        patch=read_file(client, run_id, captures.PATCH_FILE),
        source=read_file(client, run_id, captures.SOURCE_FILE),
        repository=Path(repository) if repository is not None else None,
    )
    here = workspace.working_folder(capture, code)
    if code not in (here, *here.parents):
        note(f"It runs in {here}, as it did then: that folder is outside of the code and was not captured.")
    python = Path(os.path.abspath(sys.executable))  # noqa: PTH100 - links stay: they make the environment
    if env == "fresh":
        python = workspace.fresh_python(capture, place, code=code, say=note)
    token = new_id()
    states = read_file(client, run_id, captures.SEEDS_FILE)
    wanted = Repetition(
        token, run_id, capture.ordinal, msgspec.json.decode(states) if states else {}, _data(original)
    )
    file = place / "repetition.json"
    file.write_bytes(msgspec.json.encode(wanted))
    variables = workspace.variables(capture, code)
    for name in ("TRIMTAB_RUN_ID", "TRIMTAB_OFFLINE"):
        variables.pop(name, None)
    variables |= {repeating.VARIABLE: str(file), **client.environment}
    command = workspace.arguments(capture, code, python)
    note(f"Running {' '.join(command)} in {here}")
    output = place / "output.txt"
    with output.open("wb") as log:
        done = subprocess.run(
            command,
            cwd=here,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            check=False,
        )
    if done.returncode and quiet:
        note(f"It ended with {done.returncode}: {output.read_text(errors='replace')[-2000:]}")
    elif done.returncode:
        note(f"It ended with {done.returncode}.")
    return done.returncode, token


def _find(client: Client, token: str, original: str, exit_code: int) -> str:
    """Return the run that the command made in the place of the original."""
    search = f"tags.`{repeating.REPRODUCTION_TAG}` = '{token}'"
    made = client.get("/runs", filter=search, limit=100)["items"]
    if not made:
        replay.sync(client)
        made = client.get("/runs", filter=search, limit=100)["items"]
    for one in made:
        if one["tags"].get(repeating.REPRODUCES_TAG) == original:
            return one["id"]
    raise Conflict(f"The command ended with {exit_code} and began no run in the place of {original}.")


def _data(original: dict[str, Any]) -> dict[str, int]:
    """Return the versions of the datasets that went into a run."""
    found: dict[str, int] = {}
    for one in original["datasets"]:
        if one["source"].startswith("data:"):
            name, version = refs.data_parts(one["source"])
            if version and version.isdigit():
                found[name] = int(version)
    return found
