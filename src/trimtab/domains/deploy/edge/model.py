"""Bundles and devices as values, and what a device may bring."""

import math
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal

import msgspec

from trimtab.domains.deploy.edge.errors import BadDelivery
from trimtab.kernel.time import DAY_US
from trimtab.serving.records import Prediction

State = Literal["building", "ready", "failed"]

MOST_ROWS = 40_000  # a device's file holds a prediction of 20,000 at the most, and what went before it
_DEVICE = re.compile(r"[0-9a-f]{16}")
_ID = re.compile(r"edge-([0-9a-f]{16})-[0-9a-f]{1,16}-[0-9a-f]{1,16}")
_OLDEST_US = 365 * DAY_US
_MOST_TEXT = 10_000
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class EdgeBundle(msgspec.Struct, frozen=True):
    """The bundle of an alias. ``sequence`` counts the bundles made so far: a device never goes back to a lower one.

    ``version`` and ``size_bytes`` are those of the bundle that can be fetched, also while a newer one is ``building``
    or has ``failed``. ``endpoint`` is the name under which monitoring finds what devices predict.
    """

    model: str
    alias: str
    endpoint: str
    reference: str
    state: State
    sequence: int
    version: int | None
    blob: str | None
    size_bytes: int
    error: str | None
    created_us: int
    updated_us: int
    created_by: str

    @property
    def channel(self) -> str:
        return f"{self.model}@{self.alias}"


class EdgeDevice(msgspec.Struct, frozen=True):
    """A device that called: which bundle it has in use, how many predictions came, how many it could not keep."""

    device: str
    sequence: int
    first_us: int
    last_us: int
    taken: int
    lost: int
    problem: str | None


class EdgePrediction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One prediction as a device kept it."""

    id: str
    at_us: _Time
    version: str
    columns: dict[str, list[Any]]
    outputs: list[Any]
    latency_us: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0


class RefusedBundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sequence: int
    reason: str


class Delivery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a device hands over at once. ``number`` is that of its file: sent twice, it counts once."""

    device: str
    number: _Time
    sequence: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    lost: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0
    refused: RefusedBundle | None = None
    predictions: list[EdgePrediction] = []


def check_delivery(
    delivery: Delivery, bundle: EdgeBundle, columns: Mapping[str, AbstractSet[str]], *, now_us: int
) -> list[Prediction]:
    """Return the records for monitoring; raises BadDelivery naming the prediction and the column.

    ``columns`` are those of each version of the model, none for what is no version.
    """
    if not _DEVICE.fullmatch(delivery.device):
        raise BadDelivery("device is 16 hexadecimal digits.", field="device")
    records: list[Prediction] = []
    total = 0
    for place, one in enumerate(delivery.predictions):
        where = f"predictions[{place}]"
        found = _ID.fullmatch(one.id)
        if found is None or found[1] != delivery.device:
            raise BadDelivery(f"{one.id[:80]!r} is not an id of this device.", field=f"{where}.id")
        if not now_us - _OLDEST_US <= one.at_us <= now_us + DAY_US:
            raise BadDelivery("The time is more than a year ago, or in the future.", field=f"{where}.at_us")
        names = columns[one.version]
        if not names:
            raise BadDelivery(
                f"{bundle.model} has no version {one.version[:40]!r}.", field=f"{where}.version"
            )
        rows = len(one.outputs)
        total += rows
        if not rows or total > MOST_ROWS:
            raise BadDelivery(f"A delivery has 1 to {MOST_ROWS} rows.", field=f"{where}.outputs")
        for name, values in one.columns.items():
            if name not in names:
                raise BadDelivery(f"The model has no column {name[:80]!r}.", field=f"{where}.columns")
            if len(values) != rows or not all(map(_is_plain, values)):
                raise BadDelivery(
                    f"Column {name!r} does not have one plain value for each of {rows} rows.",
                    field=f"{where}.columns.{name}",
                )
        _check_outputs(one.outputs, where)
        records.append(
            Prediction(
                id=one.id,
                endpoint=bundle.endpoint,
                version=one.version,
                role="champion",
                at_us=one.at_us,
                event_us=one.at_us,
                latency_us=one.latency_us,
                rows=rows,
                columns=one.columns,
                outputs=one.outputs,
                status=200,
                route="device",
            )
        )
    return records


def _check_outputs(outputs: Sequence[Any], where: str) -> None:
    for value in outputs:
        several: list[Any] = value if isinstance(value, list) else [value]
        if len(several) > 10_000 or not all(map(_is_plain, several)):
            raise BadDelivery("An output is a plain value, or a list of such.", field=f"{where}.outputs")


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value) <= _MOST_TEXT
    return value is None or isinstance(value, bool | int)
