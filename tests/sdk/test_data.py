"""``trimtab.data`` and ``trimtab data`` against a real server: everything over HTTP, profiles in its worker."""

import json
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trimtab
from tests.commands import trimtab as command
from trimtab.kernel.errors import Conflict, Invalid, NotFound, Unavailable
from trimtab.sdk import transfer
from trimtab.sdk.client import Client, connect

CSV = "delay,carrier\n" + "".join(f"{delay},{'AB'[delay % 2]}\n" for delay in range(60))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of all sizes: empty, small, equal ones, and one that is sent by itself."""
    source = tmp_path / "source"
    (source / "sub folder").mkdir(parents=True)
    (source / "empty").touch()
    (source / "flights.csv").write_text(CSV)
    (source / "sub folder" / "copy ü?#%.csv").write_text(CSV)
    (source / "big.bin").write_bytes(os.urandom(9 << 20))
    (source / ".hidden").write_bytes(b"x")
    return source


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }


def name_of(request: pytest.FixtureRequest) -> str:
    return request.node.name.replace("[", "-").replace("]", "")


@pytest.fixture
def name(client: Client, request: pytest.FixtureRequest) -> str:
    """A name that no other test uses."""
    return name_of(request)


def test_a_folder_goes_and_comes_back(name: str, folder: Path, tmp_path: Path) -> None:
    version = trimtab.data.add(name, folder, message="first")
    assert (version.version, version.file_count, version.ref) == (1, 5, f"data:{name}@1")
    assert contents(trimtab.data.get(name, dest=tmp_path / "out")) == contents(folder)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".out")] == []


def test_what_did_not_change_is_not_sent_again(name: str, folder: Path, client: Client) -> None:
    files = transfer.scan(folder)
    blobs = transfer.digests(files, lambda *_: None)
    sizes = {blob: file.size_bytes for blob, file in zip(blobs, files, strict=True)}
    assert transfer.upload(client, files, blobs, lambda *_: None) <= sum(sizes.values())
    assert transfer.upload(client, files, blobs, lambda *_: None) == 0
    first = trimtab.data.add(name, folder)
    assert trimtab.data.add(name, folder).version == trimtab.data.show(name).version == first.version == 1
    (folder / "empty").write_bytes(b"no more")
    assert trimtab.data.add(name, folder).version == 2


def test_a_single_file(name: str, folder: Path) -> None:
    version = trimtab.data.add(name, folder / "flights.csv")
    assert version.file_count == 1
    found = trimtab.data.wait_validated(name, version.version)
    assert (found.validation.state, found.rows) == ("passed", 60)
    assert trimtab.data.frame(name).num_rows == 60
    assert name in [dataset.name for dataset in trimtab.data.list()]


FRAME = pd.DataFrame({"delay": [1.5, None, 3.0], "carrier": ["A", None, "B"]})


@pytest.mark.parametrize(
    "frame",
    [FRAME, pa.Table.from_pandas(FRAME), {"delay": [1.5, None, 3.0], "carrier": ["A", None, "B"]}],
    ids=["pandas", "arrow", "dict"],
)
def test_frames(name: str, frame: object) -> None:
    first = trimtab.data.add(name, frame)
    assert trimtab.data.add(name, frame).version == first.version == 1, "the same frame is the same file"
    assert trimtab.data.frame(name).to_pydict() == {"delay": [1.5, None, 3.0], "carrier": ["A", None, "B"]}
    clean = trimtab.data.add(f"{name}-clean", {"x": [1]}, derived_from=[first])
    assert clean.derived_from == (first.ref,)


def test_the_cache_is_read_only_and_used(name: str, folder: Path, server: str) -> None:
    version = trimtab.data.add(name, folder)
    first = trimtab.data.get(name)
    assert contents(first) == contents(folder)
    assert all(file.stat().st_mode & 0o222 == 0 for file in first.rglob("*") if file.is_file())
    marked = first.stat().st_ino
    assert trimtab.data.get(name, version.version).stat().st_ino == marked


def test_several_tables_need_a_choice(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    (tmp_path / "b.csv").write_text("y\n2\n")
    source = tmp_path / "both"
    source.mkdir()
    for file in ("a.csv", "b.csv"):
        (tmp_path / file).rename(source / file)
    trimtab.data.add(name, source)
    with pytest.raises(Invalid, match=r"several tables.*a\.csv, b\.csv"):
        trimtab.data.frame(name)
    assert trimtab.data.frame(name, path="b.csv").to_pydict() == {"y": [2]}
    with pytest.raises(Invalid, match=r"Did you mean 'a\.csv'"):
        trimtab.data.frame(name, path="a.csb")


def test_a_destination_in_use_is_kept(name: str, folder: Path, tmp_path: Path) -> None:
    trimtab.data.add(name, folder / "flights.csv")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("keep")
    with pytest.raises(Conflict):
        trimtab.data.get(name, dest=out)
    assert contents(out) == {"mine": b"keep"}
    trimtab.data.get(name, dest=out, overwrite=True)
    assert list(contents(out)) == ["flights.csv"]
    with pytest.raises(Conflict):
        trimtab.data.get(name, dest=folder / "flights.csv")


def test_sources_that_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "etc").symlink_to("/etc")
    piped = tmp_path / "piped"
    piped.mkdir()
    os.mkfifo(piped / "pipe")
    for source in (tmp_path / "nothing", tmp_path / "empty", linked, piped, 42):
        with pytest.raises(Invalid):
            trimtab.data.add(name, source)
    with pytest.raises(NotFound):
        trimtab.data.show(name)


def test_names_the_file_system_allows_and_we_do_not(name: str, tmp_path: Path) -> None:
    for number, bad in enumerate(("new\nline", "back\\slash")):
        source = tmp_path / str(number)
        source.mkdir()
        (source / bad).write_bytes(b"x")
        with pytest.raises(Invalid, match="path"):
            trimtab.data.add(name, source)


def test_without_a_server_it_says_so(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(Unavailable, match="trimtab up"):
        trimtab.data.add("x", folder, client=connect("http://127.0.0.1:9"))


@given(st.lists(st.integers(0, 40 << 20), max_size=30))
def test_batches_keep_order_and_bounds(sizes: list[int]) -> None:
    blobs = [str(number) for number in range(len(sizes))]
    made = transfer.batches(blobs, sizes)
    assert [blob for batch in made for blob in batch] == blobs
    for batch in made:
        assert batch
        assert len(batch) == 1 or sum(sizes[int(blob)] for blob in batch) <= 32 << 20


def trim(*arguments: str, code: int = 0) -> str:
    ran = command("data", *arguments)
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_the_commands(name: str, folder: Path, tmp_path: Path) -> None:
    flights = folder / "flights.csv"
    assert trim("add", name, str(flights), "-m", "first", "--wait").split() == [f"{name}@1"]
    flights.write_text(CSV.replace("A", "X"))
    assert "values not allowed: 'X'" in trim("add", name, str(flights), "--wait", code=1)
    assert "failed" in trim("validate", f"{name}@2", code=1)
    suite = json.loads(trim("expectations", name, "--json"))
    kept = tmp_path / "suite.json"
    kept.write_text(json.dumps([one for one in suite["expectations"] if one["kind"] != "values"]))
    assert "version 2" in trim("expectations", name, "--set", str(kept))
    assert "passed" in trim("validate", name)
    assert [item["version"] for item in json.loads(trim("versions", name, "--json"))] == [2, 1]
    compared = json.loads(trim("compare", name, "1", "--json"))
    assert {column["name"]: column["level"] for column in compared["tables"][0]["columns"]} == {
        "delay": "alike", "carrier": "large",
    }  # fmt: skip
    assert "carrier" in trim("show", f"{name}@1")
    trim("get", f"{name}@1", str(tmp_path / "out"))
    assert (tmp_path / "out" / "flights.csv").read_text() == CSV
    trim("get", f"{name}@9", str(tmp_path / "none"), code=3)
    trim("get", f"{name}@x", str(tmp_path / "none"), code=2)
    trim("rm", f"{name}@1", "--yes")
    assert "1" not in [item["version"] for item in json.loads(trim("versions", name, "--json"))]
