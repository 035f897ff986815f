"""Versions: what is captured, where they may come from, and what stays true of their numbers."""

import threading

import pytest

from tests.background import work_off
from tests.domains.registry.conftest import SAFE, Tracked
from trimtab.app import App
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.errors import (
    AliasNotFound,
    BadModelUri,
    BadSource,
    ModelNotFound,
    ModelVersionNotFound,
)
from trimtab.kernel import refs
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal


def test_a_version_captures_its_facts(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, viewer: Principal
) -> None:
    run = tracked.run(auc=0.75, loss=float("nan"))
    with app.db.write() as tx:
        app.lineage.link(tx, refs.data("flights", 2), refs.run(run), "input")
    model = tracked.model(SAFE, run)
    registry.create_model(editor, "delay")
    made = registry.create_version(
        editor, "delay", source=f"models:/{model}", description="first", tags={"team": "ops"}
    )
    assert registry.get_version(viewer, "delay", 1) == made
    assert (made.version, made.run_id, made.model_id, made.status, made.stage) == (
        1,
        run,
        model,
        "READY",
        "None",
    )
    assert (made.format, made.safe, made.flavor, made.flavors) == (
        "skops",
        True,
        "sklearn",
        ["python_function", "sklearn"],
    )
    assert made.signature == {
        "inputs": [{"type": "double", "name": "a", "required": True}],
        "outputs": [{"type": "long", "required": True}],
        "params": None,
    }
    assert made.metrics == {"auc": 0.75, "loss": None}
    assert made.data == ["data:flights@2"]
    assert made.size_bytes == sum(map(len, SAFE.values()))
    assert (made.files, made.tags, made.created_by) == (3, {"team": "ops"}, editor.id)
    assert made.location == f"mlflow-artifacts:/0/models/{model}/artifacts"
    assert made.digest.startswith("sha256:")
    graph = app.lineage.graph(viewer, "model:delay/1", direction="up", depth=1)
    assert {(edge.source, edge.kind) for edge in graph.edges} == {
        (f"run:{run}", "trained"),
        (f"logged-model:{model}", "registered"),
        ("data:flights@2", "input"),
    }
    kinds = [event.kind for event in app.bus.after(0)]
    assert [kind for kind in kinds if kind.startswith("registry.")] == [
        "registry.model_created",
        "registry.model_version_created",
    ]
    actions = [
        record.action
        for record in app.govern.audit_trail(viewer).items
        if record.action.startswith("registry.")
    ]
    assert '"delay"' in app.tracking.logged_models.get(viewer, model).tags["mlflow.modelVersions"]
    assert actions == ["registry.version.create", "registry.model.create"]


def test_the_digest_names_the_content(registry: RegistryService, tracked: Tracked, editor: Principal) -> None:
    one, same, other = (
        registry.create_version(editor, "m", source=f"models:/{tracked.model(files)}", create_model=True)
        for files in (SAFE, dict(reversed(SAFE.items())), {**SAFE, "extra": b""})
    )
    assert one.digest == same.digest != other.digest
    assert [one.version, same.version, other.version] == [1, 2, 3]


def test_later_changes_of_the_artifacts_do_not_reach_a_version(
    registry: RegistryService, tracked: Tracked, editor: Principal, tmp_path
) -> None:
    run = tracked.run()
    tracked.put(f"0/{run}/artifacts/model", SAFE)
    made = registry.create_version(editor, "m", source=f"runs:/{run}/model", create_model=True)
    tracked.put(f"0/{run}/artifacts/model", {"model.skops": b"changed"})
    folder = registry.materialize(editor, "m", 1, tmp_path / "m")
    assert (folder / "model.skops").read_bytes() == SAFE["model.skops"]
    assert registry.get_version(editor, "m", 1).digest == made.digest


def test_sources_of_every_kind(registry: RegistryService, tracked: Tracked, editor: Principal) -> None:
    run = tracked.run(auc=0.5)
    tracked.put(f"0/{run}/artifacts/a/model", SAFE)
    logged = tracked.model(SAFE, run, name="better")
    registry.create_model(editor, "m")
    for source in (
        f"runs:/{run}/a/model",
        f"mlflow-artifacts:/0/{run}/artifacts/a/model",
        f"mlflow-artifacts:/0/models/{logged}/artifacts",
        f"models:/{logged}",
        f"runs:/{run}/better",
        "models:/m/1",
        "models:/m@latest",
    ):
        made = registry.create_version(editor, "m", source=source)
        assert (made.run_id, made.files, made.format) == (run, 3, "skops"), source
    copied = registry.get_version(editor, "m", 7)
    assert copied.source == "models:/m/6"


