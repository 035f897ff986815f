"""Models by the real client: logged, registered, aliased, loaded back, described, moved through stages, deleted."""

import base64
import hmac
import json
import time
import uuid
from pathlib import Path

import httpx2
import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities.logged_model_status import LoggedModelStatus
from mlflow.exceptions import MlflowException, RestException
from sklearn.linear_model import LogisticRegression

from tests.domains.alerts.receiver import listening

X = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.25], [0.1, 0.9]])
Y = np.array([1, 0, 0, 1])


def _log(name: str = "model", **options: object) -> "mlflow.models.model.ModelInfo":
    model = LogisticRegression().fit(X, Y)
    return mlflow.sklearn.log_model(
        model, name=name, input_example=X[:2], pip_requirements=["scikit-learn"], **options
    )


def test_a_model_goes_round(each_server: str) -> None:
    mlflow.set_experiment(f"models-{uuid.uuid4().hex[:6]}")
    registered = f"risk-{uuid.uuid4().hex[:6]}"
    with mlflow.start_run() as run:
        logged = _log(registered_model_name=registered, params={"c": "1"})
        mlflow.log_metric("auc", 0.8, model_id=logged.model_id)
    client = MlflowClient()
    client.set_registered_model_alias(registered, "champion", "1")
    expected = LogisticRegression().fit(X, Y).predict(X)
    pyfunc = mlflow.pyfunc.load_model(f"models:/{registered}@champion")
    assert (pyfunc.predict(X) == expected).all()
    for uri in (f"models:/{registered}/1", f"models:/{logged.model_id}", f"runs:/{run.info.run_id}/model"):
        assert (mlflow.sklearn.load_model(uri).predict(X) == expected).all()

    version = client.get_model_version(registered, "1")
    assert (version.run_id, version.current_stage, version.status) == (run.info.run_id, "None", "READY")
    assert version.source == f"models:/{logged.model_id}"
    assert version.aliases == ["champion"]
    assert client.get_model_version_by_alias(registered, "champion").version == "1"
    model = mlflow.get_logged_model(logged.model_id)
    assert (model.status, model.name) == (LoggedModelStatus.READY, "model")
    assert model.source_run_id == run.info.run_id
    assert [(metric.key, metric.value) for metric in model.metrics] == [("auc", 0.8)]
    assert model.tags["mlflow.modelVersions"].count(registered) == 1
    assert client.get_run(run.info.run_id).outputs.model_outputs[0].model_id == logged.model_id
    found = mlflow.search_logged_models(
        experiment_ids=[run.info.experiment_id], filter_string="metrics.auc > 0.7", output_format="list"
    )
    assert [one.model_id for one in found] == [logged.model_id]


def test_registered_models(server: str) -> None:
    client = MlflowClient()
    name = f"m-{uuid.uuid4().hex[:6]}"
    made = client.create_registered_model(name, tags={"a": "1"}, description="first")
    assert (made.name, made.description, made.tags) == (name, "first", {"a": "1"})
    with pytest.raises(MlflowException) as caught:
        client.create_registered_model(name)
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
    with mlflow.start_run():
        logged = _log()
    for _ in range(3):
        client.create_model_version(
            name, logged.model_uri, model_id=logged.model_id, description="d", tags={"k": "v"}
        )
    with pytest.raises(MlflowException, match="must identify the resource"):
        client.create_model_version(name, logged.model_uri)
    client.update_registered_model(name, "second")
    client.set_registered_model_tag(name, "b", "2")
    client.delete_registered_model_tag(name, "a")
    client.set_registered_model_alias(name, "best", "2")
    seen = client.get_registered_model(name)
    assert (seen.description, seen.tags, seen.aliases) == ("second", {"b": "2"}, {"best": "2"})
    assert [one.version for one in seen.latest_versions] == ["3"]
    assert seen.creation_timestamp <= seen.last_updated_timestamp

    client.update_model_version(name, "2", "described")
    client.set_model_version_tag(name, "2", "t", "x")
    client.delete_model_version_tag(name, "2", "k")
    version = client.get_model_version(name, "2")
    assert (version.description, version.tags) == ("described", {"t": "x"})
    moved = client.transition_model_version_stage(name, "2", "Production")
    assert moved.current_stage == "Production"
    client.transition_model_version_stage(name, "3", "Production", archive_existing_versions=True)
    assert client.get_model_version(name, "2").current_stage == "Archived"
    assert [one.version for one in client.get_latest_versions(name, ["Production"])] == ["3"]
    assert client.get_model_version_download_uri(name, "1").endswith(f"/models/{logged.model_id}/artifacts")

    versions = client.search_model_versions(
        f"name = '{name}'", order_by=["version_number ASC"], max_results=2
    )
    assert [one.version for one in versions] == ["1", "2"]
    rest = client.search_model_versions(
        f"name = '{name}'", order_by=["version_number ASC"], max_results=2, page_token=versions.token
    )
    assert [one.version for one in rest] == ["3"]
    assert [
        one.name for one in client.search_registered_models(f"name LIKE '{name[:4]}%' and name = '{name}'")
    ] == [name]

    client.delete_registered_model_alias(name, "best")
    with pytest.raises(MlflowException) as caught:
        client.get_model_version_by_alias(name, "best")
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    client.rename_registered_model(name, f"{name}-new")
    assert client.get_model_version(f"{name}-new", "1").name == f"{name}-new"
    client.delete_model_version(f"{name}-new", "1")
    with pytest.raises(MlflowException) as caught:
        client.get_model_version(f"{name}-new", "1")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    client.delete_registered_model(f"{name}-new")
    with pytest.raises(MlflowException) as caught:
        client.get_registered_model(f"{name}-new")
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_source_must_be_ours(server: str) -> None:
    client = MlflowClient()
    name = f"m-{uuid.uuid4().hex[:6]}"
    client.create_registered_model(name)
    store = client._get_registry_client().store
    for source in (
        "/etc",
        "file:///etc",
        "s3://bucket/../model",
        "https://elsewhere/model",
        "mlflow-artifacts:/0/../../etc",
        "models:/nothing/1",
    ):
        with pytest.raises(MlflowException) as caught:
            store.create_model_version(name, source)
        assert caught.value.error_code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")
    assert client.search_model_versions(f"name = '{name}'") == []


