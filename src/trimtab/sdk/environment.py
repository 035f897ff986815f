"""The environment of a run: Python, platform, every installed package with its version, and how the command was given."""

import importlib.metadata
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from trimtab.sdk.code_state import holds_secret, without_password

VARIABLES = (
    "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
    "PYTHONHASHSEED", "PYTHONPATH", "RANK", "LOCAL_RANK", "WORLD_SIZE", "TZ", "LANG", "LC_ALL",
    "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS", "TOKENIZERS_PARALLELISM",
)  # fmt: skip
_SECRET_FLAG = re.compile(r"(?i)(pass|secret|token|api.?key|credential|auth)")


class Package(msgspec.Struct, frozen=True, omit_defaults=True):
    """An installed distribution; ``source`` is where it came from, if not from an index, ``editable`` a folder."""

    name: str
    version: str
    source: str = ""
    editable: bool = False


class Command(msgspec.Struct, frozen=True):
    """How the process was started. ``argv`` lacks the interpreter; ``whole`` is False where a secret was taken out."""

    kind: Literal["script", "module", "code", "program", "notebook", "input", "embedded"]
    argv: tuple[str, ...]
    options: tuple[str, ...]  # of the interpreter
    folder: str
    whole: bool = True


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    python: str
    implementation: str
    executable: str
    platform: str
    machine: str
    packages: tuple[Package, ...]
    variables: dict[str, str]


def read() -> Environment:
    """Return the environment of this process. Of its variables only those that change what numbers come out."""
    return Environment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        executable=sys.executable,
        platform=platform.platform(),
        machine=platform.machine(),
        packages=packages(),
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def packages() -> tuple[Package, ...]:
    """Return every distribution that can be imported, by name; of two with one name the first found counts."""
    found: dict[str, Package] = {}
    for one in importlib.metadata.distributions():
        name, version = _name_and_version(one)
        key = re.sub(r"[-_.]+", "-", name).lower()
        if name and key not in found:
            found[key] = _package(key, version, one)
    return tuple(found[key] for key in sorted(found))


def requirements(kept: tuple[Package, ...]) -> str:
    """Return packages as a requirements file, which installs the same versions without resolving anything."""
    lines = []
    for one in kept:
        if one.editable:
            lines.append(f"-e {one.source}")
        elif one.source:
            lines.append(f"{one.name} @ {one.source}")
        else:
            lines.append(f"{one.name}=={one.version}")
    return "\n".join([*lines, ""])


def command() -> Command:
    """Return how this process was started."""
    given = list(getattr(sys, "orig_argv", [])[1:])
    options: list[str] = []
    while given and given[0].startswith("-") and given[0] not in ("-", "-m", "-c"):
        options.append(given.pop(0))
        if options[-1] in ("-W", "-X") and given:
            options.append(given.pop(0))
    argv, whole = _without_secrets(given)
    return Command(_kind(given), tuple(argv), tuple(options), os.getcwd(), whole)  # noqa: PTH109 - as text


def _kind(given: list[str]) -> Any:
    if "ipykernel" in sys.modules:
        return "notebook"
    if not given or given[0] == "-":
        return "input"
    if given[0] in ("-m", "-c"):
        return "module" if given[0] == "-m" else "code"
    file = Path(given[0]).absolute()
    if not file.exists():
        return "embedded"
    return "program" if file.parent == Path(sys.executable).parent else "script"


def _without_secrets(given: list[str]) -> tuple[list[str], bool]:
    """Take out the values of flags that are named like secrets, and what looks like one."""
    kept: list[str] = []
    whole = True
    hidden_next = False
    for index, one in enumerate(given):
        flag, equals, value = one.partition("=")
        is_secret = one.startswith("-") and _SECRET_FLAG.search(flag) is not None
        is_code = index > 0 and given[index - 1] == "-c"
        if hidden_next and not one.startswith("-"):
            kept.append("***")
            whole = False
        elif is_secret and equals and value:
            kept.append(f"{flag}=***")
            whole = False
        elif holds_secret(one.encode("utf-8", "replace")):
            kept.append(without_password(one) if "://" in one and not is_code else "***")
            whole = False
        else:
            kept.append(one)
        hidden_next = is_secret and not equals and not is_code
    return kept, whole


def _name_and_version(one: importlib.metadata.Distribution) -> tuple[str, str]:
    folder = getattr(
        one, "_path", None
    )  # the name of the folder has both, which saves reading every METADATA
    name = getattr(folder, "name", "")
    if name.endswith(".dist-info") and name.count("-") == 2:
        stem, _, version = name.removesuffix(".dist-info").partition("-")
        return stem, version
    return one.metadata["Name"] or "", one.version


def _package(name: str, version: str, one: importlib.metadata.Distribution) -> Package:
    try:
        text = one.read_text("direct_url.json")
        direct = json.loads(text) if text else {}
    except (OSError, ValueError):
        direct = {}
    source = without_password(str(direct.get("url", "")))
    editable = bool(direct.get("dir_info", {}).get("editable"))
    if vcs := direct.get("vcs_info"):
        source = f"{vcs.get('vcs', 'git')}+{source}@{vcs.get('commit_id', '')}"
    if editable:
        source = source.removeprefix("file://")
    return Package(name, version, source, editable)
