"""The pinned requirements: what is installed into one environment must agree."""

from pathlib import Path

import pytest
from packaging.requirements import Requirement

FOLDER = Path(__file__).parent.parent / "requirements"
OLDEST = {"python_version": "3.11", "python_full_version": "3.11.0"}
"""The Python for which the large environments are resolved."""


def pins(name: str) -> dict[str, str]:
    lines = (FOLDER / f"{name}.lock").read_text().splitlines()
    found = [Requirement(line) for line in lines if "==" in line]
    return {
        one.name: str(one.specifier) for one in found if one.marker is None or one.marker.evaluate(OLDEST)
    }


@pytest.mark.parametrize(("first", "second"), [("runtime", "dev"), ("dev", "autolog"), ("dev", "ray")])
def test_two_locks_of_one_environment_agree(first: str, second: str) -> None:
    ours, theirs = pins(first), pins(second)
    shared = ours.keys() & theirs.keys()
    assert shared
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
