"""A folder with exactly the code of a captured run, and the Python to run it with."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from trimtab.kernel.errors import Invalid, Unavailable
from trimtab.sdk import capture as captures
from trimtab.sdk import environment
from trimtab.sdk.capture import Capture
from trimtab.sdk.environment import Package

Say = Callable[[str], None]
_GIT_S = 600.0
_INSTALL_S = 3600.0


def check_out(
    capture: Capture, folder: Path, *, patch: bytes | None, source: bytes | None, repository: Path | None
) -> Path:
    """Write the code of a run into a new folder and return the root that stands for the original one.

    Raises Invalid where the commit is nowhere to be found or the changes do not apply.
    """
    code = folder / "code"
    if capture.code is None:
        code.mkdir(parents=True)
        if source is not None:
            captures.unpack(source, code)
        return code
    origin = _origin(capture, repository)
    shared = ["--shared"] if Path(origin).exists() else []
    _run(
        ["git", "clone", "--quiet", "--no-checkout", *shared, origin, str(code)],
        folder,
        "The code was not cloned",
    )
    _run(
        ["git", "-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", capture.code.commit],
        code,
        f"Commit {capture.code.commit[:12]} is not in {origin}",
    )
    if patch:
        file = folder / captures.PATCH_FILE
        file.write_bytes(patch)
        _run(["git", "apply", "--binary", "--whitespace=nowarn", str(file)], code, "The changes do not apply")
    return code


def original_root(capture: Capture) -> Path:
    """Return the folder that the code of a run was in."""
    if capture.code is not None:
        return Path(capture.code.root)
    command = capture.command
    return Path(command.folder, command.argv[0]).parent if command.kind == "script" else Path(command.folder)


def moved(text: str, original: Path, code: Path, *, base: Path | None = None) -> str:
    """Return a path of the original code as one of the copy; anything else as it is."""
    path = Path(base or original, text) if not Path(text).is_absolute() else Path(text)
    resolved = Path(os.path.normpath(path))
    if resolved == original or original in resolved.parents:
        return str(code / resolved.relative_to(original))
    return text


def working_folder(capture: Capture, code: Path) -> Path:
    """Return the folder to run in: the same place in the copy, or the original one where that was elsewhere.

    Raises Invalid where there is none.
    """
    folder = Path(moved(capture.command.folder, original_root(capture), code))
    if not folder.is_dir():
        raise Invalid(f"The run worked in {capture.command.folder}, which is not there.", field="dir")
    return folder


def arguments(capture: Capture, code: Path, python: Path) -> list[str]:
    """Return the command that runs the same again."""
    command = capture.command
    original, base = original_root(capture), Path(command.folder)
    given = list(command.argv)
    match command.kind:
        case "program":
            program = python.parent / Path(given[0]).name
            return [str(python), *command.options, str(program), *given[1:]]
        case "script":
            given[0] = moved(given[0], original, code, base=base)
        case _:
            pass
    rest = [moved(one, original, code) if one.startswith(str(original)) else one for one in given[1:]]
    return [str(python), *command.options, given[0], *rest]


def fresh_python(capture: Capture, folder: Path, *, code: Path, say: Say) -> Path:
    """Make an environment with the locked packages and return its interpreter; raises Unavailable and Invalid.

    It is made by uv where that is there, which also brings another Python, else by venv and pip.
    """
    target = folder / "environment"
    lock, packages = folder / captures.LOCK_FILE, capture.environment.packages
    lock.write_text(environment.requirements(tuple(_placed(one, capture, code, say) for one in packages)))
    version = capture.environment.python
    python = target / "bin" / "python"
    if uv := _uv():
        say(f"Making an environment of Python {version} with {len(packages)} packages.")
        try:
            _run([*uv, "venv", "--quiet", "--python", version, str(target)], folder, "")
        except Invalid:
            minor = ".".join(version.split(".")[:2])
            say(f"Python {version} is not to be had; taking {minor}.")
            _run([*uv, "venv", "--quiet", "--python", minor, str(target)], folder, f"No Python {minor}")
        install = [*uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", str(lock)]
    else:
        if not version.startswith(f"{sys.version_info.major}.{sys.version_info.minor}."):
            raise Invalid(f"The run had Python {version}; install uv, which brings it, or use --env reuse.")
        say(f"Making an environment with {len(packages)} packages.")
        _run([sys.executable, "-m", "venv", str(target)], folder, "No environment was made")
        install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(lock)]
    try:
        _run(install, folder, "The packages were not installed", timeout_s=_INSTALL_S)
    except Invalid as error:
        raise Unavailable(error.message) from error
    return python


def variables(capture: Capture, code: Path) -> dict[str, str]:
    """Return the environment of the process: this one's, with those variables that change numbers as they were."""
    given = dict(os.environ)
    for name in environment.VARIABLES:
        given.pop(name, None)
    given |= capture.environment.variables
    if path := given.get("PYTHONPATH"):
        original = original_root(capture)
        parts = [
            moved(part, original, code, base=Path(capture.command.folder)) for part in path.split(os.pathsep)
        ]
        given["PYTHONPATH"] = os.pathsep.join(parts)
    return given


def _origin(capture: Capture, repository: Path | None) -> str:
    """Return where to get the commit: the given repository, this one, the original folder, or the remote."""
    assert capture.code is not None
    commit = capture.code.commit
    places = [repository] if repository is not None else [Path.cwd(), Path(capture.code.root)]
    for place in places:
        if place.is_dir() and _has(place, commit):
            return _run(["git", "rev-parse", "--path-format=absolute", "--git-common-dir"], place, "").strip()
    if repository is not None or capture.code.remote is None:
        looked = ", ".join(str(place) for place in places)
        raise Invalid(f"Commit {commit[:12]} is in none of {looked}. Say where with --repo.", field="repo")
    return capture.code.remote


def _has(place: Path, commit: str) -> bool:
    try:
        _run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], place, "")
    except Invalid:
        return False
    return True


def _placed(one: Package, capture: Capture, code: Path, say: Say) -> Package:
    """Return where to install an editable package from: the copy of the code, or its folder as it is now."""
    if not one.editable:
        return one
    folder = Path(moved(one.source, original_root(capture), code))
    if not folder.is_dir():
        raise Invalid(f"{one.name} was installed from {one.source}, which is not there; use --env reuse.")
    if folder == Path(one.source):
        say(f"{one.name} is installed from {folder} as it is now.")
    return Package(one.name, one.version, str(folder), editable=True)


def _uv() -> list[str]:
    if found := shutil.which("uv"):
        return [found]
    return [sys.executable, "-m", "uv"] if importlib.util.find_spec("uv") else []


def _run(command: Sequence[str], folder: Path, failed: str, *, timeout_s: float = _GIT_S) -> str:
    """Run a command and return what it printed; raises Invalid with its complaint."""
    try:
        done = subprocess.run(
            [*command],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Invalid(f"{failed}: {error}") from error
    if done.returncode != 0:
        raise Invalid(f"{failed}: {done.stderr.strip()[-2000:]}")
    return done.stdout
