"""The demonstration's traffic: the flights that are to leave one airport in one hour, as one inference request."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa

from trimtab.demo.flights import CATEGORICAL, FEATURES, HOUR_US, KEY, KNOWN, LABEL

_ORIGIN = CATEGORICAL.index("origin")


class Request(msgspec.Struct, frozen=True):
    """One request of the Open Inference Protocol v2, and what will be known about its rows later.

    ``event_us`` is the beginning of the hour of departure. Row i of the body is row ``rows[i]`` of the table that the
    requests were made from; its label ``labels[i]`` (None: there will never be one) is known at ``known_us[i]``.
    """

    event_us: int
    origin: str
    rows: list[int]
    flights: list[str]
    body: bytes
    labels: list[int | None]
    known_us: list[int]


def requests(table: pa.Table) -> Iterator[Request]:
    """Yield the requests of a feature table, which is in order of departure, one for each origin and hour."""
    hours = table["event_us"].to_numpy() // HOUR_US
    start = 0
    while start < len(hours):
        end = start
        while end < len(hours) and hours[end] == hours[start]:
            end += 1
        yield from _of_hour(table.slice(start, end - start), start, int(hours[start]) * HOUR_US)
        start = end


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


def _of_hour(table: pa.Table, start: int, event_us: int) -> Iterator[Request]:
    columns = {name: table[name].to_pylist() for name in (KEY, KNOWN, LABEL, *FEATURES)}
    of_origin: dict[str, list[int]] = {}
    for at, origin in enumerate(columns[FEATURES[_ORIGIN]]):
        of_origin.setdefault(origin, []).append(at)
    for origin, places in sorted(of_origin.items()):
        chosen = {name: [_plain(columns[name][at]) for at in places] for name in FEATURES}
        yield Request(
            event_us=event_us,
            origin=origin,
            rows=[start + at for at in places],
            flights=[columns[KEY][at] for at in places],
            body=msgspec.json.encode(payload(chosen)),
            labels=[columns[LABEL][at] for at in places],
            known_us=[columns[KNOWN][at] for at in places],
        )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
