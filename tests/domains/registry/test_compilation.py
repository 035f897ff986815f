"""Versions are compiled in a process of their own after registration; verdict and model are kept beside the version."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.background import work_off
from tests.domains.registry.conftest import SAFE, Tracked
from trimtab.app import App, build
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.compilation import service as compilation
from trimtab.domains.registry.errors import ModelCorrupt, ModelVersionNotFound
from trimtab.domains.registry.runtimes import store as runtimes
from trimtab.domains.registry.runtimes.model import Runtime
from trimtab.infra.jobs import Interrupted
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal
from trimtab.loop.model import Collection
from trimtab.serving.compiling.process import Limits
from trimtab.serving.compiling.verdict import Verdict
from trimtab.serving.loaders import Rows
from trimtab.serving.loaders.compiled import load_compiled
from trimtab.settings import Settings

pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")
ADMIN = Principal("owner", "owner", "admin")


@pytest.fixture(scope="session")
def booster(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of an XGBoost model, which loads and compiles quickest."""
    xgboost = pytest.importorskip("xgboost")
    rng = np.random.default_rng(1)
    table = rng.normal(size=(300, 2))
    data = xgboost.DMatrix(table, label=table[:, 0] > 0, feature_names=["a", "b"])
    model = xgboost.train({"objective": "binary:logistic", "max_depth": 2, "nthread": 1}, data, 5)
    file = tmp_path_factory.mktemp("booster") / "model.ubj"
    model.save_model(file)
    columns = [{"name": name, "type": "double", "required": True} for name in "ab"]
    mlmodel = {
        "flavors": {"xgboost": {"data": "model.ubj", "model_class": "xgboost.sklearn.XGBClassifier"}},
        "signature": {"inputs": msgspec.json.encode(columns).decode()},
    }
    return {"MLmodel": msgspec.json.encode(mlmodel), "model.ubj": file.read_bytes()}


def _version(registry: RegistryService, tracked: Tracked, who: Principal, files: dict[str, bytes]) -> int:
    return registry.create_version(
        who, "m", source=f"models:/{tracked.model(files)}", create_model=True
    ).version


def _compile(app: App, name: str = "m", version: int = 1) -> Verdict:
    app.registry.recompile(ADMIN, name, version)
    work_off(app, "heavy")
    found = app.registry.compilation(ADMIN, name, version).verdict
    assert found is not None
    return found


def test_a_version_is_compiled_kept_and_laid_out(
    app: App,
    registry: RegistryService,
    tracked: Tracked,
    editor: Principal,
    viewer: Principal,
    booster: dict[str, bytes],
    tmp_path: Path,
) -> None:
    _version(registry, tracked, editor, booster)
    assert registry.compilation(viewer, "m", 1).state == "none"
    assert registry.materialize_compiled(viewer, "m", 1, tmp_path / "none") is None
    verdict = _compile(app)
    assert verdict.state == "compiled", verdict.message
    assert verdict.largest is not None
    assert verdict.largest.share < 1
    assert {"random", "thresholds"} <= set(verdict.rows)
    assert [one.rows for one in verdict.timings] == [1, 1000]
    folder = registry.materialize_compiled(viewer, "m", 1, tmp_path / "compiled")
    assert folder == tmp_path / "compiled"
    model = load_compiled(folder)
    (first, _) = model.predict(Rows(1, columns={"a": [2.0], "b": [0.0]}), 3)
    assert first.data == [1]
    assert [event.kind for event in app.bus.after(0) if "compiled" in event.kind] == [
        "registry.model_compiled"
    ]
    actions = [entry.action for entry in app.govern.audit_trail(viewer).items]
    assert {"registry.version.compile", "registry.version.recompile"} <= set(actions)

    # Damaged copies are replaced, damaged blobs are told.
    (folder / "model.onnx").write_bytes(b"other")
    assert registry.materialize_compiled(viewer, "m", 1, folder) == folder
    load_compiled(folder)
    with app.db.read() as tx:
        kept = compilation.store.get(tx, name="m", version=1)
    assert kept is not None
    assert kept.blob is not None
    (folder / "model.onnx").unlink()
    app.blobs.delete(kept.blob)
    with pytest.raises(ModelCorrupt):
        registry.materialize_compiled(viewer, "m", 1, folder)


