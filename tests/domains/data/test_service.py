"""Versions: added, found, read back, removed, and never changed."""

import threading
from pathlib import Path

import msgspec
import pytest

from tests.domains.data.conftest import Warehouse, blob_of
from trimtab.app import App
from trimtab.domains.data.errors import (
    BlobsMissing,
    DatasetNotFound,
    FileNotInVersion,
    FolderNotEmpty,
    VersionNotFound,
)
from trimtab.domains.data.model import DataFile
from trimtab.domains.govern.errors import NotPermitted
from trimtab.infra.blobs import BlobCorrupt
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal

ONE = {"a.txt": b"one", "sub/b.txt": b"two"}
TWO = {"a.txt": b"three"}


def kinds(app: App) -> list[str]:
    return [record.kind for record in app.bus.after(0)]


def test_versions_count_up_and_stay(app: App, warehouse: Warehouse, viewer: Principal) -> None:
    first = warehouse.add("raw", ONE, message="first")
    second = warehouse.add("raw", TWO)
    assert [first.version, second.version] == [1, 2]
    assert (first.file_count, first.size_bytes, first.message) == (2, 6, "first")
    assert app.data.get_version(viewer, "raw", 1) == first
    assert app.data.get_version(viewer, "raw") == second
    assert [version.version for version in app.data.versions(viewer, "raw").items] == [2, 1]
    (dataset,) = app.data.datasets(viewer).items
    assert (dataset.name, dataset.latest_version, dataset.versions, dataset.size_bytes) == ("raw", 2, 2, 5)
    assert kinds(app).count("data.version_added") == 2


def test_the_same_content_adds_nothing(app: App, warehouse: Warehouse, owner: Principal) -> None:
    first = warehouse.add("raw", ONE)
    again = app.data.add(warehouse.who, "raw", list(reversed(warehouse.files(ONE))), message="again")
    assert (again.version, again.created) == (first, False)
    assert kinds(app).count("data.version_added") == 1
    assert [record.action for record in app.govern.audit_trail(owner).items] == ["data.version.add"]


def test_going_back_is_a_version_of_its_own(app: App, warehouse: Warehouse) -> None:
    first, _, third = warehouse.add("raw", ONE), warehouse.add("raw", TWO), warehouse.add("raw", ONE)
    assert (third.version, third.digest) == (3, first.digest)


def test_racing_additions_of_the_same_make_one_version(app: App, warehouse: Warehouse) -> None:
    files = warehouse.files(ONE)
    made: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: made.append(app.data.add(warehouse.who, "raw", files).version.version)
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1] * 6
    assert len(app.data.versions(warehouse.who, "raw").items) == 1


