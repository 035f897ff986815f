"""What a run was started from, written beside it: code, command, environment, seeds and machine."""

import os
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid
from trimtab.kernel.time import now_us
from trimtab.sdk import bundles, code_state, environment, hardware
from trimtab.sdk import seeds as seed_states
from trimtab.sdk.code_state import CodeState
from trimtab.sdk.environment import Command, Environment

FOLDER = "trimtab"
CAPTURE_FILE = "capture.json"
PATCH_FILE = "changes.patch"
LOCK_FILE = "requirements.txt"
SOURCE_FILE = "source.zip"
SEEDS_FILE = "seeds.json"
_FORMAT = 1


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a reproduction needs to know beside the files. ``ordinal`` says which run of its process it was."""

    format: int = _FORMAT
    ordinal: int
    session: str
    at_us: int
    command: Command
    environment: Environment
    seeds: dict[str, Any]
    hardware: dict[str, Any]
    code: CodeState | None
    source_files: tuple[str, ...] = ()  # in source.zip, where there is no repository
    source_why: str = ""


def read(*, ordinal: int, session: str, seeds: dict[str, Any]) -> tuple[Capture, dict[str, bytes]]:
    """Return what there is to capture of this process, and the files to keep beside the run, by name."""
    files: dict[str, bytes] = {}
    command, surroundings = environment.command(), environment.read()
    found = code_state.read(_code_folder(command))
    source_files: tuple[str, ...] = ()
    why = ""
    if found is None:
        content, source_files, why = _source(command)
        if content:
            files[SOURCE_FILE] = content
    elif found[1]:
        files[PATCH_FILE] = found[1]
    capture = Capture(
        ordinal=ordinal,
        session=session,
        at_us=now_us(),
        command=command,
        environment=surroundings,
        seeds=seed_states.summary(seeds),
        hardware=hardware.inventory(),
        code=found[0] if found else None,
        source_files=source_files,
        source_why=why,
    )
    files[CAPTURE_FILE] = msgspec.json.format(msgspec.json.encode(capture), indent=1)
    files[SEEDS_FILE] = msgspec.json.encode(seeds)
    files[LOCK_FILE] = environment.requirements(surroundings.packages).encode()
    return capture, files


def decode(content: bytes) -> Capture:
    """Return a capture as it was written; raises Invalid for one of a later version."""
    try:
        found = msgspec.json.decode(content, type=Capture)
    except msgspec.MsgspecError as error:
        raise Invalid(f"What was captured of the run cannot be read: {error}") from error
    if found.format > _FORMAT:
        raise Invalid("The run was captured by a later version of Trimtab.")
    return found


def what_is_missing(capture: Capture) -> list[str]:
    """Return, in sentences, what was not captured and stands in the way of running the same again."""
    missing: list[str] = []
    command = capture.command
    match command.kind:
        case "notebook":
            missing.append("It was started in a notebook, whose cells were not captured.")
        case "input" | "embedded":
            missing.append("Its code came from standard input or another program and was not captured.")
        case _:
            pass
    if not command.whole:
        missing.append("A secret was left out of its command line.")
    if capture.code is None and not capture.source_files and command.kind != "code":
        missing.append(f"Its code is in no git repository{capture.source_why}.")
    if capture.code is not None:
        missing += [f"Of the changes {one.path} was left out: {one.why}." for one in capture.code.left_out]
    return missing


def _code_folder(command: Command) -> Path:
    """Return the folder to look for the repository in: the script's, else the working one."""
    return Path(command.argv[0]).absolute().parent if command.kind == "script" else Path.cwd()


def _source(command: Command) -> tuple[bytes, tuple[str, ...], str]:
    """Return the script and the modules beside it that it imports, where there is no repository to name them."""
    if command.kind != "script":
        return b"", (), ""
    script = Path(os.path.abspath(command.argv[0]))  # noqa: PTH100 - links stay as they are
    try:
        found = bundles.collect(script)
    except (Invalid, OSError) as error:
        return b"", (), f" and could not be kept ({error})"
    secrets = [name for name, content in found.items() if code_state.holds_secret(content)]
    if secrets:
        return b"", (), f", and {secrets[0]} holds what looks like a secret"
    return bundles.pack(found), tuple(found), ""


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of a captured source below a folder; raises Invalid for strange names."""
    for name, text in bundles.unpack(content).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
