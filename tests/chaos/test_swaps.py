"""Whoever asks while versions change gets an answer, each time."""

from pathlib import Path

import pytest

from tests.chaos.swaps import change


@pytest.mark.timeout(180)
def test_changes_of_version_fail_no_request(tmp_path: Path) -> None:
    seen = change(tmp_path, changes=14, clients=4)
    assert seen["failed"] == 0
    assert seen["requests"] > 300
    assert len(seen["versions"]) >= 3
    assert seen["rollback_ms"][1] < 1000
