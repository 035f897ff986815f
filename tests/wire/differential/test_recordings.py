"""Plays what was recorded of MLflow's server to ours: every field must be the same, or accepted with a reason."""

import secrets
from pathlib import Path

import httpx2
import pytest

from tests.wire.differential.compare import differences
from tests.wire.differential.exchange import SUFFIX, read
from tests.wire.differential.replay import play

RECORDINGS = sorted(Path(__file__).with_name("recordings").glob(f"*{SUFFIX}"))


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.name.removesuffix(SUFFIX))
def test_the_answers_are_those_of_mlflow(sqlite_server: str, file: Path) -> None:
    recording = read(file)
    word = f"uniq{secrets.token_hex(8)}"[: len(recording.unique)]
    with httpx2.Client(base_url=sqlite_server, timeout=60) as client:
        wrong = [
            f"{one.request}\n    {one}"
            for expected, found in play(recording, client, fresh=word)
            for one in differences(expected, found)
            if one.accepted is None
        ]
    assert not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong[:20])
