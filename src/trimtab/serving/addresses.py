"""Every address of the inference port: which protocol it belongs to, and what is asked of which endpoint."""

import re
from types import ModuleType
from typing import Any, Literal, NamedTuple, cast

from trimtab.kernel.errors import NotFound
from trimtab.serving.http import MethodNotAllowed
from trimtab.serving.protocols import Protocol, azure, mlflow, v1, v1_explain, v2, v2_grpc

Action = Literal[
    "infer",
    "feedback",
    "health",
    "live",
    "ready",
    "ping",
    "version",
    "server",
    "model",
    "model-ready",
    "index",
    "names",
    "status",
    "metadata",
    "hosted",
    "transforms",
    "deployments",
    "openapi",
]

_NAME = r"[^/:]+"

LABEL = "@"
"""What a version begins with that is a role, such as ``@champion``, and no version's name."""


class Address(NamedTuple):
    """A path with its names in braces, and what it does. Without a name it means the table's default endpoint.

    Calls over gRPC have the method ``GRPC``, which nobody can send over HTTP.
    """

    method: Literal["GET", "POST", "GRPC"]
    template: str
    action: Action
    protocol: Protocol
    summary: str


class Target(NamedTuple):
    """An address with the endpoint and the version that a request names in it."""

    address: Address
    name: str | None = None
    version: str | None = None


def _of(
    module: ModuleType, *lines: tuple[Literal["GET", "POST", "GRPC"], str, Action, str]
) -> tuple[Address, ...]:
    return tuple(
        Address(method, template, action, cast(Any, module), summary)
        for method, template, action, summary in lines
    )


_MLFLOW = _of(
    mlflow,
    (
        "POST",
        "/endpoints/{name}/invocations",
        "infer",
        "Predict: MLflow's scoring protocol, and SageMaker's.",
    ),
    (
        "POST",
        "/endpoints/{name}/feedback",
        "feedback",
        "Labels for earlier predictions, joined by prediction id.",
    ),
    ("GET", "/endpoints/{name}/openapi.json", "openapi", "This endpoint's addresses with its own columns."),
    ("POST", "/invocations", "infer", "Predict with the default endpoint: MLflow, SageMaker."),
    ("GET", "/ping", "ping", "Whether the default endpoint answers: MLflow, SageMaker."),
    ("GET", "/health", "health", "Answers `OK` while the gateway runs."),
    ("GET", "/version", "version", "The release of the gateway."),
    (
        "GET",
        "/execution-parameters",
        "transforms",
        "How SageMaker's batch transform may send: MLflow, SageMaker.",
    ),
    ("GET", "/models", "hosted", "The endpoints as SageMaker lists the models of a container."),
    ("GET", "/models/{name}", "hosted", "One endpoint as SageMaker describes a model."),
    ("POST", "/models/{name}/invoke", "infer", "Predict: SageMaker's container of many models."),
    ("GET", "/api/2.0/endpoints", "deployments", "The endpoints as MLflow's deployments client lists them."),
    ("GET", "/api/2.0/endpoints/{name}", "deployments", "One endpoint for MLflow's deployments client."),
)
_V2 = _of(
    v2,
    ("POST", "/v2/models/{name}/infer", "infer", "Predict: Open Inference Protocol v2."),
    ("POST", "/v2/models/{name}/versions/{version}/infer", "infer", "Predict with one version."),
    ("GET", "/v2", "server", "The name and the extensions of the inference server."),
    ("GET", "/v2/health/live", "live", "Whether the gateway runs."),
    ("GET", "/v2/health/ready", "ready", "Whether the gateway takes requests."),
    ("GET", "/v2/models/{name}", "model", "Metadata of an endpoint: its versions, inputs and outputs."),
    ("GET", "/v2/models/{name}/versions/{version}", "model", "Metadata of one version."),
    ("GET", "/v2/models/{name}/ready", "model-ready", "Whether the endpoint answers."),
    ("GET", "/v2/models/{name}/versions/{version}/ready", "model-ready", "Whether one version answers."),
    ("POST", "/v2/repository/index", "index", "Every version of every endpoint, and whether it answers."),
)
_V1 = _of(
    v1,
    ("GET", "/v1/models", "names", "The names of all endpoints: KServe."),
    ("GET", "/v1/models/{name}", "status", "Whether an endpoint answers: KServe, TensorFlow Serving."),
    (
        "GET",
        "/v1/models/{name}/versions/{version}",
        "status",
        "Whether one version answers: TensorFlow Serving.",
    ),
    ("GET", "/v1/models/{name}/labels/{label}", "status", "Whether the version with a role answers."),
    ("GET", "/v1/models/{name}/metadata", "metadata", "The signature as TensorFlow Serving words it."),
    ("GET", "/v1/models/{name}/versions/{version}/metadata", "metadata", "One version's signature."),
    ("POST", "/v1/models/{name}:predict", "infer", "Predict: KServe's first protocol, TensorFlow Serving."),
    ("POST", "/v1/models/{name}/versions/{version}:predict", "infer", "Predict with one version."),
    (
        "POST",
        "/v1/models/{name}/labels/{label}:predict",
        "infer",
        "Predict with the version that has a role.",
    ),
    ("POST", "/predict", "infer", "Predict with the default endpoint: Vertex AI."),
)
_V1_EXPLAIN = _of(
    v1_explain,
    ("POST", "/v1/models/{name}:explain", "infer", "Predict, and say what each column added: KServe."),
)
_AZURE = _of(
    azure,
    ("POST", "/score", "infer", "Predict with the default endpoint: Azure Machine Learning."),
    ("GET", "/", "health", "Answers `OK` while the gateway runs: Azure Machine Learning."),
)
_GRPC = _of(
    v2_grpc,
    ("GRPC", "/inference.GRPCInferenceService/ModelInfer/{name}", "infer", "Predict over gRPC."),
    (
        "GRPC",
        "/inference.GRPCInferenceService/ModelInfer/{name}/versions/{version}",
        "infer",
        "Predict with one version over gRPC.",
    ),
)

