"""What is in a packaged model as CycloneDX 1.6 JSON: the model with its card, its data, and every library.

Specification: https://cyclonedx.org/docs/1.6/json/ (ECMA-424).
"""

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.domains.deploy.exports.package.lock import Lock, Package
from trimtab.domains.registry.model import MetricEstimate, ModelVersion
from trimtab.kernel.time import iso
from trimtab.version import __version__

_NAMESPACE = uuid.UUID("6f0d6b0e-8a0f-5b8e-9a57-3c1f4e1d7a61")


def bill(
    endpoint: str,
    version: ModelVersion,
    packages: Lock,
    *,
    estimates: Sequence[MetricEstimate] = (),
) -> bytes:
    """Return the bill of materials; the same model and packages give the same bytes."""
    image, model = "image", "model"
    data = [_dataset(at, ref) for at, ref in enumerate(version.data)]
    libraries = [_library(package) for package in packages.packages]
    digest = version.digest.removeprefix("sha256:")
    pinned = packages.model + packages.server
    content: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{endpoint}/{digest}/{pinned}/{__version__}')}",
        "version": 1,
        "metadata": {
            "timestamp": iso(version.created_us),
            "tools": {"components": [{"type": "application", "name": "trimtab", "version": __version__}]},
            "component": {
                "type": "container",
                "bom-ref": image,
                "name": endpoint,
                "version": str(version.version),
            },
        },
        "components": [
            {
                "type": "machine-learning-model",
                "bom-ref": model,
                "name": version.name,
                "version": str(version.version),
                **({"description": version.description} if version.description else {}),
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "modelCard": _card(version, estimates),
                "properties": _properties(version),
            },
            *data,
            *libraries,
        ],
        "dependencies": [
            {"ref": image, "dependsOn": [model, *(one["bom-ref"] for one in libraries)]},
            {"ref": model, "dependsOn": [one["bom-ref"] for one in data]},
        ],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def _card(version: ModelVersion, estimates: Sequence[MetricEstimate]) -> dict[str, Any]:
    signature = version.signature or {}
    parameters: dict[str, Any] = {
        "architectureFamily": version.flavor or version.format,
        "datasets": [{"ref": f"data-{at}"} for at in range(len(version.data))],
        "inputs": _columns(signature.get("inputs")),
        "outputs": _columns(signature.get("outputs")),
    }
    known = {one.key for one in estimates}
    figures: list[dict[str, Any]] = [
        {"type": key, "value": repr(value)}
        for key, value in sorted(version.metrics.items())
        if value is not None and key not in known
    ]
    for one in estimates:
        figure: dict[str, Any] = {"type": one.key, "value": repr(one.estimate)}
        if one.data:
            figure["slice"] = one.data
        if one.low is not None and one.high is not None:
            figure["confidenceInterval"] = {"lowerBound": repr(one.low), "upperBound": repr(one.high)}
        figures.append(figure)
    card: dict[str, Any] = {"bom-ref": "model-card", "modelParameters": parameters}
    if figures:
        card["quantitativeAnalysis"] = {"performanceMetrics": figures}
    return card


def _columns(specs: Any) -> list[dict[str, str]]:
    """Return the formats of columns, each with its name, as the card words inputs and outputs."""
    entries: Any = msgspec.json.decode(specs) if isinstance(specs, str) else (specs or [])
    return [
        {"format": f"{entry.get('name') or at}: {entry.get('type', 'any')}"}
        for at, entry in enumerate(entries)
    ]


def _properties(version: ModelVersion) -> list[dict[str, str]]:
    facts = {
        "trimtab:format": version.format,
        "trimtab:safe": str(version.safe).lower(),
        "trimtab:scan": version.verdict,
        "trimtab:run": version.run_id or "",
        "trimtab:size-bytes": str(version.size_bytes),
    }
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _dataset(at: int, ref: str) -> dict[str, Any]:
    name, _, version = ref.removeprefix("data:").rpartition("@")
    named = {"name": name, "version": version} if name else {"name": version}
    return {"type": "data", "bom-ref": f"data-{at}", **named, "data": [{"type": "dataset", "name": ref}]}


def _library(package: Package) -> dict[str, Any]:
    licences: list[dict[str, Any]] = []
    if package.licence:
        licences = [{"license": {"name": package.licence[:500]}}]
    return {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        **({"description": package.summary} if package.summary else {}),
        **({"licenses": licences} if licences else {}),
    }