def test_a_source_without_files_is_kept_but_not_safe(
    registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    run = tracked.run()
    made = registry.create_version(editor, "m", source=f"runs:/{run}/nothing", create_model=True)
    assert (made.files, made.format, made.safe) == (0, "none", False)


def test_files_in_a_store_of_the_clients_are_noted_and_not_known(
    registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    run = tracked.run(auc=0.5)
    made = registry.create_version(editor, "m", source="s3://bucket/model", run_id=run, create_model=True)
    assert (made.format, made.safe, made.verdict, made.files) == ("external", False, "unknown", 0)
    assert (made.location, made.run_id, made.metrics) == ("s3://bucket/model", run, {"auc": 0.5})
    assert registry.location(editor, "m", 1) == "s3://bucket/model"


def test_clients_are_sent_to_the_versions_own_files_once_the_artifacts_have_changed(
    registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    run = tracked.run()
    tracked.put(f"0/{run}/artifacts/model", SAFE)
    made = registry.create_version(editor, "m", source=f"runs:/{run}/model", create_model=True)
    assert registry.location(editor, "m", 1) == f"runs:/{run}/model"
    tracked.put(f"0/{run}/artifacts/model", {"model.skops": b"changed"})
    digest = made.digest.removeprefix("sha256:")
    assert registry.location(editor, "m", 1) == f"mlflow-artifacts:/model-versions/{digest}"
    assert {one.path for one in registry.files_of_digest(editor, digest)} == set(SAFE)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "/etc/passwd",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "s3://bucket",
        "s3://bucket/a/../model",
        "s3://bucket/a/%2e%2e/model",
        "unknown:model",
        "http://169.254.169.254/latest",
        "../model",
        "models:/",
        "models:/m-short",
        "models://host/m-0123456789abcdef0123456789abcdef",
        "models:/m/1/2",
        "runs:/",
        "runs://profile@databricks/{run}/model",
        "runs:/{run}/../other",
        "runs:/{run}/a/%2e%2e/b",
        "runs:/{run}/a/%252e%252e/b",
        "runs:/{run}/a\\..\\b",
        "runs:/{run}/a\nb",
        "runs:/0123456789abcdef0123456789abcdef/model",
        "mlflow-artifacts://elsewhere/1/{run}/artifacts/model",
        "mlflow-artifacts:/2/{run}/artifacts/model",
        "mlflow-artifacts:/0/{run}/artifacts/../../other",
        "mlflow-artifacts:/0/{run}/model",
        "mlflow-artifacts:/",
        "models:/m-0123456789abcdef0123456789abcdef",
    ],
)
def test_other_sources_are_refused_and_change_nothing(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal, source: str
) -> None:
    run = tracked.run()
    before = app.bus.last_seq()
    with pytest.raises(BadSource) as refused:
        registry.create_version(editor, "m", source=source.replace("{run}", run), create_model=True)
    assert refused.value.field == "source"
    assert registry.search_models(editor).items == []
    assert app.bus.last_seq() == before


def test_the_source_must_belong_to_the_run_and_model(
    registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    run, other = tracked.run(), tracked.run()
    model = tracked.model(SAFE, run)
    registry.create_model(editor, "m")
    with pytest.raises(BadSource, match="does not own"):
        registry.create_version(editor, "m", source=f"runs:/{run}/model", run_id=other)
    with pytest.raises(BadSource, match="does not own"):
        registry.create_version(editor, "m", source=f"models:/{model}", model_id=f"m-{'0' * 32}")
    with pytest.raises(ModelVersionNotFound):
        registry.create_version(editor, "m", source="models:/m/1")


def test_numbers_are_never_used_again(registry: RegistryService, tracked: Tracked, editor: Principal) -> None:
    source = f"models:/{tracked.model(SAFE)}"
    for number in (1, 2):
        assert registry.create_version(editor, "m", source=source, create_model=True).version == number
    registry.delete_version(editor, "m", 2)
    assert registry.create_version(editor, "m", source=source).version == 3
    registry.delete_model(editor, "m")
    with pytest.raises(ModelNotFound):
        registry.get_model(editor, "m")
    assert registry.create_version(editor, "m", source=source, create_model=True).version == 4


def test_concurrent_registrations_get_different_numbers(
    registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    source = f"models:/{tracked.model(SAFE)}"
    numbers: list[int] = []

    def register() -> None:
        numbers.extend(
            registry.create_version(editor, "m", source=source, create_model=True).version for _ in range(4)
        )

    threads = [threading.Thread(target=register) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 17))


def test_uris_resolve(
    registry: RegistryService, tracked: Tracked, editor: Principal, viewer: Principal
) -> None:
    source = f"models:/{tracked.model(SAFE)}"
    for _ in range(3):
        registry.create_version(editor, "delay", source=source, create_model=True)
    registry.set_alias(editor, "delay", "champion", 2)
    registry.move_to_stage(editor, "delay", 1, stage="production")
    for uri, number in {
        "models:/delay/3": 3,
        "models:/delay@champion": 2,
        "models:/delay/latest": 3,
        "models:/delay@latest": 3,
        "models:/delay/Production": 1,
    }.items():
        assert registry.resolve(viewer, uri).version == number
    with pytest.raises(ModelNotFound, match="Did you mean 'delay'"):
        registry.resolve(viewer, "models:/dealy/1")
    with pytest.raises(AliasNotFound, match="Did you mean 'champion'"):
        registry.resolve(viewer, "models:/delay@chmpion")
    with pytest.raises(ModelVersionNotFound, match="It has 1, 2, 3"):
        registry.resolve(viewer, "models:/delay/9")
    with pytest.raises(ModelVersionNotFound):
        registry.resolve(viewer, "models:/delay/99999999999999999999999")
    for bad in (
        "delay",
        "models:/delay",
        "models:/delay/",
        "models:/@x",
        "models:/a/b/c",
        "models:/m-1",
        "runs:/a/b",
    ):
        with pytest.raises(BadModelUri):
            registry.resolve(viewer, bad)


def test_stages_archive_what_was_there(
    registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    source = f"models:/{tracked.model(SAFE)}"
    for _ in range(3):
        registry.create_version(editor, "m", source=source, create_model=True)
    registry.move_to_stage(editor, "m", 1, stage="Production")
    moved = registry.move_to_stage(editor, "m", 2, stage="PRODUCTION", archive_others=True)
    assert moved.stage == "Production"
    latest = registry.latest_versions(editor, ["m", "unknown"])
    assert {one.stage: one.version for one in latest["m"]} == {"Archived": 1, "Production": 2, "None": 3}
    assert latest["unknown"] == []
    assert [one.version for one in registry.latest_versions(editor, ["m"], stages=["production"])["m"]] == [2]
    with pytest.raises(Invalid, match="Did you mean 'Staging'"):
        registry.move_to_stage(editor, "m", 1, stage="Stagin")
    with pytest.raises(Invalid, match="not an Active stage"):
        registry.move_to_stage(editor, "m", 1, stage="Archived", archive_others=True)


def test_a_finished_run_completes_its_versions(
    app: App, registry: RegistryService, tracked: Tracked, editor: Principal
) -> None:
    run = tracked.run()
    registry.create_version(editor, "m", source=f"models:/{tracked.model(SAFE, run)}", create_model=True)
    tracked.measure(run, auc=0.9)
    with app.db.write() as tx:
        app.lineage.link(tx, "data:flights@3", refs.run(run), "input")
    tracked.finish(run)
    work_off(app)
    registry.refresh_run(editor, run)
    version = registry.get_version(editor, "m", 1)
    assert (version.metrics, version.data) == ({"auc": 0.9}, ["data:flights@3"])


def test_a_prompt_has_text_and_no_files(registry: RegistryService, editor: Principal) -> None:
    tags = {"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Say {{x}}"}
    registry.create_model(editor, "greeting", tags=tags)
    made = registry.create_version(editor, "greeting", source="dummy-source", tags=tags)
    assert (made.format, made.location, made.tags) == ("prompt", None, tags)
    with pytest.raises(BadSource):
        registry.create_version(editor, "greeting", source="/etc/passwd", tags=tags)
    assert registry.search_models(editor).items == []
    assert registry.search_versions(editor).items == []
    asked = registry.search_models(editor, filter="tags.`mlflow.prompt.is_prompt` = 'true'").items
    assert [model.name for model in asked] == ["greeting"]


def test_a_viewer_changes_nothing(
    registry: RegistryService, tracked: Tracked, editor: Principal, viewer: Principal
) -> None:
    source = f"models:/{tracked.model(SAFE)}"
    registry.create_version(editor, "m", source=source, create_model=True)
    for call in (
        lambda: registry.create_version(viewer, "m", source=source),
        lambda: registry.describe_version(viewer, "m", 1, description="x"),
        lambda: registry.set_version_tag(viewer, "m", 1, key="k", value="v"),
        lambda: registry.delete_version_tag(viewer, "m", 1, key="k"),
        lambda: registry.move_to_stage(viewer, "m", 1, stage="Staging"),
        lambda: registry.delete_version(viewer, "m", 1),
        lambda: registry.set_alias(viewer, "m", "a", 1),
        lambda: registry.delete_alias(viewer, "m", "a"),
        lambda: registry.record_gate(viewer, "m", 1, champion=None, verdict="passed", checks=[]),
        lambda: registry.create_model(viewer, "n"),
        lambda: registry.describe_model(viewer, "m", description="x"),
        lambda: registry.rename_model(viewer, "m", new_name="n"),
        lambda: registry.delete_model(viewer, "m"),
        lambda: registry.set_model_tag(viewer, "m", key="k", value="v"),
        lambda: registry.delete_model_tag(viewer, "m", key="k"),
    ):
        with pytest.raises(NotPermitted):
            call()
    assert registry.get_model(viewer, "m").latest_version == 1
