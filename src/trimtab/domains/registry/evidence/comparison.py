"""Versions side by side: parameters, metrics with intervals, signatures, data, packages, sizes, gates and verdicts."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from trimtab.domains.registry import store
from trimtab.domains.registry.evidence import store as evidence
from trimtab.domains.registry.model import File, Gate, MetricEstimate, ModelVersion
from trimtab.domains.registry.versions import Versions
from trimtab.infra.db import Where
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal

MOST_VERSIONS = 20
_MOST_REQUIREMENTS = 256 << 10
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:([=<>!~]=?.*?))?\s*(?:;.*)?")


class ComparedRow(msgspec.Struct, frozen=True):
    """One line of a comparison: a value for each version, None where a version has none."""

    key: str
    values: list[Any]
    differs: bool


class VersionComparison(msgspec.Struct, frozen=True):
    """Versions of one model in the order that was asked for; each row has a value for each of them.

    ``metrics`` hold estimates: those with an interval where some were recorded, else the run's plain values.
    ``signature`` has a row for each column, ``environment`` one for each package. ``gates`` are the newest ones.
    """

    name: str
    versions: list[ModelVersion]
    params: list[ComparedRow]
    metrics: list[ComparedRow]
    signature: list[ComparedRow]
    data: list[ComparedRow]
    environment: list[ComparedRow]
    facts: list[ComparedRow]
    gates: list[Gate | None]


class Comparisons(Versions):
    """Comparisons by model."""

    def compare(self, who: Principal, name: str, numbers: Sequence[int]) -> VersionComparison:
        """Return two or more versions side by side; raises ModelNotFound, ModelVersionNotFound and Invalid."""
        self.govern.permit(who, "read", refs.model(name))
        if not 1 <= len(numbers) <= MOST_VERSIONS or len(set(numbers)) != len(numbers):
            raise Invalid(
                f"Name between 1 and {MOST_VERSIONS} versions, each once: versions=1,2,3.", field="versions"
            )
        with self._db.read() as tx:
            found = [self._version(tx, name, number) for number in numbers]
            files = [store.files(tx, name=name, version=number) for number in numbers]
            estimates = evidence.estimates(tx, Where().equals(model=name).any_of("version", [*numbers]))
            gates = [
                next(iter(evidence.gates(tx, Where().equals(model=name, version=number), limit=1)), None)
                for number in numbers
            ]
        packages = [self._packages(one) for one in files]
        return VersionComparison(
            name=name,
            versions=found,
            params=_rows([self._sources.params(who, version) for version in found]),
            metrics=_rows([_metrics(version, estimates.get(version.version, [])) for version in found]),
            signature=_rows([_columns(version.signature) for version in found]),
            data=_rows([dict.fromkeys(version.data, True) for version in found]),
            environment=_rows(packages),
            facts=_facts(found),
            gates=gates,
        )

    def _packages(self, files: Sequence[File]) -> dict[str, str]:
        """Return what a version's requirements.txt and python_env.yaml name, by package."""
        by_path = {file.path: file for file in files}
        found: dict[str, str] = {}
        if described := by_path.get("python_env.yaml"):
            text = self._sources.text(described, _MOST_REQUIREMENTS)
            if version := re.search(r"^python:\s*['\"]?([\w.]+)", text, re.MULTILINE):
                found["python"] = version[1]
        if listed := by_path.get("requirements.txt"):
            for line in self._sources.text(listed, _MOST_REQUIREMENTS).splitlines():
                requirement = _REQUIREMENT.fullmatch(line.partition("#")[0].strip())
                if requirement:
                    found[requirement[1].lower().replace("_", "-")] = (requirement[2] or "any").removeprefix(
                        "=="
                    )
        return found


def _rows(columns: Sequence[dict[str, Any]]) -> list[ComparedRow]:
    keys = dict.fromkeys(key for column in columns for key in column)
    return [_row(key, [column.get(key) for column in columns]) for key in sorted(keys)]


def _row(key: str, values: list[Any]) -> ComparedRow:
    said = [(one.estimate, one.low, one.high) if isinstance(one, MetricEstimate) else one for one in values]
    return ComparedRow(key, values, any(one != said[0] for one in said[1:]))


def _metrics(version: ModelVersion, estimates: Sequence[MetricEstimate]) -> dict[str, MetricEstimate]:
    """Return the newest estimate of each key, and the run's value where there is none."""
    found = {key: MetricEstimate(key, value) for key, value in version.metrics.items() if value is not None}
    for one in sorted(estimates, key=lambda one: one.at_us):
        found[one.key] = one
    return found


def _columns(signature: dict[str, Any] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in ("inputs", "outputs", "params"):
        specs = (signature or {}).get(part)
        for place, spec in enumerate(specs if isinstance(specs, list) else []):
            if isinstance(spec, dict):
                found[f"{part[:-1]} {spec.get('name') or place}"] = _kind(spec)
    return found


def _kind(spec: dict[str, Any]) -> str:
    tensor = spec.get("tensor-spec")
    kind = (
        f"{tensor.get('dtype')} {tensor.get('shape')}" if isinstance(tensor, dict) else str(spec.get("type"))
    )
    return kind if spec.get("required", True) else f"{kind}, may be missing"


def _facts(versions: Sequence[ModelVersion]) -> list[ComparedRow]:
    read: dict[str, Callable[[ModelVersion], Any]] = {
        "flavor": lambda one: one.flavor,
        "format": lambda one: one.format,
        "verdict": lambda one: one.verdict,
        "size_bytes": lambda one: one.size_bytes,
        "files": lambda one: one.files,
        "digest": lambda one: one.digest,
        "run": lambda one: one.run_id,
        "source": lambda one: one.source,
        "stage": lambda one: one.stage,
        "aliases": lambda one: ", ".join(one.aliases) or None,
        "created_us": lambda one: one.created_us,
        "created_by": lambda one: one.created_by,
    }
    return [_row(key, [get(one) for one in versions]) for key, get in read.items()]
