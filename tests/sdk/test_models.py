"""``trimtab.models`` against a real server: what it logs is loaded by itself, by the mlflow package and by replicas."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import trimtab
from tests.processes import serving
from trimtab.kernel.errors import Invalid, NotFound, Unavailable
from trimtab.sdk.client import Client
from trimtab.serving.frames import PREDICTIONS
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders import load as load_as_replica
from trimtab.serving.loaders.mlmodel import ModelFolder

mlflow = pytest.importorskip("mlflow")
FRAME = pd.DataFrame({"a": np.linspace(-1, 1, 60), "b": np.arange(60) % 7})
LABELS = (FRAME["a"] > 0).astype(int)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("models") / "home") as address:
        yield address


@pytest.fixture
def client(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("TRIMTAB_URL", url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(url)
    mlflow.set_registry_uri(url)
    mlflow.set_experiment("Default")  # tests before this one chose theirs on another server
    with trimtab.connect() as connection:
        yield connection


def _served(version: Any, tmp_path: Path, frame: pd.DataFrame) -> list[Any]:
    """Return what a replica would answer, without pickles."""
    folder = ModelFolder(trimtab.models.download(version.uri, tmp_path / "served"))
    model = load_as_replica(folder, allow_pickle=False)
    columns = {name: frame[name].tolist() for name in frame}
    rows = (
        Rows(len(frame), matrix=frame.to_numpy(float)) if model.packed else Rows(len(frame), columns=columns)
    )
    return model.predict(rows, PREDICTIONS)[0].data


def test_a_pipeline_is_logged_registered_and_loaded_everywhere(client: Client, tmp_path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), HistGradientBoostingClassifier(max_iter=3)).fit(FRAME, LABELS)
    chances = model.predict_proba(FRAME)[:, 1]
    with mlflow.start_run() as run:
        mlflow.log_metric("auc", 0.9)
        logged = trimtab.models.log(
            model, run=run, register="late flights", input_example=FRAME, predict="predict_proba_1",
            metadata={"team": "ops"}, description="first", tags={"k": "v"},
        )  # fmt: skip
    version = logged.version
    assert version is not None
    assert (version.format, version.safe, version.run_id) == ("skops", True, run.info.run_id)
    assert (version.metrics, version.description, version.tags) == ({"auc": 0.9}, "first", {"k": "v"})
    assert version.signature["inputs"] == [
        {"type": "double", "name": "a", "required": True},
        {"type": "long", "name": "b", "required": True},
    ]
    assert version.signature["outputs"] == [
        {"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}
    ]
    assert np.allclose(trimtab.models.load(version.uri).predict_proba(FRAME)[:, 1], chances)
    assert np.allclose(trimtab.models.load(logged.uri).predict_proba(FRAME)[:, 1], chances)
    assert np.allclose(_served(version, tmp_path, FRAME), chances)
    assert np.allclose(mlflow.sklearn.load_model(version.uri).predict_proba(FRAME)[:, 1], chances)
    through_mlflow = mlflow.pyfunc.load_model(version.uri)
    assert np.allclose(through_mlflow.predict(FRAME)[:, 1], chances)
    assert through_mlflow.metadata.metadata == {"team": "ops", "trimtab": {"predict": "predict_proba_1"}}
    assert through_mlflow.metadata.get_input_schema().input_names() == ["a", "b"]
    outputs = mlflow.get_run(run.info.run_id).outputs.model_outputs
    assert [output.model_id for output in outputs] == [logged.id]
    found = mlflow.get_logged_model(logged.id)
    assert (found.status.value, found.source_run_id) == ("READY", run.info.run_id)
    edges = client.get("/lineage", ref=version.ref, direction="up", depth=1)["edges"]
    assert {edge["from"] for edge in edges} == {f"run:{run.info.run_id}", f"logged-model:{logged.id}"}


def test_native_formats(client: Client, tmp_path: Path) -> None:
    import lightgbm
    import xgboost

    classifier = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(FRAME, LABELS)
    trees = lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=2, n_jobs=1, verbose=-1).fit(
        FRAME, LABELS
    )
    for number, (model, predict, kind, answer, flavor) in enumerate(
        [
            (classifier, "predict", "xgboost", classifier.predict(FRAME), mlflow.xgboost),
            (classifier, "predict_proba_1", "xgboost", classifier.predict_proba(FRAME)[:, 1], mlflow.xgboost),
            (
                classifier.get_booster(),
                "predict",
                "xgboost",
                classifier.predict_proba(FRAME)[:, 1],
                mlflow.xgboost,
            ),
            (trees, "predict", "skops", trees.predict(FRAME), mlflow.lightgbm),
            (trees.booster_, "predict", "lightgbm", trees.predict_proba(FRAME)[:, 1], mlflow.lightgbm),
        ]
    ):
        logged = trimtab.models.log(model, register="native", input_example=FRAME, predict=predict)
        version = logged.version
        assert (version.version, version.format, version.safe) == (number + 1, kind, True)
        assert np.allclose(_served(version, tmp_path / str(number), FRAME), answer, atol=1e-6)
        again = trimtab.models.load(version.uri)
        assert type(again) is type(model)
        assert type(flavor.load_model(version.uri)) is type(model)
        assert len(mlflow.pyfunc.load_model(version.uri).predict(FRAME)) == len(FRAME)
    assert [one.version for one in trimtab.models.versions("native")] == [5, 4, 3, 2, 1]


def test_an_onnx_graph_is_kept_as_it_is(client: Client, tmp_path: Path) -> None:
    logged = trimtab.models.log(
        b"\x08\x07 a graph", register="graph", signature=np.zeros((1, 3), dtype="float32")
    )
    assert (logged.version.format, logged.version.safe, logged.version.flavor) == ("onnx", True, "onnx")
    folder = trimtab.models.download("graph", tmp_path / "graph")
    assert (folder / "model.onnx").read_bytes() == b"\x08\x07 a graph"


class Doubler:
    """A model of ours, whose class no reader of files may trust."""

    def predict(self, rows: Any) -> Any:
        return np.asarray(rows)[:, 0] * 2


def test_a_pickle_needs_leave_on_both_sides(client: Client, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="allow_pickle=True") as refused:
        trimtab.models.log(Doubler(), register="doubler")
    assert refused.value.field == "model"
    with pytest.raises(NotFound):
        trimtab.models.get("doubler")
    version = trimtab.models.log(Doubler(), register="doubler", allow_pickle=True).version
    assert (version.format, version.safe) == ("cloudpickle", False)
    assert any("pickle" in reason for reason in version.unsafe_because)
    with pytest.raises(Invalid, match="runs code"):
        trimtab.models.load(version.uri)
    assert trimtab.models.load(version.uri, allow_pickle=True).predict([[2]]).tolist() == [4]


def test_bad_models_are_refused_before_the_server_hears_of_them(client: Client) -> None:
    from sklearn.linear_model import LinearRegression, LogisticRegression

    fitted = LogisticRegression().fit(FRAME, FRAME["b"])
    before = client.get("/audit")["items"][:1]
    for model, options, said in (
        (object(), {}, "cannot be logged"),
        (LinearRegression().fit(FRAME, LABELS), {"predict": "predict_proba_1"}, "no predict_proba"),
        (fitted, {"predict": "predict_proba_1"}, "two classes"),
        (fitted, {"predict": "guess"}, "must be one of"),
        (fitted, {"input_example": FRAME[["a"]]}, "cannot answer its own"),
        (fitted, {"signature": 3}, "cannot be read"),
        (fitted, {"run": 3}, "is no run"),
        (fitted, {"metadata": {"x": object()}}, "metadata"),
    ):
        with pytest.raises(Invalid, match=said):
            trimtab.models.log(model, register="bad", **options)
    assert client.get("/audit")["items"][:1] == before
    with pytest.raises(NotFound):
        trimtab.models.log(fitted, run="0" * 32)


def test_aliases_move_with_reasons(client: Client) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(FRAME, LABELS)
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    first, second = (
        trimtab.models.log(model, register="aliased", signature=(table, LABELS)).version for _ in range(2)
    )
    trimtab.models.set_alias("aliased", "champion", first, reason="the only one")
    moved = trimtab.models.set_alias("aliased", "champion", 2, reason="better", evidence={"auc": 0.9})
    assert (moved.version, moved.aliases, second.digest) == (2, ("champion",), moved.digest)
    assert [(move.previous, move.version, move.reason) for move in trimtab.models.history("aliased")] == [
        (1, 2, "better"),
        (None, 1, "the only one"),
    ]
    for uri in (
        "models:/aliased@champion",
        "aliased@champion",
        "aliased/2",
        "aliased",
        "models:/aliased/latest",
    ):
        assert trimtab.models.get(uri).version == 2
    copied = trimtab.models.register("models:/aliased/1", "copied")
    assert (copied.name, copied.version, copied.digest) == ("copied", 1, first.digest)
    names = {one.name: one for one in trimtab.models.list(filter="name LIKE '%lia%'")}
    assert names["aliased"].aliases == {"champion": 2}
    with pytest.raises(NotFound, match="Did you mean 'aliased'"):
        trimtab.models.get("alaised/1")
    with pytest.raises(NotFound, match="Did you mean 'champion'"):
        trimtab.models.get("aliased@chmpion")
    for uri in ("models:/", "@x", "models:/@champion"):
        with pytest.raises(Invalid):
            trimtab.models.get(uri)
    with pytest.raises(Invalid, match="cannot come from"):
        trimtab.models.register("file:///etc/passwd", "evil")


def test_the_cache_is_checked_each_time(client: Client, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    version = trimtab.models.log(LogisticRegression().fit(FRAME, LABELS), register="kept").version
    trimtab.models.load("kept")
    folder = tmp_path / "cache" / "trimtab" / "models" / version.digest.partition(":")[2]
    (folder / "model.skops").write_bytes(b"changed")
    assert hasattr(trimtab.models.load("kept"), "predict")
    (folder / "extra.py").write_text("x")
    trimtab.models.load("kept")
    assert not (folder / "extra.py").exists()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").touch()
    with pytest.raises(Invalid, match="not empty"):
        trimtab.models.download("kept", taken)
    assert [path.name for path in taken.iterdir()] == ["mine"]


def test_without_a_server_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="No server answers"):
        trimtab.models.get("m")


def test_a_logged_model_answers_at_an_endpoint(client: Client) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(FRAME, LABELS)
    trimtab.models.log(model, register="served", input_example=FRAME, predict="predict_proba_1")
    trimtab.models.set_alias("served", "champion", 1)
    trimtab.endpoints.deploy("late", "models:/served@champion")
    rows = FRAME.head(3).to_dict("records")
    predictions, _ = trimtab.endpoints.predict("late", rows)
    assert np.allclose(predictions, model.predict_proba(FRAME.head(3))[:, 1])
    refs = {node["ref"] for node in client.get("/lineage", ref="endpoint:late", direction="up")["nodes"]}
    assert "model:served/1" in refs


def test_importing_stays_light() -> None:
    import subprocess
    import sys

    code = "import sys, trimtab.sdk.models; print([m for m in ('numpy', 'pandas', 'pyarrow', 'sklearn', 'mlflow', 'yaml') if m in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert printed.stdout.strip() == "[]"


def test_metrics_with_intervals_are_recorded_and_compared(client: Client) -> None:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(FRAME, LABELS)
    made = trimtab.models.log(model, register="measured", input_example=FRAME[:2]).version
    assert made is not None
    assert (made.verdict, made.strangers) == ("safe", ())
    kept = trimtab.models.record_metrics(
        made.uri, {"auc": (0.9, 0.8, 0.95), "cost": 3}, rows=60, method="delong", data="data:d@1"
    )
    assert [(one.key, one.estimate, one.low, one.rows) for one in kept] == [
        ("auc", 0.9, 0.8, 60),
        ("cost", 3.0, None, 60),
    ]
    trimtab.models.register(made.uri, "measured")
    found = trimtab.models.compare("measured", [1, 2])
    assert {row["key"] for row in found["metrics"]} == {"auc", "cost"}
    assert found["metrics"][0]["values"][1] is None
    chances = model.predict_proba(FRAME)[:, 1]
    assert trimtab.models.evaluate(made.uri, LABELS, chances).startswith("job_")
    with pytest.raises(Invalid):
        trimtab.models.record_metrics(made.uri, {"auc": (0.9, 0.95, 0.99)})
