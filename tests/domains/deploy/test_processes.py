"""What a server begins with: only what the one before left as it is now."""

from pathlib import Path
from typing import Any, cast

import pytest

from trimtab.domains.deploy.processes import Processes
from trimtab.domains.deploy.targets.port import ReplicaSpec


class _Gateway:
    """Stands for the gateway's process, and keeps how it was begun."""

    def __init__(self, *, has_served: bool = True) -> None:
        self.has_served = has_served
        self.begun: list[bool] = []

    def check_ports(self) -> None:
        """Nobody has them."""

    def begin(self, *, resume: bool) -> None:
        self.begun.append(resume)


def _processes(gateway: _Gateway, folder: Path, **changed: Any) -> Processes:
    given: dict[str, Any] = {"memory_mb": 0, "code": "1", "settings": "s"} | changed
    return Processes(cast(Any, gateway), folder, **given)


@pytest.mark.parametrize(
    ("left", "changed", "found", "resumes"),
    [
        ("d", {}, "d", True),
        ("d", {}, "e", False),
        ("d", {"code": "2"}, "d", False),
        ("d", {"settings": "t"}, "d", False),
        (None, {}, None, False),  # only the database itself could tell
        ("d", {}, None, False),
    ],
)
def test_only_what_is_as_it_was_left_is_served_at_once(
    tmp_path: Path, left: str | None, changed: dict[str, str], found: str | None, *, resumes: bool
) -> None:
    _processes(_Gateway(), tmp_path).leave(database=left, replicas=[])
    gateway = _Gateway()
    assert _processes(gateway, tmp_path, **changed).begin(database=found) is resumes
    assert gateway.begun == [resumes]
    again = _Gateway()
    assert not _processes(again, tmp_path, **changed).begin(database=found)
    assert again.begun == [False]  # what was left is taken once: a crash leaves nothing


@pytest.mark.parametrize("content", [b"", b"null", b'{"code": "1"}', b"\xff"])
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "left.json").write_bytes(content)
    gateway = _Gateway()
    assert not _processes(gateway, tmp_path).begin(database="d")
    assert gateway.begun == [False]


def test_where_nothing_was_served_the_gateway_can_wait(tmp_path: Path) -> None:
    gateway = _Gateway(has_served=False)
    assert not _processes(gateway, tmp_path).begin(database="d")
    assert gateway.begun == []


def test_what_ran_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [ReplicaSpec("churn", "1", tmp_path / "model", allow_pickle=True)]
    _processes(_Gateway(), tmp_path).leave(database=None, replicas=specs)
    begun: list[ReplicaSpec] = []
    monkeypatch.setattr(
        "trimtab.domains.deploy.targets.process.ProcessTarget.ensure", lambda _, spec: begun.append(spec)
    )
    processes = _processes(_Gateway(), tmp_path)
    processes.begin(database=None)  # nobody is sent to it before the server says so
    assert begun == specs
