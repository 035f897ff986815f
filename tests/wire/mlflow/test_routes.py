"""Every route of MLflow's protocol is either answered or declined with the very code on which clients branch."""

import re

import httpx2
import pytest
from mlflow.protos import databricks_pb2
from mlflow.protos.mlflow_artifacts_pb2 import MlflowArtifactsService
from mlflow.protos.model_registry_pb2 import ModelRegistryService
from mlflow.protos.service_pb2 import MlflowService
from mlflow.protos.webhooks_pb2 import WebhookService

# Areas of the language-model tools that have no place here, and two routes that MLflow's own server lacks as well.
DECLINED = re.compile(
    r"^/api/\d\.0/mlflow/(gateway|scorers|issues|label-schemas|review-queues|prompt-optimization|workspaces|mcp-servers"
    r"|get-online-trace-details|unified-traces)(/|$)"
)


def _routes() -> list[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for service in (MlflowService, ModelRegistryService, MlflowArtifactsService, WebhookService):
        for method in service.DESCRIPTOR.methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                path = f"/api/{endpoint.since.major}.0/{endpoint.path.lstrip('/')}"
                found.add((endpoint.method, re.sub(r"{[^}]*}|<[^>]*>", "x", path)))
    return sorted(found)


ROUTES = _routes()


@pytest.fixture(scope="module")
def http(sqlite_server: str) -> httpx2.Client:
    return httpx2.Client(base_url=sqlite_server)


def _ask(http: httpx2.Client, method: str, path: str) -> httpx2.Response:
    return http.request(method, path, json=None if method == "GET" else {})


def test_the_protocol_is_known_whole() -> None:
    assert len(ROUTES) > 150


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
def test_every_route_is_answered_or_declined(http: httpx2.Client, prefix: str) -> None:
    wrong: list[str] = []
    for method, path in ROUTES:
        answer = _ask(http, method, path.replace("/api", prefix, 1))
        said = answer.json() if answer.headers.get("content-type") == "application/json" else {}
        declined = answer.status_code == 404 and said.get("error_code") == "ENDPOINT_NOT_FOUND"
        if declined is not bool(DECLINED.match(path)) or answer.status_code >= 500:
            wrong.append(f"{method} {path}: {answer.status_code} {said.get('error_code')}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "path",
    [
        "/api/2.0/mlflow/nothing",
        "/api/3.0/mlflow/runs/get",
        "/api/2.0/preview/mlflow/experiments/list",
        "/ajax-api/3.0/jobs/x",
        "/ajax-api/2.0/mlflow/gateway-proxy",
        "/api/3.0/mlflow/server-features",
        "/api/2.0/mlflow/runs/get/",
        "/api/2.0/mlflow//runs/get",
        "/api/2.0/mlflow/Runs/get",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_other_addresses_are_declined_alike(http: httpx2.Client, method: str, path: str) -> None:
    answer = _ask(http, method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND"
    assert answer.json()["message"]
