"""Plays what was recorded of MLflow's server to ours: every field must be the same, or accepted with a reason."""

import secrets
from pathlib import Path

import httpx2
import pytest

from tests.wire.differential.compare import differences
from tests.wire.differential.exchange import SUFFIX, read
from tests.wire.differential.replay import play

RECORDINGS = {
    file.name.removesuffix(SUFFIX): file
    for file in sorted(Path(__file__).with_name("recordings").glob(f"*{SUFFIX}"))
}
# Where the two engines could differ: comparisons and orderings.
ON_BOTH = [name for name in RECORDINGS if name.endswith(("search", "orders", "histories"))]


def _differences(url: str, name: str) -> list[str]:
    recording = read(RECORDINGS[name])
    word = f"uniq{secrets.token_hex(8)}"[: len(recording.unique)]
    with httpx2.Client(base_url=url, timeout=60) as client:
        return [
            f"{one.request}\n    {one}"
            for expected, found in play(recording, client, fresh=word)
            for one in differences(expected, found)
            if one.accepted is None
        ]


def _check(wrong: list[str]) -> None:
    assert not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_answers_are_those_of_mlflow(sqlite_server: str, name: str) -> None:
    _check(_differences(sqlite_server, name))


@pytest.mark.parametrize("name", ON_BOTH)
def test_the_engines_answer_alike(postgresql_server: str, name: str) -> None:
    _check(_differences(postgresql_server, name))
