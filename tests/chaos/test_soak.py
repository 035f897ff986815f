from pathlib import Path

from tests.chaos.soak import soak


def test_a_short_soak_with_a_kill_loses_nothing(tmp_path: Path) -> None:
    assert soak(tmp_path, points=20_000, kills=1) == []
