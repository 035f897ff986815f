"""What a compiled model says of itself: the columns that it takes, and what it answers."""

from typing import Literal

import msgspec

MODEL_FILE = "model.onnx"
METADATA_KEY = "trimtab"
CONTRACT_VERSION = 1


class Answered(msgspec.Struct, frozen=True):
    """One output of the graph: its name, the data type that the native model answers with, and a row's shape."""

    name: str
    datatype: str
    shape: list[int]


class Contract(msgspec.Struct, frozen=True):
    """What a compiled model takes: one ``matrix`` of all columns in this order, or one (rows, 1) input a column.

    ``types`` are those of the columns: float32, float64, int64 or string. Values of ``complete`` columns are never
    missing.
    """

    layout: Literal["matrix", "columns"]
    names: list[str]
    types: list[str]
    outputs: list[Answered]
    complete: list[str] = []
    version: int = CONTRACT_VERSION
