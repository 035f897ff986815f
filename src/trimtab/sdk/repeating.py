"""What ``trimtab runs reproduce`` tells the process that it starts: which run to repeat, from which seeds and data."""

import functools
import os
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid

VARIABLE = "TRIMTAB_REPRODUCTION"
REPRODUCES_TAG = "trimtab.reproduces"
REPRODUCTION_TAG = "trimtab.reproduction"


class Repetition(msgspec.Struct, frozen=True):
    """The run ``run_id`` was the ``ordinal``-th that its process began; ``data`` are the versions that it read."""

    token: str
    run_id: str
    ordinal: int
    seeds: dict[str, Any]
    data: dict[str, int]


@functools.cache
def wanted() -> Repetition | None:
    """Return what this process repeats; None for a training of its own. Raises Invalid where it cannot be read."""
    file = os.environ.get(VARIABLE)
    if not file:
        return None
    try:
        return msgspec.json.decode(Path(file).read_bytes(), type=Repetition)
    except (OSError, msgspec.MsgspecError) as error:
        raise Invalid(f"{VARIABLE} names nothing that can be repeated: {error}") from error


def pinned(name: str) -> int | None:
    """Return the version of a dataset that stands for the newest in this process."""
    repetition = wanted()
    return repetition.data.get(name) if repetition is not None else None
