"""What is written for Ray Serve: a folder whose configuration says what the endpoint does, signed, with its models."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from tests.domains.deploy.conftest import Models, models  # noqa: F401 - a fixture
from tests.domains.deploy.exports.test_export import split  # noqa: F401 - a fixture
from tests.domains.deploy.exports.test_package import unpacked
from trimtab.app import App
from trimtab.domains.deploy.errors import EndpointNotFound, VersionNotServed
from trimtab.domains.deploy.exports.cli import export
from trimtab.domains.deploy.exports.errors import NotExportable
from trimtab.domains.deploy.exports.package.lock import Lock, requirements_of
from trimtab.domains.deploy.exports.package.manifest import check
from trimtab.domains.deploy.exports.ray import RayWish, module_name
from trimtab.domains.govern.errors import NotPermitted
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal
from trimtab.serving.ray_serve.spec import Arguments, Traffic

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def exported(app: App, who: Principal, folder: Path, *, version: str | None = None, **wish: Any) -> Path:
    return unpacked(app.packages.to_ray(who, "churn", wish=RayWish(**wish), version=version).pieces, folder)


def config_in(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "serve.yaml").read_text())


def test_the_folder_says_what_the_endpoint_does(split: App, editor: Principal, tmp_path: Path) -> None:  # noqa: F811
    changes = {
        "timeout": "5s",
        "sticky_by": "a",
        "min_replicas": "0",
        "max_replicas": "3",
        "target_delay": "7ms",
    }
    split.deploy.settings.change(editor, "churn", changes)
    folder = exported(split, editor, tmp_path / "f", cpu="250m", memory="1Gi")
    whole = config_in(folder)
    assert whole["http_options"] == {"host": "127.0.0.1", "port": 8000}
    (application,) = whole["applications"]
    assert (application["name"], application["import_path"]) == ("churn", "endpoint_churn:build")
    assert (folder / "endpoint_churn.py").is_file()
    arguments = msgspec.convert(application["args"], Arguments)
    assert list(arguments.versions) == ["1", "2", "3"]
    assert all((folder / one.model / "MLmodel").is_file() for one in arguments.versions.values())
    policy = application["autoscaling_policy"]
    assert policy["policy_kwargs"]["target_delay_ms"] == 7
    deployments = {one["name"]: one for one in application["deployments"]}
    assert list(deployments) == ["router", "version-1", "version-2", "version-3"]
    traffic = msgspec.convert(deployments["router"]["user_config"], Traffic)
    assert {one: share.weight for one, share in traffic.versions.items()} == {"1": 75, "2": 25, "3": 0}
    assert traffic.versions["3"].role == "warm"
    assert (traffic.timeout_ms, traffic.policies.sticky_by) == (5000, "a")
    scaling = deployments["version-1"]["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["initial_replicas"], scaling["max_replicas"]) == (0, 1, 3)
    assert scaling["downscale_to_zero_delay_s"] == 600
    assert deployments["router"]["autoscaling_config"]["min_replicas"] == 1
    options = deployments["version-2"]["ray_actor_options"]
    assert (options["num_cpus"], options["memory"]) == (0.25, 2**30)
    pinned = options["runtime_env"]["pip"]["packages"]
    assert any(one.startswith("scikit-learn==") for one in pinned)
    assert any(one.startswith("msgspec==") for one in application["runtime_env"]["pip"]["packages"])


def test_it_is_signed_and_written_down(split: App, editor: Principal, tmp_path: Path) -> None:  # noqa: F811
    first = b"".join(split.packages.to_ray(editor, "churn", wish=RayWish()).pieces)
    assert first == b"".join(split.packages.to_ray(editor, "churn", wish=RayWish()).pieces)
    folder = unpacked([first], tmp_path / "f")
    manifest = check(folder, split.packages.signing_key(editor))
    assert (manifest.endpoint, manifest.version) == ("churn", "1,2,3")
    names = {file.path for file in manifest.files}
    assert {"serve.yaml", "versions/2/model/MLmodel", "versions/3/bom.cdx.json", "README.md"} <= names
    assert "trimtab/serving/ray_serve/application.py" in names
    assert not any("domains" in name or "__pycache__" in name for name in names)
    assert not list((split.settings.home_path / "scratch").glob("package-*"))
    (record, *_) = split.govern.audit_trail(Principal("owner", "owner", "admin")).items
    assert (record.action, record.detail["versions"]) == ("deploy.endpoint.export", ["1", "2", "3"])


@SQLITE
def test_what_is_asked_for_beside_is_kept(split: App, editor: Principal, tmp_path: Path) -> None:  # noqa: F811
    folder = exported(
        split,
        editor,
        tmp_path / "f",
        version="2",
        replicas=2,
        most_replicas=4,
        working_dir="s3://models/churn.zip",
        installed=True,
    )
    (application,) = config_in(folder)["applications"]
    assert application["runtime_env"] == {"working_dir": "s3://models/churn.zip"}
    router, version = application["deployments"]
    assert router["user_config"]["versions"] == {"2": {"weight": 100.0, "role": "champion"}}
    assert (version["autoscaling_config"]["min_replicas"], version["autoscaling_config"]["max_replicas"]) == (
        2,
        4,
    )
    assert "runtime_env" not in version["ray_actor_options"]


@SQLITE
def test_a_compiled_form_comes_along_unless_explanations_are_wanted(
    split: App,  # noqa: F811
    editor: Principal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compiled(_: object, __: str, version: int, folder: Path) -> Path | None:
        if version != 2:
            return None
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"")
        return folder

    monkeypatch.setattr(split.registry, "materialize_compiled", compiled)
    folder = exported(split, editor, tmp_path / "f")
    versions = config_in(folder)["applications"][0]["args"]["versions"]
    assert versions["2"] == {"model": "versions/2/model", "compiled": "versions/2/compiled"}
    assert versions["1"] == {"model": "versions/1/model"}
    split.deploy.settings.change(editor, "churn", {"explain": "on"})
    folder = exported(split, editor, tmp_path / "g")
    assert "compiled" not in config_in(folder)["applications"][0]["args"]["versions"]["2"]


@SQLITE
def test_the_code_in_the_folder_needs_no_other_of_ours(split: App, editor: Principal, tmp_path: Path) -> None:  # noqa: F811
    """What a Ray worker imports, and what loads the model, with nothing else of this package on the path."""
    folder = exported(split, editor, tmp_path / "f")
    code = (
        "import sys, trimtab; assert trimtab.__file__.startswith(sys.argv[1]), trimtab.__file__\n"
        "import endpoint_churn, trimtab.serving.replica\n"
        "assert not {'ray', 'uvloop'} & set(sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@SQLITE
def test_who_may_export_and_what(
    split: App,  # noqa: F811
    editor: Principal,
    viewer: Principal,
) -> None:
    with pytest.raises(NotPermitted):
        split.packages.to_ray(viewer, "churn", wish=RayWish())
    with pytest.raises(EndpointNotFound, match="churn"):
        split.packages.to_ray(editor, "chrun", wish=RayWish())
    with pytest.raises(VersionNotServed):
        split.packages.to_ray(editor, "churn", wish=RayWish(), version="9")
    for wish, field in (
        (RayWish(replicas=5, most_replicas=2), "replicas"),
        (RayWish(replicas=-1), "replicas"),
        (RayWish(most_replicas=0), "replicas"),
        (RayWish(most_replicas=5000), "replicas"),
        (RayWish(cpu="lots"), "cpu"),
        (RayWish(memory="1;"), "memory"),
        (RayWish(working_dir="/home/me"), "working_dir"),
        (RayWish(working_dir="s3://a b.zip"), "working_dir"),
    ):
        with pytest.raises(Invalid) as refused:
            split.packages.to_ray(editor, "churn", wish=wish)
        assert refused.value.field == field
    assert not list((split.settings.home_path / "scratch").glob("package-*"))
    split.deploy.deploy(editor, "fresh", "models:/churn/1")
    with pytest.raises(NotExportable, match="takes requests"):
        split.packages.to_ray(editor, "fresh", wish=RayWish())


@SQLITE
def test_the_route_sends_a_tar(split: App, http: TestClient, tmp_path: Path) -> None:  # noqa: F811
    answer = http.post("/api/v1/endpoints/churn/ray", json={"installed": True, "listen": "0.0.0.0:80"})
    assert answer.headers["content-type"] == "application/x-tar"
    assert 'filename="churn-ray.tar"' in answer.headers["content-disposition"]
    folder = unpacked([answer.content], tmp_path / "f")
    check(folder, http.get("/api/v1/signing-key").text)
    assert config_in(folder)["http_options"]["port"] == 80
    for body, field in (
        ({"listen": "80"}, "listen"),
        ({"replica": 1}, "replica"),
        ({"replicas": "two"}, "replicas"),
        ({"cpu": "1;"}, "cpu"),
    ):
        wrong = http.post("/api/v1/endpoints/churn/ray", json=body)
        assert (wrong.status_code, wrong.json()["field"]) == (400, field)
    for name in ("ray", "ray-serve"):
        wrong = http.get("/api/v1/endpoints/churn/export", params={"format": name})
        assert wrong.status_code == 400
        assert "--ray --output" in wrong.json()["detail"]


@pytest.mark.parametrize(
    ("words", "says"), [(["churn", "--ray"], "--output"), (["--ray", "--output", "{folder}"], "name it")]
)
def test_the_command_says_what_it_needs(words: list[str], says: str, tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(export)
    words = [word.format(folder=tmp_path / "f") for word in words]
    done = CliRunner().invoke(app, [*words, "--url", "http://127.0.0.1:1"])
    assert isinstance(done.exception, Invalid)
    assert says in done.exception.message


def test_names_of_modules_stay_apart() -> None:
    names = ["scans", "Scans", "scans.v2", "scans_v2", "scans-v2", "2scans"]
    made = {module_name(name) for name in names}
    assert len(made) == len(names)
    assert all(name.isidentifier() for name in made)


def test_a_lock_is_told_without_digests_and_without_what_ray_brings() -> None:
    lock = Lock(
        [], "a==1 \\\n    --hash=sha256:00\n# why\nb==2 ; sys_platform == 'linux'\n", "c==3\nuvloop==1\n"
    )
    assert requirements_of(lock) == ["a==1", "b==2 ; sys_platform == 'linux'", "c==3"]
