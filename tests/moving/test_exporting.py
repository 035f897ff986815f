"""What goes out comes back the same: as event files, as MLflow's folder store, as JSON."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.moving.conftest import Store, history
from trimtab.commands import app
from trimtab.kernel.errors import Invalid, NotFound
from trimtab.moving import export_runs, import_json, import_mlflow, import_tensorboard
from trimtab.sdk.client import Client

T = 1_600_000_000_000_000
VALUES: list[Any] = [0.1, 1e300, "NaN", "Infinity", "-Infinity", 0.0, 3]


@pytest.fixture(scope="module")
def run_id(url: str) -> str:
    """A run with what is hard to carry: exact doubles, microseconds, odd names, long texts."""
    with Client(url) as client:
        made = client.post("/runs", {"experiment": "out", "name": "a/b: first", "started_us": T + 1})
        points = [
            {"key": "deep/loss", "value": value, "step": step - 2, "at_us": T + step * 1001}
            for step, value in enumerate(VALUES)
        ]
        params = {"lr": "0.10", "long": "é" * 5000, "lines": "a\nb\r\nc"}
        body = {"metrics": points, "params": params, "tags": {"mlflow.note.content": "# note"}}
        client.post(f"/runs/{made['id']}/log", body)
        dataset = {"name": "d", "digest": "1", "source": "data:d@1", "context": "training"}
        client.post(f"/runs/{made['id']}/inputs", {"datasets": [dataset]})
        client.upload(f"/runs/{made['id']}/artifacts/deep/file%20one.bin", bytes(range(256)) * 5000)
        client.patch(f"/runs/{made['id']}", {"status": "FAILED", "ended_us": T + 99_999})
        return made["id"]


def test_json_comes_back_exactly(client: Client, run_id: str, tmp_path: Path, url: str) -> None:
    report = export_runs([run_id], tmp_path / "out", to="json", client=client)
    assert (report.runs, report.points, report.files, report.problems) == (1, 7, 1, [])
    before, points = client.get(f"/runs/{run_id}/record"), history(client, run_id, "deep/loss")
    again = import_json(tmp_path / "out", client=client)
    assert again.runs["refused"] == 1  # a run that was made here is not overwritten
    assert client.get(f"/runs/{run_id}/record") == before
    assert history(client, run_id, "deep/loss") == points
    text = (tmp_path / "out" / f"{run_id}.json").read_text()
    copy = run_id[::-1]
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / f"{copy}.json").write_text(text.replace(run_id, copy))
    (tmp_path / "out" / run_id).rename(tmp_path / "copy" / copy)
    assert import_json(tmp_path / "copy", prefix="copy/", client=client).runs["created"] == 1
    assert import_json(tmp_path / "copy", prefix="copy/", client=client).runs["unchanged"] == 1
    second = client.get(f"/runs/{copy}/record")
    for field in ("id", "experiment_id", "artifact_uri"):
        before.pop(field), second.pop(field)
    assert second == before
    assert history(client, copy, "deep/loss") == points
    content = b"".join(client.download(f"/runs/{copy}/artifacts/deep/file%20one.bin"))
    assert content == bytes(range(256)) * 5000


def test_mlflow_reads_its_folder(
    client: Client,
    run_id: str,
    mlruns: Store,
    imported: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert imported.models == 1
    report = export_runs([run_id, mlruns.parent, mlruns.child], tmp_path, to="mlflow", client=client)
    assert (report.runs, report.problems) == (3, [])
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    mlflow = MlflowClient(tracking_uri=str(tmp_path), registry_uri=str(tmp_path))
    run = mlflow.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("a/b: first", "FAILED")
    assert (run.info.start_time, run.info.end_time) == (T // 1000, (T + 99_999) // 1000)
    assert run.data.params["long"] == "é" * 5000
    told = [
        (one.step, one.timestamp, str(one.value)) for one in mlflow.get_metric_history(run_id, "deep/loss")
    ]
    kept = [(step, at // 1000, value) for step, at, value in history(client, run_id, "deep/loss")]
    assert sorted(told) == sorted(kept)
    theirs, ours = MlflowClient(str(mlruns.folder)).get_run(mlruns.parent), mlflow.get_run(mlruns.parent)
    assert ours.data.params == theirs.data.params
    assert ours.data.tags == theirs.data.tags
    assert ours.inputs.to_dictionary() == theirs.inputs.to_dictionary()
    assert ours.outputs.to_dictionary() == theirs.outputs.to_dictionary()
    model = mlflow.get_logged_model(mlruns.model)
    assert (model.name, model.params, str(model.status)) == ("tree", {"p": "2"}, "READY")
    assert [(one.key, one.value, one.dataset_name) for one in model.metrics] == [("auc", 0.9, "set")]
    assert {one.path for one in mlflow.list_artifacts(mlruns.parent)} == {"notes", "model"}
    files = Path(mlflow.download_artifacts(run_id, "deep/file one.bin"))
    assert files.stat().st_size == 256 * 5000
    again = import_mlflow(
        tmp_path, client=client
    )  # and back: what was imported is the same, what was not stays
    assert (again.runs["updated"], again.runs["refused"], again.runs["failed"]) == (2, 1, 0)
    assert [one.what for one in again.problems] == ["it was made here, and stays as it is"]
    assert len(history(client, mlruns.parent, "val/odd")) == 5


def test_event_files_come_back(client: Client, run_id: str, tmp_path: Path) -> None:
    report = export_runs([run_id], tmp_path, to="tensorboard", client=client)
    assert (report.written, report.points) == ([str(tmp_path / "a" / "b_ first")], 7)
    export_runs([run_id], tmp_path, to="tensorboard", client=client)
    assert len(list((tmp_path / "a" / "b_ first").iterdir())) == 1
    back = import_tensorboard(tmp_path, experiment="back", client=client)
    assert (back.problems, back.points) == ([], 7)
    (copy,) = client.get("/runs", experiment_id=back.experiments[0]["ours"])["items"]
    assert history(client, copy["id"], "deep/loss") == history(client, run_id, "deep/loss")
    assert copy["params"] == client.get(f"/runs/{run_id}")["params"]
    assert (copy["status"], copy["started_us"], copy["ended_us"]) == ("FAILED", T + 1, T + 99_999)
    note = b"".join(client.download(f"/runs/{copy['id']}/artifacts/tensorboard/text/note/00000000.md"))
    assert note == b"# note"


def test_the_commands(
    url: str, run_id: str, mlruns: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_URL", url)
    run = CliRunner().invoke
    shown = run(app, ["runs", "export", run_id[:8], "--to", "tensorboard", str(tmp_path / "tb")])
    assert (shown.exit_code, "1 runs written" in shown.output) == (0, True)
    shown = run(app, ["runs", "export", "-e", "out", "--to", "json", str(tmp_path / "json"), "--json"])
    assert (shown.exit_code, '"runs": 1' in shown.output) == (0, True)
    shown = run(app, ["import", "json", str(tmp_path / "json"), "--dry-run"])
    assert (shown.exit_code, "dry run" in shown.output) == (0, True)
    shown = run(app, ["import", "mlflow", str(mlruns.folder), "-e", "flights"])
    assert (shown.exit_code, "flights" in shown.output) == (0, True)
    shown = run(app, ["import", "tensorboard", str(tmp_path / "tb"), "--json"])
    assert (shown.exit_code, '"points": 7' in shown.output) == (0, True)
    with pytest.raises(Invalid, match="Did you mean 'json'"):
        run(app, ["runs", "export", run_id, "--to", "jsn", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(NotFound):
        run(app, ["runs", "export", "0" * 32, "--to", "json", str(tmp_path / "no")], catch_exceptions=False)
    bad = tmp_path / "bad"
    (bad / "1" / "x").mkdir(parents=True)
    (bad / "1" / "meta.yaml").write_text("name: bad-cli\n")
    (bad / "1" / "x" / "meta.yaml").write_text("[")
    shown = run(app, ["import", "mlflow", str(bad), "--json"])
    assert (shown.exit_code, "meta.yaml" in shown.output) == (1, True)
