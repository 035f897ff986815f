"""KServe's InferenceService (v1beta1): the packaged image, or a ServingRuntime of it with the model from a store.

KServe knows a split of two: ``canaryTrafficPercent`` for what is applied, the rest for what was rolled out before it.
"""

from collections.abc import Sequence
from typing import Any

from trimtab.domains.deploy.exports.clusters import (
    PORT,
    check,
    image_of,
    labels_of,
    metadata,
    object_name,
    probes,
    resources,
    security,
)
from trimtab.domains.deploy.exports.errors import NotExportable
from trimtab.domains.deploy.exports.view import EndpointView, VersionView, Wish
from trimtab.domains.deploy.exports.yaml import documents
from trimtab.kernel.errors import Invalid
from trimtab.version import __version__

RUNTIME = "trimtab"
_SCHEMES = ("s3://", "gs://", "pvc://", "oci://", "hf://", "https://", "http://", "abfs://", "wasbs://")
_HEAD = """\
# Endpoint {name} for KServe, written by Trimtab {version}. Apply with: kubectl apply -f FILE
"""
_CANARY = """\
# {percent} % of the requests go to version {challenger}; KServe gives the rest to what it rolled out before, which has to be
# version {champion}. Where that is not so yet, apply first: trimtab endpoints export {name} --kserve --version {champion}
# KServe splits requests in its Serverless (Knative) mode only.
"""


def render(endpoints: Sequence[EndpointView], wish: Wish) -> str:
    """Return the manifests of endpoints; raises NotExportable for a split that KServe does not know."""
    check(wish)
    texts: list[str] = []
    for endpoint in endpoints:
        one, percent = _newest(endpoint)
        head = _HEAD.format(name=endpoint.name, version=__version__)
        if percent is not None:
            head += _CANARY.format(
                percent=percent,
                name=endpoint.name,
                challenger=one.version,
                champion=endpoint.champion.version,
            )
        texts.append(head + documents(objects(endpoint, one, percent, wish)))
    return "---\n".join(texts)


def _newest(endpoint: EndpointView) -> tuple[VersionView, int | None]:
    """Return the version to be applied, and its percentage where it is a canary."""
    split = endpoint.split
    if len(split) == 1:
        return split[0], None
    if len(split) > 2:
        raise NotExportable(
            f"{len(split)} versions share the requests of {endpoint.name}, and KServe knows a split of two."
            " Name one with --version, or use --kubernetes.",
            field="name",
        )
    champion = endpoint.champion
    challenger = next(one for one in split if one is not champion)
    return challenger, min(99, max(1, round(challenger.weight)))


def objects(
    endpoint: EndpointView, one: VersionView, percent: int | None, wish: Wish
) -> list[dict[str, Any]]:
    """Return the InferenceService of a version, after its ServingRuntime where the model comes from a store."""
    name = object_name(endpoint.name)
    predictor: dict[str, Any] = {
        "minReplicas": wish.replicas,
        "maxReplicas": wish.most_replicas,
        "timeout": max(1, endpoint.timeout_ms // 1000),
    }
    if percent is not None:
        predictor["canaryTrafficPercent"] = percent
    facts = metadata(name, labels_of(endpoint), wish)
    facts["annotations"] = {"trimtab.dev/model": f"{endpoint.model}/{one.version}"}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": facts,
        "spec": {"predictor": predictor},
    }
    if wish.storage_uri is None:
        arguments = ["serve", f"--model_name={endpoint.name}", f"--version={one.version}"]
        container = _container(image_of(endpoint, one.version, wish), arguments, wish)
        # What a custom container speaks is told to KServe by this variable.
        container["env"] = [{"name": "PROTOCOL", "value": "v2"}]
        predictor["containers"] = [{**container, **_probes(endpoint, one.version)}]
        predictor["volumes"] = [{"name": "tmp", "emptyDir": {}}]
        return [service]
    predictor["model"] = {
        "modelFormat": {"name": "mlflow", "version": "2"},
        "runtime": RUNTIME,
        "protocolVersion": "v2",
        "storageUri": storage_uri(wish.storage_uri, one.version),
        "args": [f"--model_name={endpoint.name}", f"--version={one.version}"],
        "resources": resources(wish),
    }
    return [_runtime(endpoint, one, wish), service]


def storage_uri(text: str, version: str) -> str:
    """Return where KServe finds a version's folder; raises Invalid for a scheme that it does not read."""
    uri = text.replace("{version}", version)
    if not uri.startswith(_SCHEMES) or any(letter.isspace() for letter in uri):
        raise Invalid(
            f"{uri[:200]!r} is not a storage URI that KServe reads ({', '.join(_SCHEMES)}).",
            field="storage_uri",
        )
    return uri


def _probes(endpoint: EndpointView, version: str) -> dict[str, Any]:
    """Return the probes that Knative takes: of the container's one port, without one of the start."""
    found = probes(endpoint, version)
    del found["startupProbe"]
    for probe in found.values():
        probe["httpGet"]["port"] = PORT
    return found


def _runtime(endpoint: EndpointView, one: VersionView, wish: Wish) -> dict[str, Any]:
    container = _container(image_of(endpoint, one.version, wish), ["serve", "--model_dir=/mnt/models"], wish)
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ServingRuntime",
        "metadata": metadata(RUNTIME, {"app.kubernetes.io/managed-by": "trimtab"}, wish),
        "spec": {
            "supportedModelFormats": [{"name": "mlflow", "version": "2", "autoSelect": False}],
            "protocolVersions": ["v1", "v2"],
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


def _container(image: str, arguments: list[str], wish: Wish) -> dict[str, Any]:
    return {
        "name": "kserve-container",
        "image": image,
        "args": arguments,
        "ports": [{"containerPort": PORT, "protocol": "TCP", "name": "http1"}],
        "resources": resources(wish),
        "securityContext": security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the container's own
    }
