"""The files of a version: read, laid out, and checked byte by byte."""

from pathlib import Path

import pytest

from tests.domains.registry.conftest import SAFE, Tracked
from trimtab.app import App
from trimtab.domains.registry import RegistryService
from trimtab.domains.registry.errors import ModelCorrupt, ModelFileNotFound
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Conflict, Forbidden
from trimtab.kernel.who import Principal

NESTED = {**SAFE, "data/deep/weights.bin": bytes(range(256)) * 5000}


@pytest.fixture
def one(registry: RegistryService, tracked: Tracked, editor: Principal) -> RegistryService:
    registry.create_version(editor, "m", source=f"models:/{tracked.model(NESTED)}", create_model=True)
    return registry


def _content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_version_becomes_a_folder(one: RegistryService, viewer: Principal, tmp_path: Path) -> None:
    folder = one.materialize(viewer, "m", 1, tmp_path / "deep" / "m")
    assert _content(folder) == NESTED
    assert one.materialize(viewer, "m", 1, folder) == folder
    empty = tmp_path / "empty"
    empty.mkdir()
    assert _content(one.materialize(viewer, "m", 1, empty)) == NESTED
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"m"}


def test_a_folder_with_other_content_is_not_taken(
    one: RegistryService, viewer: Principal, tmp_path: Path
) -> None:
    folder = one.materialize(viewer, "m", 1, tmp_path / "m")
    (folder / "extra").write_text("x")
    with pytest.raises(Conflict, match="extra"):
        one.materialize(viewer, "m", 1, folder)
    (folder / "extra").unlink()
    (folder / "MLmodel").unlink()
    with pytest.raises(Conflict, match="lacks"):
        one.materialize(viewer, "m", 1, folder)
    (folder / "MLmodel").symlink_to("/etc/hostname")
    with pytest.raises(Conflict):
        one.materialize(viewer, "m", 1, folder)
    (folder / "MLmodel").unlink()
    (folder / "MLmodel").write_text("other")
    with pytest.raises(Conflict):
        one.materialize(viewer, "m", 1, folder)


def test_changed_bytes_are_found_and_nothing_is_left(
    app: App, one: RegistryService, viewer: Principal, tmp_path: Path
) -> None:
    file = next(file for file in one.files(viewer, "m", 1) if file.path == "model.skops")
    stored = app.blobs.path(file.blob)
    assert stored is not None
    stored.chmod(0o644)
    stored.write_bytes(b"evil")
    with pytest.raises(ModelCorrupt, match=r"model\.skops"):
        one.materialize(viewer, "m", 1, tmp_path / "out" / "m")
    assert list((tmp_path / "out").iterdir()) == []
    app.blobs.delete(file.blob)
    with pytest.raises(ModelCorrupt, match="gone"):
        one.materialize(viewer, "m", 1, tmp_path / "out" / "m")
    with pytest.raises(ModelCorrupt, match="gone"):
        one.open_file(viewer, "m", 1, "model.skops")


def test_a_changed_list_of_files_is_found(
    app: App, one: RegistryService, viewer: Principal, tmp_path: Path
) -> None:
    with app.db.write() as tx:
        tx.run(
            statement("change", "update registry_version_file set path = '../../evil' where path = 'MLmodel'")
        )
    with pytest.raises(ModelCorrupt, match="list of files"):
        one.materialize(viewer, "m", 1, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_one_file_is_read(one: RegistryService, viewer: Principal) -> None:
    file, stream = one.open_file(viewer, "m", 1, "data/deep/weights.bin")
    with stream:
        assert stream.read() == NESTED["data/deep/weights.bin"]
    assert file.size_bytes == 1_280_000
    for path in ("../MLmodel", "/etc/passwd", "data", "", "MLmodl"):
        with pytest.raises(ModelFileNotFound):
            one.open_file(viewer, "m", 1, path)
    with pytest.raises(ModelFileNotFound, match="Did you mean 'MLmodel'"):
        one.open_file(viewer, "m", 1, "MLmodl")


def test_a_version_without_files_has_no_folder(
    registry: RegistryService, tracked: Tracked, editor: Principal, tmp_path: Path
) -> None:
    registry.create_version(editor, "m", source=f"runs:/{tracked.run()}/x", create_model=True)
    with pytest.raises(ModelFileNotFound):
        registry.materialize(editor, "m", 1, tmp_path / "m")


def test_what_versions_need_is_known(one: RegistryService, viewer: Principal) -> None:
    admin = Principal("a", "a", "admin")
    blobs = {file.blob for file in one.files(viewer, "m", 1)}
    assert set(one.blobs_in_use(admin)) == blobs
    with pytest.raises(Forbidden):
        set(one.blobs_in_use(viewer))