def test_files_that_were_compiled_before_are_not_compiled_again(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, booster: dict[str, bytes]
) -> None:
    _version(registry, tracked, editor, booster)
    assert registry.compile_new(editor, "m", 1) is not None
    assert registry.compilation(editor, "m", 1).state == "pending"
    assert registry.compile_new(editor, "m", 1) is None  # the same event once more
    work_off(app, "heavy")
    _version(registry, tracked, editor, booster)
    assert registry.compile_new(editor, "m", 2) is None
    first, second = (registry.compilation(editor, "m", version) for version in (1, 2))
    assert second.state == "compiled"
    assert second.verdict == first.verdict


def test_what_is_compiled_goes_with_its_version(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, booster: dict[str, bytes]
) -> None:
    _version(registry, tracked, editor, booster)
    _compile(app)
    with app.db.read() as tx:
        kept = compilation.store.get(tx, name="m", version=1)
    assert kept is not None
    registry.rename_model(editor, "m", new_name="n")
    assert registry.compilation(editor, "n", 1).state == "compiled"
    assert kept.blob in set(registry.blobs_in_use(ADMIN))
    registry.delete_version(editor, "n", 1)
    with pytest.raises(ModelVersionNotFound):
        registry.compilation(editor, "n", 1)
    assert kept.blob in set(registry.blobs_in_use(ADMIN))
    registry.trash.restore(editor, "model:n/1")
    assert registry.compilation(editor, "n", 1).state == "compiled"
    registry.delete_model(editor, "n")
    assert kept.blob in set(registry.trash.blobs_of(ADMIN, "model:n"))
    registry.trash.purge(ADMIN, "model:n")
    assert kept.blob not in set(registry.blobs_in_use(ADMIN))
    assert isinstance(app.collector.start(ADMIN, dry_run=True, older_than_us=0), Collection)


