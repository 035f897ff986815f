"""A package holds what its manifest says, signed; it runs by itself, and its bill of materials is CycloneDX."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.domains.deploy.conftest import Models, models  # noqa: F401 - a fixture
from tests.domains.deploy.exports.conftest import EXPORTS
from tests.domains.deploy.test_service import deploy
from trimtab.app import App
from trimtab.domains.deploy.errors import EndpointNotFound, VersionNotServed
from trimtab.domains.deploy.exports.errors import NotExportable
from trimtab.domains.deploy.exports.package import lock as locks
from trimtab.domains.deploy.exports.package.manifest import check
from trimtab.domains.govern.errors import NotPermitted
from trimtab.infra.signing import BadSignature, Signer
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal


@pytest.fixture
def served(app: App, models: Models, editor: Principal) -> App:  # noqa: F811
    """An endpoint with version 1 as champion and 2 warm."""
    models.version(), models.version()
    deploy(app, editor, 1)
    deploy(app, editor, 2, weight=None)
    return app


def packed(app: App, who: Principal, folder: Path, **options: Any) -> Path:
    return unpacked(app.packages.package(who, "churn", **options).pieces, folder)


def unpacked(pieces: Iterable[bytes], folder: Path) -> Path:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def test_a_package_is_whole_signed_and_the_same_each_time(
    served: App, editor: Principal, viewer: Principal, tmp_path: Path
) -> None:
    first = b"".join(served.packages.package(editor, "churn").pieces)
    assert first == b"".join(served.packages.package(editor, "churn").pieces)
    folder = packed(served, editor, tmp_path / "p", version="2")
    manifest = check(folder, served.packages.signing_key(viewer))
    assert (manifest.endpoint, manifest.model, manifest.version) == ("churn", "churn", "2")
    assert manifest.digest == served.registry.get_version(viewer, "churn", 2).digest
    names = {file.path for file in manifest.files}
    assert {"Containerfile", "requirements.lock", "bom.cdx.json", "model/MLmodel", "signing-key.pem"} <= names
    assert "app/trimtab/serving/standalone.py" in names
    assert not any("domains" in name or "__pycache__" in name for name in names)
    assert not list((served.settings.home_path / "scratch").glob("package-*"))
    (record, *_) = served.govern.audit_trail(Principal("owner", "owner", "admin")).items
    assert (record.action, record.detail["version"]) == ("deploy.endpoint.package", "2")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_was_changed_after_signing_is_found(served: App, editor: Principal, tmp_path: Path) -> None:
    folder = packed(served, editor, tmp_path / "p")
    key = served.packages.signing_key(editor)
    (folder / "wheels" / "one-1.0-py3-none-any.whl").write_bytes(b"")
    check(folder, key)
    (folder / "wheels" / "setup.py").write_text("")
    with pytest.raises(BadSignature, match=r"wheels/setup\.py was added"):
        check(folder, key)
    (folder / "wheels" / "setup.py").unlink()
    model = folder / "model" / "model.skops"
    content = model.read_bytes()
    model.write_bytes(content + b"\0")
    with pytest.raises(BadSignature, match=r"model\.skops was changed"):
        check(folder, key)
    model.unlink()
    with pytest.raises(BadSignature, match=r"model\.skops is missing"):
        check(folder, key)
    model.write_bytes(content)
    with pytest.raises(BadSignature, match="not by this key"):
        check(folder, Signer(tmp_path / "other.key").public_key)
    manifest = folder / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"churn"', b'"chern"', 1))
    with pytest.raises(BadSignature, match="changed"):
        check(folder, key)
    (folder / "manifest.sig").unlink()
    with pytest.raises(BadSignature, match=r"no manifest\.sig"):
        check(folder, key)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_bill_of_materials_keeps_its_schema(served: App, editor: Principal, tmp_path: Path) -> None:
    bill = json.loads((packed(served, editor, tmp_path / "p") / "bom.cdx.json").read_text())
    kinds = {one["type"] for one in bill["components"]}
    assert {"machine-learning-model", "library"} <= kinds
    (model,) = [one for one in bill["components"] if one["type"] == "machine-learning-model"]
    assert model["modelCard"]["modelParameters"]["inputs"] == [
        {"format": "a: double"},
        {"format": "b: double"},
    ]
    purls = {one["purl"] for one in bill["components"] if one["type"] == "library"}
    assert any(purl.startswith("pkg:pypi/scikit-learn@") for purl in purls)
    lines = (tmp_path / "p" / "requirements.lock").read_text().split()
    assert len(lines) == len(purls)
    folder = next(EXPORTS.glob("lib/python3*/site-packages/cyclonedx/schema/_res"), None)
    if folder is None:
        pytest.skip("no schema here: run by 'make exports'")
    from jsonschema import Draft7Validator, FormatChecker
    from referencing import Registry, Resource

    schemas = [
        json.loads((folder / f"{name}.SNAPSHOT.schema.json").read_text())
        for name in ("bom-1.6", "spdx", "jsf-0.82")
    ]
    registry: Any = Registry().with_resources([(one["$id"], Resource.from_contents(one)) for one in schemas])
    validator = Draft7Validator(schemas[0], registry=registry, format_checker=FormatChecker())
    assert [error.message for error in validator.iter_errors(bill)] == []
    bill["components"][0]["modelCard"]["modelParameters"]["inputs"] = ["a"]
    assert not validator.is_valid(bill)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_code_of_a_package_needs_no_other_of_ours(served: App, editor: Principal, tmp_path: Path) -> None:
    """The server's modules alone load the model and predict, with nothing else of this package on the path."""
    folder = packed(served, editor, tmp_path / "p")
    code = (
        "import sys; from pathlib import Path\n"
        "import trimtab; assert 'app/trimtab' in trimtab.__file__\n"
        "import trimtab.serving.standalone, trimtab.serving.gateway\n"
        "from trimtab.serving.replica import warm_up\n"
        "from trimtab.serving.loaders import load, Rows\n"
        "from trimtab.serving.loaders.mlmodel import ModelFolder\n"
        "folder = ModelFolder(Path(sys.argv[1])); model = load(folder, allow_pickle=False)\n"
        "print(model.predict(Rows(1, columns={'a': [3.0], 'b': [0.0]}), 1)[0].data)"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder / "app"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "model")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 0.5 < json.loads(done.stdout)[0] < 1


