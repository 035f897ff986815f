"""The mistake of the demonstration: features turned into metric units offline, while live requests keep the sources'."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONVERSIONS: dict[str, Callable[[Floats], Floats]] = {
    "temp": lambda fahrenheit: (fahrenheit - 32.0) / 1.8,
    "dewp": lambda fahrenheit: (fahrenheit - 32.0) / 1.8,
    "wind_speed": lambda mph: mph * 0.44704,
    "precip": lambda inches: inches * 25.4,
    "pressure": lambda millibars: millibars / 10.0,
    "visib": lambda miles: miles * 1.609344,
    "distance": lambda miles: miles * 1.609344,
}
"""From Fahrenheit, miles an hour, inches, millibars and miles to Celsius, m/s, mm, kPa and km."""


def to_metric(table: pa.Table) -> pa.Table:
    """Return the feature table with the same columns and types in metric units; what is missing stays missing."""
    for name, convert in CONVERSIONS.items():
        values = convert(table[name].to_numpy().astype(np.float64))
        column = pa.array(values, mask=np.isnan(values))
        table = table.set_column(table.column_names.index(name), name, column)
    return table