def test_logged_models(server: str, experiment: str) -> None:
    client = MlflowClient()
    made = mlflow.initialize_logged_model(
        name="external", params={"a": "1"}, tags={"t": "x"}, model_type="agent"
    )
    assert made.status == LoggedModelStatus.PENDING
    mlflow.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    client.set_logged_model_tags(made.model_id, {"u": "y"})
    client.delete_logged_model_tag(made.model_id, "t")
    client.log_model_params(made.model_id, {"b": "2"})
    seen = client.get_logged_model(made.model_id)
    assert (seen.status, seen.params, seen.tags["u"]) == (LoggedModelStatus.READY, {"a": "1", "b": "2"}, "y")
    assert "t" not in seen.tags
    assert seen.artifact_location == f"mlflow-artifacts:/{experiment}/models/{made.model_id}/artifacts"
    others = [
        mlflow.create_external_model(name=f"n{number}", params={"k": str(number)}) for number in range(3)
    ]
    with mlflow.start_run():
        for number, other in enumerate(others):
            mlflow.log_metric("score", number / 10, model_id=other.model_id, step=1)
            mlflow.log_metric("score", 1 - number / 10, model_id=other.model_id, step=2)

    def search(**options: object) -> list[str]:
        found = client.search_logged_models(experiment_ids=[experiment], **options)
        return [one.name for one in found]

    by_score = [{"field_name": "metrics.score", "ascending": True}]
    assert search(order_by=by_score) == ["n2", "n1", "n0", "external"]
    assert search(filter_string="params.k IN ('0', '2')", order_by=[{"field_name": "name"}]) == ["n0", "n2"]
    assert search(filter_string="name LIKE 'n%' AND metrics.score < 0.05") == ["n0"]
    assert search(filter_string="model_type = 'agent'") == ["external"]
    page = client.search_logged_models(experiment_ids=[experiment], order_by=by_score, max_results=3)
    rest = client.search_logged_models(
        experiment_ids=[experiment], order_by=by_score, max_results=3, page_token=page.token
    )
    assert [one.name for one in [*page, *rest]] == ["n2", "n1", "n0", "external"]
    client.delete_logged_model(made.model_id)
    with pytest.raises(RestException, match="RESOURCE_DOES_NOT_EXIST"):
        client.get_logged_model(made.model_id)
    assert "external" not in search()


def test_a_version_keeps_its_files_when_the_runs_change(server: str, experiment: str, tmp_path: Path) -> None:
    name = f"m-{uuid.uuid4().hex[:6]}"
    client = MlflowClient()
    client.create_registered_model(name)
    with mlflow.start_run() as run:
        mlflow.log_text("flavors: {}", "model/MLmodel")
        mlflow.log_text("first", "model/data/weights.txt")
    client.create_model_version(name, f"runs:/{run.info.run_id}/model", run.info.run_id)
    assert client.get_model_version_download_uri(name, "1") == f"runs:/{run.info.run_id}/model"
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_text("second", "model/data/weights.txt")
    moved = client.get_model_version_download_uri(name, "1")
    assert moved.startswith("mlflow-artifacts:/model-versions/")
    found = Path(mlflow.artifacts.download_artifacts(f"models:/{name}/1", dst_path=str(tmp_path)))
    assert (found / "data" / "weights.txt").read_text() == "first"
    listed = mlflow.artifacts.list_artifacts(moved)
    assert {Path(one.path).name for one in listed} == {"MLmodel", "data"}
    own = moved.removeprefix("mlflow-artifacts:/")
    for method in ("PUT", "DELETE"):
        refused = httpx2.request(method, f"{server}/api/2.0/mlflow-artifacts/artifacts/{own}/MLmodel")
        assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")


def test_webhooks_by_the_real_client(server: str) -> None:
    client = MlflowClient()
    with listening() as receiver:
        hook = client.create_webhook(
            "bot", receiver.url, ["registered_model.created", "prompt.created"], secret="s", description="d"
        )
        assert [str(event) for event in hook.events] == ["registered_model.created", "prompt.created"]
        assert hook.webhook_id in {one.webhook_id for one in client.list_webhooks()}
        assert client.test_webhook(hook.webhook_id).success
        name = f"hooked-{uuid.uuid4().hex[:6]}"
        client.create_registered_model(name, tags={"a": "1"})
        deadline = time.monotonic() + 20
        while len(receiver.got) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        headers, body = receiver.got[1]
        content = json.loads(body)
        assert (content["entity"], content["action"], content["data"]["name"]) == (
            "registered_model",
            "created",
            name,
        )
        signed = f"{headers['x-mlflow-delivery-id']}.{headers['x-mlflow-timestamp']}.".encode() + body
        made = base64.b64encode(hmac.digest(b"s", signed, "sha256")).decode()
        assert headers["x-mlflow-signature"] == f"v1,{made}"
    assert client.update_webhook(hook.webhook_id, status="DISABLED").status == "DISABLED"
    client.delete_webhook(hook.webhook_id)
    with pytest.raises(MlflowException) as caught:
        client.get_webhook(hook.webhook_id)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"