def test_who_may_pack_and_what(served: App, editor: Principal, viewer: Principal) -> None:
    with pytest.raises(NotPermitted):
        served.packages.package(viewer, "churn")
    with pytest.raises(EndpointNotFound, match="churn"):
        served.packages.package(editor, "chrun")
    with pytest.raises(VersionNotServed):
        served.packages.package(editor, "churn", version="3")
    with pytest.raises(Invalid, match="Did you mean 'pyarrow'"):
        served.packages.package(editor, "churn", include=["pyarow"])
    with pytest.raises(Invalid, match="image"):
        served.packages.package(editor, "churn", base="debian\nRUN true")
    assert not list((served.settings.home_path / "scratch").glob("package-*"))
    served.deploy.deploy(editor, "fresh", "models:/churn/1")
    with pytest.raises(NotExportable, match="name a version"):
        served.packages.package(editor, "fresh")


def test_the_route_sends_a_tar_and_the_key(served: App, http: TestClient, tmp_path: Path) -> None:
    answer = http.post("/api/v1/endpoints/churn/package", json={"base": "localhost/base:1"})
    assert answer.headers["content-type"] == "application/x-tar"
    assert 'filename="churn-v1.tar"' in answer.headers["content-disposition"]
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path / "p", filter="data")
    check(tmp_path / "p", http.get("/api/v1/signing-key").text)
    text = (tmp_path / "p" / "Containerfile").read_text()
    assert "ARG BASE=localhost/base:1\n" in text
    assert 'TRIMTAB_ENDPOINT="churn"' in text
    wrong = http.post("/api/v1/endpoints/churn/package", json={"vesion": "1"})
    assert (wrong.status_code, wrong.json()["field"]) == (400, "vesion")


def test_the_lock_follows_what_is_installed() -> None:
    names = {locks.normal(one.name) for one in locks.lock(["sklearn", "python_function"]).packages}
    assert {"scikit-learn", "skops", "numpy", "scipy", "joblib", "msgspec", "uvloop"} <= names
    assert not names & {"pandas", "mlflow-skinny", "starlette", "trimtab"}
    assert "pandas" in {one.name for one in locks.lock(["sklearn"], frames=True).packages}
    own = locks.lock(
        ["python_function"], requirements="mlflow-skinny==3\n# a\n--pre\nnot-here-at-all>=2 # b\n"
    )
    assert "mlflow-skinny" in {one.name for one in own.packages}
    assert own.model.endswith("\nnot-here-at-all>=2\n")
    assert not own.complete


def test_a_model_with_an_environment_of_its_own_brings_its_lock() -> None:
    hashed = "numpy==1.26.4 \\\n    --hash=sha256:00\nscikit-learn==1.4.2 \\\n    --hash=sha256:11\n"
    own = locks.lock_of_own(hashed)
    assert own.model == hashed
    versions = {locks.normal(one.name): one.version for one in own.packages}
    assert (versions["numpy"], versions["scikit-learn"]) == ("1.26.4", "1.4.2")
    assert "uvloop==" in own.server
    assert "numpy" not in own.server
    with pytest.raises(NotExportable, match="cannot get from a registry"):
        locks.lock_of_own("mine @ file:///home/me/mine.whl\n")
