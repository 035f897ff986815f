"""The packages that a packaged model needs, pinned to what serves it here: what was tried is what is shipped."""

import re
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import NamedTuple

import msgspec

from trimtab.domains.deploy.exports.errors import NotExportable
from trimtab.kernel.errors import Invalid, did_you_mean

ALWAYS = ("msgspec", "uvloop", "httptools", "PyYAML", "numpy")
"""What the gateway and every replica import."""

ON_RAY = ("msgspec", "PyYAML", "numpy")
"""What a router on Ray Serve imports."""

_CONNECTIONS = frozenset(("uvloop", "httptools", "grpcio"))
"""What Ray brings at its own version."""

WHERE_INSTALLED = ("grpcio",)
"""What the gateway can do without, and packs where this server has it."""

BY_FLAVOR: dict[str, tuple[str, ...]] = {
    "sklearn": ("scikit-learn", "skops", "cloudpickle"),
    "xgboost": ("xgboost", "scikit-learn"),
    "lightgbm": ("lightgbm", "scikit-learn"),
    "onnx": ("onnxruntime",),
}
COMPILED = ("onnxruntime",)
TABLES = ("pandas",)
"""What models of text and categories are given their rows in."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)")
_EXTRA = re.compile(r"\bextra\s*==")


class Package(NamedTuple):
    """A distribution in the image."""

    name: str
    version: str
    licence: str
    summary: str

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{normal(self.name)}@{self.version}"


class Lock(msgspec.Struct, frozen=True):
    """What is installed in an image, in two steps: what the model asks for, then what else the server needs."""

    packages: list[Package]
    model: str
    server: str = ""
    complete: bool = True
    """Whether the model's part names every package, so that nothing else may come with them."""


def lock(
    flavors: Iterable[str],
    *,
    requirements: str = "",
    frames: bool = False,
    compiled: bool = False,
    include: Sequence[str] = (),
) -> Lock:
    """Return what a model of these flavours needs, as installed here.

    A model that only MLflow can load gets all of its own ``requirements``: what is installed here at this version, the
    rest as it stands. Raises Invalid for an ``include`` that is not installed.
    """
    known = [flavor for flavor in BY_FLAVOR if flavor in flavors]
    roots = [*ALWAYS, *(name for name in WHERE_INSTALLED if _find(name))]
    loose: list[str] = []
    for flavor in known:
        roots += [name for name in BY_FLAVOR[flavor] if _find(name)]
    if frames or not known:
        roots += [name for name in TABLES if _find(name)]
    if compiled:
        roots += [name for name in COMPILED if _find(name)]
    if not known:
        own, loose = _own(requirements)
        roots += own
    for name in include:
        if _find(name) is None:
            installed = [str(one.metadata["Name"]) for one in metadata.distributions()]
            hint = did_you_mean(name, installed)
            raise Invalid(f"This server has no package {name[:100]!r} to include.{hint}", field="include")
        roots.append(name)
    packages = sorted(_closure(roots), key=lambda package: normal(package.name))
    return Lock(packages, _lines(packages) + "".join(f"{line}\n" for line in loose), complete=not loose)


def lock_of_own(text: str, *, compiled: bool = False) -> Lock:
    """Return what a model needs that has an environment of its own, by the lock with which that was made.

    What the server needs beside is added as installed here, where the model does not bring it itself. Raises
    NotExportable for a lock with packages that only this machine has.
    """
    own: dict[str, Package] = {}
    for line in text.splitlines():
        match = _PINNED.match(line)
        if match is not None:
            own[normal(match[1])] = _as_installed(match[1], match[2])
        elif line.strip() and not line.startswith((" ", "#")):
            raise NotExportable(
                f"The model's environment has {line[:100]!r}, which an image cannot get from a registry.",
                field="version",
            )
    beside = [name for name in (*ALWAYS, *WHERE_INSTALLED, *(COMPILED if compiled else ())) if _find(name)]
    added = [package for package in _closure(beside) if normal(package.name) not in own]
    packages = sorted([*own.values(), *added], key=lambda package: normal(package.name))
    added.sort(key=lambda package: normal(package.name))
    return Lock(packages, text, _lines(added))


def pinned(names: Sequence[str]) -> list[str]:
    """Return packages by name as they are installed here, without what they need in turn."""
    found = [_find(name) for name in names]
    return [f"{one.metadata['Name']}=={one.version}" for one in found if one is not None]


def requirements_of(packages: Lock) -> list[str]:
    """Return a lock's lines for Ray, which has no place for digests and connections of its own.

    What something else in the lock needs of those comes with it.
    """
    lines = [line.partition("#")[0] for line in (packages.model + packages.server).splitlines()]
    wanted = [line.partition(" \\")[0].partition(" --hash")[0].strip() for line in lines if _NAME.match(line)]
    return [line for line in wanted if not _of_ray(line)]


def _of_ray(line: str) -> bool:
    match = _PINNED.match(line)
    return match is not None and normal(match[1]) in _CONNECTIONS


def _lines(packages: Iterable[Package]) -> str:
    return "".join(f"{package.name}=={package.version}\n" for package in packages)


def _as_installed(name: str, version: str) -> Package:
    """Return a package with what is known of it here, where this very version is."""
    found = _find(name)
    return (
        _package(found) if found is not None and found.version == version else Package(name, version, "", "")
    )


def _own(requirements: str) -> tuple[list[str], list[str]]:
    """Return the names in a model's requirements that are installed here, and the lines of those that are not."""
    names: list[str] = []
    missing: list[str] = []
    for line in requirements.splitlines():
        plain = line.partition("#")[0].strip()
        match = _NAME.match(plain)
        if match is None:
            continue  # an option or an address: of no use in an image without that place
        if _find(match[0]):
            names.append(match[0])
        else:
            missing.append(plain)
    return names, missing


def _closure(roots: Iterable[str]) -> list[Package]:
    """Return the roots and all that they need, as far as it is installed: markers were decided when that was done."""
    found: dict[str, Package] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        distribution = _find(name)
        if distribution is None or normal(name) in found:
            continue
        found[normal(name)] = _package(distribution)
        for requirement in distribution.requires or []:
            match = _NAME.match(requirement)
            if match is not None and not _EXTRA.search(requirement):
                waiting.append(match[0])
    return list(found.values())


def _package(distribution: metadata.Distribution) -> Package:
    about = distribution.metadata
    licence = next(iter(about.get_all("License-Expression") or []), "")
    licence = licence or _classified(about.get_all("Classifier") or [])
    summary = next(iter(about.get_all("Summary") or []), "")
    return Package(about["Name"], distribution.version, licence, summary)


def _classified(classifiers: Sequence[str]) -> str:
    named = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::")]
    return ", ".join(name for name in named if name != "OSI Approved")


def _find(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def normal(name: str) -> str:
    """Return a distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
