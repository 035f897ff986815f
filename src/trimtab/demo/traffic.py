"""The demonstration's traffic: inference requests for the flights that are to leave one airport in one hour, or for
one flight at a time where a version is on trial and every request counts.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from trimtab.demo.flights import CATEGORICAL, EVENT, FEATURES, HOUR_US, KEY, KNOWN, LABEL


class Request(msgspec.Struct, frozen=True):
    """One request of the Open Inference Protocol v2, and what will be known about its rows later.

    ``event_us`` is the beginning of the hour of departure, or the departure of a single flight. Row i of the body is
    row ``rows[i]`` of the table that the requests were made from; its label ``labels[i]`` (None: there will never be
    one) is known at ``known_us[i]``.
    """

    event_us: int
    rows: list[int]
    flights: list[str]
    body: bytes
    labels: list[int | None]
    known_us: list[int]


class Traffic:
    """The requests of a feature table that is in order of departure, as an iterator.

    ``by_flight`` may be set while it is read: from the next hour on each flight is a request of its own.
    """

    def __init__(self, table: pa.Table, *, by_flight: bool = False) -> None:
        self.by_flight = by_flight
        self._table = table
        self._requests = self._all()

    def __iter__(self) -> Iterator[Request]:
        return self

    def __next__(self) -> Request:
        return next(self._requests)

    def _all(self) -> Iterator[Request]:
        hours = self._table["event_us"].to_numpy() // HOUR_US
        for start, end in pairwise([0, *(np.flatnonzero(np.diff(hours)) + 1).tolist(), len(hours)]):
            yield from self._of_hour(start, end, int(hours[start]) * HOUR_US)

    def _of_hour(self, start: int, end: int, hour_us: int) -> Iterator[Request]:
        part = self._table.slice(start, end - start)
        columns = {name: part[name].to_pylist() for name in (KEY, EVENT, KNOWN, LABEL, *FEATURES)}
        if self.by_flight:
            for at, event_us in enumerate(columns[EVENT]):
                yield _request(columns, [at], start, event_us)
            return
        of_origin: dict[str, list[int]] = {}
        for at, origin in enumerate(columns["origin"]):
            of_origin.setdefault(origin, []).append(at)
        for _, places in sorted(of_origin.items()):
            yield _request(columns, places, start, hour_us)


def requests(table: pa.Table) -> Traffic:
    """The requests of a feature table, one for each origin and hour."""
    return Traffic(table)


def payload(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Return the v2 request for columns of features, all of one length."""
    return {
        "inputs": [
            {
                "name": name,
                "shape": [len(columns[name])],
                "datatype": "BYTES" if name in CATEGORICAL else "FP64",
                "data": columns[name],
            }
            for name in FEATURES
        ],
        "outputs": [{"name": "predictions"}],
    }


def _request(columns: dict[str, list[Any]], places: list[int], start: int, event_us: int) -> Request:
    chosen = {name: [_plain(columns[name][at]) for at in places] for name in FEATURES}
    return Request(
        event_us=event_us,
        rows=[start + at for at in places],
        flights=[columns[KEY][at] for at in places],
        body=msgspec.json.encode(payload(chosen)),
        labels=[columns[LABEL][at] for at in places],
        known_us=[columns[KNOWN][at] for at in places],
    )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
