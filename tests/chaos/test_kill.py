"""A server that is killed at any moment keeps what it acknowledged and takes up its work by itself."""

import os
from pathlib import Path

import pytest

from tests.chaos.kill import survive

ROUNDS = int(os.environ.get("TRIMTAB_TEST_KILLS", "3"))
SEED = int(os.environ.get("TRIMTAB_TEST_SEED", "20250117"))


@pytest.mark.timeout(180 + 90 * ROUNDS)
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    assert survive(tmp_path, rounds=ROUNDS, seed=SEED) > 100


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_on_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    assert survive(tmp_path, "--database", postgresql_url, rounds=1, seed=SEED) > 20
