"""What is known of a version's compiled form."""

from typing import Literal

import msgspec

from trimtab.serving.compiling.verdict import State, Verdict

COMPILE = "registry.compile"


class Compilation(msgspec.Struct, frozen=True):
    """Whether a version was compiled; ``pending`` while that is under way, ``none`` where nobody tried.

    While it is pending, the verdict is the one before, if any.
    ``at_us`` is when the state was reached. ``size_bytes`` is that of the compiled model, 0 where there is none.
    """

    state: State | Literal["none", "pending"]
    at_us: int
    size_bytes: int
    verdict: Verdict | None


class Kept(msgspec.Struct, frozen=True):
    """A compilation with the blob of its model."""

    compilation: Compilation
    blob: str | None