def test_racing_additions_of_others_get_numbers_of_their_own(app: App, warehouse: Warehouse) -> None:
    contents = [warehouse.files({"a.txt": b"%d" % number}) for number in range(6)]
    threads = [
        threading.Thread(target=app.data.add, args=(warehouse.who, "raw", files)) for files in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [version.version for version in app.data.versions(warehouse.who, "raw").items]
    assert numbers == [6, 5, 4, 3, 2, 1]


def test_blobs_must_be_there_and_as_long_as_said(app: App, warehouse: Warehouse) -> None:
    absent = DataFile("a", 3, blob_of(b"abc"))
    with pytest.raises(BlobsMissing) as caught:
        app.data.add(warehouse.who, "raw", [absent])
    assert caught.value.details == {"missing": [absent.blob], "count": 1}
    app.blobs.put(b"abc")
    with pytest.raises(Invalid) as wrong:
        app.data.add(warehouse.who, "raw", [msgspec.structs.replace(absent, size_bytes=4)])
    assert wrong.value.field == "files[0].size_bytes"
    with pytest.raises(DatasetNotFound):
        app.data.get(warehouse.who, "raw")
    assert kinds(app) == []


def test_parents_are_linked_and_must_be_known(app: App, warehouse: Warehouse) -> None:
    raw = warehouse.add("raw", ONE)
    clean = warehouse.add("clean", TWO, derived_from=[raw.ref, "run:r1"])
    assert clean.derived_from == ["data:raw@1", "run:r1"]
    graph = app.lineage.graph(warehouse.who, clean.ref, direction="up")
    assert {(edge.source, edge.kind) for edge in graph.edges} == {(raw.ref, "derived"), ("run:r1", "derived")}
    for unknown in ("data:raw@2", "data:raw", "data:nope@1", "data:raw@x"):
        with pytest.raises(Invalid, match="come from"):
            warehouse.add("other", TWO, derived_from=[unknown])


def test_what_is_not_there_is_said(app: App, warehouse: Warehouse, viewer: Principal) -> None:
    warehouse.add("flights", ONE)
    with pytest.raises(DatasetNotFound, match="Did you mean 'flights'"):
        app.data.get_version(viewer, "flihgts")
    with pytest.raises(VersionNotFound, match="the newest is 1"):
        app.data.get_version(viewer, "flights", 2)
    with pytest.raises(DatasetNotFound):
        app.data.versions(viewer, "nope")
    with pytest.raises(FileNotInVersion, match=r"Did you mean 'a\.txt'"):
        app.data.open_file(viewer, "flights", 1, "a.txr")


def test_listings_are_paged(app: App, warehouse: Warehouse) -> None:
    for number in range(5):
        warehouse.add(f"d{number}", {"a.txt": b"x"})
        warehouse.add("d0", {"a.txt": b"%d" % number})
    first = app.data.datasets(warehouse.who, limit=2)
    rest = app.data.datasets(warehouse.who, limit=9, cursor=first.next_cursor)
    assert [dataset.name for dataset in first.items + rest.items] == ["d0", "d1", "d2", "d3", "d4"]
    newest = app.data.versions(warehouse.who, "d0", limit=4)
    older = app.data.versions(warehouse.who, "d0", limit=4, cursor=newest.next_cursor)
    assert [version.version for version in newest.items + older.items] == [6, 5, 4, 3, 2, 1]
    assert older.next_cursor is None


def test_files_come_back(app: App, warehouse: Warehouse, viewer: Principal, tmp_path: Path) -> None:
    warehouse.add("raw", ONE)
    warehouse.add("raw", TWO)
    folder = app.data.materialize(viewer, "raw", 1, tmp_path / "new" / "out")
    found = {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }
    assert found == ONE
    file, stream = app.data.open_file(viewer, "raw", 1, "sub/b.txt")
    with stream:
        assert (stream.read(), file.size_bytes) == (b"two", 3)


def test_copies_are_no_links(app: App, warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.add("raw", ONE)
    folder = app.data.materialize(warehouse.who, "raw", 1, tmp_path / "out")
    (folder / "a.txt").write_bytes(b"changed")
    _, stream = app.data.open_file(warehouse.who, "raw", 1, "a.txt")
    with stream:
        assert stream.read() == b"one"


def test_a_folder_in_use_is_left_alone(app: App, warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.add("raw", ONE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for taken in ("mine", "file"):
        with pytest.raises(FolderNotEmpty):
            app.data.materialize(warehouse.who, "raw", 1, tmp_path / taken)
    assert (tmp_path / "mine" / "note").read_text() == "keep"


def test_rotten_bytes_are_noticed_and_nothing_is_left(app: App, warehouse: Warehouse, tmp_path: Path) -> None:
    version = warehouse.add("raw", ONE)
    path = app.blobs.path(blob_of(b"one"))
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"eno")
    with pytest.raises(BlobCorrupt, match=r"a\.txt"):
        app.data.materialize(warehouse.who, "raw", version.version, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir() if "out" in entry.name] == []


def test_removed_versions_are_gone_but_their_numbers_are_taken(
    app: App, warehouse: Warehouse, owner: Principal
) -> None:
    warehouse.add("raw", ONE)
    warehouse.add("raw", TWO)
    assert app.data.remove(owner, "raw", 2) == 1
    assert app.data.get_version(owner, "raw").version == 1
    with pytest.raises(VersionNotFound):
        app.data.get_version(owner, "raw", 2)
    with pytest.raises(VersionNotFound):
        app.data.remove(owner, "raw", 2)
    assert app.data.remove(owner, "raw") == 1
    assert app.data.datasets(owner).items == []
    with pytest.raises(DatasetNotFound):
        app.data.remove(owner, "raw")
    assert warehouse.add("raw", ONE).version == 3


def test_roles(app: App, warehouse: Warehouse, viewer: Principal, tmp_path: Path) -> None:
    warehouse.add("raw", ONE)
    for act in (
        lambda: app.data.add(viewer, "raw", warehouse.files(TWO)),
        lambda: app.data.content.missing(viewer, []),
        lambda: app.data.content.put(viewer, blob_of(b""), iter([])),
        lambda: app.data.validation.replace_suite(viewer, "raw", []),
        lambda: app.data.validation.request(viewer, "raw"),
        lambda: app.data.remove(viewer, "raw"),
        lambda: app.data.remove(warehouse.who, "raw"),
    ):
        with pytest.raises(NotPermitted):
            act()
    assert len(app.data.versions(viewer, "raw").items) == 1


@pytest.mark.parametrize(
    ("name", "more", "field"),
    [
        ("a b", {}, "name"),
        ("raw", {"message": "x" * 2001}, "message"),
        ("raw", {"derived_from": ["nothing"]}, "derived_from[0]"),
        ("raw", {"derived_from": [f"run:{n}" for n in range(101)]}, "derived_from"),
    ],
)
def test_bad_additions_change_nothing(
    app: App, warehouse: Warehouse, name: str, more: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        warehouse.add(name, ONE, **more)
    assert caught.value.field == field
    with app.db.read() as tx:
        for table in ("data_dataset", "data_version", "bus_event", "jobs_job", "govern_audit"):
            assert tx.all(statement("count", f"select count(*) from {table}")) == [(0,)]
