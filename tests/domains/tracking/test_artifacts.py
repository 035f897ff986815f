"""Artifacts: paths that are safe, folders that follow from files, bytes that come back."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.app import App
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.tracking.artifacts.model import check_path, path_of_uri
from trimtab.domains.tracking.errors import ArtifactNotFound, BadPath
from trimtab.kernel.who import Principal

ROOT = "0/abc/artifacts"


def _paths(app: App, who: Principal, folder: str) -> list[tuple[str, bool]]:
    return [
        (entry.path.removeprefix(f"{folder}/"), entry.is_dir)
        for entry in app.tracking.artifacts.list(who, folder)
    ]


def test_files_come_back(app: App, editor: Principal, tmp_path: Path) -> None:
    artifacts = app.tracking.artifacts
    content = bytes(range(256)) * 5000
    stored = artifacts.put(editor, f"{ROOT}/deep/er/a.bin", io.BytesIO(content))
    assert stored.size_bytes == len(content)
    artifacts.put(editor, f"{ROOT}/b.txt", b"first")
    artifacts.put(editor, f"{ROOT}/b.txt", iter([b"sec", b"ond"]))
    with artifacts.open(editor, f"{ROOT}/deep/er/a.bin") as file:
        assert file.read() == content
    assert artifacts.get(editor, f"{ROOT}/b.txt").size_bytes == 6
    assert artifacts.size(editor, ROOT) == len(content) + 6
    folder = artifacts.materialize(editor, ROOT, tmp_path / "copy")
    assert (folder / "deep/er/a.bin").read_bytes() == content
    assert (folder / "b.txt").read_bytes() == b"second"
    assert artifacts.materialize(editor, ROOT, tmp_path / "copy") == folder


def test_folders_are_listed_by_what_is_in_them(app: App, editor: Principal) -> None:
    for path in ("s", "seg-2/x", "seg/y/z", "seg/a", "seg-2/x2", "seg.d/x", "seg0", "Ω/ü", "s s/x", "seg!/x"):
        app.tracking.artifacts.put(editor, f"{ROOT}/{path}", b"x")
    assert _paths(app, editor, ROOT) == [
        ("s", False),
        ("s s", True),
        ("seg", True),
        ("seg!", True),
        ("seg-2", True),
        ("seg.d", True),
        ("seg0", False),
        ("Ω", True),
    ]
    assert _paths(app, editor, f"{ROOT}/seg") == [("a", False), ("y", True)]
    assert _paths(app, editor, f"{ROOT}/seg/a") == []
    assert _paths(app, editor, f"{ROOT}/none") == []
    assert [entry.path for entry in app.tracking.artifacts.list(editor)] == ["0"]


def test_a_path_is_a_file_or_a_folder(app: App, editor: Principal) -> None:
    artifacts = app.tracking.artifacts
    artifacts.put(editor, f"{ROOT}/a/b", b"x")
    with pytest.raises(BadPath, match="is a file"):
        artifacts.put(editor, f"{ROOT}/a/b/c", b"x")
    with pytest.raises(BadPath, match="is a folder"):
        artifacts.put(editor, f"{ROOT}/a", b"x")
    assert _paths(app, editor, ROOT) == [("a", True)]


def test_deleting_takes_a_folder_whole_and_nothing_beside_it(
    app: App, editor: Principal, owner: Principal
) -> None:
    artifacts = app.tracking.artifacts
    for path in ("a/1", "a/b/2", "a0", "ab/3", "a-/4"):
        artifacts.put(editor, f"{ROOT}/{path}", b"x")
    assert artifacts.delete(editor, f"{ROOT}/a") == 2
    assert _paths(app, editor, ROOT) == [("a-", True), ("a0", False), ("ab", True)]
    assert artifacts.delete(editor, f"{ROOT}/none") == 0
    with pytest.raises(ArtifactNotFound):
        artifacts.get(editor, f"{ROOT}/a/1")
    with pytest.raises(ArtifactNotFound):
        artifacts.materialize(editor, f"{ROOT}/a", Path("/nonexistent"))
    acts = [record.action for record in app.govern.audit_trail(owner).items]
    assert acts == ["tracking.artifact.delete"]


def test_viewers_may_only_look(app: App, editor: Principal, viewer: Principal) -> None:
    app.tracking.artifacts.put(editor, f"{ROOT}/a", b"x")
    assert app.tracking.artifacts.open(viewer, f"{ROOT}/a").read() == b"x"
    with pytest.raises(NotPermitted):
        app.tracking.artifacts.put(viewer, f"{ROOT}/b", b"x")
    with pytest.raises(NotPermitted):
        app.tracking.artifacts.delete(viewer, f"{ROOT}/a")


@pytest.mark.parametrize(
    "path",
    [
        *("", "/a", "a/", "a//b", "..", "a/..", "a/../b", ".", "./a", "a\\b", "a\x00b", "a\nb", "\ud800"),
        *("%2e%2e/a", "%252e%252e/a", "a/%2e%2e", "%2fetc", "x" * 256, "a/" * 2001 + "a"),
    ],
)
def test_bad_paths_are_refused(path: str) -> None:
    with pytest.raises(BadPath):
        check_path(path)


@given(st.text(max_size=40))
def test_a_path_that_is_taken_stays_inside(path: str) -> None:
    try:
        check_path(path)
    except BadPath:
        return
    assert (Path("/root") / path).resolve().is_relative_to("/root")


def test_uris_of_ours_have_paths() -> None:
    assert path_of_uri("mlflow-artifacts:/1/a/artifacts") == "1/a/artifacts"
    assert path_of_uri("mlflow-artifacts://host:80/1/a") == "1/a"
    assert path_of_uri("s3://bucket/1") is None
    with pytest.raises(BadPath):
        path_of_uri("mlflow-artifacts:/1/../2")