def test_what_cannot_be_compiled_is_said_and_not_tried(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = {
        "MLmodel": SAFE["MLmodel"].replace(b"skops", b"pkl"),
        "model.pkl": b"cos\nsystem\n(S'touch /tmp/compiled-evil'\ntR.",
    }
    torch = {"MLmodel": b"flavors: {pytorch: {model_data: data}}", "data": b"x"}
    onnx = {"MLmodel": b"flavors: {onnx: {data: model.onnx}}", "model.onnx": b"x"}
    for files in (evil, torch, onnx, SAFE):
        _version(registry, tracked, editor, files)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    with monkeypatch.context() as patch:
        patch.setattr(compilation.process, "run", refuse)
        assert "suspicious" in _compile(app, version=1).message
        assert "pytorch" in _compile(app, version=2).message
        assert "ONNX already" in _compile(app, version=3).message
        patch.setattr(compilation, "find_spec", lambda _: None)
        assert "trimtab[compile]" in _compile(app, version=4).message
    broken = _compile(app, version=4)  # an OrderedDict in place of an estimator
    assert broken.state == "unsupported"
    assert registry.compilation(editor, "m", 4).size_bytes == 0
    assert not Path("/tmp/compiled-evil").exists()


def test_what_takes_too_long_is_ended_and_the_old_model_stays(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, booster: dict[str, bytes]
) -> None:
    _version(registry, tracked, editor, booster)
    _compile(app)
    verdict = registry.carry_out_compilation(editor, "m", 1, limits=Limits(wall_s=0.05))
    assert verdict.state == "failed"
    assert "longer than 0.05 seconds" in verdict.message

    def leave() -> None:
        raise Interrupted

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trimtab.serving.compiling.process._TELL_S", 0.0)
        with pytest.raises(Interrupted):
            registry.carry_out_compilation(editor, "m", 1, tick=leave)


def test_a_model_with_packages_of_its_own_is_left_to_them(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, booster: dict[str, bytes]
) -> None:
    _version(registry, tracked, editor, booster)
    assert registry.environment_settled(editor, "m", 1) is None  # it was never compiled
    assert _compile(app).state == "compiled"
    digest = registry.get_version(editor, "m", 1).digest
    with app.db.write() as tx:
        runtimes.put(tx, Runtime(digest, "ready", key="k"))
    assert registry.environment_settled(editor, "m", 1) is not None
    work_off(app, "heavy")
    found = registry.compilation(editor, "m", 1)
    assert (found.state, found.size_bytes) == ("unsupported", 0)
    assert found.verdict is not None
    assert "in its own environment" in found.verdict.message


def test_a_fault_of_ours_ends_in_a_verdict_too(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, booster: dict[str, bytes]
) -> None:
    _version(registry, tracked, editor, booster)
    for file in registry.files(editor, "m", 1):
        app.blobs.delete(file.blob)
    verdict = _compile(app)
    assert (verdict.state, "are gone" in verdict.message) == ("failed", True)


def test_what_its_process_wrote_is_looked_through(
    app: App,
    registry: RegistryService,
    tracked: Tracked,
    editor: Principal,
    booster: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _version(registry, tracked, editor, booster)

    def taken_over(_: Path, out: Path, **__: object) -> Verdict:
        out.mkdir()
        (out / "model.onnx").write_bytes(b"\xff\xff\xff\xff")
        return Verdict("compiled", "Trust me.")

    monkeypatch.setattr(compilation.process, "run", taken_over)
    verdict = registry.carry_out_compilation(editor, "m", 1)
    assert (verdict.state, "no ONNX model" in verdict.message) == ("failed", True)
    assert registry.compilation(editor, "m", 1).size_bytes == 0


def test_only_who_may_change_models_has_them_compiled(
    registry: RegistryService, tracked: Tracked, editor: Principal, viewer: Principal
) -> None:
    _version(registry, tracked, editor, SAFE)
    with pytest.raises(NotPermitted):
        registry.give_up_compilation(viewer, "m", 1, why="because")
    acts = (registry.recompile, registry.compile_new, registry.environment_settled)
    for act in (*acts, registry.carry_out_compilation):
        with pytest.raises(NotPermitted):
            act(viewer, "m", 1)
    with pytest.raises(ModelVersionNotFound):
        registry.recompile(editor, "m", 9)


def test_over_http(http: TestClient, registry: RegistryService, tracked: Tracked, editor: Principal) -> None:
    _version(registry, tracked, editor, SAFE)
    path = "/api/v1/models/m/versions/1/compilation"
    assert http.get(path).json()["state"] == "none"
    started = http.post(path)
    assert (started.status_code, started.json()["job"][:4]) == (202, "job_")
    assert http.get(path).json() == {
        "state": "pending",
        "at_us": registry.compilation(editor, "m", 1).at_us,
        "size_bytes": 0,
        "verdict": None,
    }
    assert http.post("/api/v1/models/m/versions/2/compilation").status_code == 404


def test_new_versions_are_compiled_unless_told_not_to(
    sqlite_url: str, tmp_path: Path, editor: Principal
) -> None:
    app = build(Settings(home=str(tmp_path / "home"), database=sqlite_url))
    try:
        _version(app.registry, Tracked(app), editor, {**SAFE, "MLmodel": b"flavors: {pytorch: {}}"})
        work_off(app)
        work_off(app, "heavy")
        assert app.registry.compilation(editor, "m", 1).state == "unsupported"
    finally:
        app.close()
    with pytest.raises(Invalid, match="always or never"):
        build(Settings(home=str(tmp_path / "other"), database=sqlite_url, compile_models="sometimes"))
