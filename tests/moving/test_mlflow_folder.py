"""MLflow's folder store comes over whole, and what is wrong in one does not stop the rest."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.moving.conftest import T_MS, Store, history
from trimtab.kernel.errors import NotFound
from trimtab.moving import import_mlflow
from trimtab.sdk.client import Client


def test_everything_comes_over(imported: Any, client: Client, mlruns: Store) -> None:
    assert imported.problems == []
    assert imported.runs == {"created": 4, "updated": 0, "unchanged": 0, "refused": 0, "failed": 0}
    assert (imported.points, imported.files, imported.models, imported.versions) == (11, 3, 1, 2)
    run = client.get(f"/runs/{mlruns.parent}/record")
    assert (run["name"], run["status"], run["state"]) == ("parent", "FINISHED", "active")
    assert (run["started_us"], run["ended_us"]) == (T_MS * 1000, (T_MS + 9000) * 1000)
    assert run["params"] == {"lr": "0.1", "opt/name": "adam", "empty": "", "long": "x" * 5000}
    assert run["tags"]["mlflow.note.content"] == "a note"
    assert run["datasets"] == [
        {
            "name": "set",
            "digest": "digest",
            "source_type": "local",
            "source": '{"uri": "x"}',
            "schema": '{"s": 1}',
            "profile": '{"p": 2}',
            "tags": {"mlflow.data.context": "training"},
        }
    ]
    assert run["model_outputs"] == [{"model_id": mlruns.model, "step": 2}]
    assert history(client, mlruns.parent, "loss") == [
        (step, (T_MS + step) * 1000, str(1 / (step + 1))) for step in range(5)
    ]
    odd = ["nan", "inf", "-inf", "1e+300", "0.0"]
    assert history(client, mlruns.parent, "val/odd") == [
        (step - 2, T_MS * 1000, value) for step, value in enumerate(odd)
    ]
    assert client.get(f"/runs/{mlruns.child}")["tags"]["mlflow.parentRunId"] == mlruns.parent
    assert client.get(f"/runs/{mlruns.gone}")["state"] == "deleted"
    (trashed,) = client.get("/experiments", view="deleted", filter="name = 'trashed'")["items"]
    assert trashed["runs"] == 0


def test_files_models_and_versions(imported: Any, client: Client, mlruns: Store) -> None:
    assert imported.ok
    text = b"".join(client.download(f"/runs/{mlruns.parent}/artifacts/notes/a%20b.txt"))
    assert text == b"hello"
    model = client.get(f"/logged-models/{mlruns.model}/record")
    assert (model["status"], model["params"], model["model_type"]) == ("READY", {"p": "2"}, "clf")
    (metric,) = model["metrics"]
    assert (metric["key"], metric["value"], metric["run_id"]) == ("auc", 0.9, mlruns.parent)
    assert (metric["dataset_name"], metric["dataset_digest"]) == ("set", "digest")
    shown = client.get("/models/clf")
    assert (shown["description"], shown["tags"], shown["aliases"]) == (
        "of flights",
        {"a": "b"},
        {"champion": 1},
    )
    third, first = client.get("/models/clf/versions")["items"]
    assert (first["version"], first["tags"], first["description"]) == (1, {"x": "y"}, "first")
    assert (first["model_id"], first["files"]) == (mlruns.model, 1)
    assert (third["version"], third["stage"], third["source"]) == (
        3,
        "Production",
        f"runs:/{mlruns.parent}/model",
    )
    assert third["files"] == 1


def test_again_changes_nothing_and_news_come_over(
    imported: Any, client: Client, mlruns: Store, tmp_path: Path
) -> None:
    assert imported.ok
    before = client.get("/audit", limit=1)["items"][0]["seq"]
    again = import_mlflow(mlruns.folder, deleted=True, client=client)
    assert (again.runs["unchanged"], sum(again.runs.values()), again.points, again.files) == (4, 4, 0, 0)
    assert again.logged_models["unchanged"] == 1
    acts = [one["action"] for one in client.get("/audit", limit=50)["items"] if one["seq"] > before]
    assert acts == []
    moved = tmp_path / "moved"  # another path, and a run that went on
    shutil.copytree(mlruns.folder, moved)
    (metric,) = moved.glob(f"*/{mlruns.child}/metrics")
    (metric / "late").write_text(f"{T_MS} 7.5 3\n")
    later = import_mlflow(moved, client=client)
    assert later.problems == []
    assert later.runs["updated"] >= 1
    assert history(client, mlruns.child, "late") == [(3, T_MS * 1000, "7.5")]


def test_a_dry_run_says_what_would_come(client: Client, mlruns: Store) -> None:
    seen = import_mlflow(mlruns.folder, prefix="dry/", dry_run=True, client=client)
    assert [one["name"] for one in seen.experiments] == ["dry/Default", "dry/flights"]
    assert client.get("/experiments", filter="name LIKE 'dry/%'")["items"] == []


def test_taken_names_and_ids_are_told(imported: Any, client: Client, mlruns: Store) -> None:
    assert imported.ok
    other = import_mlflow(mlruns.folder, experiments=["flights"], prefix="twice/", client=client)
    assert (other.runs["unchanged"], other.runs["refused"]) == (1, 1)  # the child had changed meanwhile
    assert "here already" in other.problems[0].what
    made = client.post("/experiments", {"name": "bin/flights"})
    client.delete(f"/experiments/{made['id']}")
    refused = import_mlflow(mlruns.folder, experiments=["flights"], prefix="bin/", client=client)
    assert refused.runs["refused"] == 1
    assert "trash" in refused.problems[0].what
    assert "--prefix" in refused.problems[0].advice
    with pytest.raises(NotFound, match="flights"):
        import_mlflow(mlruns.folder, experiments=["flight"], client=client)


def bad_store(root: Path, secret: Path) -> str:
    """Write a store of which little is right; return the id of its one good run."""
    experiment = root / "7"
    experiment.mkdir(parents=True)
    (experiment / "meta.yaml").write_text("name: bad\nexperiment_id: '7'\nlifecycle_stage: active\n")
    good = "0" * 32
    for number, text in {
        good: f"run_id: '{good}'\nrun_name: good\nstatus: 3\nstart_time: 5\n",
        "1" * 32: "a: [",
        "2" * 32: "!!python/object/apply:os.system ['touch /tmp/pwned']",
        "3" * 32: f"run_id: '{'9' * 32}'\n",
        "4" * 32: f"run_id: '{'4' * 32}'\nstart_time: never\n",
        "5" * 32: "[" * 5000,
        "6"
        * 32: f"run_id: '{'6' * 32}'\nrun_name: away\nartifact_uri: file://{secret}\nstart_time: 1\nstatus: 3\n",
    }.items():
        (experiment / number).mkdir()
        (experiment / number / "meta.yaml").write_text(text)
    run = experiment / good
    (run / "metrics" / "sub").mkdir(parents=True)
    (run / "metrics" / "loss").write_text("1 0.5 1\nnot a line\n2 x 2\n3 0.25 3")
    (run / "metrics" / "bad@key").write_text("1 1 1\n")
    (run / "metrics" / "old").write_text("1 0.5\n")
    (run / "metrics" / "sub" / "big").write_text("1 1 99999999999999999999\n")
    (run / "params").mkdir()
    (run / "params" / "blob").write_bytes(b"\xff\xfe")
    (run / "params" / "ok").write_text("1")
    (run / "artifacts").mkdir()
    (run / "artifacts" / "fine.txt").write_text("fine")
    (run / "artifacts" / "link").symlink_to(secret / "key")
    (run / "artifacts" / "%2e%2e%2fup").write_text("x")
    return good


def test_what_is_wrong_is_told_and_the_rest_goes_on(client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("private")
    good = bad_store(tmp_path / "store", secret)
    report = import_mlflow(tmp_path / "store", client=client)
    assert not Path("/tmp/pwned").exists()
    assert report.runs == {"created": 2, "updated": 0, "unchanged": 0, "refused": 0, "failed": 1}
    told = {one.where.removeprefix(f"{tmp_path}/store/7/"): one.what for one in report.problems}
    for place in ("1" * 32, "2" * 32, "3" * 32, "4" * 32, "5" * 32):
        assert f"{place}/meta.yaml" in told
    assert "nested" in told[f"{'5' * 32}/meta.yaml"]
    assert {f"{good}/metrics/loss:2", f"{good}/metrics/loss:3", f"{good}/params/blob"} <= told.keys()
    assert f"{good}/artifacts/link" in told
    assert any("%2e%2e%2fup" in place for place in told)
    assert any(str(secret) in what for what in told.values())  # files elsewhere are not taken unasked
    kept = client.get(f"/runs/{good}/record")
    assert (kept["params"], kept["keys"]) == ({"ok": "1"}, ["loss", "old"])
    assert history(client, good, "loss") == [(1, 1000, "0.5"), (3, 3000, "0.25")]
    assert [one["path"] for one in client.get(f"/runs/{good}/artifacts")["items"]] == ["fine.txt"]
    away = client.get(f"/runs/{'6' * 32}/artifacts")["items"]
    assert away == []


def test_no_store_is_an_error(client: Client, tmp_path: Path) -> None:
    for source in (tmp_path / "nothing", tmp_path):
        with pytest.raises(NotFound):
            import_mlflow(source, client=client)
