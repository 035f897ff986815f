"""Manifests are what the real schemas of Kubernetes and KServe take, and say what the endpoint does."""

from typing import Any

import pytest
import yaml

from tests.domains.deploy.exports import schemas
from tests.domains.deploy.exports.conftest import haproxies
from trimtab.domains.deploy.exports.clusters import object_name
from trimtab.domains.deploy.exports.errors import NotExportable
from trimtab.domains.deploy.exports.formats import FORMATS
from trimtab.domains.deploy.exports.view import EndpointView, VersionView, Wish
from trimtab.kernel.errors import Invalid

ALONE = EndpointView("scans", "tumours", [VersionView("3", 100, "champion")])
CANARY = EndpointView(
    "Scans_v2", "tumours", [VersionView("3", 90, "champion"), VersionView("4", 10, "challenger")]
)
THREE = EndpointView(
    "scans",
    "tumours",
    [
        VersionView("3", 60, "champion"),
        VersionView("4", 20, "challenger"),
        VersionView("5", 20, "challenger"),
    ],
)

needs_schemas = pytest.mark.skipif(not schemas.installed(), reason="no schemas here: run by 'make exports'")


def written(kind: str, endpoint: EndpointView, wish: Wish | None = None) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(FORMATS[kind].render([endpoint], wish or Wish())))


@needs_schemas
@pytest.mark.parametrize("release", [schemas.OLDEST, schemas.NEWEST])
@pytest.mark.parametrize("endpoint", [ALONE, CANARY, THREE], ids=["one", "canary", "three"])
def test_kubernetes_takes_every_object(endpoint: EndpointView, release: str) -> None:
    items = written("kubernetes", endpoint, Wish(namespace="models"))
    for item in items:
        schemas.check_kubernetes(item, release)
    names = [(item["kind"], item["metadata"]["name"]) for item in items]
    assert len(set(names)) == len(names)


@needs_schemas
@pytest.mark.parametrize("storage", [None, "s3://models/tumours/{version}"])
@pytest.mark.parametrize("endpoint", [ALONE, CANARY], ids=["one", "canary"])
def test_kserve_takes_every_object(endpoint: EndpointView, storage: str | None) -> None:
    for item in written("kserve", endpoint, Wish(storage_uri=storage)):
        version = item["apiVersion"].rpartition("/")[2].capitalize()
        schemas.check_kserve(item, f"{version}{item['kind']}")


@needs_schemas
def test_the_schemas_refuse_what_is_wrong() -> None:
    (deployment,) = [item for item in written("kubernetes", ALONE) if item["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(Exception, match="readinesProbe"):
        schemas.check_kubernetes(deployment)
    (service,) = written("kserve", CANARY)
    service["spec"]["predictor"]["canaryPercent"] = 5
    with pytest.raises(AssertionError, match="canaryPercent"):
        schemas.check_kserve(service, "V1beta1InferenceService")


def test_one_version_is_called_by_the_service_with_the_endpoints_name() -> None:
    items = {item["kind"]: item for item in written("kubernetes", ALONE, Wish(replicas=3))}
    assert set(items) == {
        "Deployment",
        "Service",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
    }
    pod = items["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert items["Service"]["metadata"]["name"] == "scans"
    assert items["Service"]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert container["image"] == "scans:v3"
    assert container["readinessProbe"]["httpGet"]["path"] == "/v2/models/scans/versions/3/ready"
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert items["HorizontalPodAutoscaler"]["spec"]["minReplicas"] == 3
    assert "replicas" not in items["Deployment"]["spec"]
    assert items["NetworkPolicy"]["spec"]["egress"] == []


def test_versions_that_share_stand_behind_a_proxy_that_splits_to_the_percent(tmp_path: Any) -> None:
    items = written("kubernetes", CANARY, Wish(replicas=4, image="registry:5000/scans:v{version}"))
    config = next(item["data"]["haproxy.cfg"] for item in items if item["kind"] == "ConfigMap")
    services = [item["metadata"]["name"] for item in items if item["kind"] == "Service"]
    name = object_name("Scans_v2")
    assert services == [f"{name}-v3", f"{name}-v4", name]
    assert f"server s1 {name}-v4:80 resolvers" in config
    assert "lt 10000 }" in config
    images = [
        item["spec"]["template"]["spec"]["containers"][0]["image"]
        for item in items
        if item["kind"] == "Deployment"
    ]
    assert images[:2] == ["registry:5000/scans:v3", "registry:5000/scans:v4"]
    least = [item["spec"]["minReplicas"] for item in items if item["kind"] == "HorizontalPodAutoscaler"]
    assert least == [4, 1, 2]
    again = written("kubernetes", CANARY, Wish(replicas=4, image="registry:5000/scans:v{version}"))
    assert again == items
    if haproxies():
        (tmp_path / "haproxy.cfg").write_text(config)


def test_kserve_says_the_canarys_percent_and_how_to_begin() -> None:
    text = FORMATS["kserve"].render([CANARY], Wish())
    (service,) = yaml.safe_load_all(text)
    predictor = service["spec"]["predictor"]
    assert predictor["canaryTrafficPercent"] == 10
    assert predictor["containers"][0]["args"] == ["serve", "--model_name=Scans_v2", "--version=4"]
    assert "trimtab endpoints export Scans_v2 --kserve --version 3" in text
    with pytest.raises(NotExportable, match="two"):
        written("kserve", THREE)
    runtime, stored = written("kserve", ALONE, Wish(storage_uri="s3://models/tumours/{version}"))
    assert runtime["kind"] == "ServingRuntime"
    assert stored["spec"]["predictor"]["model"]["storageUri"] == "s3://models/tumours/3"
    assert stored["spec"]["predictor"]["model"]["protocolVersion"] == "v2"


@pytest.mark.parametrize(
    ("kind", "wish", "field"),
    [
        ("kubernetes", Wish(image="registry/scans:v4"), "image"),
        ("kubernetes", Wish(image="bad image {version}"), "image"),
        ("kubernetes", Wish(namespace="No Name"), "namespace"),
        ("kubernetes", Wish(replicas=0), "replicas"),
        ("kubernetes", Wish(replicas=9, most_replicas=3), "replicas"),
        ("kubernetes", Wish(memory="lots"), "memory"),
        ("kserve", Wish(cpu="1;"), "cpu"),
        ("kserve", Wish(storage_uri="file:///etc"), "storage_uri"),
    ],
)
def test_what_a_cluster_would_not_take_is_refused(kind: str, wish: Wish, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        written(kind, CANARY, wish)
    assert refused.value.field == field


def test_names_that_meet_after_cleaning_stay_apart() -> None:
    names = ["scans", "Scans", "scans.v2", "scans_v2", "scans-v2", "2scans", "x" * 128, "x" * 127]
    made = [object_name(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[0] == "scans"
    assert all(len(name) <= 50 and name[0].isalpha() and name.islower() for name in made)