ADDRESSES: tuple[Address, ...] = (*_MLFLOW, *_V2, *_V1, *_V1_EXPLAIN, *_AZURE, *_GRPC)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", rf"(?P<\1>{_NAME})", re.escape(template)))


_PATTERNS = tuple((address, _pattern(address.template)) for address in ADDRESSES)


def find(method: str, path: str) -> Target:
    """Return what a path means; raises NotFound, or MethodNotAllowed where another method would be answered."""
    others: list[str] = []
    for address, pattern in _PATTERNS:
        match = pattern.fullmatch(path) or (pattern.fullmatch(path[:-1]) if path[-1:] == "/" else None)
        if match is None:
            continue
        if method == address.method or (method == "HEAD" and address.method == "GET"):
            named = match.groupdict()
            version = named.get("version") or (LABEL + named["label"] if "label" in named else None)
            return Target(address, named.get("name"), version)
        if address.method != "GRPC":
            others.append(address.method)
    if others:
        raise MethodNotAllowed(method, ", ".join(dict.fromkeys(others)))
    raise NotFound(
        f"there is no {path[:200]!r} here; predictions go to /v2/models/ENDPOINT/infer "
        "or /endpoints/ENDPOINT/invocations"
    )


_PREFIXES: tuple[tuple[str, ModuleType], ...] = (
    ("/endpoints/", mlflow),
    ("/invocations", mlflow),
    ("/models", mlflow),
    ("/api/", mlflow),
    ("/v1/", v1),
    ("/predict", v1),
    ("/score", azure),
    ("/inference.", v2_grpc),
)


def protocol_of(path: str) -> Protocol:
    """Return the protocol in whose words a refusal of this path is, whether it is one of ours or not."""
    for prefix, module in _PREFIXES:
        if path.startswith(prefix):
            return cast(Any, module)
    return cast(Any, v2)
