"""Every address of the inference port: which protocol it belongs to, and what is asked of which endpoint."""

import re
from types import ModuleType
from typing import Any, Literal, NamedTuple, cast

from trimtab.kernel.errors import NotFound
from trimtab.serving.http import MethodNotAllowed
from trimtab.serving.protocols import Protocol, mlflow, v2

Action = Literal["infer", "feedback", "health", "live", "ready", "server", "model", "model-ready"]

_NAME = r"[^/:]+"


class Address(NamedTuple):
    """A path with its names in braces, and what it does. Without a name it means the table's default endpoint."""

    method: Literal["GET", "POST"]
    template: str
    action: Action
    protocol: Protocol
    summary: str


class Target(NamedTuple):
    """An address with the endpoint and the version that a request names in it."""

    address: Address
    name: str | None = None
    version: str | None = None


def _address(
    method: Literal["GET", "POST"], template: str, action: Action, protocol: ModuleType, summary: str
) -> Address:
    return Address(method, template, action, cast(Any, protocol), summary)


ADDRESSES: tuple[Address, ...] = (
    _address("POST", "/endpoints/{name}/invocations", "infer", mlflow, "Predict: MLflow's scoring protocol."),
    _address(
        "POST",
        "/endpoints/{name}/feedback",
        "feedback",
        mlflow,
        "Labels for earlier predictions, joined by prediction id.",
    ),
    _address("POST", "/v2/models/{name}/infer", "infer", v2, "Predict: Open Inference Protocol v2."),
    _address("POST", "/v2/models/{name}/versions/{version}/infer", "infer", v2, "Predict with one version."),
    _address("GET", "/v2", "server", v2, "The name and the extensions of the inference server."),
    _address("GET", "/v2/health/live", "live", v2, "Whether the gateway runs."),
    _address("GET", "/v2/health/ready", "ready", v2, "Whether the gateway takes requests."),
    _address(
        "GET", "/v2/models/{name}", "model", v2, "Metadata of an endpoint: its versions, inputs and outputs."
    ),
    _address("GET", "/v2/models/{name}/versions/{version}", "model", v2, "Metadata of one version."),
    _address("GET", "/v2/models/{name}/ready", "model-ready", v2, "Whether the endpoint answers."),
    _address(
        "GET",
        "/v2/models/{name}/versions/{version}/ready",
        "model-ready",
        v2,
        "Whether one version answers.",
    ),
    _address("GET", "/health", "health", v2, "Answers `OK` while the gateway runs."),
)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", rf"(?P<\1>{_NAME})", re.escape(template)))


_PATTERNS = tuple((address, _pattern(address.template)) for address in ADDRESSES)


def find(method: str, path: str) -> Target:
    """Return what a path means; raises NotFound, or MethodNotAllowed where another method would be answered."""
    others: list[str] = []
    for address, pattern in _PATTERNS:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        if method == address.method or (method == "HEAD" and address.method == "GET"):
            return Target(address, **match.groupdict())
        others.append(address.method)
    if others:
        raise MethodNotAllowed(method, ", ".join(dict.fromkeys(others)))
    raise NotFound(
        f"there is no {path[:200]!r} here; predictions go to /v2/models/ENDPOINT/infer "
        "or /endpoints/ENDPOINT/invocations"
    )


def protocol_of(path: str) -> Protocol:
    """Return the protocol in whose words a refusal of this path is, whether it is one of ours or not."""
    return cast(Any, mlflow if path.startswith(("/endpoints/", "/invocations")) else v2)
