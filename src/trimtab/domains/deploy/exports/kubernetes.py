"""Plain Kubernetes manifests: for each version a Deployment of its packaged image with all that belongs to one, and in
front, where versions share the requests, an HAProxy that splits them to the percent.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from trimtab.domains.deploy.exports import haproxy
from trimtab.domains.deploy.exports.clusters import (
    PORT,
    USER,
    check,
    image_of,
    labels_of,
    metadata,
    object_name,
    probes,
    replicas_of,
    resources,
    security,
)
from trimtab.domains.deploy.exports.view import EndpointView, Upstream, VersionView, Wish
from trimtab.domains.deploy.exports.yaml import documents
from trimtab.version import __version__

_SPLITTER_IMAGE = "docker.io/library/haproxy:lts"
_SPLITTER_USER = 99
_DRAIN_S = 45
_HEAD = """\
# {title} for Kubernetes 1.30 and newer, written by Trimtab {version}.
# The images are those that `trimtab endpoints package` makes. Apply with: kubectl apply -f FILE
"""


def render(endpoints: Sequence[EndpointView], wish: Wish) -> str:
    """Return the manifests of endpoints, one document an object."""
    check(wish)
    names = ", ".join(endpoint.name for endpoint in endpoints)
    head = _HEAD.format(title=f"Endpoint {names}", version=__version__)
    return head + documents([item for endpoint in endpoints for item in objects(endpoint, wish)])


def objects(endpoint: EndpointView, wish: Wish) -> list[dict[str, Any]]:
    """Return every object of an endpoint; clients call the Service that has its name."""
    name = object_name(endpoint.name)
    if len(endpoint.split) == 1:
        return _version(endpoint, endpoint.champion, name, wish)
    items: list[dict[str, Any]] = []
    for one in endpoint.split:
        items += _version(endpoint, one, f"{name}-v{one.version}", wish)
    return [*items, *_splitter(endpoint, name, items, wish)]


def _version(endpoint: EndpointView, one: VersionView, name: str, wish: Wish) -> list[dict[str, Any]]:
    labels = labels_of(endpoint, one.version)
    deployment = f"{object_name(endpoint.name)}-v{one.version}"
    least = replicas_of(endpoint, one, wish)
    container = {
        "name": "model",
        "image": image_of(endpoint, one.version, wish),
        "args": ["serve", f"--model_name={endpoint.name}", f"--version={one.version}"],
        "env": [{"name": "PORT", "value": str(PORT)}],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        **probes(endpoint, one.version),
        # The address leaves the load balancers before the process stops taking connections.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": resources(wish),
        "securityContext": security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the container's own
    }
    return [
        _deployment(deployment, labels, container, [{"name": "tmp", "emptyDir": {}}], wish, USER),
        _service(name, labels, wish),
        _autoscaler(deployment, labels, least, max(least, wish.most_replicas), wish),
        _disruptions(deployment, labels, wish),
        _network(deployment, labels, wish),
    ]


def _deployment(
    name: str,
    labels: dict[str, str],
    container: dict[str, Any],
    volumes: list[dict[str, Any]],
    wish: Wish,
    user: int,
    **more: Any,
) -> dict[str, Any]:
    """Return a Deployment without a number of replicas, which is the autoscaler's affair."""
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _DRAIN_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [spread],
        "containers": [container],
        "volumes": volumes,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, labels, wish),
        "spec": {
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels, **more}, "spec": pod},
        },
    }


def _service(name: str, labels: dict[str, str], wish: Wish) -> dict[str, Any]:
    port = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, labels, wish),
        "spec": {"type": "ClusterIP", "selector": labels, "ports": [port]},
    }


def _autoscaler(name: str, labels: dict[str, str], least: int, most: int, wish: Wish) -> dict[str, Any]:
    busy = {"type": "Utilization", "averageUtilization": 70}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(name, labels, wish),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": busy}}],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
                },
                "scaleDown": {"stabilizationWindowSeconds": 300},
            },
        },
    }


def _disruptions(name: str, labels: dict[str, str], wish: Wish) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(name, labels, wish),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
    }


def _network(name: str, labels: dict[str, str], wish: Wish) -> dict[str, Any]:
    """Let requests in, and nothing out: a model has no business with the network."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, labels, wish),
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
            "egress": [],
        },
    }


def _splitter(
    endpoint: EndpointView, name: str, items: Sequence[dict[str, Any]], wish: Wish
) -> list[dict[str, Any]]:
    services = [item["metadata"]["name"] for item in items if item["kind"] == "Service"]
    upstreams = [
        Upstream(service, 80, one.version) for service, one in zip(services, endpoint.split, strict=True)
    ]
    everywhere = Upstream("0.0.0.0", PORT)  # noqa: S104 - the container's own network
    config = haproxy.render([endpoint], msgspec.structs.replace(wish, upstreams=upstreams, listen=everywhere))
    labels = labels_of(endpoint, component="split")
    own = f"{name}-split"
    health = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 2}
    container = {
        "name": "haproxy",
        "image": _SPLITTER_IMAGE,
        "args": ["-f", "/etc/trimtab/haproxy.cfg", "-W", "-db"],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": health,
        "livenessProbe": {**health, "periodSeconds": 10},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {**security(), "runAsUser": _SPLITTER_USER, "runAsGroup": _SPLITTER_USER},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/trimtab", "readOnly": True}],
    }
    volumes = [{"name": "config", "configMap": {"name": own}}]
    digest = hashlib.sha256(config.encode()).hexdigest()[:16]
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(own, labels, wish),
            "data": {"haproxy.cfg": config},
        },
        # The annotation has a new split start new pods.
        _deployment(
            own, labels, container, volumes, wish, _SPLITTER_USER, annotations={"trimtab.dev/config": digest}
        ),
        _service(name, labels, wish),
        _autoscaler(own, labels, min(2, wish.most_replicas), wish.most_replicas, wish),
        _disruptions(own, labels, wish),
    ]
