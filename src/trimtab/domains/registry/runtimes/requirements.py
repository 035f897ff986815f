"""Reads what a model's files ask for, and compares it with what is installed beside the server.

MLflow writes ``requirements.txt``, ``conda.yaml`` and ``python_env.yaml`` beside the MLmodel file. What can only come
from an address, a repository or a path is told apart, because to install that runs code of unknown origin.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from trimtab.domains.registry.runtimes.errors import BadRequirements

if TYPE_CHECKING:
    from packaging.requirements import Requirement

FILES = ("requirements.txt", "constraints.txt", "conda.yaml", "python_env.yaml")
MOST_BYTES = 1 << 20
_MOST_LINES = 2000
_MOST_DEPTH = 3
_NOT_SERVED_BY = frozenset(
    ("mlflow", "mlflow-skinny", "mlflow-tracing", "trimtab", "pip", "setuptools", "wheel")
)
"""What training needed and loading does not, where a loader of ours reads the flavour."""
_STANDS_IN = {"mlflow": "mlflow-skinny"}
_SERVING = ("msgspec>=0.19", "numpy>=1.26", "pyyaml>=6")
"""What the process around the model imports."""
_BY_FLAVOR = {
    "sklearn": ("scikit-learn",),
    "xgboost": ("xgboost",),
    "lightgbm": ("lightgbm",),
    "onnx": ("onnxruntime",),
}
_PICKLES = ("pickle", "cloudpickle", "joblib", "dill")
_FILE_OPTION = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]+(\S+)")
_PER_LINE_OPTION = re.compile(r"\s--(?:hash|global-option|config-settings)[= ]\S+")
_PATH = re.compile(r"[/\\]|\.(?:whl|zip|tar\.gz|tgz)$")


class Asked(msgspec.Struct, frozen=True):
    """What a model asks for. ``elsewhere`` are lines that name an address, a repository, a path or an index."""

    python: str = ""
    lines: list[str] = []
    constraints: list[str] = []
    elsewhere: list[str] = []
    conda: list[str] = []

    @property
    def all(self) -> list[str]:
        return [*self.lines, *self.elsewhere]


def read(files: Mapping[str, bytes], *, flavors: Sequence[str], format_: str) -> Asked:
    """Return what the files ask for, with what the loaders of these flavours need; raises BadRequirements."""
    lines: list[str] = []
    constraints: list[str] = []
    elsewhere: list[str] = []
    conda: list[str] = []
    if "requirements.txt" in files:
        _read_lines("requirements.txt", files, lines, constraints, elsewhere, depth=0)
    elif "conda.yaml" in files:
        listed, conda = _of_conda(files["conda.yaml"])
        for line in listed:
            _sort(line, files, lines, constraints, elsewhere, depth=0)
    native = bool(set(flavors) & set(_BY_FLAVOR))
    kept = [
        line for line in lines if not (_name(line) in _NOT_SERVED_BY and (native or _name(line) == "trimtab"))
    ]
    named = {_name(line) for line in kept}
    needed = (*_needed(flavors, format_, named), *_SERVING)
    kept += [line for line in dict.fromkeys(needed) if _name(line) not in named]
    return Asked(_python(files), kept, constraints, elsewhere, conda)


def lacking(asked: Asked) -> list[str]:
    """Return in words what the packages beside the server do not fulfil, nothing where all of it is there."""
    from packaging.requirements import Requirement  # a server that takes in no models has no use for it

    problems: list[str] = []
    for line in asked.lines:
        problems += _lacks(Requirement(line))
    for line in asked.constraints:
        requirement = Requirement(line)
        if _applies(requirement) and _installed(requirement.name) is not None:
            problems += _lacks(requirement)
    return [*problems, *(f"{line} is not looked for here" for line in asked.elsewhere)]


def are_here(lines: Sequence[str]) -> bool:
    """Say whether the packages beside the server fulfil what was asked for."""
    from packaging.requirements import InvalidRequirement

    try:
        return not lacking(Asked(lines=list(lines)))
    except InvalidRequirement:  # a line that names an address
        return False


def our_python() -> str:
    """Return the version of the Python that runs this process."""
    return f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"


def minor(python: str) -> str:
    """Return the first two parts of a version of Python, an empty text for none."""
    return ".".join(python.split(".")[:2]) if re.fullmatch(r"\d+\.\d+(\.\w+)*", python) else ""


def _needed(flavors: Sequence[str], format_: str, named: set[str]) -> list[str]:
    found = [package for flavor in flavors for package in _BY_FLAVOR.get(flavor, ())]
    if found and format_ == "skops":
        found += ["skops", "scikit-learn"]
    elif "sklearn" in flavors or (found and format_ in _PICKLES):
        found += ["cloudpickle", "scikit-learn"]
    if not found and "python_function" in flavors:
        found += [] if {"mlflow", "mlflow-skinny"} & named else ["mlflow-skinny"]
        found.append("pandas")
    return found


def _lacks(requirement: "Requirement", depth: int = 0) -> list[str]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    if not _applies(requirement):
        return []
    version = _installed(requirement.name)
    if version is None and (other := _STANDS_IN.get(canonicalize_name(requirement.name))):
        version = _installed(other)
    if version is None:
        return [f"{requirement} is asked for, and it is not installed"]
    if not requirement.specifier.contains(version, prereleases=True):
        return [f"{requirement} is asked for, and {version} is installed"]
    if not requirement.extras or depth >= _MOST_DEPTH:
        return []
    problems: list[str] = []
    for text in metadata.requires(requirement.name) or ():
        needed = Requirement(text)
        extra = any(needed.marker and needed.marker.evaluate({"extra": one}) for one in requirement.extras)
        if extra and needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            needed.marker = None
            problems += _lacks(needed, depth + 1)
    return problems


def _applies(requirement: "Requirement") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _read_lines(
    path: str,
    files: Mapping[str, bytes],
    lines: list[str],
    constraints: list[str],
    elsewhere: list[str],
    *,
    depth: int,
) -> None:
    if depth > _MOST_DEPTH:
        raise BadRequirements(f"{path} is included too deeply.")
    text = files[path].decode("utf-8", "replace").replace("\\\r\n", " ").replace("\\\n", " ")
    found = text.splitlines()
    if len(found) > _MOST_LINES:
        raise BadRequirements(f"{path} has more than {_MOST_LINES:,} lines.")
    for raw in found:
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if line:
            _sort(line, files, lines, constraints, elsewhere, depth=depth)


def _sort(
    line: str,
    files: Mapping[str, bytes],
    lines: list[str],
    constraints: list[str],
    elsewhere: list[str],
    *,
    depth: int,
) -> None:
    """Put one line where it belongs; raises BadRequirements for one that means nothing."""
    option = _FILE_OPTION.fullmatch(line)
    if option and (path := str(PurePosixPath(option[1]))) in files:
        into = constraints if line.startswith(("-c", "--c")) else lines
        _read_lines(path, files, into, constraints, elsewhere, depth=depth + 1)
        return
    if line.startswith("-"):
        elsewhere.append(line)
        return
    from packaging.requirements import InvalidRequirement, Requirement

    line = _PER_LINE_OPTION.sub("", line).strip()
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        if "://" in line or _PATH.search(line):
            elsewhere.append(line)
            return
        raise BadRequirements(
            f"{line[:200]!r} in the model's requirements is no requirement: {str(error).splitlines()[0]}."
        ) from None
    if requirement.url:
        elsewhere.append(line)
    else:
        lines.append(str(requirement))


def _of_conda(raw: bytes) -> tuple[list[str], list[str]]:
    """Return what pip and what conda would install by a conda.yaml."""
    content = _yaml(raw, "conda.yaml")
    listed = content.get("dependencies")
    by_pip: list[str] = []
    by_conda: list[str] = []
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            by_pip += [str(one) for one in item.get("pip") or []]
        elif not re.match(r"(?:python|pip)\b", str(item)):
            by_conda.append(str(item))
    return by_pip, by_conda


def _python(files: Mapping[str, bytes]) -> str:
    if "python_env.yaml" in files:
        return str(_yaml(files["python_env.yaml"], "python_env.yaml").get("python") or "")
    if "conda.yaml" in files:
        listed = _yaml(files["conda.yaml"], "conda.yaml").get("dependencies")
        for item in listed if isinstance(listed, list) else []:
            if found := re.fullmatch(r"python\s*=+\s*([\d.]+)", str(item)):
                return found[1]
    return ""


def _yaml(raw: bytes, name: str) -> dict[str, Any]:
    from trimtab.domains.registry.formats import MLmodelUnreadable, read_mlmodel

    try:
        return read_mlmodel(raw)
    except MLmodelUnreadable as error:
        raise BadRequirements(f"The model's {name} cannot be read: {error}.") from None


def _name(line: str) -> str:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    return canonicalize_name(Requirement(line).name)
