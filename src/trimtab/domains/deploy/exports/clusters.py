"""What Kubernetes' and KServe's manifests share: names that a cluster takes, images, probes and the model's container."""

import hashlib
import re
from typing import Any

from trimtab.domains.deploy.exports.view import EndpointView, VersionView, Wish
from trimtab.kernel.errors import Invalid

PORT = 8080
USER = 10001
"""The user of the packaged image."""

_MOST_LABEL = 63
_MOST_NAME = 50
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,400}")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")


def object_name(name: str) -> str:
    """Return a name as clusters take it (RFC 1123): itself where it is one, else with a hash so that none meet."""
    plain = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "endpoint"
    if plain == name and len(name) <= _MOST_NAME and not name[0].isdigit():
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    plain = plain[: _MOST_NAME - 11].strip("-")
    return f"e-{plain}-{digest}" if plain[:1].isdigit() else f"{plain}-{digest}"


def image_of(endpoint: EndpointView, version: str, wish: Wish) -> str:
    """Return the image of a version; raises Invalid for a text that is none, or one image for several versions."""
    pattern = wish.image or f"{object_name(endpoint.name)}:v{{version}}"
    if "{version}" not in pattern and len(endpoint.split) > 1:
        raise Invalid(
            f"{pattern!r} is one image, but {len(endpoint.split)} versions share the requests: put {{version}} in it,"
            " such as registry.example.com/scans:v{version}.",
            field="image",
        )
    image = pattern.replace("{version}", version)
    if not _IMAGE.fullmatch(image):
        raise Invalid(f"{image[:200]!r} is not the name of an image.", field="image")
    return image


def check(wish: Wish) -> None:
    """Raise Invalid naming what a cluster would not take."""
    if wish.namespace is not None and not _NAMESPACE.fullmatch(wish.namespace):
        raise Invalid(f"{wish.namespace[:100]!r} is not the name of a namespace.", field="namespace")
    if not 1 <= wish.replicas <= wish.most_replicas <= 1000:
        raise Invalid("replicas is at least 1 and at most most_replicas.", field="replicas")
    check_quantity("cpu", wish.cpu)
    check_quantity("memory", wish.memory)


def check_quantity(field: str, quantity: str) -> None:
    """Raise Invalid where a text is no number of processors or bytes as clusters write it."""
    if not _QUANTITY.fullmatch(quantity):
        raise Invalid(f"{quantity[:40]!r} is not a quantity, such as 500m or 512Mi.", field=field)


def metadata(name: str, labels: dict[str, str], wish: Wish) -> dict[str, Any]:
    """Return an object's metadata."""
    place = {"namespace": wish.namespace} if wish.namespace else {}
    return {"name": name, **place, "labels": labels}


def labels_of(
    endpoint: EndpointView, version: str | None = None, *, component: str = "model"
) -> dict[str, str]:
    """Return the recommended labels of an endpoint's objects."""
    labels = {
        "app.kubernetes.io/name": object_name(endpoint.name)[:_MOST_LABEL],
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/managed-by": "trimtab",
    }
    return {**labels, "app.kubernetes.io/version": version} if version is not None else labels


def probes(endpoint: EndpointView, version: str) -> dict[str, Any]:
    """Return probes: it lives while its process answers, and is ready when this very version does."""
    ready = {"path": f"/v2/models/{endpoint.name}/versions/{version}/ready", "port": "http"}
    live = {"path": "/v2/health/live", "port": "http"}
    return {
        "startupProbe": {"httpGet": ready, "periodSeconds": 1, "timeoutSeconds": 2, "failureThreshold": 120},
        "readinessProbe": {"httpGet": ready, "periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {"httpGet": live, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
    }


def security() -> dict[str, Any]:
    """Return what a container may do: nothing that it does not need."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def resources(wish: Wish) -> dict[str, Any]:
    """Return requests, and a limit for memory: a limit for processors would only slow requests down."""
    return {"requests": {"cpu": wish.cpu, "memory": wish.memory}, "limits": {"memory": wish.memory}}


def replicas_of(endpoint: EndpointView, one: VersionView, wish: Wish) -> int:
    """Return how many replicas a version starts with: its share of them, and one at the least."""
    share = endpoint.parts()[one.version] / endpoint.parts()[endpoint.split[0].version]
    return max(1, round(wish.replicas * min(1.0, share)))
