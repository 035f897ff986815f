"""Which paths and names are allowed, and how content is named."""

import string
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.domains.data.conftest import blob_of
from trimtab.domains.data.errors import BadPath
from trimtab.domains.data.model import (
    DataFile,
    check_files,
    check_name,
    check_parents,
    digest_of,
    parse_version,
)
from trimtab.kernel.errors import Invalid

BLOB = blob_of(b"")


def files(*paths: str) -> list[DataFile]:
    return [DataFile(path, 0, BLOB) for path in paths]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "..\\b",
        "C:/x",
        "c:x",
        "a\nb",
        "a\x00b",
        "a\x7fb",
        "a\x85b",
        "a\ud800b",
        "x" * 256,
        "x/" * 501,
        "é" * 128,
    ],
)
def test_paths_that_are_refused(path: str) -> None:
    with pytest.raises(BadPath) as caught:
        check_files(files("fine", path))
    assert caught.value.field == "files[1].path"


@pytest.mark.parametrize("path", ["a", "a/b.csv", "A b/ü/数据.parquet", "...", "..a", "a..", "-x", "x" * 255])
def test_paths_that_are_fine(path: str) -> None:
    assert [file.path for file in check_files(files(path))] == [path]


def test_case_is_kept_and_counts() -> None:
    assert [file.path for file in check_files(files("b", "A", "a"))] == ["A", "a", "b"]


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b/c", "a/b"), ("x/y", "x")])
def test_paths_that_cannot_be_together(paths: tuple[str, ...]) -> None:
    with pytest.raises(BadPath):
        check_files(files(*paths))


@given(
    st.lists(st.text(st.sampled_from(string.ascii_letters + "./\\ :\n"), max_size=8), min_size=1, max_size=6)
)
def test_what_is_allowed_stays_inside(paths: list[str]) -> None:
    try:
        allowed = check_files(files(*paths))
    except BadPath:
        return
    for file in allowed:
        parts = PurePosixPath("/base", file.path).parts
        assert parts[:2] == ("/", "base")
        assert ".." not in parts
        assert str(PurePosixPath(file.path)) == file.path


@pytest.mark.parametrize(
    ("file", "field"),
    [
        (DataFile("a", 0, "b3:xyz"), "blob"),
        (DataFile("a", -1, BLOB), "files[0].size_bytes"),
        (DataFile("a", 0, BLOB, [blob_of(b"other")]), "files[0].chunks"),
    ],
)
def test_files_that_make_no_sense(file: DataFile, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_files([file])
    assert caught.value.field == field
    with pytest.raises(Invalid):
        check_files([])


@given(st.permutations(["a", "b/c", "d"]))
def test_the_digest_does_not_depend_on_order_or_chunks(paths: list[str]) -> None:
    chunked = [DataFile(path, 0, BLOB, [BLOB]) for path in paths]
    assert digest_of(check_files(chunked)) == digest_of(check_files(files("a", "b/c", "d")))


def test_the_digest_depends_on_all_else() -> None:
    variants = [
        files("a"),
        files("b"),
        files("a", "b"),
        [DataFile("a", 1, BLOB)],
        [DataFile("a", 0, blob_of(b"x"))],
    ]
    assert len({digest_of(variant) for variant in variants}) == len(variants)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a@1", ".a", "-a", "ä", "x" * 129, "a\n"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(Invalid):
        check_name(name)


def test_versions_are_numbers_or_latest() -> None:
    assert (parse_version("latest"), parse_version("12")) == (None, 12)
    for text in ("0", "-1", "1.0", "", "v1", "²", "9" * 12):
        with pytest.raises(Invalid):
            parse_version(text)


def test_parents_are_references() -> None:
    assert check_parents(["run:r", "data:a@1", "run:r"]) == ["data:a@1", "run:r"]
    with pytest.raises(Invalid) as caught:
        check_parents(["data:a@1", "a@1"])
    assert caught.value.field == "derived_from[1]"
