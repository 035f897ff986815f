"""What became of the attempt to compile a model: whether the compiled form may serve, and on what evidence."""

from typing import Any, Literal

import msgspec

from trimtab.serving.loaders.contract import Contract

State = Literal["compiled", "differs", "unsupported", "failed"]
"""compiled: may serve. differs: converted, but answers otherwise. unsupported: nothing here converts such a model.
failed: the attempt itself broke or took too long."""

VERDICT_FILE = "verdict.json"
FLAVORS = ("sklearn", "xgboost", "lightgbm", "catboost")
"""What is converted, by the name of the MLmodel flavour."""


class Tolerance(msgspec.Struct, frozen=True):
    """How far a number may be off: ``absolute + relative * abs(native)``. Labels must be equal but for ties."""

    absolute: float = 1e-5
    relative: float = 1e-5


class Difference(msgspec.Struct, frozen=True):
    """The largest difference: in which output and class, for which row, and what both models said.

    ``share`` is the difference as a multiple of what the tolerance allows there; ``row`` holds the input by column.
    """

    output: str
    share: float
    native: Any
    compiled: Any
    kind: str
    row: dict[str, Any]
    position: int | None = None


class Timing(msgspec.Struct, frozen=True):
    """Median times of one call with so many rows."""

    rows: int
    native_us: float
    compiled_us: float


class Verdict(msgspec.Struct, frozen=True):
    """The outcome with its evidence. ``rows`` counts what was compared by kind of row.

    ``refused`` counts rows which both models refuse to answer; ``ties`` those whose labels differ where the native model
    finds both classes equally likely within the tolerance.
    """

    state: State
    message: str
    runtime: str = ""
    opset: dict[str, int] = {}
    contract: Contract | None = None
    rows: dict[str, int] = {}
    refused: int = 0
    ties: int = 0
    largest: Difference | None = None
    tolerance: Tolerance = Tolerance()
    timings: list[Timing] = []
    size_bytes: int = 0
    versions: dict[str, str] = {}
    took_s: float = 0.0
